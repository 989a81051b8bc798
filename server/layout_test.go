package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// The tag of an operation is the name of the file with its handler. If the handler calls a rule, it
// is also the name of the file with the rules.
func TestTagOfOperationNamesItsFiles(t *testing.T) {
	for _, op := range servertest.Operations() {
		if len(op.Operation.Tags) != 1 {
			t.Errorf("%s: %d tags, want one", op.ID, len(op.Operation.Tags))
			continue
		}
		tag := op.Operation.Tags[0]
		handler := handlersIn(t, tag+".go")[strings.ToLower(op.ID)]
		if handler == nil {
			t.Errorf("%s: server/%s.go has no handler of it", op.ID, tag)
			continue
		}
		rules := "accounts/" + tag + ".go"
		if _, err := os.Stat(rules); err != nil && callsARule(handler) {
			t.Errorf("%s: its handler calls a rule, but server/%s does not exist", op.ID, rules)
		}
	}
}

// handlersIn returns the handler methods in a file, by name in lower case.
func handlersIn(t *testing.T, name string) map[string]*ast.FuncDecl {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]*ast.FuncDecl{}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil {
			if receiver, ok := f.Recv.List[0].Type.(*ast.Ident); ok && receiver.Name == "handlers" {
				methods[strings.ToLower(f.Name.Name)] = f
			}
		}
	}
	return methods
}

// callsARule reports whether the handler uses h.Service.
func callsARule(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		found = found || ok && s.Sel.Name == "Service"
		return true
	})
	return found
}
