package main

import (
	"fmt"
	"runtime/debug"
	"testing"
)

// TestMissingModulesAreReported checks that the lack of a module of the binary or of an embedded
// package is reported.
func TestMissingModulesAreReported(t *testing.T) {
	packages, err := embeddedPackages("../..")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range packages {
		names[p.Name] = true
	}
	if !names["swagger-ui-dist"] || !names["openapi-fetch"] || len(names) != 2 {
		t.Errorf("the embedded packages are %v, want swagger-ui-dist and openapi-fetch", names)
	}
	const ref = "pkg:golang/example.com/accounts"
	b := bill{
		"metadata":     map[string]any{"component": map[string]any{"bom-ref": ref}},
		"components":   []any{map[string]any{"name": "example.org/kept", "version": "v1.0.0"}, map[string]any{"name": "example.org/fork", "version": "v1.1.0"}},
		"dependencies": []any{map[string]any{"ref": ref, "dependsOn": []any{}}},
	}
	fork := &debug.Module{Path: "example.org/replaced", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v1.1.0"}}
	modules := []*debug.Module{{Path: "example.org/kept", Version: "v1.0.0"}, fork}
	if got := b.listMissing(modules, packages); len(got) != len(packages) {
		t.Errorf("before add the bill lacks %v, want the packages", got)
	}
	if err := b.add(packages); err != nil {
		t.Fatal(err)
	}
	if got := b.listMissing(modules, packages); len(got) != 0 {
		t.Errorf("a complete bill lacks %v", got)
	}
	newer := &debug.Module{Path: "example.org/kept", Version: "v1.0.1"}
	if got := b.listMissing(append(modules, newer), packages); fmt.Sprint(got) != "[example.org/kept v1.0.1]" {
		t.Errorf("lacks %v", got)
	}
	if err := (bill{}).add(packages); err == nil {
		t.Error("add accepts a document without dependencies")
	}
}
