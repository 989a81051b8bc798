package server

import (
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/api"
	"example.com/accounts/server/problem"
)

// maxFieldErrors bounds the list of errors in a response.
const maxFieldErrors = 100

// fieldError returns an error with a code, but without a pointer or a parameter.
func fieldError(code api.FieldErrorCode) api.FieldError {
	return api.FieldError{Code: code, Detail: problem.FieldKindOf(string(code)).Detail}
}

// parameterError returns the error of a parameter.
func parameterError(p *openapi3.Parameter, code api.FieldErrorCode) api.FieldError {
	f := fieldError(code)
	f.Parameter = &p.Name
	return f
}

// maxPointer bounds the names of members and parameters in a response, in bytes.
const maxPointer = 200

// memberError returns the error of a member, with its JSON Pointer (RFC 6901). An empty path is the
// whole body. The sender chooses the names of unknown members, so a pointer longer than maxPointer
// is omitted.
func memberError(path []string, code api.FieldErrorCode) api.FieldError {
	f := fieldError(code)
	var pointer strings.Builder
	for _, step := range path {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	if text := pointer.String(); len(text) <= maxPointer {
		f.Pointer = &text
	}
	return f
}

// faultError returns the error of a member that a rule rejects.
func faultError(path []string, fault problem.FieldFault) api.FieldError {
	f := memberError(path, api.FieldErrorCode(fault.Reason))
	if fault.Minimum != 0 {
		f.Minimum = &fault.Minimum
	}
	if fault.Maximum != 0 {
		f.Maximum = &fault.Maximum
	}
	return f
}

// withBound adds to f the bound that the submitted value violates. The bound is the value of the
// keyword in the schema.
func withBound(f api.FieldError, schema *openapi3.Schema, keyword string) api.FieldError {
	if f.Code == api.FieldErrorCodeRequired { // an empty text is reported as missing, without a minimum length
		return f
	}
	switch keyword {
	case "minLength":
		f.Minimum = bound(&schema.MinLength)
	case "maxLength":
		f.Maximum = bound(schema.MaxLength)
	case "minItems":
		f.Minimum = bound(&schema.MinItems)
	case "maxItems":
		f.Maximum = bound(schema.MaxItems)
	case "minProperties":
		f.Minimum = bound(&schema.MinProps)
	case "maxProperties":
		f.Maximum = bound(schema.MaxProps)
	case "minimum":
		f.Minimum = bound(schema.Min)
	case "maximum":
		f.Maximum = bound(schema.Max)
	}
	return f
}

// bound converts a bound of a schema to an int.
func bound[T uint64 | float64](value *T) *int {
	if value == nil {
		return nil
	}
	n := int(*value)
	return &n
}
