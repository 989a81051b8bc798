package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// breaks are patches. Each adds one subtle fault to the server. The faults are patches, so that
// nothing in the product can switch one on.
//
//go:embed breaks/*.patch
var breaks embed.FS

// runBroken runs the torture on every broken server, or on the one named, and reports whether each
// was caught.
func runBroken(ctx context.Context, only string) (bool, error) {
	files, err := breaks.ReadDir("breaks")
	if err != nil {
		return false, err
	}
	all, tried := true, 0
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".patch")
		if only != "all" && only != name {
			continue
		}
		tried++
		began := time.Now()
		found, err := breakOne(ctx, name)
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		word := "NOT CAUGHT"
		if len(found) > 0 {
			word = "caught by invariants " + strings.Join(found, ", ")
		}
		fmt.Printf("%-24s %s (%.0f s)\n", name, word, time.Since(began).Seconds())
		all = all && len(found) > 0
	}
	if tried == 0 {
		return false, fmt.Errorf("unknown break %q", only)
	}
	return all, nil
}

var brokenLine = regexp.MustCompile(`(?m)^  invariant (\d+) `)

// breakOne returns the invariants that were found broken and that the patch is meant to break.
func breakOne(ctx context.Context, name string) ([]string, error) {
	dir, err := os.MkdirTemp("", "accounts-broken-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	patch, err := breaks.ReadFile("breaks/" + name + ".patch")
	if err != nil {
		return nil, err
	}
	overlay, err := writeOverlay(ctx, dir, string(patch))
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "torture")
	_, _ = fmt.Fprintf(os.Stderr, "building the torture test with %s …\n", name)
	if out, err := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", binary, "./scripts/torture").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, binary, "-minutes", "0.4", "-seed", "1").CombinedOutput()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil && !strings.Contains(string(out), "BROKEN") {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	var found []string
	for _, match := range brokenLine.FindAllStringSubmatch(string(out), -1) {
		if slices.Contains(invariantsOf(string(patch)), match[1]) && !slices.Contains(found, match[1]) {
			found = append(found, match[1])
		}
	}
	return found, nil
}

// invariantsOf returns the invariants that a patch breaks, from its line "Invariants:".
func invariantsOf(patch string) []string {
	_, rest, _ := strings.Cut(patch, "\nInvariants: ")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Fields(line)
}

var patchedFile = regexp.MustCompile(`(?m)^--- a/(.*)$`)

// writeOverlay applies a patch to copies of the files it changes. It returns the path of the
// overlay file for go build -overlay.
func writeOverlay(ctx context.Context, dir, patch string) (string, error) {
	replace := map[string]string{}
	for _, match := range patchedFile.FindAllStringSubmatch(patch, -1) {
		source, err := os.ReadFile(match[1])
		if err != nil {
			return "", err
		}
		copied := filepath.Join(dir, match[1])
		if err := os.MkdirAll(filepath.Dir(copied), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(copied, source, 0o600); err != nil {
			return "", err
		}
		original, err := filepath.Abs(match[1])
		if err != nil {
			return "", err
		}
		replace[original] = copied
	}
	c := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn")
	c.Dir, c.Stdin, c.Env = dir, strings.NewReader(patch), append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the patch no longer applies: %w\n%s", err, out)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}
