// Command contract-mutations tests the checks of the contract. It breaks each decision about the
// contract in a copy of openapi.yaml, and fails if the check of that decision does not report it.
// The checks are:
//
//   - spectral, with the rules of scripts/spectral.yaml;
//   - the form, which the test TestContractHasRequiredForm checks;
//   - oasdiff, with the levels of scripts/oasdiff.txt: it must reject changes that break clients
//     of version 1, and accept the changes that the section Compatibility allows.
//
// Run it from the top folder, after npm --prefix scripts ci:
//
//	scripts/run.sh contract-mutations
//
// Responses of a server that violate a valid contract, such as a timestamp with a fraction of a
// second, are tested in server/servertest.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/server/servertest"
)

func main() {
	survivors, err := check(context.Background())
	for _, survivor := range survivors {
		fmt.Println("not detected:", survivor)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "contract-mutations:", err)
	}
	if err != nil || len(survivors) > 0 {
		os.Exit(1)
	}
	fmt.Printf("all %d mutations have the expected result\n", len(lintMutations)+len(formMutations)+len(breaks)+len(additions))
}

// check returns the mutations whose checks have the wrong result.
func check(ctx context.Context) (survivors []string, err error) {
	file, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "contract-mutations")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := checker{contract: string(file), copy: filepath.Join(dir, "openapi.yaml")}
	for _, check := range []func(context.Context) ([]string, error){c.form, c.diff, c.lint} {
		list, err := check(ctx)
		if err != nil {
			return survivors, err
		}
		survivors = append(survivors, list...)
	}
	return survivors, nil
}

type checker struct {
	contract string // the text of openapi.yaml
	copy     string // the path of the mutated contract
}

// applyMutation returns the contract with the edits of a mutation.
func applyMutation(contract string, m mutation) (string, error) {
	for _, e := range m.edits {
		start := strings.Index(contract, e.after)
		if start < 0 {
			return "", fmt.Errorf("%s: openapi.yaml does not contain %q", m.name, e.after)
		}
		head, tail := contract[:start], contract[start:]
		if !strings.Contains(tail, e.from) {
			return "", fmt.Errorf("%s: openapi.yaml does not contain %q after %q", m.name, e.from, e.after)
		}
		times := 1
		if e.all {
			times = -1
		}
		contract = head + strings.Replace(tail, e.from, e.to, times)
	}
	return contract, nil
}

// form checks the form of each copy, and of the contract itself.
func (c checker) form(context.Context) (survivors []string, err error) {
	for _, m := range append([]mutation{{name: "nothing"}}, formMutations...) {
		text, err := applyMutation(c.contract, m)
		if err != nil {
			return nil, err
		}
		doc, err := openapi3.NewLoader().LoadFromData([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		faults := servertest.CheckForm(doc)
		found := slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, m.want) })
		if m.want == "" && len(faults) > 0 || m.want != "" && !found {
			survivors = append(survivors, fmt.Sprintf("form: %s: %q, want %q", m.name, faults, m.want))
		}
	}
	return survivors, nil
}

// diff compares each copy with the contract as its released version.
func (c checker) diff(ctx context.Context) (survivors []string, err error) {
	for _, m := range slices.Concat(breaks, additions) {
		text, err := applyMutation(c.contract, m)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(c.copy, []byte(text), 0o600); err != nil {
			return nil, err
		}
		output, err := exec.CommandContext(ctx, "scripts/contract.sh", "breaking", "openapi.yaml", c.copy).CombinedOutput()
		exit := (*exec.ExitError)(nil)
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			return nil, fmt.Errorf("%s: contract.sh: %w\n%s", m.name, err, output)
		}
		if m.want == "" && err != nil || m.want != "" && (err == nil || !strings.Contains(string(output), "["+m.want+"]")) {
			survivors = append(survivors, fmt.Sprintf("oasdiff: %s, want %q: %v\n%s", m.name, m.want, err, output))
		}
	}
	return survivors, nil
}

// result is a line of spectral's output.
type result struct {
	Code string   `json:"code"`
	Path []string `json:"path"`
}

// lint makes all mutations in one copy, because spectral takes seconds to start. Each rule must
// report the place of its own mutation.
func (c checker) lint(ctx context.Context) (survivors []string, err error) {
	text := c.contract
	for _, m := range lintMutations {
		if text, err = applyMutation(text, m); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(c.copy, []byte(text), 0o600); err != nil {
		return nil, err
	}
	output, err := exec.CommandContext(ctx, "scripts/node_modules/.bin/spectral", "lint", c.copy, "--ruleset", "scripts/spectral.yaml", "--format", "json", "--quiet").Output()
	exit := (*exec.ExitError)(nil)
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("spectral: %w\n%s", err, output)
	}
	var results []result
	if err := json.Unmarshal(output, &results); err != nil {
		return nil, fmt.Errorf("spectral: %w\n%s", err, output)
	}
	for _, m := range lintMutations {
		if !slices.ContainsFunc(results, func(r result) bool { return r.Code == m.want && strings.Contains(strings.Join(r.Path, " "), m.path) }) {
			survivors = append(survivors, fmt.Sprintf("spectral: %s: the rule %s does not report %q", m.name, m.want, m.path))
		}
	}
	return survivors, nil
}
