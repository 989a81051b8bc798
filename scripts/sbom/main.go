// Command sbom completes the bill of materials of the server's binary. It reads the output of
// cyclonedx-gomod from standard input, adds the npm packages whose code is embedded, checks that no
// Go module is missing, and prints the result. It writes no time and no serial number, so that the
// same binary gives the same bytes.
//
//	cyclonedx-gomod bin -json -noserial -notimestamp BINARY | sbom BINARY
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("pass the name of one binary: sbom BINARY")
	}
	info, err := buildinfo.ReadFile(args[0])
	if err != nil {
		return err
	}
	var b bill
	if err := json.NewDecoder(in).Decode(&b); err != nil {
		return fmt.Errorf("cannot read the output of cyclonedx-gomod: %w", err)
	}
	packages, err := embeddedPackages(".")
	if err != nil {
		return err
	}
	if err := b.add(packages); err != nil {
		return err
	}
	if missing := b.listMissing(info.Deps, packages); len(missing) > 0 {
		return fmt.Errorf("the bill of materials lacks %s", strings.Join(missing, ", "))
	}
	w := json.NewEncoder(out)
	w.SetIndent("", "  ")
	return w.Encode(b)
}

// bill is a CycloneDX document. Members that this program does not read are kept unchanged.
type bill map[string]any

// add appends packages to the components and to the dependencies of the binary.
func (b bill) add(packages []npmPackage) error {
	metadata, _ := b["metadata"].(map[string]any)
	binary, _ := metadata["component"].(map[string]any)
	components, _ := b["components"].([]any)
	dependencies, _ := b["dependencies"].([]any)
	uses := -1
	for i, each := range dependencies {
		if d, ok := each.(map[string]any); ok && binary != nil && d["ref"] == binary["bom-ref"] {
			uses = i
		}
	}
	if uses < 0 {
		return errors.New("the output of cyclonedx-gomod lacks the dependencies of the binary")
	}
	of, _ := dependencies[uses].(map[string]any)
	list, _ := of["dependsOn"].([]any)
	for _, p := range packages {
		components = append(components, p.component())
		list = append(list, p.purl())
		dependencies = append(dependencies, map[string]any{"ref": p.purl()})
	}
	of["dependsOn"], b["components"], b["dependencies"] = list, components, dependencies
	return nil
}

// listMissing returns the modules and packages that the bill lacks.
func (b bill) listMissing(modules []*debug.Module, packages []npmPackage) []string {
	wanted := map[string]bool{}
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		wanted[m.Path+" "+m.Version] = true
	}
	for _, p := range packages {
		wanted[p.Name+" "+p.Version] = true
	}
	components, _ := b["components"].([]any)
	for _, each := range components {
		if c, ok := each.(map[string]any); ok {
			delete(wanted, fmt.Sprint(c["name"], " ", c["version"]))
		}
	}
	return slices.Sorted(maps.Keys(wanted))
}
