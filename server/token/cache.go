package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"sync"
	"time"
)

// maxVerified bounds the memory. An entry has about 200 bytes.
const maxVerified = 4096

// verifiedTokens is a cache of access tokens whose signature is valid, because verifying a
// signature costs more than the rest of a read. A hit skips only that check and the parsing, which
// depends on the same bytes. The times are still checked for every request, and the session's row
// still decides whether the session is live.
//
// Threats:
//   - A forgery matches a cached token. The key is the SHA-256 of the whole token, signature
//     included, so only the same bytes match. With a part of the token as the key (the jti, the
//     claims), any signature would be accepted.
//   - A token is accepted after its exp, or after its key was removed. An entry is valid only
//     before exp, and only while its kid still names the key that it was verified with. Removing a
//     leaked key invalidates its tokens at once.
//   - An attacker exhausts the memory, or evicts the entries of others with invalid tokens. Only
//     verified tokens are added. When the cache is full, each new entry evicts a random one.
//
// The hash also keeps usable tokens out of memory dumps.
type verifiedTokens struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]entry
}

type entry struct {
	claims AccessClaims
	kid    string
	key    ed25519.PublicKey
}

// digest returns the key of a cached token, the hash of all its bytes.
func digest(raw string) [sha256.Size]byte { return sha256.Sum256([]byte(raw)) }

func newVerifiedTokens() *verifiedTokens {
	return &verifiedTokens{entries: make(map[[sha256.Size]byte]entry)}
}

func (v *verifiedTokens) get(sum [sha256.Size]byte, keys KeySource, now time.Time) (AccessClaims, bool) {
	v.mu.RLock()
	e, ok := v.entries[sum]
	v.mu.RUnlock()
	if !ok {
		return AccessClaims{}, false
	}
	key, ok := keys(e.kid)
	if !ok || !key.Equal(e.key) || !now.Before(e.claims.ExpiresAt) {
		v.drop(sum)
		return AccessClaims{}, false
	}
	return e.claims, true
}

func (v *verifiedTokens) put(sum [sha256.Size]byte, e entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.entries) >= maxVerified {
		for old := range v.entries { // a range over a map starts at a random entry
			delete(v.entries, old)
			break
		}
	}
	v.entries[sum] = e
}

func (v *verifiedTokens) drop(sum [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.entries, sum)
}
