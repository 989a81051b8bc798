package server

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// The options of the validator. The texts of its errors contain submitted values, so they are never
// used. Defaults are not set: the library would replace null by the default, and handlers apply the
// defaults.
var (
	parameterOptions = &openapi3filter.Options{
		MultiError: true, SkipSettingDefaults: true, SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.DisableSchemaErrorDetails()},
	}
	bodyOptions = []openapi3.SchemaValidationOption{openapi3.VisitAsRequest(), openapi3.MultiErrors(), openapi3.DisableSchemaErrorDetails()}
)

// validator checks requests against the contract.
type validator struct {
	service  *accounts.Service
	problems *problemWriter
}

// validate checks the request against the contract's schemas. The problem lists all errors.
func (v validator) validate(c *gin.Context) {
	call := callOf(c)
	if !call.operation.hasInput() && c.Request.URL.RawQuery == "" {
		c.Next()
		return
	}
	params := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	faults, err := checkParameters(call.operation.route.Operation, c.Request, params)
	if err != nil {
		v.problems.send(c, err)
		return
	}
	err = checkSchemas(c, call, params)
	if err != nil || len(faults) > 0 {
		v.problems.send(c, v.validationProblem(c, call, params, faults, err))
		return
	}
	if err := checkTransport(call); err != nil {
		v.problems.send(c, err)
		return
	}
	c.Next()
}

// checkSchemas checks the parameters and the decoded body against their schemas, and returns all
// errors of the validator.
func checkSchemas(c *gin.Context, call *call, path map[string]string) error {
	var faults openapi3.MultiError
	input := &openapi3filter.RequestValidationInput{Request: c.Request, PathParams: path, Route: call.operation.route, Options: parameterOptions}
	for _, p := range call.operation.route.Operation.Parameters {
		if err := openapi3filter.ValidateParameter(c, input, p.Value); err != nil {
			faults = append(faults, err)
		}
	}
	if body, ok := c.Request.Body.(decodedBody); ok {
		if err := call.operation.bodySchema.VisitJSON(body.value, bodyOptions...); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// checkTransport rejects a request by a page of another site that starts a session with cookies.
// The browser would accept the cookies but never send them back. An error now is clearer than
// failing requests later.
func checkTransport(call *call) error {
	object, _ := call.body.(map[string]any)
	if call.crossSite && call.operation.startsSession && object["token_transport"] != string(accounts.BodyTokens) {
		return problemOf(problem.TransportUnusable)
	}
	return nil
}

// validationProblem converts the errors of the parameters and the error of the validator to a
// problem: 400 for parameters, and 422 for members of the body. It uses only the pointer, code and
// bounds of an error, because the text contains submitted values.
func (v validator) validationProblem(ctx context.Context, call *call, path map[string]string, parameters []api.FieldError, err error) error {
	faults := slices.Concat(parameters, withoutKnown(parameters, fieldErrors(err)))
	if len(faults) == 0 {
		return problemOf(problem.RequestMalformed)
	}
	isParameter := func(f api.FieldError) bool { return f.Parameter != nil }
	if len(parameters) > 0 || slices.ContainsFunc(faults, isParameter) {
		return problemOf(problem.RequestMalformed, faults[:min(len(faults), maxFieldErrors)]...)
	}
	values, err := valueChecker{v.service}.valueErrors(ctx, call, path, faults)
	if err != nil {
		return err
	}
	faults = append(faults, values...)
	return problemOf(problem.ValidationFailed, faults[:min(len(faults), maxFieldErrors)]...)
}

// withoutKnown returns faults without the errors of parameters for which known has an error
// already.
func withoutKnown(known, faults []api.FieldError) []api.FieldError {
	return slices.DeleteFunc(faults, func(f api.FieldError) bool {
		return f.Parameter != nil && slices.ContainsFunc(known, func(k api.FieldError) bool { return k.Parameter != nil && *k.Parameter == *f.Parameter })
	})
}

// fieldErrors returns the field errors in the error of the validator.
func fieldErrors(err error) []api.FieldError {
	var list []api.FieldError
	collectFieldErrors(err, nil, &list)
	return firstPerPlace(list[:min(len(list), maxFieldErrors)])
}

// firstPerPlace keeps the first error of each member and parameter, because one mistake can violate
// several keywords: a text that is too long may also violate the pattern. Of the errors without a
// name, it keeps the first for each code.
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
		if e.Parameter != nil && len(*list) == before { // the parameter could not be decoded
			*list = append(*list, parameterError(e.Parameter, api.FieldErrorCodeFormatInvalid))
		}
	case *openapi3.SchemaError:
		code := fieldCode(e)
		switch {
		case parameter != nil:
			*list = append(*list, withBound(parameterError(parameter, code), e.Schema, e.SchemaField))
		case e.SchemaField == "properties", e.SchemaField == "additionalProperties":
			*list = append(*list, unknownMembers(e, *list)...)
		default:
			*list = append(*list, withBound(memberError(e.JSONPointer(), code), e.Schema, e.SchemaField))
		}
	}
}

// unknownMembers returns the errors of all members that the schema does not have. The library
// reports an object once for each unknown member, so the result is empty if known has these errors
// already.
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
