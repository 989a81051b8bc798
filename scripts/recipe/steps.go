package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var errHeader = errors.New("the first line of a diff must be --- PATH, or +++ PATH for a new file")

const (
	mark  = "<!-- apply -->"
	fence = "```"
)

// step is a marked block of a guide: a change of a file, or a script.
type step struct {
	line   int
	file   string // empty for a script
	isNew  bool
	hunks  []hunk
	script string
}

// hunk is a part of a change: whole lines, and the lines that replace them.
type hunk struct {
	old, changed []string
	everywhere   bool
}

// parse returns the marked blocks of a guide.
func parse(guide string) (steps []step, err error) {
	lines := strings.Split(guide, "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] != mark {
			continue
		}
		i++
		s := step{line: i + 1}
		language := ""
		if i < len(lines) {
			language = lines[i]
		}
		var block []string
		for i++; i < len(lines) && lines[i] != fence; i++ {
			block = append(block, lines[i])
		}
		switch language {
		case fence + "sh":
			s.script = strings.Join(block, "\n")
		case fence + "diff":
			if err := s.parseDiff(block); err != nil {
				return nil, fmt.Errorf("%d: %w", s.line, err)
			}
		default:
			return nil, fmt.Errorf("%d: a block in diff or sh must follow %s", s.line, mark)
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("1: no block follows %s", mark)
	}
	return steps, nil
}

func (s *step) parseDiff(block []string) error {
	if len(block) == 0 {
		return errHeader
	}
	kind, file, _ := strings.Cut(block[0], " ")
	if kind != "---" && kind != "+++" || file == "" {
		return errHeader
	}
	s.file, s.isNew = file, kind == "+++"
	var h hunk
	for _, line := range append(block[1:], "@@") {
		kind, rest := byte(' '), ""
		if line != "" {
			kind, rest = line[0], line[1:]
		}
		switch kind {
		case ' ':
			h.old, h.changed = append(h.old, rest), append(h.changed, rest)
		case '-':
			h.old = append(h.old, rest)
		case '+':
			h.changed = append(h.changed, rest)
		case '@':
			if !slices.Equal(h.old, h.changed) {
				s.hunks = append(s.hunks, h)
			}
			h = hunk{everywhere: strings.HasSuffix(line, " everywhere")}
		default:
			return fmt.Errorf("a line of a diff starts with %q", kind)
		}
	}
	return nil
}

// filesIn returns how many files the steps change by hand: of the product, and of its tests.
func filesIn(steps []step) (product, tests int) {
	seen := map[string]bool{"": true}
	for _, s := range steps {
		switch {
		case seen[s.file]:
		case strings.HasSuffix(s.file, "_test.go"), strings.Contains(s.file, "/testdata/"):
			tests++
		default:
			product++
		}
		seen[s.file] = true
	}
	return product, tests
}

func (s step) apply(ctx context.Context, folder string, out io.Writer) error {
	if s.file == "" {
		_, _ = fmt.Fprintf(out, "== %s\n", s.script)
		return runShell(ctx, folder, s.script, out)
	}
	_, _ = fmt.Fprintf(out, "== %s, %d places\n", s.file, len(s.hunks))
	name := filepath.Join(folder, s.file)
	if s.isNew {
		return os.WriteFile(name, []byte(strings.Join(s.hunks[0].changed, "\n")+"\n"), 0o600)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	changed := string(text)
	for _, h := range s.hunks {
		if changed, err = h.apply(changed); err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
	}
	return os.WriteFile(name, []byte(changed), 0o600)
}

// apply replaces the old lines of the text.
func (h hunk) apply(text string) (string, error) {
	lines := strings.Split(text, "\n")
	var result []string
	count := 0
	for i := 0; i < len(lines); i++ {
		if len(h.old) > 0 && i+len(h.old) <= len(lines) && slices.Equal(lines[i:i+len(h.old)], h.old) {
			count++
			result = append(result, h.changed...)
			i += len(h.old) - 1
			continue
		}
		result = append(result, lines[i])
	}
	if count == 0 || count > 1 && !h.everywhere {
		return "", fmt.Errorf("these lines occur %d times:\n%s", count, strings.Join(h.old, "\n"))
	}
	return strings.Join(result, "\n"), nil
}
