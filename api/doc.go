// Package api is what the contract, openapi.yaml, says in Go: the server interface, the wire types and the contract
// itself. All of api.gen.go is generated; edit openapi.yaml and run `make generate`.
//
// It knows nothing of this project's rules, rows or handlers.
package api

//go:generate go tool oapi-codegen -config ../oapi-codegen.yaml ../openapi.yaml
//go:generate go tool oapi-codegen -config oapi-codegen-spec.yaml ../openapi.yaml
//go:generate go tool oapi-codegen -config client/oapi-codegen.yaml ../openapi.yaml
