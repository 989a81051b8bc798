package accounts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Every operation of a principal is a read, or is in one of the tables above and writes through
// forUser or forStaff, itself or in a function that it calls. No function that takes a principal
// opens a transaction without its guard.
func TestEveryWriteOfPrincipalIsGuarded(t *testing.T) {
	t.Attr("control", "181")
	reads := map[string]bool{"GetProfile": true, "ListSessions": true, "ListEvents": true, "ExportProfile": true}
	tried := map[string]bool{}
	for _, table := range []map[string]write{ownWrites, staffWrites} {
		for name := range table {
			method, _, _ := strings.Cut(name, ",")
			tried[method] = true
		}
	}
	found := 0
	functions := functionsOfPackage(t)
	for _, f := range functions {
		name := f.Name.Name
		if !takesPrincipal(f) {
			continue
		}
		if opensUnguarded(f) {
			t.Errorf("%s must open its transactions through forUser or forStaff", name)
		}
		if f.Recv == nil || !f.Name.IsExported() || reads[name] {
			continue
		}
		found++
		if !tried[name] {
			t.Errorf("%s takes a principal: add it to ownWrites or staffWrites, or to the reads here", name)
		}
		if !reaches(functions, f, "forUser", "forStaff") {
			t.Errorf("%s must write through forUser or forStaff", name)
		}
	}
	if found != len(tried) {
		t.Errorf("found %d operations, but the tables have %d", found, len(tried))
	}
}

// functionsOfPackage returns the functions and methods of this package, without those of tests.
func functionsOfPackage(t *testing.T) (functions []*ast.FuncDecl) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		must(t, err)
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				functions = append(functions, f)
			}
		}
	}
	return functions
}

// reaches reports whether f calls one of the names, itself or in a function that it passes its
// principal to.
func reaches(functions []*ast.FuncDecl, f *ast.FuncDecl, names ...string) bool {
	if calls(f, names...) {
		return true
	}
	for _, other := range functions {
		if other != f && !other.Name.IsExported() && takesPrincipal(other) && calls(f, other.Name.Name) && reaches(functions, other, names...) {
			return true
		}
	}
	return false
}

// opensUnguarded reports whether f calls Tx of the field store itself.
func opensUnguarded(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		tx, ok := n.(*ast.SelectorExpr)
		if !ok || tx.Sel.Name != "Tx" {
			return true
		}
		store, ok := tx.X.(*ast.SelectorExpr)
		found = found || ok && store.Sel.Name == "store"
		return true
	})
	return found
}

func takesPrincipal(f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		if name, ok := p.Type.(*ast.Ident); ok && name.Name == "Principal" {
			return true
		}
	}
	return false
}

func calls(f *ast.FuncDecl, names ...string) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			for _, name := range names {
				found = found || s.Sel.Name == name
			}
		}
		return true
	})
	return found
}
