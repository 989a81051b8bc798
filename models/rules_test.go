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

// The rules of this package for SQL. The test checks them by reading the source.

// rawArgument maps functions that take SQL text to the position of that argument. Functions of this
// package that pass a parameter on to such an argument are added during the check, and the same
// rule applies to their callers.
var rawArgument = map[string]int{
	"Where": 0, "Or": 0, "Not": 0, "Having": 0, "Order": 0, "Select": 0, "Omit": 0, "Group": 0, "Joins": 0, "Pluck": 0, "Raw": 0, "Exec": 0, "Table": 0, "Distinct": 0, "Expr": 0, "Preload": 0,
	"ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "PrepareContext": 1,
}

// unguarded maps functions whose writes may match any number of rows, including none, to the
// reason.
var unguarded = map[string]string{
	"AddEvents":            "a deleted user has no events",
	"releaseMail":          "after a lost lease, another worker finishes the mail",
	"EndTokens":            "there may be none",
	"CancelMails":          "there may be none",
	"ClearEvents":          "there may be none",
	"LockSuperusers":       "the caller counts them next",
	"RevokeOldestSessions": "there may be none",
	"ReplaceHash":          "the hash that another request has set stays",
	"endEmailChanges":      "the user may have been deleted in the same transaction",
	"release":              "a lease that was lost is not ours to release",
	"RefundUses":           "what has ended needs no refund",
}

// source is a function together with the constants and functions known to the check.
type source struct {
	set    *token.FileSet
	decl   *ast.FuncDecl
	consts map[string]bool // constants of the package
	faults *[]string
	raw    map[string]int
}

func (s source) fault(n ast.Node, text string) {
	*s.faults = append(*s.faults, s.set.Position(n.Pos()).String()+": "+s.decl.Name.Name+": "+text)
}

// parameter returns the position of a name among the function's parameters, or -1.
func (s source) parameter(name string) int {
	i := 0
	for _, field := range s.decl.Type.Params.List {
		for _, each := range field.Names {
			if each.Name == name {
				return i
			}
			i++
		}
	}
	return -1
}

// constant reports whether e is a literal, a constant of the package, a local variable that only
// has such values, or a concatenation of them.
func (s source) constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.ParenExpr:
		return s.constant(e.X)
	case *ast.BinaryExpr:
		return s.constant(e.X) && s.constant(e.Y)
	case *ast.Ident:
		return s.consts[e.Name] || s.parameter(e.Name) < 0 && s.onlyConstants(e.Name)
	}
	return false
}

func (s source) onlyConstants(name string) bool {
	assigned, fixed := 0, true
	ast.Inspect(s.decl, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok {
			for i, left := range a.Lhs {
				if ident, ok := left.(*ast.Ident); ok && ident.Name == name {
					assigned++
					fixed = fixed && (len(a.Lhs) == len(a.Rhs) && s.constant(a.Rhs[i]) || i == 0 && isGuard(a.Rhs[0]))
				}
			}
		}
		return true
	})
	return assigned > 0 && fixed
}

// isGuard reports whether e is a call of clockGuard. Its first result is constant; answers checks
// that.
func isGuard(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && nameOf(call) == "clockGuard"
}

// answers checks that the first result of clockGuard is constant.
func (s source) answers() {
	ast.Inspect(s.decl, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok && s.decl.Name.Name == "clockGuard" && !s.constant(r.Results[0]) {
			s.fault(r, "the SQL it answers with is not constant")
		}
		return true
	})
}

// calls checks every call for SQL text that is not constant and for writes whose result is ignored.
func (s source) calls() {
	var stack []ast.Node
	ast.Inspect(s.decl, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if call, ok := n.(*ast.CallExpr); ok {
			s.call(call, stack)
		}
		stack = append(stack, n)
		return true
	})
}

