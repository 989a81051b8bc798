// Package api is the contract, openapi.yaml, in Go: the server interface, the types of requests and
// responses, and the contract itself. api.gen.go is generated: edit openapi.yaml and run `make
// generate`.
//
// The package contains no rules, database rows or handlers.
package api

// go tool would ignore the flags of scripts/go-flags.sh, and compile the standard library again.

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config ../oapi-codegen.yaml ../openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config oapi-codegen-spec.yaml ../openapi.yaml
//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config client/oapi-codegen.yaml ../openapi.yaml
