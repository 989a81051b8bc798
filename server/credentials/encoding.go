package credentials

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Verify returns these errors for a stored hash that it cannot compute. They mean that the stored
// data is wrong, not the password.
var (
	// ErrMalformed means that the hash is not a canonical Argon2id PHC string or Django hash.
	ErrMalformed = errors.New("credentials: stored hash is malformed")
	// ErrTooCostly means that the hash is well-formed, but its cost exceeds the maximum.
	ErrTooCostly = errors.New("credentials: verifying the stored hash would take too much memory or time")
)

// The lengths that Hash writes, in bytes (RFC 9106 §3.1 and §4).
const (
	saltLength = 16
	keyLength  = 32
)

// The limits of the hashes that Verify computes. They keep an attacker who can write one row of the
// users table from using it to exhaust the server's memory or cores.
const (
	maxMemory  = 256 << 10 // KiB, that is 256 MiB
	maxTime    = 16
	maxThreads = 16

	minSalt, maxSalt = 8, 64  // bytes
	minKey, maxKey   = 16, 64 // bytes
)

var base64Strict = base64.RawStdEncoding.Strict()

// storedHash is a parsed PHC string.
type storedHash struct {
	params    Params
	salt, key []byte
}

func (s storedHash) encode() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		s.params.Memory, s.params.Time, s.params.Threads,
		base64Strict.EncodeToString(s.salt), base64Strict.EncodeToString(s.key))
}

// parsePHC parses $argon2id$v=19$m=..,t=..,p=..$salt$hash. It accepts only the canonical spelling,
// so that each hash has one string and a comparison of stored strings is a comparison of hashes.
// Errors: ErrMalformed, ErrTooCostly.
func parsePHC(encoded string) (storedHash, error) {
	parts := strings.SplitN(encoded, "$", 7)
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return storedHash{}, ErrMalformed
	}
	cost, ok := parseCost(parts[3])
	salt, saltErr := base64Strict.DecodeString(parts[4])
	key, keyErr := base64Strict.DecodeString(parts[5])
	if !ok || saltErr != nil || keyErr != nil ||
		len(salt) < minSalt || len(salt) > maxSalt || len(key) < minKey || len(key) > maxKey {
		return storedHash{}, ErrMalformed
	}
	if cost[0] > maxMemory || cost[1] > maxTime || cost[2] > maxThreads {
		return storedHash{}, ErrTooCostly
	}
	s := storedHash{Params{uint32(cost[0]), uint32(cost[1]), uint8(cost[2])}, salt, key}
	// The round trip also rejects another version, leading zeros, and line breaks inside the
	// base64, which the decoder skips.
	if !s.params.isValid() || s.encode() != encoded {
		return storedHash{}, ErrMalformed
	}
	return s, nil
}

// parseCost parses "m=..,t=..,p=..".
func parseCost(text string) (cost [3]uint64, ok bool) {
	fields := strings.Split(text, ",")
	if len(fields) != len(cost) {
		return cost, false
	}
	for i, prefix := range []string{"m=", "t=", "p="} {
		digits, found := strings.CutPrefix(fields[i], prefix)
		n, err := strconv.ParseUint(digits, 10, 64)
		if !found || err != nil {
			return cost, false
		}
		cost[i] = n
	}
	return cost, true
}
