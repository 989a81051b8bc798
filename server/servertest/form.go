package servertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// CheckForm returns the violations of the rules of version 1 in a contract that a linter cannot
// check, because they compare distant parts of the document. The other rules are in
// scripts/spectral.yaml.
func CheckForm(doc *openapi3.T) []string {
	f := &form{doc: doc, ops: operationsOf(doc)}
	f.checkOperations()
	f.checkUsers()
	f.checkTables()
	f.checkCodes()
	f.checkNames()
	slices.Sort(f.faults)
	return f.faults
}

type form struct {
	doc    *openapi3.T
	ops    []Operation
	faults []string
}

func (f *form) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *form) schema(name string) *openapi3.Schema {
	if ref := f.doc.Components.Schemas[name]; ref != nil {
		return ref.Value
	}
	f.fault("there is no schema %s", name)
	return &openapi3.Schema{}
}

// ---- operations

func (f *form) checkOperations() {
	for _, op := range f.ops {
		if len(op.Operation.Tags) != 1 {
			f.fault("%s has %d tags", op.ID, len(op.Operation.Tags))
		}
		for _, status := range []int{400, 500} {
			if !slices.Contains(op.Statuses, status) {
				f.fault("%s does not document %d", op.ID, status)
			}
		}
		for _, status := range op.Statuses {
			f.checkResponse(op, status, op.Operation.Responses.Status(status).Value)
		}
		f.checkRequest(op)
		f.checkList(op)
	}
}

// checkResponse checks that an error is a problem, and that a success has one of the forms of the
// contract.
func (f *form) checkResponse(op Operation, status int, response *openapi3.Response) {
	if response.Headers["X-Request-Id"] == nil {
		f.fault("%s %d does not document X-Request-Id", op.ID, status)
	}
	media := slices.Sorted(maps.Keys(response.Content))
	want, headers := []string{"application/json"}, []string{}
	switch {
	case status >= 400:
		want = []string{"application/problem+json"}
	case status == 200 && op.ID == "getOpenapiYaml":
		want = []string{"application/yaml"}
	case status == 200, status == 202:
	case status == 201:
		headers = []string{"Location"}
	case status == 204:
		want = nil
	case status == 304:
		want, headers = nil, []string{"ETag"}
	default:
		f.fault("%s answers %d: a success is 200, 201, 202 or 204", op.ID, status)
	}
	if !slices.Equal(media, want) {
		f.fault("%s %d has the bodies %q, not %q", op.ID, status, media, want)
	}
	for _, name := range headers {
		if response.Headers[name] == nil {
			f.fault("%s %d does not document %s", op.ID, status, name)
		}
	}
}

// checkRequest checks that a body is closed, and that a write with a cookie requires a CSRF token.
func (f *form) checkRequest(op Operation) {
	if op.Operation.RequestBody != nil {
		schema := op.Operation.RequestBody.Value.Content["application/json"].Schema.Value
		if schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has {
			f.fault("%s: the body accepts unknown members", op.ID)
		}
	}
	for _, requirement := range op.Security {
		_, access := requirement["accessCookie"]
		_, refresh := requirement["refreshCookie"]
		if _, csrf := requirement["csrfToken"]; (access || refresh) && !csrf && op.Method != http.MethodGet {
			f.fault("%s is a write with a cookie and without a CSRF token", op.ID)
		}
	}
}

// unpaged are the response schemas that have an array but no pages. Their arrays are bounded.
var unpaged = []string{"JwkSet", "ProblemCatalog", "ProfileExport"}

// checkList checks that a response with an array is a page: its schema is named …List and has
// next_cursor, and the operation accepts limit and cursor.
func (f *form) checkList(op Operation) {
	response := op.Operation.Responses.Status(200)
	if op.Method != http.MethodGet || response == nil || response.Value.Content["application/json"] == nil {
		return
	}
	ref := response.Value.Content["application/json"].Schema
	name := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
	array := false
	for _, member := range ref.Value.Properties {
		array = array || member.Value.Type.Is(openapi3.TypeArray)
	}
	var paging []string
	for _, p := range op.Operation.Parameters {
		if p.Value.Name == "limit" || p.Value.Name == "cursor" {
			paging = append(paging, p.Ref)
		}
	}
	pages := slices.Equal(paging, []string{"#/components/parameters/Limit", "#/components/parameters/CursorQuery"})
	next := ref.Value.Properties["next_cursor"]
	cursor := next != nil && next.Ref == "#/components/schemas/NextCursor" && slices.Contains(ref.Value.Required, "next_cursor")
	isList := strings.HasSuffix(name, "List")
	if array && !slices.Contains(unpaged, name) != isList || isList != pages || isList != cursor {
		f.fault("%s answers %s: an array: %t, limit and cursor: %t, next_cursor: %t", op.ID, name, array, pages, cursor)
	}
}

// ---- schemas

// checkUsers checks that a profile is a user with more members, and that the user that staff
// members see is a profile with more members.
func (f *form) checkUsers() {
	for _, names := range [][2]string{{"User", "Profile"}, {"Profile", "AdminUser"}} {
		small, large := f.schema(names[0]), f.schema(names[1])
		for name, member := range small.Properties {
			if !slices.Contains(large.Required, name) || jsonOf(member) != jsonOf(large.Properties[name]) {
				f.fault("%s.%s is not %s.%s", names[1], name, names[0], name)
			}
		}
	}
}

