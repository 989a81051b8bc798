// Command prose checks the English of the repository for idioms that make a sentence hard to read,
// such as a clause with "who" or "what" as its subject. It reads comments in Go, TypeScript,
// JavaScript, shell, YAML, the Makefile and the Dockerfile, the text of Markdown, and the
// descriptions in openapi.yaml. It does not read code, string literals and generated files.
//
//	scripts/run.sh prose            check the repository
//	scripts/run.sh prose PATH...    print everything found in these files and folders
//
// Each idiom is a rule with bounds (see rules.go). A rule fails if it finds more per 10,000 words
// than its bound. The program prints the findings of the rules that fail, as file:line, and
// the rates of all rules. The exit status is 1 if a rule fails; with PATH, it is 1 if there is any
// finding.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var errFailed = errors.New("the prose has too many idioms that are hard to read; see scripts/prose/rules.go")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prose: "+err.Error())
		os.Exit(1)
	}
}

// run checks the files of the repository in the working directory, or those below paths.
func run(paths []string, out io.Writer) error {
	args := append([]string{"ls-files", "-z", "-co", "--exclude-standard", "--"}, paths...)
	list, err := exec.CommandContext(context.Background(), "git", args...).Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	r := newReport()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) { // deleted, but not yet in the index
			continue
		}
		if err != nil {
			return err
		}
		blocks, err := blocksOf(name, text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.add(groupOf(name), name, blocks)
	}
	if len(paths) > 0 {
		return r.printAll(out)
	}
	return r.print(out)
}

// A group is a set of files whose words are counted together.
type group string

const (
	comments group = "comments"
	texts    group = "texts"   // openapi.yaml and Markdown
	readmes  group = "readmes" // the two READMEs
)

var groups = []group{comments, texts, readmes}

func groupOf(name string) group {
	switch {
	case filepath.Base(name) == "README.md":
		return readmes
	case strings.HasSuffix(name, ".md") || name == "openapi.yaml":
		return texts
	}
	return comments
}

// finding is an idiom in a file.
type finding struct {
	group group
	rule  *rule
	place string // file:line
	text  string
}

// report counts words and findings.
type report struct {
	words    map[group]int
	findings []finding
}

func newReport() *report { return &report{words: map[group]int{}} }

func (r *report) add(g group, name string, blocks []block) {
	for _, b := range blocks {
		r.words[g] += b.words()
		for i := range rules {
			for _, m := range rules[i].find(b) {
				r.findings = append(r.findings, finding{g, &rules[i], fmt.Sprintf("%s:%d", name, b.lineAt(m[0])), b.excerpt(m)})
			}
		}
	}
}

func (r *report) count(g group, of *rule) int {
	n := 0
	for _, f := range r.findings {
		if f.group == g && f.rule == of {
			n++
		}
	}
	return n
}

// rate returns the findings of a rule per 10,000 words of a group.
func (r *report) rate(g group, of *rule) float64 {
	if r.words[g] == 0 {
		return 0
	}
	return 10_000 * float64(r.count(g, of)) / float64(r.words[g])
}

func (r *report) fails(g group, of *rule) bool { return r.rate(g, of) > of.bounds[g] }

// print prints the findings of the rules that fail, and a table of all rates.
func (r *report) print(out io.Writer) error {
	failed := false
	for _, f := range r.findings {
		if r.fails(f.group, f.rule) {
			failed = true
			f.print(out)
		}
	}
	r.printTable(out)
	if failed {
		return errFailed
	}
	return nil
}

// printAll prints every finding, regardless of the bounds.
func (r *report) printAll(out io.Writer) error {
	for _, f := range r.findings {
		f.print(out)
	}
	_, _ = fmt.Fprintf(out, "%d findings\n", len(r.findings))
	if len(r.findings) > 0 {
		return errFailed
	}
	return nil
}

func (f finding) print(out io.Writer) {
	_, _ = fmt.Fprintf(out, "%s: %s: …%s… (%s)\n", f.place, f.rule.name, f.text, f.rule.advice)
}

// printTable prints the findings of each rule per 10,000 words, with their number and the bound.
func (r *report) printTable(out io.Writer) {
	_, _ = fmt.Fprintf(out, "%-16s", "per 10,000 words")
	for _, g := range groups {
		_, _ = fmt.Fprintf(out, "  %24s", fmt.Sprintf("%s (%d words)", g, r.words[g]))
	}
	_, _ = fmt.Fprintln(out)
	for i := range rules {
		_, _ = fmt.Fprintf(out, "%-16s", rules[i].name)
		for _, g := range groups {
			cell := fmt.Sprintf("%.2f (%d) of %.1f", r.rate(g, &rules[i]), r.count(g, &rules[i]), rules[i].bounds[g])
			if r.fails(g, &rules[i]) {
				cell = "FAILS " + cell
			}
			_, _ = fmt.Fprintf(out, "  %24s", cell)
		}
		_, _ = fmt.Fprintln(out)
	}
}
