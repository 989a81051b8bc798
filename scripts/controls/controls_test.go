package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryControlHasATest checks that every control in scope has a test, and that every numbered
// test has a control. `make controls` reports the results of those tests.
func TestEveryControlHasATest(t *testing.T) {
	controls, err := readList(list)
	if err != nil {
		t.Fatal(err)
	}
	tests, faults := assign(controls, inTheTree(t, "../.."))
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
			t.Errorf("control %d (%s) has no test: one whose name begins with TestControl%d", c.number, c.text, c.number)
		}
	}
	t.Logf("of %d controls these have no numbered test yet: %v", len(controls), pending)
}

// inTheTree returns the tests called TestControl… in the folder and its subfolders.
func inTheTree(t *testing.T, root string) (found []outcome) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "TestControl") {
				found = append(found, outcome{test: path + "." + f.Name.Name})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Errorf("only %d tests found", len(found))
	}
	return found
}

func TestNumbersOf(t *testing.T) {
	for name, want := range map[string][]int{
		"TestControl42CSRFMatrix": {42}, "TestControl39And41Cookies": {39, 41}, "TestControl1": {1}, "TestControl18And21And23AndMore": {18, 21, 23}, "TestControl": nil, "TestControlsAll": nil,
		"TestControl4AndroidApps": {4}, "TestControl99999999999999999999X": nil,
	} {
		got, err := numbersOf(name)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
	}
}

func TestReadListRefuses(t *testing.T) {
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

func TestReport(t *testing.T) {
	controls, err := readList(four)
	if err != nil {
		t.Fatal(err)
	}
	both := outcome{"m/p.TestControl1And4X", passed}
	for name, c := range map[string]struct {
		outcomes []outcome
		ok       bool
		want     string
	}{
		"well":           {[]outcome{both}, true, "passed          2  1 4\n"},
		"pending tested": {[]outcome{both, {"m/p.TestControl2", passed}}, true, "control 2 has tests and is still listed as pending\n"},
		"pending fails":  {[]outcome{both, {"m/p.TestControl2", failing}}, false, "FAILED          1  2\n"},
		"fails":          {[]outcome{both, {"m/p.TestControl4", failing}}, false, "FAILED          1  4\n"},
		"skipped":        {[]outcome{both, {"m/p.TestControl4", skipped}}, false, "FAILED          1  4\n"},
		"no test":        {[]outcome{{"m/p.TestControl4", passed}}, false, "NO TEST         1  1\n"},
		"unknown":        {[]outcome{both, {"m/p.TestControl5", passed}}, false, "FAULT m/p.TestControl5: there is no control 5\n"},
		"zero":           {[]outcome{both, {"m/p.TestControl0", passed}}, false, "there is no control 0\n"},
		"out of scope":   {[]outcome{both, {"m/p.TestControl3", passed}}, false, "control 3 is out of scope\n"},
		"no number":      {[]outcome{both, {"m/p.TestControlX", passed}}, false, "TestControlX has no number\n"},
	} {
		var text strings.Builder
		if ok := report(&text, controls, c.outcomes); ok != c.ok || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s: %v, want %v and %q in\n%s", name, ok, c.ok, c.want, text.String())
		}
	}
	var text strings.Builder
	report(&text, controls, []outcome{both, {"m/q.TestControl4Y", failing}})
	if diff := cmp.Diff(golden, text.String()); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
}

const golden = `NUMBER  CONTROL  REFERENCE  TEST                 RESULT
1       one      RFC 1      p.TestControl1And4X  passed
2       two      RFC 2      -                    pending
3       three    RFC 3      -                    out of scope
4       four     RFC 4      p.TestControl1And4X  passed
                            q.TestControl4Y      FAILED

passed          1  1
FAILED          1  4
NO TEST         0
pending         1  2
out of scope    1
  3: no such thing
`

// lines is the output of a run with a test that passes, one with a failing subtest, one that is
// skipped, and a package that does not compile.
const lines = `{"Action":"run","Package":"m/p","Test":"TestControl1"}
{"Action":"output","Package":"m/p","Test":"TestControl1/a","Output":"noise\n"}
{"Action":"pass","Package":"m/p","Test":"TestControl1/a"}
{"Action":"pass","Package":"m/p","Test":"TestControl1"}
{"Action":"output","Package":"m/p","Test":"TestControl4/a","Output":"wrong\n"}
{"Action":"fail","Package":"m/p","Test":"TestControl4/a"}
{"Action":"fail","Package":"m/p","Test":"TestControl4"}
{"Action":"skip","Package":"m/p","Test":"TestControl2"}
{"Action":"output","Package":"m/p","Output":"FAIL\n"}
{"Action":"fail","Package":"m/p"}
{"ImportPath":"m/q","Action":"build-output","Output":"does not compile\n"}
{"ImportPath":"m/q","Action":"build-fail"}
{"Action":"output","Package":"m/q","Output":"FAIL m/q [build failed]\n"}
{"Action":"fail","Package":"m/q","FailedBuild":"m/q"}
`

func TestRead(t *testing.T) {
	outcomes, failed, err := read(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	want := []outcome{{"m/p.TestControl1", passed}, {"m/p.TestControl4", failing}, {"m/p.TestControl2", skipped}}
	if !slices.Equal(outcomes, want) {
		t.Errorf("%v, want %v", outcomes, want)
	}
	if diff := cmp.Diff([]string{"wrong\n", "does not compile\n", "FAIL m/q [build failed]\n"}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if _, _, err := read(strings.NewReader("not JSON")); err == nil {
		t.Error("no error")
	}
}
