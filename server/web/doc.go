// Package web contains the pages that are compiled into the binary, and serves them:
//
//   - /docs/: the API documentation, which is Swagger UI with a start page and a script of this
//     project;
//   - /docs/guides/: the guides, rendered from the Markdown files in docs/guides;
//   - /pages/: the pages that the links in mails open;
//   - /problems/: the pages about problem codes;
//   - /console/: the front end for staff members;
//   - /demo/: a front end for trying the server.
//
// The package serves embedded files with net/http. It imports no other package of this project, and
// must not depend on gin, the contract, accounts, sessions or the configuration: the pages
// themselves fetch /openapi.json and call the operations, on the origin from which they were
// loaded.
//
// The files in docs/swagger-ui are copies from the npm package swagger-ui-dist. Change them only
// with scripts/update-swagger-ui.sh. make web builds demo/demo.js and console/console.js from their
// src folders, from parts and from api/typescript/src.
package web
