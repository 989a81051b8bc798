package servertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
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

// Contract returns the contract, which is parsed once.
var Contract = sync.OnceValue(func() *openapi3.T {
	doc, err := api.GetSpec()
	if err != nil {
		panic(err)
	}
	doc.Servers = nil
	return doc
})

// init registers the media type of the contract's YAML form as plain text, because the contract
// describes it as a string. The library would decode it.
func init() { openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder) }

// router finds the operations of [closedContract].
var router = sync.OnceValue(func() routers.Router {
	r, err := legacy.NewRouter(closedContract())
	if err != nil {
		panic(err)
	}
	return r
})

// pair is an operation and the status of a response to it.
type pair struct {
	operation string
	status    int
}

var seen = struct {
	sync.Mutex
	pairs map[pair]int
}{pairs: map[pair]int{}}

// judge fails the test if a response violates the contract. It accepts pages for people.
func judge(t testing.TB, request *http.Request, r *Response) {
	t.Helper()
	if r.Status < 400 && isPage(request.URL.Path) {
		return
	}
	if err := Judge(request, r); err != nil {
		t.Errorf("%s %s answers %d against the contract: %v\n%s", request.Method, request.URL.Path, r.Status, err, r.Raw)
	}
}

// isPage reports whether a path leads to pages for people, which the contract does not describe.
func isPage(path string) bool {
	page := slices.ContainsFunc([]string{"/docs/", "/demo/", "/pages/", "/console/", "/.well-known/change-password/"}, func(prefix string) bool { return strings.HasPrefix(path+"/", prefix) })
	return page || path == "/" || strings.HasPrefix(path, "/problems/")
}

// Judge compares a response with the contract and counts it for the coverage report. The status and
// each header must be documented for the operation. The body must match the closed form of its
// schema (see [closedContract]). A response to HEAD is compared with that of GET and must have no
// body. A response that belongs to no operation (404, 405) must be a Problem.
func Judge(request *http.Request, r *Response) error {
	if r.Status/100 != 2 && r.Header.Get("Set-Cookie") != "" {
		return errors.New("a Set-Cookie: only a 2xx sets or clears cookies")
	}
	if request.Method == http.MethodHead && len(r.Raw) > 0 {
		return errors.New("an answer to HEAD with a body")
	}
	if err := judgeProblem(r); err != nil {
		return err
	}
	route, params := findRoute(request)
	if route == nil || r.Status == http.StatusNotFound && strings.Contains(request.URL.EscapedPath(), "%") {
		return judgeStray(r)
	}
	response := route.Operation.Responses.Status(r.Status)
	if response == nil {
		return errors.New("a status that the operation does not document")
	}
	if err := judgeHeaders(response.Value, r); err != nil {
		return err
	}
	if request.Method == http.MethodHead {
		return nil
	}
	seen.Lock()
	seen.pairs[pair{route.Operation.OperationID, r.Status}]++
	seen.Unlock()
	if len(response.Value.Content) == 0 && len(r.Raw) > 0 {
		return errors.New("a body that the operation does not document")
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}
	options.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string { // omits the schema, which is long
		return fmt.Sprintf("/%s: %s", strings.Join(err.JSONPointer(), "/"), err.Reason)
	})
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route},
		Status:                 r.Status, Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Raw)),
		Options: options,
	})
}

// findRoute returns the operation of a request and its path parameters, or nil if no operation
// matches. HEAD has the operation of GET.
func findRoute(request *http.Request) (*routers.Route, map[string]string) {
	clean := request.Clone(context.Background())
	clean.URL.Host, clean.URL.Scheme, clean.Host = "", "", ""
	if clean.Method == http.MethodHead {
		clean.Method = http.MethodGet
	}
	route, params, err := router().FindRoute(clean)
	// The library's router accepts /a/ for /a, and /a for /a/{b}.
	sloppy := strings.HasSuffix(clean.URL.Path, "/") || slices.Contains(slices.Collect(maps.Values(params)), "")
	if err != nil || sloppy {
		return nil, nil
	}
	return route, params
}

