package token

// What the tests outside the package need to reach.

const (
	MaxVerified = maxVerified
	MaxBytes    = maxBytes
)

var Thumbprint = thumbprint

// Remembered counts the tokens the verifier remembers.
func (v *Verifier) Remembered() int { return len(v.seen.entries) }

// Poison makes the verifier believe it has seen the token, with these claims
// under that kid: what it then says shows which checks a remembered token meets.
func (v *Verifier) Poison(raw, kid string, claims AccessClaims) {
	key, _ := v.keys.PublicKey(kid)
	v.seen.put(digest(raw), entry{claims: claims, kid: kid, key: key})
}

// Forget empties the memory.
func (v *Verifier) Forget() { v.seen = newVerified() }
