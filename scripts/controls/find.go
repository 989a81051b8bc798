package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// attribute is the key of the test attribute with the number of a control.
const attribute = "control"

// find returns the tests in the folder and its subfolders that name the controls they check: those
// whose body calls t.Attr("control", "30"), once for each control. Errors: a number that is not a
// decimal literal, or two tests of one name in a package.
func find(root string) (found []outcome, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			numbers, err := numbersOf(f)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if len(numbers) > 0 {
				found = append(found, outcome{test: filepath.Dir(path) + "." + f.Name.Name, numbers: numbers})
			}
		}
		return nil
	})
	return found, err
}

// numbersOf returns the controls that a test names in calls of t.Attr.
func numbersOf(test *ast.FuncDecl) (numbers []int, err error) {
	if test.Body == nil {
		return nil, nil
	}
	for _, statement := range test.Body.List {
		expression, ok := statement.(*ast.ExprStmt)
		if !ok {
			continue
		}
		call, ok := expression.X.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 || !isAttr(call) {
			continue
		}
		number, err := strconv.Atoi(text(call.Args[1]))
		if err != nil {
			return nil, fmt.Errorf("%s: the number of a control must be a literal such as \"30\"", test.Name.Name)
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// isAttr reports whether the call sets the attribute of a control.
func isAttr(call *ast.CallExpr) bool {
	method, ok := call.Fun.(*ast.SelectorExpr)
	return ok && method.Sel.Name == "Attr" && text(call.Args[0]) == attribute
}

// text returns the value of a string literal, or an empty string.
func text(expression ast.Expr) string {
	literal, ok := expression.(*ast.BasicLit)
	if !ok {
		return ""
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return value
}
