package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the tests compare with")

// The guide contains the output of the command.
func TestSettingsGuideEqualsOutputOfCommand(t *testing.T) {
	const path, start, end = "../../web/docs/guides/settings.md", "<!-- generated -->\n", "<!-- /generated -->"
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(guide), start)
	_, after, ok := strings.Cut(rest, end)
	var printed bytes.Buffer
	if code := run(t.Context(), process{args: []string{"settings"}, out: &printed, err: &printed}); code != 0 || !ok {
		t.Fatal(printed.String())
	}
	want := before + start + printed.String() + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(guide) {
		t.Error("settings.md is not what accountsd settings prints: run make guides")
	}
}
