// Command controls runs the tests of the security controls and prints the tests of each control.
//
//	scripts/with-mysql.sh --fast -- scripts/run.sh controls
//
// The controls are listed in controls.tsv. A test names the controls that it checks by
// attributes: t.Attr("control", "39"). The exit status is 1 if a test failed, if a control has
// neither a test nor a note that says why (pending or out of scope), or if a test names a control
// that is not in the list or that is marked as out of scope.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := check(ctx, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "controls:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func check(ctx context.Context, w io.Writer) (ok bool, err error) {
	controls, err := readList(list)
	if err != nil {
		return false, err
	}
	outcomes, failed, err := run(ctx)
	if err != nil {
		return false, err
	}
	for _, text := range failed {
		_, _ = fmt.Fprintln(w, text)
	}
	return report(w, controls, outcomes) && len(failed) == 0, nil
}

// Verdicts on a control.
const (
	passed     = "passed"
	failing    = "FAILED"
	skipped    = "SKIPPED" // of a single test: a skipped test shows nothing, so its control fails too
	untested   = "NO TEST"
	waiting    = "pending"
	notInScope = "out of scope"
)

// report prints the table and the counts, and reports whether no control and no test failed.
func report(w io.Writer, controls []control, outcomes []outcome) (ok bool) {
	slices.SortFunc(outcomes, func(a, b outcome) int { return strings.Compare(a.test, b.test) }) // tests end in any order
	tests, faults := assign(controls, outcomes)
	of := map[string][]string{}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NUMBER\tCONTROL\tREFERENCE\tTEST\tRESULT")
	for _, c := range controls {
		verdict := evaluate(c, tests[c.number])
		of[verdict] = append(of[verdict], fmt.Sprint(c.number))
		printRow(table, c, tests[c.number], verdict)
	}
	_ = table.Flush()
	_, _ = fmt.Fprintln(w)
	for _, verdict := range []string{passed, failing, untested, waiting} {
		line := fmt.Sprintf("%-13s %3d  %s", verdict, len(of[verdict]), strings.Join(of[verdict], " "))
		_, _ = fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	_, _ = fmt.Fprintf(w, "%-13s %3d\n", notInScope, len(of[notInScope]))
	for _, c := range controls {
		if c.outOfScope != "" {
			_, _ = fmt.Fprintf(w, "  %d: %s\n", c.number, c.outOfScope)
		}
	}
	for _, c := range controls {
		if c.pending && len(tests[c.number]) > 0 {
			_, _ = fmt.Fprintf(w, "control %d has tests and is still listed as pending\n", c.number)
		}
	}
	for _, fault := range faults {
		_, _ = fmt.Fprintln(w, "FAULT", fault)
	}
	return len(of[failing])+len(of[untested])+len(faults) == 0
}

func evaluate(c control, tests []outcome) string {
	switch {
	case c.outOfScope != "":
		return notInScope
	case slices.ContainsFunc(tests, func(o outcome) bool { return o.result != passed }):
		return failing
	case len(tests) > 0:
		return passed
	case c.pending:
		return waiting
	}
	return untested
}

// printRow prints a line for each test, or one line for a control without tests.
func printRow(w io.Writer, c control, tests []outcome, verdict string) {
	if len(tests) == 0 {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t-\t%s\n", c.number, c.text, c.reference, verdict)
	}
	for i, o := range tests {
		number, text, reference := fmt.Sprint(c.number), c.text, c.reference
		if i > 0 {
			number, text, reference = "", "", ""
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", number, text, reference, path.Base(o.test), o.result)
	}
}
