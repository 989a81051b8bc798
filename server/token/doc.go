// Package token mints and verifies the signed values of the server: access
// tokens, refresh tokens and CSRF values, and holds the keys they are made with.
//
// A token is a pure function of a session row (a [Grant]) and the first key of
// the [KeyRing]: minted twice it is the same bytes. That is what lets a lost
// answer, a second tab and a second replica all be given the same token though
// none is stored. The other half of the bargain is kept by the verifiers: a
// token is accepted only if it is, byte for byte, what the issuer would write.
//
// A [Verifier] judges access tokens over any [KeySource], so other services can
// import it. A [RefreshVerifier] needs the ring, since its key is symmetric.
//
// The package is the only one that knows the JWT library. It must not know HTTP,
// cookies, users or the database: an authentic token proves that this server
// wrote it, never that its session is still alive. That is the row's to say.
package token
