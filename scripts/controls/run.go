package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is a line of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// words are how the outcomes are printed.
var words = map[string]string{"pass": passed, "fail": failing, "skip": skipped}

// run runs the tests of the controls and nothing else.
func run(ctx context.Context) ([]outcome, []string, error) {
	command := exec.CommandContext(ctx, "go", "test", "-json", "-timeout", "10m", "-run", "^TestControl", "./...")
	var lines bytes.Buffer
	command.Stdout, command.Stderr = &lines, os.Stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // that some failed, the lines say
		return nil, nil, err
	}
	return read(&lines)
}

// read takes the outcome of each test from the lines, without its parts, and what was printed by what failed. A
// package that failed on its own, because it does not compile or its TestMain ended badly, is an outcome of no test:
// it is printed, and counts.
func read(lines io.Reader) (outcomes []outcome, failed []string, err error) {
	printed, failures := map[string]*strings.Builder{}, map[string]int{}
	decoder := json.NewDecoder(lines)
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return outcomes, failed, nil
		} else if err != nil {
			return nil, nil, err
		}
		top, _, part := strings.Cut(e.Test, "/")
		name := e.Package + "." + top
		if e.ImportPath != "" { // a build's
			name = e.ImportPath
		}
		if printed[name] == nil {
			printed[name] = &strings.Builder{}
		}
		switch e.Action {
		case "output", "build-output":
			_, _ = printed[name].WriteString(e.Output)
		case "build-fail":
			failed = append(failed, printed[name].String())
		case "pass", "fail", "skip":
			if part {
				continue
			}
			if e.Action == "fail" && (top != "" || failures[e.Package] == 0) {
				failures[e.Package]++
				failed = append(failed, printed[name].String())
			}
			if top != "" {
				outcomes = append(outcomes, outcome{name, words[e.Action]})
			}
		}
	}
}
