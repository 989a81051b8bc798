// Package server is the HTTP layer: it turns requests into calls of package accounts, and results
// into responses. It is the only hand-written package that imports gin.
//
// A request passes these steps, from the socket to SQL. No file uses a file above it:
//
//	serve.go, listener.go                  accept the connection, within the limits of its client
//	server.go                              the list of the steps
//	middleware.go                          request id, access log, panics, security headers
//	origins.go                             CORS, and requests of foreign pages: 403
//	find_operation.go                      finds the operation of the contract: 404
//	decode.go, strict_json.go              reads the body strictly: 400, 413, 415
//	authenticate.go                        enforces `security`, `x-required-role` and
//	                                       `x-recent-authentication`: 401, 403
//	validate.go, parameters.go, values.go  checks parameters and body against the schemas: 400, 422
//	rate_limit.go                          counts the request against `x-rate-limit`: 429
//	session.go, registration.go, password.go, profile.go, admin.go, system.go
//	                                       the handler reads its input, makes one call into
//	                                       ./accounts, which applies the rule, and converts the result
//	responses.go, lists.go                 responses with cookies and entity tags, positions in lists
//
// The steps use these files, in the same direction:
//
//	contract.go, pages.go, catalog.go      the contract as documents and routes, the pages for people
//	cookies.go, convert.go, cacheable.go   cookies, models as wire types, ETag
//	errors.go, field_errors.go             an error of any step becomes a problem response
//	call.go                                the state of a request, which the steps fill in
//	operation.go, security.go, deprecation.go, body_limit.go
//	                                       what the contract requires of one operation
//	client_address.go, metrics.go, setup.go
//
// # Glossary
package server
