package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// badParameters lists values that almost no parameter accepts. EXAMPLE stands for a valid value.
var badParameters = []string{
	"", "0", "-1", "1", "1e3", "+1", "01", "1.0", "18446744073709551616", "1000000000", "\x00", "1;2", "1 or 1=1", "' OR '1'='1", "x", "null", "undefined", "[]", "*", "%", "_", `\`, "id;drop table users", "(select sleep(3))", "\u200b", "\xff", "\r\nX: y",
	"yes", "TRUE", "True", "t", "f", "on", "2", "true ", " true", "true,false", "true\x00", "truetrue",
	"EXAMPLE ", " EXAMPLE", "EXAMPLE0", "{EXAMPLE}", "urn:uuid:EXAMPLE", "EXAMPLE\n", "EXAMPLE,EXAMPLE", "EXAMPLE EXAMPLE", "EXAMPLE=", "EXAMPLE\u00e9", strings.Repeat("a", 10_000),
}

// valuesFor returns the invalid values for a parameter: the bad parameters and variants of its
// example, except those that its schema accepts.
func valuesFor(p *openapi3.Parameter) (list []string) {
	good := goodValue(p)
	for _, each := range append(slices.Clone(badParameters), strings.ToUpper(good), good[1:], strings.ReplaceAll(good, "-", "")) {
		each = strings.ReplaceAll(each, "EXAMPLE", good)
		sent := p.In != openapi3.ParameterInHeader || !strings.ContainsAny(each, "\x00\r\n") && each == strings.TrimSpace(each) // a client can send it
		if sent && each != good && (p.In != openapi3.ParameterInPath || each != "") && !isValue(p.Schema.Value, each) {
			list = append(list, each)
		}
	}
	return list
}

// isValue reports whether a text is the canonical spelling of a value that the schema accepts.
func isValue(schema *openapi3.Schema, text string) bool {
	switch {
	case schema.Type.Is(openapi3.TypeString):
		return schema.VisitJSON(text) == nil && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
	case schema.Type.Is(openapi3.TypeBoolean):
		return text == "true" || text == "false"
	case schema.Type.Is(openapi3.TypeInteger):
		n, err := strconv.Atoi(text)
		return err == nil && strconv.Itoa(n) == text && schema.VisitJSON(float64(n)) == nil
	}
	return false
}

// goodValue returns the example of a parameter.
func goodValue(p *openapi3.Parameter) string {
	if p.Example != nil {
		return fmt.Sprint(p.Example)
	}
	return fmt.Sprint(p.Schema.Value.Example)
}

// withParameter sets a parameter of an example request to the given values.
func withParameter(e example, op servertest.Operation, p *openapi3.Parameter, values ...string) (example, servertest.Option) {
	option := func(*http.Request) {}
	switch p.In {
	case openapi3.ParameterInPath:
		e.path = strings.ReplaceAll(op.Path, "{"+p.Name+"}", url.PathEscape(values[0]))
		for _, other := range op.Operation.Parameters {
			e.path = strings.ReplaceAll(e.path, "{"+other.Value.Name+"}", fmt.Sprint(other.Value.Example))
		}
	case openapi3.ParameterInQuery:
		e.path += "?" + url.Values{p.Name: values}.Encode()
	case openapi3.ParameterInHeader:
		option = func(r *http.Request) { r.Header[p.Name] = values }
	}
	return e, option
}

// A parameter has one accepted spelling and may occur only once.
func TestMisspelledOrDuplicateParametersAreRejected(t *testing.T) {
	t.Attr("control", "85")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		c := s.Login(newAda(t, s), accounts.Hybrid)
		before := s.Database.Dump(t)
		tried := map[string]int{}
		for _, op := range servertest.Operations() {
			for _, ref := range op.Operation.Parameters {
				p := ref.Value
				refused := func(values ...string) {
					t.Helper()
					e, option := withParameter(exampleOf(t, op), op, p, values...)
					r := send(c.Copy(), e, option)
					list, _ := r.JSON["errors"].([]any)
					if r.Status != http.StatusBadRequest || r.Code() != "request_malformed" || len(list) != 1 || list[0].(map[string]any)["parameter"] != p.Name {
						t.Errorf("%s: %s %.60q: %d %s, errors %v, want 400 and one error at the parameter", op.ID, p.Name, values, r.Status, r.Code(), r.JSON["errors"])
					}
					tried[p.In]++
				}
				values := valuesFor(p)
				for _, value := range values {
					refused(value)
				}
				if good := goodValue(p); p.In != openapi3.ParameterInPath {
					if p.Name != "If-None-Match" { // a list may be spread over several lines
						refused(good, good)
					}
					refused(good, values[0])
					refused(values[0], good)
				}
			}
		}
		for _, in := range []string{openapi3.ParameterInPath, openapi3.ParameterInQuery, openapi3.ParameterInHeader} {
			if tried[in] < 10 {
				t.Errorf("only %d values were tested in a %s, want at least 10", tried[in], in)
			}
		}
		wantUnchanged(t, s, before)
		c.Profile().Want(t, http.StatusOK, "")
	})
}

// A mistyped or malformed query must not turn "all other sessions" into "all sessions".
func TestMalformedQueryRevokesNoSession(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for _, query := range []string{"keep_current=true;", "x=1;keep_current=true", "keep_current=true%zz", "keepcurrent=true", "Keep_Current=true", "keep_current[]=true", "x=1"} {
		c.Do(http.MethodDelete, "/accounts/sessions?"+query, nil).Want(t, http.StatusBadRequest, "request_malformed")
	}
	c.Profile().Want(t, http.StatusOK, "")
}

// An operation without parameters rejects any query.
func TestOperationWithoutParametersRejectsQuery(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for _, op := range servertest.Operations() {
		if op.Method != http.MethodGet || len(op.Operation.Parameters) > 0 {
			continue
		}
		c.Do(op.Method, op.Path+"?next=%&;=%zz", nil).Want(t, http.StatusBadRequest, "request_malformed")
		r := c.Do(op.Method, op.Path+"?next=x", nil).Want(t, http.StatusBadRequest, "request_malformed")
		wantParameter(t, r, "next")
		c.Do(op.Method, op.Path+"?", nil).Want(t, http.StatusOK, "")
	}
}
