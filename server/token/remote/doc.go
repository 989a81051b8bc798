// Package remote verifies the access tokens of an accounts server in other
// services: a [token.Verifier] whose keys come from the server's JWKS over HTTP,
// and a net/http middleware.
//
// An access token is valid until its exp, even if its session is revoked before. A logout, a new
// password or a deactivation takes effect here only when the token expires, at most
// ACCOUNTS_ACCESS_TTL after it was issued (5 minutes by default, never more than 15) by this
// machine's clock. There is no leeway for exp. An operation that cannot wait that long, such as a
// payment, can present the token to the accounts server: GET /accounts/profile reads the session's
// row, and returns 401 as soon as the session has ended.
//
// Only EdDSA tokens are accepted. The server's refresh tokens are HS256, which has no public key,
// so only the server itself can verify them. This package rejects them like every other token that
// is not an access token.
//
// Of this module, the package imports only packages token and hosts, so that services that use it
// do not depend on a web framework or a database driver.
package remote
