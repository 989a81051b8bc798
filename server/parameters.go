package server

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/api"
)

// checkParameters returns the errors in parameters that the validator does not report: unknown
// query parameters, a parameter that is empty or occurs twice, and unusual spellings of a value,
// such as "1" or "T" for true and "+2" for 2. If a value had several spellings, two programs could
// read the same request differently.
func checkParameters(op *openapi3.Operation, r *http.Request, path map[string]string) ([]api.FieldError, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // other parsers would ignore a malformed part, for example keep_current, and use the rest
		return nil, malformed(err)
	}
	faults := unknownParameters(op, query)
	for _, ref := range op.Parameters {
		p := ref.Value
		values := map[string][]string{
			openapi3.ParameterInQuery: query[p.Name], openapi3.ParameterInHeader: r.Header.Values(p.Name), openapi3.ParameterInPath: {path[p.Name]},
		}[p.In]
		if code, keyword := spellingFault(p.Schema.Value, values); code != "" {
			faults = append(faults, withBound(parameterError(p, code), p.Schema.Value, keyword))
		}
	}
	return faults, nil
}

// unknownParameters returns the errors of the query parameters that an operation does not have.
// They are rejected, because a request with a misspelled parameter would not do what the sender
// intends.
func unknownParameters(op *openapi3.Operation, query url.Values) (faults []api.FieldError) {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(faults) == maxFieldErrors {
			break
		}
		if op.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) != nil {
			continue
		}
		f := fieldError(api.FieldErrorCodeParameterUnknown)
		if len(name) <= maxPointer && utf8.ValidString(name) { // the sender chooses the name
			f.Parameter = &name
		}
		faults = append(faults, f)
	}
	return faults
}

// spellingFault returns the code for a parameter that occurs too often or has a misspelled value,
// or "". The items of a list are repeated parameters with distinct values. The second result is the
// keyword of the schema that is violated, or "".
func spellingFault(schema *openapi3.Schema, values []string) (code api.FieldErrorCode, keyword string) {
	switch {
	case len(values) == 0:
		return "", ""
	case schema.Type.Is(openapi3.TypeArray):
		return listFault(schema.Items.Value, values), ""
	case len(values) > 1:
		return api.FieldErrorCodeParameterDuplicate, ""
	case isWellSpelled(schema, values[0]):
		return "", ""
	case schema.Type.Is(openapi3.TypeInteger) && longInteger.MatchString(values[0]):
		if strings.HasPrefix(values[0], "-") {
			return api.FieldErrorCodeOutOfRange, "minimum"
		}
		return api.FieldErrorCodeOutOfRange, "maximum"
	}
	return api.FieldErrorCodeFormatInvalid, ""
}

// listFault returns the code that spellingFault returns for the items of a list.
func listFault(item *openapi3.Schema, values []string) api.FieldErrorCode {
	if slices.ContainsFunc(values, func(value string) bool { return !isWellSpelled(item, value) }) {
		return api.FieldErrorCodeFormatInvalid
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(values))); len(distinct) < len(values) {
		return api.FieldErrorCodeParameterDuplicate
	}
	return ""
}

// longInteger matches integers with so many digits that they may not fit into 64 bits.
var longInteger = regexp.MustCompile(`^-?[1-9][0-9]{18,}$`)

// isWellSpelled reports whether the value is present and has the only spelling that its type
// permits.
func isWellSpelled(schema *openapi3.Schema, value string) bool {
	switch {
	case schema.Type.Is(openapi3.TypeBoolean):
		return value == "true" || value == "false"
	case schema.Type.Is(openapi3.TypeInteger):
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == value
	}
	// A NUL is rejected, because a text ends at a NUL for some programs and not for others. In
	// SQLite, a search for such a text would match all users.
	return value != "" && utf8.ValidString(value) && !strings.ContainsRune(value, 0)
}
