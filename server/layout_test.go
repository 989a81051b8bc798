package server_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// withoutRule are the operations that call no rule: their handlers return what the server was
// built with.
var withoutRule = []string{"checkHealth", "getOpenapiJson", "getOpenapiYaml", "getSettings", "listProblems"}

// The operationId of an operation is the name of its handler and of the rule that the handler calls,
// which is a method of accounts.Service. The tag of the operation is the name of the two files that
// declare them.
func TestOperationsHaveOneNameInEveryLayer(t *testing.T) {
	for _, op := range servertest.Operations() {
		if len(op.Operation.Tags) != 1 {
			t.Errorf("%s: %d tags, want one", op.ID, len(op.Operation.Tags))
			continue
		}
		tag, name := op.Operation.Tags[0], methodName(op.ID)
		handler := methodsIn(t, tag+".go", tag+"Handlers")[name]
		if handler == nil {
			t.Errorf("%s: server/%s.go has no method %s of %sHandlers", op.ID, tag, name, tag)
			continue
		}
		if slices.Contains(withoutRule, op.ID) {
			if called := rulesOf(handler); len(called) > 0 {
				t.Errorf("%s: its handler calls %v, so it is not an operation without a rule", op.ID, called)
			}
			continue
		}
		if called := rulesOf(handler); !slices.Equal(called, []string{name}) {
			t.Errorf("%s: its handler calls %v of accounts.Service, want %s once", op.ID, called, name)
		}
		if _, ok := reflect.TypeFor[*accounts.Service]().MethodByName(name); !ok {
			t.Errorf("%s: accounts.Service has no method %s", op.ID, name)
		}
		if methodsIn(t, "accounts/"+tag+".go", "")[name] == nil {
			t.Errorf("%s: server/accounts/%s.go does not declare %s", op.ID, tag, name)
		}
	}
}

// methodName returns the Go name of an operation.
func methodName(operationID string) string {
	name := strings.ToUpper(operationID[:1]) + operationID[1:]
	return strings.TrimSuffix(strings.Replace(name+"$", "Json$", "JSON$", 1), "$") // as oapi-codegen spells it
}

// methodsIn returns the methods of a type that a file declares, by name. The empty type stands for
// every type.
func methodsIn(t *testing.T, path, typeName string) map[string]*ast.FuncDecl {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]*ast.FuncDecl{}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Recv != nil && (typeName == "" || receiverOf(f) == typeName) {
			methods[f.Name.Name] = f
		}
	}
	return methods
}

// receiverOf returns the name of the type of a method.
func receiverOf(f *ast.FuncDecl) string {
	expression := f.Recv.List[0].Type
	if star, ok := expression.(*ast.StarExpr); ok {
		expression = star.X
	}
	return expression.(*ast.Ident).Name
}

// rulesOf returns the names of the methods that a handler calls on its service.
func rulesOf(f *ast.FuncDecl) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		method, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if service, ok := method.X.(*ast.SelectorExpr); ok && service.Sel.Name == "service" {
			names = append(names, method.Sel.Name)
		}
		return true
	})
	return names
}

// A reader can follow a request through the files of the package in one direction: no file uses a
// declaration of a file that is listed before it in doc.go.
func TestFilesUseOnlyFilesBelowThem(t *testing.T) {
	files := parsePackage(t)
	order := filesInOrder(t, files["doc.go"])
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !slices.Contains(order, name) && name != "doc.go" {
			t.Errorf("doc.go does not list %s", name)
		}
	}
	declared := map[string]string{} // the file of each function, type, variable, constant and method
	for _, name := range order {
		if files[name] == nil {
			t.Fatalf("doc.go lists %s, which does not exist", name)
		}
		for _, each := range declarations(files[name]) {
			declared[each] = name
		}
	}
	for at, name := range order {
		for _, used := range uses(files[name]) {
			if where, ok := declared[used]; ok && slices.Index(order, where) < at {
				t.Errorf("%s uses %s of %s, which doc.go lists before it", name, used, where)
			}
		}
	}
}

// parsePackage returns the files of this package without tests.
func parsePackage(t *testing.T) map[string]*ast.File {
	t.Helper()
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.ParseComments) //nolint:staticcheck // one package without build tags
	if err != nil {
		t.Fatal(err)
	}
	return packages["server"].Files
}

// filesInOrder returns the files that the comment of the package lists.
func filesInOrder(t *testing.T, doc *ast.File) (names []string) {
	t.Helper()
	for line := range strings.Lines(doc.Doc.Text()) {
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == '\n' }) {
			if strings.HasSuffix(word, ".go") && !strings.Contains(word, "/") {
				names = append(names, word)
			}
		}
	}
	return names
}

// declarations returns the names that a file declares for the package. A method has a dot before its
// name.
func declarations(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil {
				names = append(names, "."+d.Name.Name)
			} else {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, each := range s.Names {
						names = append(names, each.Name)
					}
				}
			}
		}
	}
	return names
}

// uses returns the names of the package that a file uses, in the form of declarations. Of the
// methods, these are the unexported ones: only this package can declare them.
func uses(file *ast.File) (names []string) {
	for _, unresolved := range file.Unresolved {
		names = append(names, unresolved.Name)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && !s.Sel.IsExported() {
			names = append(names, "."+s.Sel.Name)
		}
		return true
	})
	return names
}
