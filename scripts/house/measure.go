package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// product is the folders whose Go code is measured.
var product = []string{"api", "models", "server"}

// support is the folders below them that are tools for tests.
var support = []string{"server/servertest", "server/token/tokentest"}

// place is a function, type or file, with its number.
type place struct {
	name  string
	value int
}

type measurements struct {
	functions, parameters, files, methods []place
	interfaces, undocumented, flags       []string
	readmeWords                           int
}

// measure reads the code below root.
func measure(root string) (measurements, error) {
	var m measurements
	for _, folder := range product {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				if entry.Name() == "node_modules" || entry.Name() == "testdata" || slices.Contains(support, relative(root, path)) {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			return m.readFile(root, path)
		})
		if err != nil {
			return m, err
		}
	}
	if err := m.readBuilders(root); err != nil {
		return m, err
	}
	m.methods = addUp(m.methods)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	m.readmeWords = len(strings.Fields(string(readme)))
	return m, err
}

func relative(root, path string) string {
	short, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(short)
}

func (m *measurements) readFile(root, path string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(file) {
		return err
	}
	short := relative(root, path)
	m.files = append(m.files, place{short, files.File(file.Pos()).LineCount()})
	at := func(n ast.Node, name string) string {
		return fmt.Sprintf("%s:%d %s", short, files.Position(n.Pos()).Line, name)
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			lines := files.Position(d.End()).Line - files.Position(d.Pos()).Line + 1
			m.functions = append(m.functions, place{at(d, d.Name.Name), lines})
			m.parameters = append(m.parameters, place{at(d, d.Name.Name), countParameters(d)})
			if d.Recv != nil {
				m.methods = append(m.methods, place{filepath.Dir(short) + "." + receiver(d), 1})
			}
			if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) && !isStandardMethod(d.Name.Name) {
				m.undocumented = append(m.undocumented, at(d, d.Name.Name))
			}
		case *ast.GenDecl:
			m.readTypes(d, at)
		}
	}
	return nil
}

// hasMethods reports whether an interface has a method of its own. An interface that only combines
// interfaces of a library, or that is a type constraint, is not an abstraction of this product.
func hasMethods(i *ast.InterfaceType) bool {
	return slices.ContainsFunc(i.Methods.List, func(f *ast.Field) bool { return len(f.Names) > 0 })
}

// readTypes counts the interfaces and the undocumented types of a declaration.
func (m *measurements) readTypes(d *ast.GenDecl, at func(ast.Node, string) string) {
	for _, spec := range d.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		if i, ok := t.Type.(*ast.InterfaceType); ok && t.TypeParams == nil && hasMethods(i) {
			m.interfaces = append(m.interfaces, at(t, t.Name.Name))
		}
		if t.Name.IsExported() && d.Doc == nil && t.Doc == nil {
			m.undocumented = append(m.undocumented, at(t, t.Name.Name))
		}
	}
}

// isStandardMethod reports whether the meaning of a method is that of a well-known interface, so
// that it needs no comment.
func isStandardMethod(name string) bool {
	return slices.Contains([]string{"Error", "String", "Unwrap", "Is", "MarshalJSON", "UnmarshalJSON", "Len", "Less", "Swap"}, name)
}

// countParameters returns the number of parameters without the context.
func countParameters(f *ast.FuncDecl) int {
	n := 0
	for _, field := range f.Type.Params.List {
		if selector, ok := field.Type.(*ast.SelectorExpr); ok && selector.Sel.Name == "Context" {
			continue
		}
		n += max(1, len(field.Names))
	}
	return n
}

// receiver returns the name of the type of a method.
func receiver(f *ast.FuncDecl) string {
	expression := f.Recv.List[0].Type
	if star, ok := expression.(*ast.StarExpr); ok {
		expression = star.X
	}
	if generic, ok := expression.(*ast.IndexExpr); ok {
		expression = generic.X
	}
	if name, ok := expression.(*ast.Ident); ok {
		return name.Name
	}
	return "?"
}

// addUp adds up the places of each name.
func addUp(places []place) []place {
	sums := map[string]int{}
	for _, p := range places {
		sums[p.name] += p.value
	}
	var list []place
	for name, value := range sums {
		list = append(list, place{name, value})
	}
	slices.SortFunc(list, func(a, b place) int { return strings.Compare(a.name, b.name) })
	return list
}
