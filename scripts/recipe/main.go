// Command recipe applies the steps of a guide to a copy of the repository, so that the guide stays
// true. A step is a block whose line before it is
//
//	<!-- apply -->
//
// A block in diff changes one file. Its first line is "--- PATH", or "+++ PATH" for a new file. The
// following lines are context, or lines to remove (-) or add (+). A line "@@" separates hunks. The
// context and the removed lines of a hunk must occur exactly once in the file. After
// "@@ everywhere" every occurrence is changed. A block in sh runs in the copy.
//
//	scripts/run.sh recipe [-edits N] [-keep] GUIDE...
//
// Each guide has a copy of its own, which includes the uncommitted changes of the repository. The
// exit status is 1 if a step fails or a guide changes more than N files by hand. Tests are not
// counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	edits := flag.Int("edits", 8, "the maximum number of files to change by hand")
	keep := flag.Bool("keep", false, "keep the copy and print its path")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, guide := range flag.Args() {
		if err := run(ctx, guide, *edits, *keep, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "recipe: "+err.Error())
			stop()
			os.Exit(1)
		}
	}
}

func run(ctx context.Context, guide string, most int, keep bool, out io.Writer) (err error) {
	text, err := os.ReadFile(guide)
	if err != nil {
		return err
	}
	steps, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s:%w", guide, err)
	}
	product, tests := filesIn(steps)
	if product > most {
		return fmt.Errorf("%s changes %d files by hand, at most %d are allowed", guide, product, most)
	}
	folder, err := os.MkdirTemp("", "recipe-")
	if err != nil {
		return err
	}
	if keep {
		_, _ = fmt.Fprintln(out, folder)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	if err := copyTree(ctx, folder); err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.apply(ctx, folder, out); err != nil {
			return fmt.Errorf("%s:%d: %w", guide, s.line, err)
		}
	}
	_, _ = fmt.Fprintf(out, "recipe: %d steps of %s hold, with %d files and %d files of tests changed by hand\n", len(steps), guide, product, tests)
	return nil
}

// copyTree copies the files of the repository in the working directory, with uncommitted changes.
func copyTree(ctx context.Context, folder string) error {
	list, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "-co", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) { // deleted, but not yet in the index
			continue
		}
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		target := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(target, data, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return git(ctx, folder, "init", "--quiet")
}

// git runs a command in the copy, which is a repository because some checks list its files.
func git(ctx context.Context, folder string, args ...string) error {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = folder
	return command.Run()
}

// runShell runs a script in the copy, in a process group that ends with the context.
func runShell(ctx context.Context, folder, script string, out io.Writer) error {
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Stdout, command.Stderr = folder, out, out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	return command.Run()
}
