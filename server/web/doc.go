// Package web holds the pages that are compiled into the binary and serves
// them: the API documentation under /docs/ (Swagger UI, our own start page and
// script around it), under /pages/ what the links of our mails open, under
// /console/ the front end for members of staff, and under /demo/ one to try the
// server with.
//
// It is plain net/http over embedded files. It must not know gin, the contract
// (the pages fetch /openapi.json and call the operations by themselves, on the
// origin they were loaded from), accounts, sessions or the configuration, and
// imports nothing of ours.
//
// The files in docs/swagger-ui are copies from the npm package
// swagger-ui-dist; scripts/update-swagger-ui.sh makes them and is the only way
// to change them. demo/demo.js and console/console.js are built from the
// src beside them, parts and api/typescript/src by make web.
package web