// jsonOf returns a schema as JSON, for comparison.
func jsonOf(ref *openapi3.SchemaRef) string {
	encoded, err := json.Marshal(ref)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

// ---- tables

var quoted = regexp.MustCompile("`([A-Za-z0-9_]+)`")

// tableOf returns the names in code spans in each row of the first table with this head in a text.
// Only the first cell of a row counts, or the last one if last is set.
func tableOf(text, head string, last bool) (rows []tableRow) {
	_, text, _ = strings.Cut(text, head+"\n")
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") {
			break
		}
		cell := cells[0]
		if last {
			cell = cells[len(cells)-1]
		}
		row := tableRow{first: strings.TrimSpace(cells[0])}
		for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
			row.names = append(row.names, match[1])
		}
		rows = append(rows, row)
	}
	return rows
}

type tableRow struct {
	first string
	names []string
}

func namesOf(rows []tableRow) (names []string) {
	for _, row := range rows {
		names = append(names, row.names...)
	}
	return names
}

func enumOf(schema *openapi3.Schema) (names []string) {
	for _, value := range schema.Enum {
		names = append(names, fmt.Sprint(value))
	}
	return names
}

// compare adds a fault if two lists differ. Their order does not matter.
func (f *form) compare(what string, got, want []string) {
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) || len(want) == 0 {
		missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) })
		extra := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(want, s) })
		f.fault("%s: missing %q, not known %q, or named twice: %d of %d", what, missing, extra, len(got), len(want))
	}
}

// checkTables compares the tables in the descriptions with the enums and the operations.
func (f *form) checkTables() {
	kinds, fields := f.schema("EventKind"), f.schema("FieldErrorCode")
	f.compare("the table of kinds", namesOf(tableOf(kinds.Description, "| kind | meaning |", false)), enumOf(kinds))
	f.compare("the table of field codes", namesOf(tableOf(fields.Description, "| code | meaning |", false)), enumOf(fields))
	f.compare("the table of codes", namesOf(tableOf(f.doc.Info.Description, "| status | codes |", true)), enumOf(f.schema("ProblemCode")))
	var writes []string
	for _, op := range f.ops {
		if op.Method != http.MethodGet {
			writes = append(writes, op.ID)
		}
	}
	f.compare("the table of lost responses", namesOf(tableOf(f.doc.Info.Description, "| operation | after a lost response |", false)), writes)
}

// ---- codes

// adjectives are the words that end a problem code. Consider a new one carefully, because codes
// cannot be renamed.
const adjectives = "allowed|closed|expired|failed|found|invalid|large|last|limited|malformed|missing|required|reused|revoked|taken|" +
	"unavailable|unreachable|unsupported|unusable|unverified"

var (
	isProblemCode = regexp.MustCompile(`^[a-z]+(_[a-z]+)*_(` + adjectives + `)$`).MatchString
	isFieldCode   = regexp.MustCompile(`^(required|taken|out_of_range|too_[a-z]+|[a-z]+_(breached|common|duplicate|invalid|unknown|wrong))$`).MatchString
)

// checkCodes checks the grammar of the codes, that at least one operation lists each code, and that
// its status is that in the table.
func (f *form) checkCodes() {
	statuses := map[string]map[string]bool{"method_not_allowed": {"405": true}} // 405 belongs to no operation
	for _, op := range f.ops {
		for status := range op.Operation.Responses.Map() {
			codes := op.Codes(status)
			if status >= "400" && len(codes) == 0 {
				f.fault("%s %s lists no codes", op.ID, status)
			}
			for _, code := range codes {
				if statuses[code] == nil {
					statuses[code] = map[string]bool{}
				}
				statuses[code][status] = true
			}
		}
	}
	for _, row := range tableOf(f.doc.Info.Description, "| status | codes |", true) {
		for _, code := range row.names {
			for status := range statuses[code] {
				if !strings.Contains(row.first, status) || len(statuses[code]) != 1 {
					f.fault("%s has the statuses %v, and %s in the table", code, slices.Sorted(maps.Keys(statuses[code])), row.first)
				}
			}
		}
	}
	f.compare("the codes of the operations", slices.Collect(maps.Keys(statuses)), enumOf(f.schema("ProblemCode")))
	for _, code := range enumOf(f.schema("ProblemCode")) {
		if !isProblemCode(code) {
			f.fault("the code %s is not a noun with one of the adjectives %s", code, adjectives)
		}
	}
	for _, code := range enumOf(f.schema("FieldErrorCode")) {
		if !isFieldCode(code) {
			f.fault("the field code %s does not have the grammar of field codes", code)
		}
	}
}

// ---- names

// checkNames rejects names that collide in the output of code generators.
func (f *form) checkNames() {
	schemas := f.doc.Components.Schemas
	for _, op := range f.ops {
		for _, suffix := range []string{"Result", "Response", "Params", "Body", "Headers"} {
			if name := strings.ToUpper(op.ID[:1]) + op.ID[1:] + suffix; schemas[name] != nil {
				f.fault("the schema %s has a name that generators make of %s", name, op.ID)
			}
		}
	}
	for kind, names := range map[string][]string{
		"parameter": slices.Collect(maps.Keys(f.doc.Components.Parameters)), "header": slices.Collect(maps.Keys(f.doc.Components.Headers)),
		"response": slices.Collect(maps.Keys(f.doc.Components.Responses)), "body": slices.Collect(maps.Keys(f.doc.Components.RequestBodies)),
	} {
		for _, name := range names {
			if schemas[name] != nil {
				f.fault("the %s %s has the name of a schema", kind, name)
			}
		}
	}
}
