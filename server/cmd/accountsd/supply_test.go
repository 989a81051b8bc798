package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// minimumVersions lists the minimum versions. Older versions have vulnerabilities that affect this
// server.
var minimumVersions = map[string]string{
	"github.com/getkin/kin-openapi": "v0.144.0",
	"github.com/golang-jwt/jwt/v5":  "v5.2.2", // CVE-2025-30204: unbounded number of dots
	"github.com/gin-gonic/gin":      "v1.9.1", // CVE-2023-26125, CVE-2023-29401
	"go":                            "go1.25.3",
}

// The modules in the binary, according to its build information: none is older than its minimum
// version, none is replaced by unpublished code, and each has the checksum in go.sum.
func TestBinaryContainsPinnedModules(t *testing.T) {
	t.Attr("control", "97")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{"go": info.GoVersion}
	for _, m := range info.Deps {
		found[m.Path] = m.Version
		if m.Replace != nil || m.Sum == "" || !strings.Contains(string(sums), m.Path+" "+m.Version+" "+m.Sum+"\n") {
			t.Errorf("%s %s is not what go.sum pins", m.Path, m.Version)
		}
	}
	for name, version := range minimumVersions {
		if isOlder(found[name], version) {
			t.Errorf("%s is %q, want %s or later", name, found[name], version)
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d modules", len(found))
	}
}

// isOlder compares versions such as v1.2.3 and go1.26.1. A version that cannot be parsed is older
// than all others.
func isOlder(version, than string) bool {
	return slices.Compare(versionNumbers(version), versionNumbers(than)) < 0
}

func versionNumbers(version string) []int {
	var a, b, c int
	_, _ = fmt.Sscanf(strings.TrimLeft(version, "vgo"), "%d.%d.%d", &a, &b, &c)
	return []int{a, b, c}
}

func TestOlderComparesVersions(t *testing.T) {
	t.Attr("control", "97")
	for _, c := range []struct {
		version, than string
		want          bool
	}{
		{"v1.9.1", "v1.9.1", false}, {"v1.12.0", "v1.9.1", false}, {"v1.9.0", "v1.9.1", true}, {"v0.99.99", "v1.0.0", true}, {"go1.26.8", "go1.25.3", false}, {"go1.25.2", "go1.25.3", true}, {"go1.26", "go1.25.3", false}, {"", "v0.0.1", true},
	} {
		if isOlder(c.version, c.than) != c.want {
			t.Errorf("%s is older than %s: %v", c.version, c.than, !c.want)
		}
	}
}

// Two builds of the same sources have the same bytes, so that a binary can be verified.
// (scripts/verify.sh builds in another folder and without the build cache.)
func TestBuildIsReproducible(t *testing.T) {
	t.Attr("control", "97")
	var builds [2][]byte
	for i := range builds {
		path := filepath.Join(t.TempDir(), "accountsd")
		if text, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var err error
		if builds[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Error("two builds differ")
	}
	if here, err := os.Getwd(); err != nil || bytes.Contains(builds[0], []byte(here)) {
		t.Errorf("the binary knows where it was built: %v", err)
	}
}
