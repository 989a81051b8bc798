package server

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
)

// requestOptions: security has been judged by authenticate, and the error texts, which hold submitted values, are
// never used.
var requestOptions = &openapi3filter.Options{
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	KeepValidatedValue: true, // the handler gets the value that was validated, not a second decoding
	MultiError:         true,
	SchemaValidationOptions: []openapi3.SchemaValidationOption{
		openapi3.DisableSchemaErrorDetails(),
	},
}

// validate holds the request against the contract's schemas.
func (s *Server) validate(c *gin.Context) {
	call := callOf(c)
	if !call.decoded {
		if err := s.decode(c, call); err != nil {
			s.problem(c, err)
			return
		}
	}
	params := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	if err := checkSpelling(call.operation.route.Operation, c.Request, params); err != nil {
		s.problem(c, err)
		return
	}
	err := openapi3filter.ValidateRequest(c, &openapi3filter.RequestValidationInput{
		Request: c.Request, PathParams: params, Route: call.operation.route, Options: requestOptions,
	})
	if err != nil {
		s.problem(c, refusal(err))
		return
	}
	c.Next()
}

// checkSpelling refuses what the validator takes in several spellings: a parameter that is empty or comes twice, "1" or
// "T" for true, "+2" for 2. Which of two values counts would be a guess.
func checkSpelling(op *openapi3.Operation, r *http.Request, path map[string]string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if known := queryParameters(op); len(known) > 0 {
		if err != nil { // a part that cannot be read is dropped elsewhere, and keep_current with it
			return malformed(err)
		}
		if !declared(known, query) {
			return problemOf(codeRequestMalformed)
		}
	}
	for _, ref := range op.Parameters {
		p := ref.Value
		values := map[string][]string{
			openapi3.ParameterInQuery: query[p.Name], openapi3.ParameterInHeader: r.Header.Values(p.Name), openapi3.ParameterInPath: {path[p.Name]},
		}[p.In]
		switch {
		case len(values) == 0, p.Schema.Value.Type.Is(openapi3.TypeArray):
		case len(values) > 1, !wellSpelled(p.Schema.Value, values[0]):
			return problemOf(codeRequestMalformed, parameterError(p, api.FieldErrorCodeFormatInvalid))
		}
	}
	return nil
}

// wellSpelled: the value is there, and in the one spelling that its type has.
func wellSpelled(schema *openapi3.Schema, value string) bool {
	switch {
	case schema.Type.Is(openapi3.TypeBoolean):
		return value == "true" || value == "false"
	case schema.Type.Is(openapi3.TypeInteger):
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == value
	}
	// NUL ends a text for some and not for others: SQLite finds everybody by it.
	return value != "" && utf8.ValidString(value) && !strings.ContainsRune(value, 0)
}

// queryParameters are the names of those that an operation has. Where it has none, a query means nothing, whatever is
// in it, and the contract has no 400 for it.
func queryParameters(op *openapi3.Operation) (names []string) {
	for _, p := range op.Parameters {
		if p.Value.In == openapi3.ParameterInQuery {
			names = append(names, p.Value.Name)
		}
	}
	return names
}

// declared: where an operation has query parameters, another one is a mistyped one of them, and the request would do
// something else than meant.
func declared(known []string, query url.Values) bool {
	for name := range query {
		if !slices.Contains(known, name) {
			return false
		}
	}
	return true
}

// refusal turns a validation error into a problem: parameters are syntax (400), members of the body meaning (422).
// Only pointer, field and reason are taken from it; its text holds what was submitted.
func refusal(err error) *problem {
	fields := fieldErrors(err)
	for _, f := range fields {
		if f.Parameter != nil {
			return problemOf(codeRequestMalformed, fields...)
		}
	}
	if len(fields) == 0 {
		return problemOf(codeRequestMalformed)
	}
	return problemOf(codeValidationFailed, fields...)
}

const maxFieldErrors = 100

func fieldErrors(err error) []api.FieldError {
	var list []api.FieldError
	collect(err, nil, &list)
	return list[:min(len(list), maxFieldErrors)]
}

