package token

// Internals that the tests outside the package need.

const (
	MaxVerified = maxVerified
	MaxBytes    = maxBytes
)

var Thumbprint = thumbprint

// Remembered returns the number of tokens in the cache.
func (v *Verifier) Remembered() int { return len(v.seen.entries) }

// Poison adds the token to the cache, with these claims and that kid. The claims that the verifier
// then returns show which checks apply to a cached token.
func (v *Verifier) Poison(raw, kid string, claims AccessClaims) {
	key, _ := v.keys(kid)
	v.seen.put(digest(raw), entry{claims: claims, kid: kid, key: key})
}

// Forget empties the cache.
func (v *Verifier) Forget() { v.seen = newVerifiedTokens() }
