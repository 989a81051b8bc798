package metrics_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"example.com/accounts/server/metrics"
)

// Every constant of the package is exported from the start.
func TestEveryCounterIsExportedFromStart(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "metrics.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []metrics.Counter
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, metrics.Counter(name))
		return false
	})
	if !slices.Equal(declared, metrics.Counters()) {
		t.Errorf("declared %q, but Counters returns %q", declared, metrics.Counters())
	}
}
