package server

import (
	"net"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
)

// HandlerOf is Handler over another implementation of the operations.
func (s *Server) HandlerOf(operations api.StrictServerInterface) (http.Handler, error) {
	return s.handler(operations)
}

// Forget and Promise change what the server believes the contract to hold; keys are "GET /path". What Forget returns
// undoes it.
func (s *Server) Forget(key string) func() {
	forgotten := s.contract.operations[key]
	delete(s.contract.operations, key)
	return func() { s.contract.operations[key] = forgotten }
}

// Promise adds an operation that nobody has written.
func (s *Server) Promise(key string) { s.contract.operations[key] = &operation{id: "promised"} }

// Deprecate marks an operation as `deprecated: true` with these extensions.
func (s *Server) Deprecate(key string, extensions map[string]any) (err error) {
	s.contract.operations[key].deprecation, err = readDeprecation(&openapi3.Operation{Deprecated: true, Extensions: extensions})
	return err
}

// ReadDeprecation is the reading of an operation's deprecation at start.
func ReadDeprecation(op *openapi3.Operation) error {
	_, err := readDeprecation(op)
	return err
}

// ReadSecurity is the reading of an operation's security at start.
func ReadSecurity(doc *openapi3.T, op *openapi3.Operation) error {
	_, err := readSecurity(doc, op)
	return err
}

// BodyLimit returns the most bytes that the body of an operation may have.
func BodyLimit(op *openapi3.Operation) int { return bodyLimit(op) }

// Shared is the listener that Serve makes of one, with a bound of its own.
func (s *Server) Shared(listener net.Listener, most int) net.Listener {
	l := s.shared(listener).(*sharedListener) //nolint:forcetypeassert // made above
	l.most = most
	return l
}

// Bounded is the HTTP server that Serve runs, and MaxConnections how many connections it takes.
func (s *Server) Bounded() *http.Server { return s.bounded(http.NotFoundHandler()) }

const (
	MaxConnections = maxConnections
	MaxOfOneClient = maxOfOneClient
)

// ProblemDetail and FieldDetail return what the answers say about a code.
func ProblemDetail(code string) string { return kinds[accounts.Code(code)].detail }

func FieldDetail(code string) string { return fieldDetails[api.FieldErrorCode(code)] }

// FieldCodeOf returns the field code and the bounds of the first fault of a value under a schema.
func FieldCodeOf(schema *openapi3.Schema, value any) api.FieldError {
	return fieldErrors(schema.VisitJSON(value, openapi3.MultiErrors()))[0]
}
