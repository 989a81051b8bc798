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
//	rate_limit.go                          counts the request against `x-rate-limit`: 429; the operation
//	                                       counts all other limits (accounts/rate_limits.go, ratelimit)
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
//	client_address.go, metrics.go, log.go, setup.go
//
// # Glossary
//
// These are the terms of the product, from the contract to the tables.
//
//   - Access token: a JWT that other services verify by themselves, valid for minutes.
//   - Attempt: the client's id of one refresh (Refresh-Attempt), by which a repeated refresh gets the
//     same tokens instead of being treated as reuse.
//   - Claims: the members of a JWT.
//   - Client: the program that sends a request; rate limits per client count its network.
//   - Confusables: characters that look alike (UTS #39).
//   - Control: a numbered security requirement that tests prove (make controls).
//   - Credential: what authenticates a request, in one token location.
//   - Detail: the English sentence about a problem code in a response.
//   - Epoch: a number of the user that grows when all sessions are revoked; a session of an earlier
//     epoch is revoked.
//   - Generation: the number of a session's current tokens, which each rotation increments.
//   - Grace: the rotation interval after a rotation, in which the superseded refresh token still
//     gets the current tokens.
//   - Legacy token: a refresh token of the service that users were imported from (Django import).
//   - Link: a one-time token in a mail, which confirms an address or sets a password.
//   - Metrics: the counters and histograms for Prometheus.
//   - Operation: an entry of the contract with an operationId; its tag names the files.
//   - Operator: the person who runs the server and its commands.
//   - Outbox: the queue of mails in the database, filled in the transaction of the change.
//   - Patch: a partial update of a row.
//   - Principal: the user and the session of an authenticated request.
//   - Problem: an error response (RFC 9457) with a code of the contract.
//   - Rate limit: the bound on how often something may happen in a time, counted in the database.
//   - Recent authentication: a login or reauthentication of this session within ten minutes.
//   - Refund: the return of a use that a rate limit should not have counted.
//   - Reuse: the use of a superseded refresh token after its grace, which revokes the session (RFC
//     9700).
//   - Rotation: the replacement of a session's refresh token by the next generation.
//   - Security event: an entry in the security log of an account (package audit).
//   - Server-held: the transport in which the client has only the access cookie, which also
//     refreshes the session.
//   - Session: a login on one device, until it expires or is revoked.
//   - Skeleton: the Latin form of a username, in which confusables are equal.
//   - Staff member, superuser: users who manage other users; only superusers grant roles.
//   - Superseded: replaced by a newer refresh token.
//   - Token location: the place of a token in a request: header, cookie or body.
//   - Transport: how the tokens of a session are delivered, which the client chooses at login.
//   - Version: the number of a user's changes, for optimistic locking and entity tags.
package server
