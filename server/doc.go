// Package server is the HTTP layer: it turns requests into calls of package accounts, and results
// into responses. It is the only hand-written package that imports gin.
//
// A request passes these steps, from the socket to SQL:
//
//	net/http       timeouts, header limits                                 serve.go
//	middleware     request id, access log, panics, headers, CORS, origins  server.go has the list
//	contract       finds the operation, decodes the body strictly          contract.go, decode.go
//	authenticate   enforces `security`, `x-required-role` and              authenticate.go,
//	               `x-recent-authentication` of the contract: 401, 403     cookies.go
//	validate       checks parameters and body against the schemas          validate.go
//	limitClient    counts the request against `x-rate-limit`: 429          rate_limit.go
//	handler        reads its input, makes one call, builds the response    session.go, profile.go …
//	accounts       applies the rule                                        accounts/
//	models         reads and writes the row                                ../models/
//
// An error at any of these steps becomes a problem in errors.go.
package server