// generalHeaders may be in every response, so the contract does not document them. The same holds
// for the headers of CORS.
var generalHeaders = []string{
	"Connection", "Content-Length", "Content-Type", "Date", "Transfer-Encoding", "Vary", "Content-Security-Policy",
	"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy", "Referrer-Policy", "Strict-Transport-Security",
	"X-Content-Type-Options", "X-Frame-Options",
}

// judgeHeaders rejects an undocumented header, and a response without a documented header.
// Set-Cookie may be absent, because a cookie is set only if its value changes. ValidateResponse
// checks the values.
func judgeHeaders(response *openapi3.Response, r *Response) error {
	documented := map[string]bool{}
	for name := range response.Headers {
		name = http.CanonicalHeaderKey(name)
		documented[name] = true
		if r.Header.Get(name) == "" && name != "Set-Cookie" {
			return fmt.Errorf("no header %s, which the operation documents", name)
		}
	}
	for name := range r.Header {
		if !documented[name] && !slices.Contains(generalHeaders, name) && !strings.HasPrefix(name, "Access-Control-") {
			return fmt.Errorf("a header that the operation does not document: %s", name)
		}
	}
	return judgeRequestID(r)
}

// isUUID reports whether a text is a UUID in the only spelling that the server sends.
var isUUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString

func judgeRequestID(r *Response) error {
	if ids := r.Header.Values("X-Request-Id"); len(ids) != 1 || !isUUID(ids[0]) {
		return fmt.Errorf("an X-Request-Id that is not one UUID: %q", ids)
	}
	return nil
}

// judgeProblem checks a rule that a schema cannot express: the members of a problem agree with its
// response.
func judgeProblem(r *Response) error {
	if r.Status < 400 || len(r.Raw) == 0 { // the schema rejects an empty body where one is required
		return nil
	}
	status, _ := r.JSON["status"].(float64)
	base, isType := strings.CutSuffix(r.Text("type"), "/problems/"+r.Code())
	switch {
	case r.Header.Get("Content-Type") != "application/problem+json":
		return fmt.Errorf("an error that is no problem: Content-Type %q", r.Header.Get("Content-Type"))
	case int(status) != r.Status:
		return errors.New("a problem of another status")
	case r.Text("request_id") != r.Header.Get("X-Request-Id"):
		return errors.New("a problem of another request")
	case !isType || base != cmp.Or(r.Public, base):
		return errors.New("a problem of another type")
	}
	return nil
}

// judgeStray checks a response that belongs to no operation.
func judgeStray(r *Response) error {
	if r.Status != http.StatusNotFound && r.Status != http.StatusMethodNotAllowed && r.Status != http.StatusForbidden && r.Status != http.StatusNoContent {
		return errors.New("a status that no operation documents")
	}
	if err := judgeRequestID(r); err != nil {
		return err
	}
	if len(r.Raw) == 0 { // a response to HEAD or to a preflight request
		return nil
	}
	return closedContract().Components.Schemas["Problem"].Value.VisitJSON(r.JSON, openapi3.VisitAsResponse())
}

// Coverage compares the statuses that the tests of this process have received with the documented
// ones. The first result is the report, and the second lists the statuses that no test has
// received.
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

// Operation is an operation of the contract, for tests that are generated from it.
type Operation struct {
	ID, Method, Path string
	Statuses         []int
	Operation        *openapi3.Operation
	Security         openapi3.SecurityRequirements
}

// Operations returns all operations of the contract, in a fixed order.
func Operations() []Operation { return operationsOf(Contract()) }

func operationsOf(doc *openapi3.T) []Operation {
	var list []Operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o := Operation{ID: op.OperationID, Method: method, Path: path, Operation: op, Security: doc.Security}
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

// Codes returns the problem codes that the contract lists for a status of the operation.
func (o Operation) Codes(status string) []string {
	response := o.Operation.Responses.Value(status)
	if response == nil || response.Value.Content["application/problem+json"] == nil {
		return nil
	}
	var codes []string
	for _, part := range response.Value.Content["application/problem+json"].Schema.Value.AllOf {
		if code := part.Value.Properties["code"]; code != nil && part.Ref == "" {
			codes = append(codes, enumOf(code.Value)...)
		}
	}
	return codes
}

// Main runs the tests of a package, prints the coverage of the contract, and returns the exit code.
// If whole reports that all tests ran on all engines, a documented status that no test received is
// a failure.
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
