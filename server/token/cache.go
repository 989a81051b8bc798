package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"sync"
	"time"
)

// maxVerified bounds the memory: an entry has some 200 bytes.
const maxVerified = 4096

// verified remembers access tokens whose signature was right, because checking
// one costs more than everything else a read does. It saves that check (and the
// parsing, which depends on the same bytes) and nothing else: the clock is asked
// for every request, and whether the session lives the row says, as ever.
//
// The threats it must not open:
//   - a forgery that meets a remembered token: the key is the SHA-256 of the
//     whole token, signature included, so only the same bytes are found. A part of
//     it (the jti, the claims) would let any signature through.
//   - a token that outlives its exp, or its key: an entry counts only while now
//     is before exp, and only if the key it was verified with is still the one its
//     kid names. Take a leaked key out and its tokens are dead at once.
//   - memory, and others' entries pushed out by rubbish: only verified tokens
//     come in, and beyond the bound each pushes out one at random.
//
// The hash also keeps usable tokens out of memory dumps.
type verified struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]entry
}

type entry struct {
	claims AccessClaims
	kid    string
	key    ed25519.PublicKey
}

// digest is the key of a remembered token: of all its bytes, signature included.
func digest(raw string) [sha256.Size]byte { return sha256.Sum256([]byte(raw)) }

func newVerified() *verified {
	return &verified{entries: make(map[[sha256.Size]byte]entry)}
}

func (v *verified) get(sum [sha256.Size]byte, keys KeySource, now time.Time) (AccessClaims, bool) {
	v.mu.RLock()
	e, ok := v.entries[sum]
	v.mu.RUnlock()
	if !ok {
		return AccessClaims{}, false
	}
	key, ok := keys.PublicKey(e.kid)
	if !ok || !key.Equal(e.key) || !now.Before(e.claims.ExpiresAt) {
		v.drop(sum)
		return AccessClaims{}, false
	}
	return e.claims, true
}

func (v *verified) put(sum [sha256.Size]byte, e entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.entries) >= maxVerified {
		for old := range v.entries { // Go starts a range over a map anywhere
			delete(v.entries, old)
			break
		}
	}
	v.entries[sum] = e
}

func (v *verified) drop(sum [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.entries, sum)
}
