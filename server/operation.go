package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"example.com/accounts/server/accounts"
)

// operation is an operation of the contract.
type operation struct {
	id         string
	route      *routers.Route
	security   security
	maxBody    int                       // bytes; 0 if the operation has no body
	bodySchema *openapi3.Schema          // nil if the operation has no body
	values     map[string]accounts.Value // the members of the body that have a rule beyond the schema, by name

	startsSession bool              // the body chooses the transport of a new session
	rateLimits    []string          // names of accounts' rate limits per client
	deprecation   map[string]string // response headers
}

// hasInput reports whether the operation has parameters or a body to validate.
func (o *operation) hasInput() bool {
	return o.bodySchema != nil || len(o.route.Operation.Parameters) > 0
}

// readOperation reads what the contract requires of an operation. It returns an error, which stops
// the server, for a requirement that the server cannot enforce.
func readOperation(doc *openapi3.T, op *openapi3.Operation) (*operation, error) {
	security, err := readSecurity(doc, op)
	if err != nil {
		return nil, err
	}
	rateLimits, err := readRateLimits(op)
	if err != nil {
		return nil, err
	}
	deprecation, err := readDeprecation(op)
	return &operation{
		id: op.OperationID, security: security, maxBody: bodyLimit(op), bodySchema: bodySchema(op), values: valuesOf(op),
		startsSession: hasMember(op, "token_transport"), rateLimits: rateLimits, deprecation: deprecation,
	}, err
}

// hasMember reports whether the JSON body of an operation has a member with this name.
func hasMember(op *openapi3.Operation, name string) bool {
	schema := bodySchema(op)
	return schema != nil && schema.Properties[name] != nil
}

// bodySchema returns the schema of the JSON body of an operation, or nil.
func bodySchema(op *openapi3.Operation) *openapi3.Schema {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Value.Content["application/json"].Schema.Value
}

// values are the schemas of the contract whose texts have rules that a schema cannot express.
var values = []accounts.Value{accounts.NewEmail, accounts.NewPassword, accounts.PersonName, accounts.Username}

// valuesOf returns the members of an operation's body that have one of these schemas.
func valuesOf(op *openapi3.Operation) map[string]accounts.Value {
	schema := bodySchema(op)
	if schema == nil {
		return nil
	}
	members := map[string]accounts.Value{}
	for name, property := range schema.Properties {
		value := accounts.Value(strings.TrimPrefix(property.Ref, "#/components/schemas/"))
		if slices.Contains(values, value) {
			members[name] = value
		}
	}
	return members
}

// readRateLimits reads x-rate-limit, the names of the rate limits per client that an operation
// counts against. It returns an error, which stops the server, for a limit that does not exist:
// otherwise the contract would promise a limit that nothing enforces.
func readRateLimits(op *openapi3.Operation) ([]string, error) {
	value, marked := op.Extensions["x-rate-limit"]
	if !marked {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("x-rate-limit %v is not a list of rate limits", value)
	}
	var names []string
	for _, each := range list {
		name, ok := each.(string)
		if !ok || !accounts.IsClientLimit(name) {
			return nil, fmt.Errorf("cannot enforce x-rate-limit %v", each)
		}
		if slices.Contains(names, name) {
			return nil, errors.New("x-rate-limit names a rate limit twice")
		}
		names = append(names, name)
	}
	return names, nil
}