func nameOf(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

func (s source) call(call *ast.CallExpr, stack []ast.Node) {
	name := nameOf(call)
	if place, ok := s.raw[name]; ok && place < len(call.Args) && (!call.Ellipsis.IsValid() || place < len(call.Args)-1) { // an argument with an ellipsis holds the values of a prepared statement
		arg := call.Args[place]
		ident, isName := arg.(*ast.Ident)
		if isName && s.parameter(ident.Name) >= 0 { // the rule applies to its callers
			s.raw[s.decl.Name.Name] = s.parameter(ident.Name)
		} else if !s.constant(arg) {
			s.fault(call, "the SQL of "+name+" is not constant")
		}
	}
	switch name {
	case "Save", "UpdateColumns", "UpdateColumn", "Begin", "BeginTx", "Commit":
		if name != s.decl.Name.Name { // mysqlConn calls the method that it wraps
			s.fault(call, name+" is not used here")
		}
	case "Updates":
		literal, isLiteral := call.Args[0].(*ast.CompositeLit)
		_, isName := call.Args[0].(*ast.Ident) // a map that the caller has created
		_, isMap := ast.Expr(nil), false
		if isLiteral {
			_, isMap = literal.Type.(*ast.MapType)
		}
		if !isMap && !isName {
			s.fault(call, "Updates takes a map: GORM leaves the zero values of a struct out")
		}
		s.outcome(call, stack, true)
	case "Exec":
		text, _ := call.Args[0].(*ast.BasicLit)
		s.outcome(call, stack, text != nil && strings.HasPrefix(strings.Trim(text.Value, "`\""), "UPDATE"))
	case "Create", "CreateInBatches", "Delete", "Transaction", "tx", "retry", "exactlyOne":
		s.outcome(call, stack, false)
	}
}

// outcome checks that the error of a call is used and, for a guarded write, also the number of
// matched rows.
func (s source) outcome(call *ast.CallExpr, stack []ast.Node, guarded bool) {
	counted, looked := false, true
	switch parent := stack[len(stack)-1].(type) {
	case *ast.ExprStmt:
		looked = false
	case *ast.CallExpr:
		counted = nameOf(parent) == "exactlyOne"
	case *ast.AssignStmt:
		blank, isName := parent.Lhs[0].(*ast.Ident)
		looked = !isName || blank.Name != "_"
		counted = isName && strings.Contains(s.text(), blank.Name+".RowsAffected")
	}
	if !looked {
		s.fault(call, nameOf(call)+": its outcome is ignored")
	}
	if _, known := unguarded[s.decl.Name.Name]; guarded && !counted && !known {
		s.fault(call, nameOf(call)+": the number of changed rows is ignored")
	}
}

// text returns the selectors in the function, as written.
func (s source) text() string {
	var b strings.Builder
	ast.Inspect(s.decl, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				b.WriteString(x.Name + "." + sel.Sel.Name + " ")
			}
		}
		return true
	})
	return b.String()
}

// check returns the faults in files. It repeats the check until it finds no further functions that
// pass SQL on.
func check(t *testing.T, files map[string]string) []string {
	t.Helper()
	raw := map[string]int{}
	for name, place := range rawArgument {
		raw[name] = place
	}
	for {
		known := len(raw)
		var faults []string
		set, consts := token.NewFileSet(), map[string]bool{}
		var decls []*ast.FuncDecl
		for name, text := range files {
			file, err := parser.ParseFile(set, name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					decls = append(decls, f)
				}
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
					for _, spec := range g.Specs {
						for _, ident := range spec.(*ast.ValueSpec).Names {
							consts[ident.Name] = true
						}
					}
				}
			}
		}
		for _, d := range decls {
			each := source{set, d, consts, &faults, raw}
			each.calls()
			each.answers()
		}
		if len(raw) == known {
			slices.Sort(faults)
			return faults
		}
	}
}

func TestModelsContainNoRawSQLAndIgnoreNoWrite(t *testing.T) {
	t.Attr("control", "98")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			text, err := os.ReadFile(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = string(text)
		}
	}
	for _, fault := range check(t, files) {
		t.Error(fault)
	}
}

// Each of these sources breaks a rule and is reported.
func TestRulesReportEachFault(t *testing.T) {
	t.Attr("control", "98")
	for _, body := range []string{
		`db.Where("id = " + name).Take(&u)`, `db.Order(name + "").Find(&u)`, `db.Raw(fmt.Sprintf("x %s", name))`, `q := "a"; q = name + "b"; return db.Exec(q).Error`, `db.Select(f()).Find(&u)`,
		`db.Exec("UPDATE a SET b = 1")`, `_ = db.Create(&u)`, `return db.Model(&u).Where("id = 1").Updates(set).Error`, `return one(db.Model(&u).Updates(User{}))`, `return db.Save(&u).Error`, `db.Transaction(nil)`, `return s.db.Commit().Error`,
		`return pass(name + "x")`,
	} {
		text := "package x\nfunc pass(where string) error { return db.Where(where).Take(nil).Error }\nfunc f(name string) error {\n" + body + "\nreturn nil }\n"
		if len(check(t, map[string]string{"x.go": text})) == 0 {
			t.Errorf("no fault was found in %s", body)
		}
	}
}
