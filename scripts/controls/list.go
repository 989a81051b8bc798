package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed controls.tsv
var list string

// control is a row of the list.
type control struct {
	number                   int
	section, text, reference string
	pending                  bool   // its tests have no numbers yet
	outOfScope               string // the reason why it needs no test; empty if it needs one
}

// readList parses rows in the format that the head of the file describes. Numbers never change and
// are in ascending order. Numbers reserved for future capabilities have no row yet.
func readList(text string) (controls []control, err error) {
	last := 0
	for row := range strings.Lines(text) {
		row = strings.TrimSuffix(row, "\n")
		if strings.HasPrefix(row, "#") {
			continue
		}
		c, err := readRow(row)
		if err != nil {
			return nil, err
		}
		if c.number <= last {
			return nil, fmt.Errorf("control %d comes after control %d", c.number, last)
		}
		last = c.number
		controls = append(controls, c)
	}
	return controls, nil
}

func readRow(row string) (control, error) {
	fields := strings.Split(row, "\t")
	if len(fields) < 4 || len(fields) > 5 || slices.Contains(fields, "") {
		return control{}, fmt.Errorf("a control has four or five columns, and none is empty: %q", row)
	}
	number, err := strconv.Atoi(fields[0])
	if err != nil {
		return control{}, fmt.Errorf("%q is not a number", fields[0])
	}
	c := control{number: number, section: fields[1], text: fields[2], reference: fields[3]}
	if len(fields) == 4 {
		return c, nil
	}
	reason, out := strings.CutPrefix(fields[4], "out of scope: ")
	c.pending, c.outOfScope = fields[4] == "pending", reason
	switch {
	case c.pending:
		c.outOfScope = ""
	case !out || reason == "":
		return c, fmt.Errorf("control %d: the note must be `pending` or `out of scope: ` with a reason, not %q", number, fields[4])
	}
	return c, nil
}

// outcome is a test with the numbers of its controls, and its result; the result is empty if the
// test was found but not run.
type outcome struct {
	test    string
	numbers []int
	result  string
}

// assign returns the tests of each control. Tests of controls that are not listed or out of scope
// are faults.
func assign(controls []control, outcomes []outcome) (tests map[int][]outcome, faults []string) {
	tests = map[int][]outcome{}
	for _, o := range outcomes {
		for _, number := range o.numbers {
			i := slices.IndexFunc(controls, func(c control) bool { return c.number == number })
			switch {
			case i < 0:
				faults = append(faults, fmt.Sprintf("%s: control %d does not exist", o.test, number))
			case controls[i].outOfScope != "":
				faults = append(faults, fmt.Sprintf("%s: control %d is out of scope", o.test, number))
			default:
				tests[number] = append(tests[number], o)
			}
		}
	}
	return tests, faults
}
