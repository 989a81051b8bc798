package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the tests compare with")

// The README's table of settings is the output of the command.
func TestReadmeSettings(t *testing.T) {
	const path = "../../../README.md"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(readme), "<!-- settings -->\n")
	table, after, ok := strings.Cut(rest, "<!-- /settings -->")
	var printed bytes.Buffer
	if code := run(t.Context(), process{args: []string{"settings"}, out: &printed, err: &printed}); code != 0 || !ok {
		t.Fatal(printed.String())
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+"<!-- settings -->\n"+printed.String()+"<!-- /settings -->"+after), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if table != printed.String() {
		t.Error("the README's settings are not what `accountsd settings` prints: go test ./server/cmd/accountsd -run Readme -update")
	}
}
