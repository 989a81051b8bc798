// Package web holds the pages that are compiled into the binary and serves
// them: the API documentation under /docs/ (Swagger UI, our own start page and
// script around it).
//
// It is plain net/http over embedded files. It must not know gin, the contract
// (the page fetches /openapi.json by itself, from the origin it was loaded
// from), accounts, sessions or the configuration, and imports nothing of ours.
//
// The files in docs/swagger-ui are copies from the npm package
// swagger-ui-dist; scripts/update-swagger-ui.sh makes them and is the only way
// to change them.
package web
