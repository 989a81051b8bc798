// Package client is a client of the accounts API for programs in Go: services,
// desktop and command-line tools.
//
// [Accounts] keeps a session of the transport "body": it logs in, refreshes ahead of
// time and after a 401, one refresh at a time, asks again after lost answers and
// 503s, and never loses the session over it. Its API is the client that oapi-codegen
// makes of the contract, with every call authorized. It does the same as
// api/typescript for programs; server/accounts/refresh.go is the other side.
//
// client.gen.go is generated; edit openapi.yaml and run `make generate`. The package
// imports neither the server nor anything that the server is built on.
package client
