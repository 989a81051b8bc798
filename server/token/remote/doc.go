// Package remote verifies the access tokens of an accounts server in other
// services: a [token.Verifier] whose keys come from the server's JWKS over HTTP,
// and a net/http middleware.
//
// An access token stays good until its exp, whatever becomes of its session: a
// log-out, a new password or a deactivation is seen here once the token has
// expired, which is ACCOUNTS_ACCESS_TTL after it was minted at the latest (5
// minutes by default, never more than 15) by this machine's clock; exp gets no
// leeway. An operation that cannot wait so long, such as a payment, shows the
// token to the accounts server: GET /accounts/profile with it reads the session's
// row, and answers 401 from the moment the session has ended.
//
// Only EdDSA tokens are judged. The server's refresh tokens are HS256, which has
// no public key: nobody but the server itself can verify one, and here they are
// refused like any other that is not an access token.
//
// The package imports net/http and package token, so no web framework and no
// database driver come into the services that use it.
package remote
