package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const guide = "# Title\n\n<!-- apply -->\n```diff\n--- a.txt\n one\n-two\n+2\n@@ everywhere\n-x\n+y\n```\n\nText.\n\n<!-- apply -->\n```diff\n+++ a_test.go\n+n\n```\n\n<!-- apply -->\n```sh\ntest \"$(cat a.txt)\" = \"$(printf 'one\\n2\\ny\\ny')\" && test \"$(cat a_test.go)\" = n\n```\n"

func TestStepsChangeFilesAndRunScripts(t *testing.T) {
	steps, err := parse(guide)
	if err != nil || len(steps) != 3 {
		t.Fatal(steps, err)
	}
	if product, tests := filesIn(steps); product != 1 || tests != 1 {
		t.Error(product, tests)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.txt"), []byte("one\ntwo\nx\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, s := range steps {
		if err := s.apply(t.Context(), folder, &out); err != nil {
			t.Fatal(err, out.String())
		}
	}
	if err := steps[0].apply(t.Context(), folder, &out); err == nil || !strings.Contains(err.Error(), "occur 0 times") {
		t.Errorf("a second change: %v", err)
	}
}

func TestHunkMustBeUniqueAndWholeLines(t *testing.T) {
	for text, want := range map[string]bool{"a\nb\n": true, "a\nb\na\nb\n": false, "xa\nb\n": false, "a\nbx\n": false, "": false} {
		if _, err := (hunk{old: []string{"a", "b"}, changed: []string{"c"}}).apply(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMalformedGuides(t *testing.T) {
	for _, text := range []string{
		"no step", "<!-- apply -->\ntext", "<!-- apply -->\n```go\nx\n```", "<!-- apply -->\n```diff\n+x\n```", "<!-- apply -->\n```diff\n--- a\nx\n```", "<!-- apply -->",
	} {
		if steps, err := parse(text); err == nil {
			t.Errorf("%q: %+v", text, steps)
		}
	}
}
