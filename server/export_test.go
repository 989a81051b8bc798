package server

import (
	"net"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/api"
)

// HandlerOf is [Server.Handler] with another implementation of the operations.
func (s *Server) HandlerOf(operations api.StrictServerInterface) (http.Handler, error) {
	return s.handler(operations)
}

// Forget removes an operation from the server's view of the contract. The key has the form "GET
// /path". The returned function restores the operation.
func (s *Server) Forget(key string) func() {
	forgotten := s.contract.operations[key]
	delete(s.contract.operations, key)
	return func() { s.contract.operations[key] = forgotten }
}

// Promise adds an operation without an implementation to the server's view of the contract.
func (s *Server) Promise(key string) { s.contract.operations[key] = &operation{id: "promised"} }

// Deprecate marks an operation as `deprecated: true` with these extensions.
func (s *Server) Deprecate(key string, extensions map[string]any) (err error) {
	s.contract.operations[key].deprecation, err = readDeprecation(&openapi3.Operation{Deprecated: true, Extensions: extensions})
	return err
}

// ReadDeprecation parses the deprecation of an operation, as the server does at startup.
func ReadDeprecation(op *openapi3.Operation) error {
	_, err := readDeprecation(op)
	return err
}

// ReadSecurity parses the security of an operation, as the server does at startup.
func ReadSecurity(doc *openapi3.T, op *openapi3.Operation) error {
	_, err := readSecurity(doc, op)
	return err
}

// ReadRateLimits parses the rate limits of an operation, as the server does at startup.
func ReadRateLimits(op *openapi3.Operation) ([]string, error) { return readRateLimits(op) }

// BodyLimit returns the maximum number of bytes in the body of an operation.
func BodyLimit(op *openapi3.Operation) int { return bodyLimit(op) }

// LimitListener wraps listener as Serve does, with most as the limit of connections per client.
func (s *Server) LimitListener(listener net.Listener, most int) net.Listener {
	l := newLimitedListener(listener, s.addresses, s.Log, s.Now)
	l.limit = most
	return l
}

// HTTPServer returns the HTTP server that Serve runs.
func (s *Server) HTTPServer() *http.Server { return s.newHTTPServer(http.NotFoundHandler()) }

const (
	MaxConnections          = maxConnections
	MaxConnectionsPerClient = maxConnectionsPerClient
)

// FieldCodeOf returns the code and the bounds of the first field error of a value under a schema.
func FieldCodeOf(schema *openapi3.Schema, value any) api.FieldError {
	return fieldErrors(schema.VisitJSON(value, openapi3.MultiErrors()))[0]
}
