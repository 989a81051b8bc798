package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each limit is exceeded once, and the fault names the place.
func TestHouseFindsEachFault(t *testing.T) {
	long := "func long() {\n" + strings.Repeat("\tprintln()\n", 60) + "}\n"
	for name, c := range map[string]struct{ text, fault string }{
		"a long function":          {long, "server/x.go:3 long: 62"},
		"many parameters":          {"func f(a, b, c, d, e, f, g int) {}\n", "server/x.go:3 f: 7"},
		"a long file":              {strings.Repeat("// x\n", 401), "server/x.go: 403"},
		"a type with many methods": {"type t int\n" + manyMethods(21), "server.t: 21"},
		"many interfaces":          {strings.Repeat("type i interface{ m() }\n", 5), "server/x.go:3 i"},
		"an exported function":     {"func F() {}\n", "server/x.go:3 F"},
		"an exported type":         {"type T int\n", "server/x.go:3 T"},
	} {
		if faults := faultsOf(t, c.text, "few words"); !slices.Contains(faults, c.fault) {
			t.Errorf("%s: %q, want %q", name, faults, c.fault)
		}
	}
	if faults := faultsOf(t, "", strings.Repeat("word ", 1501)); len(faults) != 1 {
		t.Errorf("a long README: %q", faults)
	}
	if faults := faultsOf(t, "// F does nothing.\nfunc F() {}\n", "few words"); len(faults) != 0 {
		t.Errorf("nothing wrong: %q", faults)
	}
}

// A go command without the flags of scripts/go-flags.sh is found in each kind of file.
func TestHouseFindsGoCommandsWithoutTheCommonFlags(t *testing.T) {
	const source = ". scripts/go-flags.sh\n"
	for _, c := range []struct{ name, text, fault string }{
		{"scripts/x.sh", "# comment\ngo build ./...\n", "scripts/x.sh:2 calls go and has not sourced scripts/go-flags.sh"},
		{"scripts/x.sh", "cd x && go -C y test ./...\n" + source, "scripts/x.sh:1 calls go and has not sourced scripts/go-flags.sh"},
		{"scripts/x.sh", source + "go build -trimpath ./...\n", "scripts/x.sh:2 states a flag that belongs in scripts/go-flags.sh"},
		{"scripts/x.sh", source + "go run ./scripts/x # -tags is no flag of x\n", "scripts/x.sh:2 states a flag that belongs in scripts/go-flags.sh"},
		{".ci/run", "go vet ./...\n", ".ci/run:1 calls go and has not sourced scripts/go-flags.sh"},
		{"Dockerfile", "RUN go build ./...\n", "Dockerfile:1 calls go and has not sourced scripts/go-flags.sh"},
		{"Makefile", "\t@go run ./scripts/x\n", "Makefile:1 calls go and has not sourced scripts/go-flags.sh"},
		{"Makefile", "export GOFLAGS = -race\n", "Makefile:1 states a flag that belongs in scripts/go-flags.sh"},
		{"scripts/x/main.go", `exec.Command("go", "build", "-tags=x")`, "scripts/x/main.go:1 states a flag that belongs in scripts/go-flags.sh"},
		{"scripts/x/main.go", `exec.Command("go", "build")`, ""},
		{"scripts/x.sh", source + "go build ./...\n", ""},
		{"scripts/x.sh", "# go build -trimpath\necho cargo build\ngit describe --tags\n", ""},
	} {
		root := t.TempDir()
		path := filepath.Join(root, filepath.FromSlash(c.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var m measurements
		if err := m.readBuilders(root); err != nil || strings.Join(m.flags, "\n") != c.fault {
			t.Errorf("%s with %q: %q, %v; want %q", c.name, c.text, m.flags, err, c.fault)
		}
	}
}

func manyMethods(n int) string {
	var text strings.Builder
	for i := range n {
		text.WriteString("func (t) m" + strings.Repeat("x", i) + "() {}\n")
	}
	return text.String()
}

// faultsOf returns the faults of a tree with one Go file and a README.
func faultsOf(t *testing.T, text, readme string) (faults []string) {
	t.Helper()
	root := t.TempDir()
	for _, folder := range product {
		if err := os.Mkdir(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"server/x.go": "package x\n\n" + text, "README.md": readme} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := measure(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range evaluate(m) {
		faults = append(faults, r.faults...)
	}
	return faults
}
