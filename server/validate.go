package server

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
)

// requestOptions are the options of the validator. Security is already enforced by authenticate.
// The error texts contain submitted values, so they are never used.
var requestOptions = &openapi3filter.Options{
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	KeepValidatedValue: true, // the handler gets the validated value instead of decoding it again
	MultiError:         true,
	// The library would replace null by the default. Handlers apply the defaults.
	SkipSettingDefaults: true,
	SchemaValidationOptions: []openapi3.SchemaValidationOption{
		openapi3.DisableSchemaErrorDetails(),
	},
}

// validate checks the request against the contract's schemas. The problem lists all errors.
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
	faults, err := checkParameters(call.operation.route.Operation, c.Request, params)
	if err != nil {
		s.problem(c, err)
		return
	}
	err = openapi3filter.ValidateRequest(c, &openapi3filter.RequestValidationInput{
		Request: c.Request, PathParams: params, Route: call.operation.route, Options: requestOptions,
	})
	if err != nil || len(faults) > 0 {
		s.problem(c, s.validationProblem(c, call, params, faults, err))
		return
	}
	if err := call.checkTransport(); err != nil {
		s.problem(c, err)
		return
	}
	c.Next()
}

// checkParameters finds the errors that the validator accepts: unknown query parameters, and values
// in more than one spelling. It rejects a parameter that is empty or occurs twice, "1" or "T" for
// true, and "+2" for 2, so that the sender cannot choose which spelling counts.
func checkParameters(op *openapi3.Operation, r *http.Request, path map[string]string) ([]api.FieldError, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // other readers drop a malformed part, for example keep_current
		return nil, malformed(err)
	}
	faults := unknownParameters(op, query)
	for _, ref := range op.Parameters {
		p := ref.Value
		values := map[string][]string{
			openapi3.ParameterInQuery: query[p.Name], openapi3.ParameterInHeader: r.Header.Values(p.Name), openapi3.ParameterInPath: {path[p.Name]},
		}[p.In]
		if code, keyword := spellingFault(p.Schema.Value, values); code != "" {
			faults = append(faults, bounded(parameterError(p, code), p.Schema.Value, keyword))
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

// listFault returns the code of spellingFault for the items of a list.
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
	// A NUL is rejected, because some readers end a text at it and others do not. In SQLite, a
	// search for such a text would match all users.
	return value != "" && utf8.ValidString(value) && !strings.ContainsRune(value, 0)
}

// validationProblem converts the errors of the parameters and the error of the validator to a
// problem: 400 for parameters, and 422 for members of the body. It uses only the pointer, code and
// bounds of an error, because the text contains submitted values.
func (s *Server) validationProblem(ctx context.Context, call *call, path map[string]string, parameters []api.FieldError, err error) error {
	faults := slices.Concat(parameters, withoutKnown(parameters, fieldErrors(err)))
	if len(faults) == 0 {
		return problemOf(codeRequestMalformed)
	}
	isParameter := func(f api.FieldError) bool { return f.Parameter != nil }
	if len(parameters) > 0 || slices.ContainsFunc(faults, isParameter) {
		return problemOf(codeRequestMalformed, faults[:min(len(faults), maxFieldErrors)]...)
	}
	values, err := s.valueErrors(ctx, call, path, faults)
	if err != nil {
		return err
	}
	faults = append(faults, values...)
	return problemOf(codeValidationFailed, faults[:min(len(faults), maxFieldErrors)]...)
}

// withoutKnown returns the errors of the validator, without those of parameters in known.
func withoutKnown(known, faults []api.FieldError) []api.FieldError {
	return slices.DeleteFunc(faults, func(f api.FieldError) bool {
		return f.Parameter != nil && slices.ContainsFunc(known, func(k api.FieldError) bool { return k.Parameter != nil && *k.Parameter == *f.Parameter })
	})
}

const maxFieldErrors = 100

func fieldErrors(err error) []api.FieldError {
	var list []api.FieldError
	collectFieldErrors(err, nil, &list)
	return firstPerPlace(list[:min(len(list), maxFieldErrors)])
}

// firstPerPlace keeps the first error of each member and parameter, because a text that is too long
// also has the wrong form. Of the errors without a name, it keeps the first for each code.
func firstPerPlace(list []api.FieldError) []api.FieldError {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(f api.FieldError) bool {
		place := string(f.Code)
		switch {
		case f.Pointer != nil:
			place = "in the body: " + *f.Pointer
		case f.Parameter != nil:
			place = "parameter: " + *f.Parameter
		}
		again := seen[place]
		seen[place] = true
		return again
	})
}

// collectFieldErrors appends the field errors in err to list, up to maxFieldErrors: a body of
// thousands of unknown members causes as many errors.
func collectFieldErrors(err error, parameter *openapi3.Parameter, list *[]api.FieldError) {
	if len(*list) >= maxFieldErrors {
		return
	}
	switch e := err.(type) { //nolint:errorlint // the tree of a MultiError is walked, not its first match
	case openapi3.MultiError:
		for _, each := range e {
			collectFieldErrors(each, parameter, list)
		}
	case *openapi3filter.RequestError:
		before := len(*list)
		collectFieldErrors(e.Err, cmp.Or(e.Parameter, parameter), list)
		if e.Parameter != nil && len(*list) == before { // it could not even be decoded
			*list = append(*list, parameterError(e.Parameter, api.FieldErrorCodeFormatInvalid))
		}
	case *openapi3.SchemaError:
		code := fieldCode(e)
		switch {
		case parameter != nil:
			*list = append(*list, bounded(parameterError(parameter, code), e.Schema, e.SchemaField))
		case e.SchemaField == "properties", e.SchemaField == "additionalProperties":
			*list = append(*list, unknownMembers(e, *list)...)
		default:
			*list = append(*list, bounded(memberError(e.JSONPointer(), code), e.Schema, e.SchemaField))
		}
	}
}

// unknownMembers returns the errors of the members that the schema does not have. The library
// reports their object once for each of them, so errors that are already in known are omitted.
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

// fieldCode returns the code of a schema error.
func fieldCode(e *openapi3.SchemaError) api.FieldErrorCode {
	switch e.SchemaField {
	case "required":
		return api.FieldErrorCodeRequired
	case "type", "nullable":
		return api.FieldErrorCodeTypeInvalid
	case "minLength":
		if e.Value == "" {
			return api.FieldErrorCodeRequired
		}
		return api.FieldErrorCodeTooShort
	case "maxLength":
		return api.FieldErrorCodeTooLong
	case "minItems", "minProperties":
		return api.FieldErrorCodeTooFew
	case "maxItems", "maxProperties":
		return api.FieldErrorCodeTooMany
	case "minimum", "maximum":
		return api.FieldErrorCodeOutOfRange
	case "enum", "multipleOf":
		return api.FieldErrorCodeValueInvalid
	}
	return api.FieldErrorCodeFormatInvalid
}
