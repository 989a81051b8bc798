package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A reviewed file lists the limits of all operations.
func TestBodyLimitsEqualReviewedFile(t *testing.T) {
	t.Attr("control", "193")
	var table []string
	for _, op := range servertest.Operations() {
		if limit := server.BodyLimit(op.Operation); (limit > 0) != (op.Operation.RequestBody != nil) {
			t.Errorf("%s has the limit %d: want one if and only if the operation has a body", op.ID, limit)
		} else if limit > 0 {
			table = append(table, fmt.Sprintf("%s %d\n", op.ID, limit))
		}
	}
	golden, err := os.ReadFile("testdata/body_limits.txt")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(table)
	if diff := cmp.Diff(string(golden), strings.Join(table, "")); diff != "" {
		t.Errorf("body limits differ from testdata/body_limits.txt; review them (-file +contract):\n%s", diff)
	}
}

// longest returns the longest document that is valid under a schema, as a verbose program would
// write it: each character is escaped and each member is on its own line. The value of
// refresh_token is a token, which programs do not escape.
func longest(schema *openapi3.Schema) string {
	switch {
	case len(schema.Enum) > 0:
		text := ""
		for _, value := range schema.Enum {
			if s := fmt.Sprint(value); len(s) > len(text) {
				text = s
			}
		}
		return `"` + escaped(text) + `"`
	case schema.Type.Is(openapi3.TypeBoolean):
		return "false"
	case schema.Type.Is(openapi3.TypeString):
		return `"` + strings.Repeat(`\ud83d\ude00`, int(*schema.MaxLength)) + `"`
	}
	var members []string
	for name, property := range schema.Properties {
		value := longest(property.Value)
		if name == "refresh_token" {
			value = `"` + strings.Repeat("k", int(*property.Value.MaxLength)) + `"`
		}
		members = append(members, "\n        "+`"`+escaped(name)+`" : `+value)
	}
	return "{" + strings.Join(members, ",") + "\n}\n"
}

func escaped(text string) (all string) {
	for _, r := range text {
		all += fmt.Sprintf(`\u%04x`, r)
	}
	return all
}

// The longest valid body of each operation is accepted, even if padded with blanks up to the limit.
// One more byte is rejected, whether the length is declared or not.
func TestLongestValidBodyIsAcceptedAndOneMoreByteRejected(t *testing.T) {
	t.Attr("control", "193")
	bodyOperations(t, func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation) {
		c := s.Login(ada, accounts.Cookies)
		e, limit, body := exampleOf(t, op), server.BodyLimit(op.Operation), longest(schemaOf(op))
		if limit < 1<<10 || limit > 16<<10 {
			t.Errorf("the limit is %d bytes, want 1 KiB to 16 KiB", limit)
		}
		chunked := func(r *http.Request) { r.ContentLength, r.Body = -1, struct{ io.ReadCloser }{r.Body} }
		for _, option := range []servertest.Option{chunked, func(*http.Request) {}} {
			for _, length := range []int{len(body), limit} {
				e.body = body + strings.Repeat(" ", length-len(body))
				if r := send(c.Copy(), e, option); r.Status == http.StatusRequestEntityTooLarge || r.Status == http.StatusBadRequest {
					t.Errorf("a body of %d bytes with a limit of %d: got %d %s, want it accepted", length, limit, r.Status, r.Code())
				}
			}
			e.body = body + strings.Repeat(" ", limit+1-len(body))
			send(c.Copy(), e, option).Want(t, http.StatusRequestEntityTooLarge, "body_too_large")
		}
	})
}

// A schema without a bound, or with a bound beyond the maximum, gets the maximum.
func TestSchemaWithoutBoundGetsMaximumBodyLimit(t *testing.T) {
	t.Attr("control", "193")
	limited := func(length uint64) *openapi3.Schema { return openapi3.NewStringSchema().WithMaxLength(int64(length)) }
	closed := func(properties map[string]*openapi3.Schema) *openapi3.Schema {
		return openapi3.NewObjectSchema().WithProperties(properties).WithoutAdditionalProperties()
	}
	recursive := closed(nil)
	recursive.Properties = openapi3.Schemas{"a": {Value: recursive}}
	for name, test := range map[string]struct {
		schema *openapi3.Schema
		want   int
	}{
		"a string without a bound":     {openapi3.NewStringSchema(), 16 << 10},
		"an open object":               {openapi3.NewObjectSchema().WithProperty("a", limited(1)), 16 << 10},
		"an array without a bound":     {openapi3.NewArraySchema().WithItems(limited(1)), 16 << 10},
		"any of several":               {&openapi3.Schema{AnyOf: openapi3.SchemaRefs{{Value: limited(1)}}}, 16 << 10},
		"itself":                       {recursive, 16 << 10},
		"the longest string":           {limited(1 << 62), 16 << 10},
		"the longest array":            {openapi3.NewArraySchema().WithItems(openapi3.NewBoolSchema()).WithMaxItems(1 << 62), 16 << 10},
		"nothing":                      {closed(nil), 1 << 10},
		"a number":                     {openapi3.NewInt64Schema(), 1 << 10},
		"ten strings of ten":           {openapi3.NewArraySchema().WithItems(limited(10)).WithMaxItems(10), 64 + 2 + 10*(32+2+120)},
		"a member of a hundred":        {closed(map[string]*openapi3.Schema{"name": limited(100)}), 64 + 2 + 32 + 2 + 48 + 2 + 1200},
		"one open member among others": {closed(map[string]*openapi3.Schema{"a": limited(1), "b": openapi3.NewStringSchema()}), 16 << 10},
	} {
		op := &openapi3.Operation{RequestBody: &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithJSONSchema(test.schema)}}
		if got := server.BodyLimit(op); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
