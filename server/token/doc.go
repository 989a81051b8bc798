// Package token mints and verifies the signed values of the server (access tokens, refresh tokens
// and CSRF values), and holds the keys for them.
//
// A token is a pure function of a session row (a [Grant]) and the first key of the [KeyRing]:
// minting it twice results in the same bytes. So a retry after a lost answer, a second tab and a
// second replica all get the same token, although no token is stored. In return, verifiers accept a
// token only if it is byte for byte equal to the token that the issuer would write.
//
// A [Verifier] verifies access tokens with any [KeySource], so other services can import it. A
// [RefreshVerifier] needs the ring, because its key is symmetric.
//
// Only this package uses the JWT library. It must not depend on HTTP, cookies, users or the
// database. An authentic token proves that this server wrote it, but not that its session is still
// live, which only the session's row can tell.
package token
