package servertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"example.com/accounts/api"
)

// Contract is the contract, read once.
var Contract = sync.OnceValue(func() *openapi3.T {
	doc, err := api.GetSpec()
	if err != nil {
		panic(err)
	}
	doc.Servers = nil
	return doc
})

// The contract says of its YAML form that it is a text; the library would decode it.
func init() { openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder) }

var router = sync.OnceValue(func() routers.Router {
	r, err := legacy.NewRouter(Contract())
	if err != nil {
		panic(err)
	}
	return r
})

// pair is a status of an operation.
type pair struct {
	operation string
	status    int
}

var seen = struct {
	sync.Mutex
	pairs map[pair]int
}{pairs: map[pair]int{}}

// judge holds an answer against the contract: the status must be documented for its operation, and headers and body
// must fit. An answer that belongs to no operation (404, 405) must be a Problem. Pages for people are left alone.
func judge(t testing.TB, request *http.Request, r *Response) {
	t.Helper()
	page := slices.ContainsFunc([]string{"/docs/", "/demo/", "/pages/", "/console/"}, func(prefix string) bool { return strings.HasPrefix(request.URL.Path+"/", prefix) })
	if page && r.Status < 400 {
		return
	}
	if err := Judge(request, r); err != nil {
		t.Errorf("%s %s answers %d against the contract: %v\n%s", request.Method, request.URL.Path, r.Status, err, r.Raw)
	}
}

// Judge is the verdict on one answer, and notes it for the coverage report.
func Judge(request *http.Request, r *Response) error {
	if r.Status/100 != 2 && r.Header.Get("Set-Cookie") != "" {
		return fmt.Errorf("a Set-Cookie: only a 2xx sets or clears cookies")
	}
	if err := judgeProblem(r); err != nil {
		return err
	}
	clean := request.Clone(context.Background())
	clean.URL.Host, clean.URL.Scheme, clean.Host = "", "", ""
	route, params, err := router().FindRoute(clean)
	// The library's router takes /a/ for /a, and also /a for /a/{b}.
	sloppy := strings.HasSuffix(clean.URL.Path, "/") || slices.Contains(slices.Collect(maps.Values(params)), "")
	if err != nil || sloppy || r.Status == http.StatusNotFound && strings.Contains(request.URL.EscapedPath(), "%") {
		return judgeStray(r)
	}
	if r.Header.Get("X-Request-Id") == "" {
		return fmt.Errorf("no X-Request-Id")
	}
	seen.Lock()
	seen.pairs[pair{route.Operation.OperationID, r.Status}]++
	seen.Unlock()
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: clean, PathParams: params, Route: route},
		Status:                 r.Status, Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Raw)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
}

// problemMembers are all that a problem may have: its schema leaves room, since the codes of each answer are added.
var problemMembers = []string{"type", "title", "status", "detail", "code", "request_id", "errors"}

// judgeProblem is what a schema cannot say: that the members of an error agree with the answer they are in.
func judgeProblem(r *Response) error {
	if r.Status < 400 || len(r.Raw) == 0 { // what needs a body is refused without one by its schema
		return nil
	}
	for name := range r.JSON {
		if !slices.Contains(problemMembers, name) {
			return fmt.Errorf("a problem with another member")
		}
	}
	status, _ := r.JSON["status"].(float64)
	switch {
	case r.Header.Get("Content-Type") != "application/problem+json":
		return fmt.Errorf("an error that is no problem: Content-Type %q", r.Header.Get("Content-Type"))
	case int(status) != r.Status:
		return fmt.Errorf("a problem of another status")
	case r.Text("request_id") != r.Header.Get("X-Request-Id"):
		return fmt.Errorf("a problem of another request")
	case !strings.HasSuffix(r.Text("type"), "/problems/"+r.Code()):
		return fmt.Errorf("a problem of another type")
	}
	return nil
}

func judgeStray(r *Response) error {
	if r.Status != http.StatusNotFound && r.Status != http.StatusMethodNotAllowed && r.Status != http.StatusForbidden && r.Status != http.StatusNoContent {
		return fmt.Errorf("a status that no operation documents")
	}
	if len(r.Raw) == 0 { // HEAD, or a preflight
		return nil
	}
	return Contract().Components.Schemas["Problem"].Value.VisitJSON(r.JSON, openapi3.VisitAsResponse())
}

// Coverage compares what the tests of this process have seen with what the contract documents. The first answer is
// the report, the second what no test has produced.
func Coverage() (string, []string) {
	seen.Lock()
	defer seen.Unlock()
	var report strings.Builder
	var missing []string
	documented, covered := 0, 0
	for _, op := range Operations() {
		var line []string
		for _, status := range op.Statuses {
			documented++
			if seen.pairs[pair{op.ID, status}] > 0 {
				covered++
				line = append(line, fmt.Sprint(status))
			} else {
				missing = append(missing, fmt.Sprintf("%s %d", op.ID, status))
				line = append(line, fmt.Sprintf("[%d]", status))
			}
		}
		_, _ = fmt.Fprintf(&report, "  %-16s %s\n", op.ID, strings.Join(line, " "))
	}
	return fmt.Sprintf("contract coverage: %d of %d documented statuses of %d operations ([n]: not seen)\n%s",
		covered, documented, len(Operations()), report.String()), missing
}

// Operation is an operation of the contract, for tests that are derived from it.
type Operation struct {
	ID, Method, Path string
	Statuses         []int
	Operation        *openapi3.Operation
	Security         openapi3.SecurityRequirements
}

// Operations are all of them, in a fixed order.
func Operations() []Operation {
	var list []Operation
	for path, item := range Contract().Paths.Map() {
		for method, op := range item.Operations() {
			o := Operation{ID: op.OperationID, Method: method, Path: path, Operation: op, Security: Contract().Security}
			if op.Security != nil {
				o.Security = *op.Security
			}
			for status := range op.Responses.Map() {
				var n int
				if _, err := fmt.Sscan(status, &n); err != nil {
					panic(err)
				}
				o.Statuses = append(o.Statuses, n)
			}
			slices.Sort(o.Statuses)
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b Operation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return list
}

// Main runs the tests of a package and prints the coverage of the contract. When the whole package was run on all
// engines, a documented status that no test produced is a failure.
func Main(m *testing.M, whole func() bool) int {
	code := m.Run()
	report, missing := Coverage()
	fmt.Print(report)
	if code == 0 && whole() && len(missing) > 0 {
		fmt.Printf("FAIL: no test produces: %s\n", strings.Join(missing, ", "))
		return 1
	}
	return code
}
