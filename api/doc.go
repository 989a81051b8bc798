// Package api is the contract, openapi.yaml, in Go: the server interface, the types of requests and
// responses, and the contract itself. api.gen.go is generated: edit openapi.yaml and run `make
// generate`.
//
// The package contains no rules, database rows or handlers.
package api

//go:generate go tool oapi-codegen -config ../oapi-codegen.yaml ../openapi.yaml
//go:generate go tool oapi-codegen -config oapi-codegen-spec.yaml ../openapi.yaml
//go:generate go tool oapi-codegen -config client/oapi-codegen.yaml ../openapi.yaml
