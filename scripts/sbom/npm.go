package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// npmPackage is a package whose code is in the binary.
type npmPackage struct {
	Name      string
	Version   string
	License   string
	Integrity string // sha512- and base64, as npm writes it; may be empty
}

func (p npmPackage) purl() string {
	return "pkg:npm/" + strings.Replace(p.Name, "@", "%40", 1) + "@" + p.Version
}

func (p npmPackage) component() map[string]any {
	c := map[string]any{
		"bom-ref": p.purl(), "type": "library", "name": p.Name, "version": p.Version, "scope": "required", "purl": p.purl(),
		"licenses": []any{map[string]any{"license": map[string]any{"id": p.License}}},
	}
	if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
		if hash, err := base64.StdEncoding.DecodeString(sum); err == nil {
			c["hashes"] = []any{map[string]any{"alg": "SHA-512", "content": hex.EncodeToString(hash)}}
		}
	}
	return c
}

// embeddedPackages returns the packages in the files below server/web: Swagger UI, and those that
// esbuild has bundled.
func embeddedPackages(root string) ([]npmPackage, error) {
	version, err := os.ReadFile(filepath.Join(root, "server/web/docs/swagger-ui/VERSION"))
	if err != nil {
		return nil, err
	}
	list := []npmPackage{{Name: "swagger-ui-dist", Version: strings.TrimSpace(string(version)), License: "Apache-2.0"}}
	names, err := bundledNames(root)
	if err != nil {
		return nil, err
	}
	locked, err := lockedPackages(root)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, ok := locked["node_modules/"+name]
		if !ok {
			return nil, fmt.Errorf("%s is bundled below server/web, but api/typescript/package-lock.json lacks it: run make web", name)
		}
		p.Name = name
		list = append(list, p)
	}
	return list, nil
}

// fromModule matches the comment that esbuild writes before the code of each file of a package.
var fromModule = regexp.MustCompile(`(?m)^ *// \S*node_modules/((?:@[^/\s]+/)?[^/\s]+)/`)

func bundledNames(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "server/web/*/*.js"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("there are no front ends below server/web"))
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, found := range fromModule.FindAllSubmatch(text, -1) {
			names = append(names, string(found[1]))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func lockedPackages(root string) (map[string]npmPackage, error) {
	text, err := os.ReadFile(filepath.Join(root, "api/typescript/package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct{ Packages map[string]npmPackage }
	err = json.Unmarshal(text, &lock)
	return lock.Packages, err
}
