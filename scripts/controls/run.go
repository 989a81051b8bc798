package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// event is a line of the output of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Key, Value                                string // of the action attr
}

// words maps the results of go test to the words of the report.
var words = map[string]string{"pass": passed, "fail": failing, "skip": skipped}

// run runs the tests of the controls and nothing else.
func run(ctx context.Context) ([]outcome, []string, error) {
	tests, err := find(".")
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, 0, len(tests))
	for _, o := range tests {
		names = append(names, o.test[strings.LastIndexByte(o.test, '.')+1:])
	}
	pattern := "^(" + strings.Join(names, "|") + ")$"
	_, _ = fmt.Fprintln(os.Stderr, "building the tests of all packages (the first build takes minutes) …")
	command := exec.CommandContext(ctx, "go", "test", "-json", "-timeout", "20m", "-run", pattern, "./...")
	var lines bytes.Buffer
	command.Stdout, command.Stderr = &lines, os.Stderr
	err = command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // a failed test is not an error of the run: its events report it
		return nil, nil, err
	}
	return read(&lines)
}

// read returns the result of each top-level test with the numbers of its controls, and the output
// of the tests and packages that failed. A package that fails without a failing test, because it
// does not compile or its TestMain fails, has no outcome; its output is returned and counts as a
// failure.
func read(lines io.Reader) (outcomes []outcome, failed []string, err error) {
	numbers := map[string][]int{}
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
		if e.ImportPath != "" { // event of a build
			name = e.ImportPath
		}
		if printed[name] == nil {
			printed[name] = &strings.Builder{}
		}
		switch e.Action {
		case "attr":
			number, err := strconv.Atoi(e.Value)
			if e.Key == attribute && err == nil {
				numbers[name] = append(numbers[name], number)
			}
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
				outcomes = append(outcomes, outcome{name, numbers[name], words[e.Action]})
			}
		}
	}
}
