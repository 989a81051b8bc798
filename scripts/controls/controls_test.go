package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryControlHasATest checks that every control in scope has a test, and that every test
// that names a control names one of the list. `make controls` reports the results of those tests.
func TestEveryControlHasATest(t *testing.T) {
	controls, err := readList(list)
	if err != nil {
		t.Fatal(err)
	}
	found, err := find("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 300 {
		t.Errorf("only %d tests found", len(found))
	}
	tests, faults := assign(controls, found)
	for _, fault := range faults {
		t.Error(fault)
	}
	var pending []int
	for _, c := range controls {
		switch {
		case len(tests[c.number]) > 0 || c.outOfScope != "":
		case c.pending:
			pending = append(pending, c.number)
		default:
			t.Errorf("control %d (%s) has no test that calls t.Attr(\"control\", \"%d\")", c.number, c.text, c.number)
		}
	}
	t.Logf("of %d controls, these have no test yet: %v", len(controls), pending)
}

func TestFindReadsTheAttributes(t *testing.T) {
	for text, want := range map[string][]int{
		`t.Attr("control", "42")`:                          {42},
		`t.Attr("control", "39"); t.Attr("control", "41")`: {39, 41},
		`t.Attr("engine", "42")`:                           nil,
		`if true { t.Attr("control", "42") }`:              nil,
		`t.Log("control", "42")`:                           nil,
	} {
		if found := inOneFile(t, text); !slices.Equal(found, want) {
			t.Errorf("%s: %v, want %v", text, found, want)
		}
	}
	for _, text := range []string{`t.Attr("control", "x")`, `t.Attr("control", number)`, `t.Attr("control", "")`} {
		dir := write(t, text)
		if found, err := find(dir); err == nil {
			t.Errorf("%s: %v", text, found)
		}
	}
}

// inOneFile returns the numbers of a test with this body.
func inOneFile(t *testing.T, body string) []int {
	t.Helper()
	found, err := find(write(t, body))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return nil
	}
	return found[0].numbers
}

// write returns a folder that contains a test with this body.
func write(t *testing.T, body string) string {
	t.Helper()
	dir := t.TempDir()
	text := "package p\n\nfunc TestX(t *testing.T) {\n" + body + "\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReadListRejectsInvalidLists(t *testing.T) {
	for name, text := range map[string]string{
		"three columns": "1\ta\tb\n", "six": "1\ta\tb\tc\tpending\tx\n", "an empty one": "1\ta\t\tc\n", "no number": "x\ta\tb\tc\n", "no reason": "1\ta\tb\tc\tout of scope: \n",
		"another note": "1\ta\tb\tc\tlater\n", "descending": "3\ta\tb\tc\n1\ta\tb\tc\n", "twice": "1\ta\tb\tc\n1\ta\tb\tc\n", "an empty row": "1\ta\tb\tc\n\n",
	} {
		if controls, err := readList(text); err == nil {
			t.Errorf("%s: %v", name, controls)
		}
	}
}

const four = "# four controls\n1\ts\tone\tRFC 1\n2\ts\ttwo\tRFC 2\tpending\n3\ts\tthree\tRFC 3\tout of scope: no such thing\n4\ts\tfour\tRFC 4\n"

func TestReportListsResultsByControl(t *testing.T) {
	controls, err := readList(four)
	if err != nil {
		t.Fatal(err)
	}
	both := outcome{"m/p.TestX", []int{1, 4}, passed}
	for name, c := range map[string]struct {
		outcomes []outcome
		ok       bool
		want     string
	}{
		"well":           {[]outcome{both}, true, "passed          2  1 4\n"},
		"pending tested": {[]outcome{both, {"m/p.Test2", []int{2}, passed}}, true, "control 2 has tests and is still listed as pending\n"},
		"pending fails":  {[]outcome{both, {"m/p.Test2", []int{2}, failing}}, false, "FAILED          1  2\n"},
		"fails":          {[]outcome{both, {"m/p.Test4", []int{4}, failing}}, false, "FAILED          1  4\n"},
		"skipped":        {[]outcome{both, {"m/p.Test4", []int{4}, skipped}}, false, "FAILED          1  4\n"},
		"no test":        {[]outcome{{"m/p.Test4", []int{4}, passed}}, false, "NO TEST         1  1\n"},
		"unknown":        {[]outcome{both, {"m/p.Test5", []int{5}, passed}}, false, "FAULT m/p.Test5: control 5 does not exist\n"},
		"zero":           {[]outcome{both, {"m/p.Test0", []int{0}, passed}}, false, "control 0 does not exist\n"},
		"out of scope":   {[]outcome{both, {"m/p.Test3", []int{3}, passed}}, false, "control 3 is out of scope\n"},
	} {
		var text strings.Builder
		if ok := report(&text, controls, c.outcomes); ok != c.ok || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s: %v, want %v and %q in\n%s", name, ok, c.ok, c.want, text.String())
		}
	}
	var text strings.Builder
	report(&text, controls, []outcome{both, {"m/q.TestY", []int{4}, failing}})
	if diff := cmp.Diff(golden, text.String()); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
}

const golden = `NUMBER  CONTROL  REFERENCE  TEST     RESULT
1       one      RFC 1      p.TestX  passed
2       two      RFC 2      -        pending
3       three    RFC 3      -        out of scope
4       four     RFC 4      p.TestX  passed
                            q.TestY  FAILED

passed          1  1
FAILED          1  4
NO TEST         0
pending         1  2
out of scope    1
  3: no such thing
`

// lines is the output of a run with a test that passes, one with a failing subtest, one that is
// skipped, and a package that does not compile.
const lines = `{"Action":"run","Package":"m/p","Test":"Test1"}
{"Action":"attr","Package":"m/p","Test":"Test1","Key":"control","Value":"1"}
{"Action":"attr","Package":"m/p","Test":"Test1","Key":"control","Value":"4"}
{"Action":"attr","Package":"m/p","Test":"Test1","Key":"engine","Value":"7"}
{"Action":"output","Package":"m/p","Test":"Test1/a","Output":"noise\n"}
{"Action":"pass","Package":"m/p","Test":"Test1/a"}
{"Action":"pass","Package":"m/p","Test":"Test1"}
{"Action":"output","Package":"m/p","Test":"Test4/a","Output":"wrong\n"}
{"Action":"fail","Package":"m/p","Test":"Test4/a"}
{"Action":"fail","Package":"m/p","Test":"Test4"}
{"Action":"skip","Package":"m/p","Test":"Test2"}
{"Action":"output","Package":"m/p","Output":"FAIL\n"}
{"Action":"fail","Package":"m/p"}
{"ImportPath":"m/q","Action":"build-output","Output":"does not compile\n"}
{"ImportPath":"m/q","Action":"build-fail"}
{"Action":"output","Package":"m/q","Output":"FAIL m/q [build failed]\n"}
{"Action":"fail","Package":"m/q","FailedBuild":"m/q"}
`

func TestReadReturnsOutcomeOfEachTest(t *testing.T) {
	outcomes, failed, err := read(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	want := []outcome{{"m/p.Test1", []int{1, 4}, passed}, {"m/p.Test4", nil, failing}, {"m/p.Test2", nil, skipped}}
	if diff := cmp.Diff(want, outcomes, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"wrong\n", "does not compile\n", "FAIL m/q [build failed]\n"}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if _, _, err := read(strings.NewReader("not JSON")); err == nil {
		t.Error("no error")
	}
}
