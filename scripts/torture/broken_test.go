package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBreakingPatchesApply checks that each patch still applies. `make torture-broken` checks that
// the broken servers are caught.
func TestBreakingPatchesApply(t *testing.T) {
	t.Chdir("../..") // patches name files by their paths in the repository
	files, err := breaks.ReadDir("breaks")
	if err != nil || len(files) < 7 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			text, err := breaks.ReadFile("breaks/" + file.Name())
			if err != nil || len(invariantsOf(string(text))) == 0 {
				t.Fatal("no invariants", err)
			}
			overlay, err := writeOverlay(t.Context(), t.TempDir(), string(text))
			if err != nil {
				t.Fatal(err)
			}
			var packages []string
			for _, match := range patchedFile.FindAllStringSubmatch(string(text), -1) {
				packages = append(packages, "./"+filepath.Dir(match[1]))
			}
			args := append([]string{"build", "-overlay", overlay}, packages...)
			if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
			}
		})
	}
}
