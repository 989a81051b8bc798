// Package server is the HTTP side: it turns requests into calls of package accounts, and results into answers. It is the
// only hand-written package that knows gin.
//
// The way of a request, from socket to SQL:
//
//	net/http          time-outs, header limits                                  serve.go
//	middleware        request id, access log, panics, headers, CORS, origins    server.go has the list
//	contract          which operation is this? is its body well-formed?         contract.go, decode.go
//	authenticate      the contract's `security`, `x-required-role` and
//	                  `x-recent-authentication`: 401, 403                       authenticate.go, cookies.go
//	validate          parameters and body against the contract's schemas        validate.go
//	handler           reads its input, makes one call, shapes the answer        session.go, profile.go, system.go
//	accounts          the rule                                                  accounts/
//	models            the row                                                   ../models/
//
// and an error at any of these steps becomes a problem in errors.go.
package server
