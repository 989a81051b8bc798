package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"
	"go.yaml.in/yaml/v3"

	"example.com/accounts/api"
	"example.com/accounts/server/config"
)

// contract is openapi.yaml made ready for requests: the operations by route, and the document as it is served.
type contract struct {
	operations map[string]*operation // by method, blank and gin's path
	json, yaml []byte
}

// operation is an operation of the contract.
type operation struct {
	id       string
	route    *routers.Route
	security security
	hasBody  bool
}

// pages are the routes for people, beside the contract.
var pages = []string{"/docs/", "/pages/", "/demo/"}

func loadContract(cfg config.Config) (*contract, error) {
	doc, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("server: the contract: %w", err)
	}
	k := &contract{operations: map[string]*operation{}}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			security, err := readSecurity(doc, op)
			if err != nil {
				return nil, fmt.Errorf("server: the contract: %s: %w", op.OperationID, err)
			}
			k.operations[method+" "+ginPath(path)] = &operation{
				id: op.OperationID, security: security, hasBody: op.RequestBody != nil,
				route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
			}
		}
	}
	return k, k.render(doc, cfg)
}

// ginPath turns /a/{b} into /a/:b.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// render makes the document that is served: with the server's own URL and the cookie names in force, so that what
// clients read is what runs.
func (k *contract) render(doc *openapi3.T, cfg config.Config) (err error) {
	names := cookieNamesFor(cfg)
	doc.Servers[0].URL = cfg.PublicURL
	doc.Components.SecuritySchemes[schemeAccessCookie].Value.Name = names.access
	doc.Components.SecuritySchemes[schemeRefreshCookie].Value.Name = names.refresh
	if k.json, err = doc.MarshalJSON(); err != nil {
		return err
	}
	k.yaml, err = toYAML(k.json)
	return err
}

// toYAML keeps the order in which people read a contract; below the top it is alphabetical.
func toYAML(doc []byte) ([]byte, error) {
	var tree map[string]any
	if err := json.Unmarshal(doc, &tree); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, key := range []string{"openapi", "info", "servers", "tags", "security", "paths", "components"} {
		part, err := yaml.Marshal(map[string]any{key: tree[key]})
		if err != nil {
			return nil, err
		}
		text.Write(part)
		delete(tree, key)
	}
	if len(tree) > 0 {
		return nil, fmt.Errorf("server: the contract has top-level members without a place: %v", slices.Sorted(maps.Keys(tree)))
	}
	return text.Bytes(), nil
}

// matches compares the routes with the operations: the server does not start with one more on either side.
func (k *contract) matches(routes gin.RoutesInfo) error {
	var faults []error
	seen := map[string]bool{}
	for _, r := range routes {
		if slices.ContainsFunc(pages, func(prefix string) bool { return strings.HasPrefix(r.Path+"/", prefix) }) {
			continue
		}
		key := r.Method + " " + r.Path
		seen[key] = true
		if k.operations[key] == nil {
			faults = append(faults, fmt.Errorf("server: the route %s is not in the contract", key))
		}
	}
	for key := range k.operations {
		if !seen[key] {
			faults = append(faults, fmt.Errorf("server: the operation %s of the contract has no route", key))
		}
	}
	return errors.Join(faults...)
}

func (s *Server) findOperation(c *gin.Context) {
	callOf(c).operation = s.contract.operations[c.Request.Method+" "+c.FullPath()]
	c.Next()
}

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
	err := openapi3filter.ValidateRequest(c, &openapi3filter.RequestValidationInput{
		Request: c.Request, PathParams: params, Route: call.operation.route, Options: requestOptions,
	})
	if err != nil {
		s.problem(c, refusal(err))
		return
	}
	c.Next()
}

// refusal turns a validation error into a problem: parameters are syntax (400), members of the body meaning (422).
// Only pointer, field and reason are taken from it; its text holds what was submitted.
func refusal(err error) *problem {
	fields := fieldErrors(err)
	for _, f := range fields {
		if f.Parameter != nil {
			return problemOf(codeMalformedRequest, fields...)
		}
	}
	if len(fields) == 0 {
		return problemOf(codeMalformedRequest)
	}
	return problemOf(codeValidationFailed, fields...)
}

const maxFieldErrors = 100

func fieldErrors(err error) []api.FieldError {
	var list []api.FieldError
	collect(err, nil, &list)
	return list[:min(len(list), maxFieldErrors)]
}

func collect(err error, parameter *openapi3.Parameter, list *[]api.FieldError) {
	switch e := err.(type) { //nolint:errorlint // the tree of a MultiError is walked, not its first match
	case openapi3.MultiError:
		for _, each := range e {
			collect(each, parameter, list)
		}
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			parameter = e.Parameter
		}
		if _, deeper := e.Err.(interface{ JSONPointer() []string }); !deeper && !isMulti(e.Err) { //nolint:errorlint // as above
			if parameter != nil {
				*list = append(*list, parameterError(parameter, api.FieldErrorCodeInvalidFormat))
			}
			return
		}
		collect(e.Err, parameter, list)
	case *openapi3.SchemaError:
		code := fieldCode(e.SchemaField)
		switch {
		case parameter != nil:
			*list = append(*list, parameterError(parameter, code))
		case e.SchemaField == "properties", e.SchemaField == "additionalProperties":
			*list = append(*list, unknownMembers(e)...)
		default:
			*list = append(*list, memberError(e.JSONPointer(), code))
		}
	}
}

func isMulti(err error) bool {
	_, ok := err.(openapi3.MultiError) //nolint:errorlint // as above
	return ok
}

// unknownMembers names the members that the schema does not have; kin reports their object.
func unknownMembers(e *openapi3.SchemaError) []api.FieldError {
	object, _ := e.Value.(map[string]any)
	var list []api.FieldError
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if e.Schema.Properties[name] == nil {
			list = append(list, memberError(append(e.JSONPointer(), name), api.FieldErrorCodeUnknownField))
		}
	}
	return list
}

func fieldCode(schemaField string) api.FieldErrorCode {
	switch schemaField {
	case "required":
		return api.FieldErrorCodeRequired
	case "type", "nullable":
		return api.FieldErrorCodeInvalidType
	case "minLength", "minItems", "minProperties":
		return api.FieldErrorCodeTooShort
	case "maxLength", "maxItems", "maxProperties":
		return api.FieldErrorCodeTooLong
	case "enum", "minimum", "maximum", "multipleOf":
		return api.FieldErrorCodeInvalidValue
	}
	return api.FieldErrorCodeInvalidFormat
}

var fieldDetails = map[api.FieldErrorCode]string{
	api.FieldErrorCodeRequired:       "This member is required.",
	api.FieldErrorCodeUnknownField:   "There is no such member.",
	api.FieldErrorCodeDuplicateField: "This member occurs twice.",
	api.FieldErrorCodeTooShort:       "This is too short.",
	api.FieldErrorCodeTooLong:        "This is too long.",
	api.FieldErrorCodeInvalidFormat:  "This does not have the right form.",
	api.FieldErrorCodeInvalidType:    "This is not of the right type.",
	api.FieldErrorCodeInvalidValue:   "This is not one of the values allowed.",
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