// collect stops when the list is long enough: a body of thousands of unknown members makes as many errors.
func collect(err error, parameter *openapi3.Parameter, list *[]api.FieldError) {
	if len(*list) >= maxFieldErrors {
		return
	}
	switch e := err.(type) { //nolint:errorlint // the tree of a MultiError is walked, not its first match
	case openapi3.MultiError:
		for _, each := range e {
			collect(each, parameter, list)
		}
	case *openapi3filter.RequestError:
		before := len(*list)
		collect(e.Err, cmp.Or(e.Parameter, parameter), list)
		if e.Parameter != nil && len(*list) == before { // it could not even be decoded
			*list = append(*list, parameterError(e.Parameter, api.FieldErrorCodeFormatInvalid))
		}
	case *openapi3.SchemaError:
		code := fieldCode(e.SchemaField)
		switch {
		case parameter != nil:
			*list = append(*list, parameterError(parameter, code))
		case e.SchemaField == "properties", e.SchemaField == "additionalProperties":
			*list = append(*list, unknownMembers(e, *list)...)
		default:
			*list = append(*list, memberError(e.JSONPointer(), code))
		}
	}
}

// unknownMembers names the members that the schema does not have. The library reports their object, once for each of
// them, so what is in the list already is left out.
func unknownMembers(e *openapi3.SchemaError, known []api.FieldError) []api.FieldError {
	object, _ := e.Value.(map[string]any)
	var list []api.FieldError
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if e.Schema.Properties[name] == nil {
			list = append(list, memberError(append(e.JSONPointer(), name), api.FieldErrorCodeFieldUnknown))
		}
	}
	if len(list) > 0 && slices.ContainsFunc(known, func(f api.FieldError) bool { return reflect.DeepEqual(f, list[0]) }) {
		return nil
	}
	return list
}

func fieldCode(schemaField string) api.FieldErrorCode {
	switch schemaField {
	case "required":
		return api.FieldErrorCodeRequired
	case "type", "nullable":
		return api.FieldErrorCodeTypeInvalid
	case "minLength", "minItems", "minProperties":
		return api.FieldErrorCodeTooShort
	case "maxLength", "maxItems", "maxProperties":
		return api.FieldErrorCodeTooLong
	case "enum", "minimum", "maximum", "multipleOf":
		return api.FieldErrorCodeValueInvalid
	}
	return api.FieldErrorCodeFormatInvalid
}

var fieldDetails = map[api.FieldErrorCode]string{
	api.FieldErrorCodeRequired:         "This member is required.",
	api.FieldErrorCodeFieldUnknown:     "There is no such member.",
	api.FieldErrorCodeFieldDuplicate:   "This member occurs twice.",
	api.FieldErrorCodeTooShort:         "This is too short.",
	api.FieldErrorCodeTooLong:          "This is too long.",
	api.FieldErrorCodeFormatInvalid:    "This does not have the right form.",
	api.FieldErrorCodeTypeInvalid:      "This is not of the right type.",
	api.FieldErrorCodeValueInvalid:     "This is not one of the values allowed.",
	api.FieldErrorCodePasswordCommon:   "This password is easy to guess: it is common, a pattern, or made from the account's own data or the name of the service. Choose another one.",
	api.FieldErrorCodePasswordBreached: "This password is known from a data breach. Choose another one.",
	api.FieldErrorCodePasswordWrong:    "This is not the right password.",
}

func parameterError(p *openapi3.Parameter, code api.FieldErrorCode) api.FieldError {
	return api.FieldError{Parameter: &p.Name, Code: code, Detail: fieldDetails[code]}
}

const maxPointer = 200

// memberError names a member by its JSON Pointer (RFC 6901). Names come from the sender too: an overlong one is left out.
func memberError(path []string, code api.FieldErrorCode) api.FieldError {
	f := api.FieldError{Code: code, Detail: fieldDetails[code]}
	var pointer strings.Builder
	for _, step := range path {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	if text := pointer.String(); len(text) <= maxPointer {
		f.Pointer = &text
	}
	return f
}
