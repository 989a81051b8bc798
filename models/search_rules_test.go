package models

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// writers are the functions that may write to existing rows of users: ChangeUser, which updates the
// search text, and those that write none of its columns.
var writers = []string{"ChangeUser", "LockUserAsRead", "LockSuperusers", "updateSearch", "guardUser", "RecordLogin", "ReplaceHash", "RevokeAllSessions", "SetEmailChangeUntil", "AddEvents", "endEmailChanges", "RecordFirstLogin"}

// Every other write to a user goes through ChangeUser. Otherwise a search would not find the user
// by the new name.
func TestUsersAreWrittenThroughChangeUser(t *testing.T) {
	t.Attr("control", "204")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || slices.Contains(writers, f.Name.Name) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if writesUsers(n) {
					t.Errorf("%s: %s writes users; call ChangeUser instead, which updates the search text", set.Position(n.Pos()), f.Name.Name)
				}
				return true
			})
		}
	}
}

// writesUsers reports whether n is an UPDATE of users: Model(&User{}).….Updates, or the SQL text of
// one.
func writesUsers(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BasicLit:
		return strings.HasPrefix(strings.Trim(n.Value, "`\""), "UPDATE users")
	case *ast.CallExpr:
		found := false
		if nameOf(n) == "Updates" {
			ast.Inspect(n.Fun, func(n ast.Node) bool {
				literal, ok := n.(*ast.CompositeLit)
				if ok {
					ident, isName := literal.Type.(*ast.Ident)
					found = found || isName && ident.Name == "User"
				}
				return true
			})
		}
		return found
	}
	return false
}
