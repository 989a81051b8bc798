package credentials

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // Django's pbkdf2_sha1; HMAC does not rest on what is broken of it
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Hashes that Django has written are verified until the next login replaces them. Their cost is
// capped far above Django's defaults: none occupies a slot for much longer than a second, or needs
// more memory than djangoMemory.
const (
	djangoMemory    = 128 << 10 // KiB; Django's argon2 needs 100 MiB, its scrypt 16 MiB
	maxPBKDF2       = 3_000_000 // iterations; Django 6.0 uses 1,200,000
	maxArgon2Work   = 512 << 10 // KiB times passes; Django uses 200 << 10
	maxBcrypt       = 14        // Django uses 12
	maxScryptWork   = 1 << 22   // N times r times p; Django uses 655,360
	maxSaltOfDjango = 64        // characters; Django uses 12 or 22
	scryptKeyLength = 64
)

// djangoVerifier is a parsed Django hash. It reports whether a password matches. The caller must
// hold a slot.
type djangoVerifier func(password []byte) bool

// isDjango reports whether encoded is a Django hash. It begins with the name of the algorithm; the
// hashes of this package begin with a $.
func isDjango(encoded string) bool {
	name, _, found := strings.Cut(encoded, "$")
	return found && IsUsable(name)
}

// CheckStored returns nil if Verify can compute encoded, and ErrMalformed or ErrTooCostly if not.
// It returns nil for an unusable hash, which matches no password.
func CheckStored(encoded string) error {
	var err error
	switch {
	case encoded != "" && !IsUsable(encoded):
		return nil
	case isDjango(encoded):
		_, err = parseDjango(encoded)
	default:
		_, err = parsePHC(encoded)
	}
	return err
}

// parseDjango parses a hash of one of Django's hashers. It accepts only the canonical spelling.
// Errors: ErrMalformed, ErrTooCostly.
func parseDjango(encoded string) (djangoVerifier, error) {
	name, rest, _ := strings.Cut(encoded, "$")
	if len(rest) > maxDjango {
		return nil, ErrMalformed
	}
	switch name {
	case "pbkdf2_sha256":
		return parsePBKDF2(rest, sha256.New)
	case "pbkdf2_sha1":
		return parsePBKDF2(rest, sha1.New)
	case "argon2":
		return parseArgon2(rest)
	case "bcrypt":
		return parseBcrypt(rest, func(password []byte) []byte { return password }) // bcrypt uses the first 72 bytes
	case "bcrypt_sha256":
		return parseBcrypt(rest, func(password []byte) []byte {
			sum := sha256.Sum256(password)
			return []byte(hex.EncodeToString(sum[:]))
		})
	case "scrypt":
		return parseScrypt(rest)
	}
	return nil, ErrMalformed
}

const maxDjango = 255 // characters; the size of the column

var base64Padded = base64.StdEncoding.Strict()

// parsePBKDF2 parses iterations$salt$hash.
func parsePBKDF2(text string, h func() hash.Hash) (djangoVerifier, error) {
	part := strings.Split(text, "$")
	if len(part) != 3 || !isSalt(part[1]) {
		return nil, ErrMalformed
	}
	iterations, ok := parseCount(part[0])
	key, isKey := parseKey(part[2], h().Size())
	switch {
	case !ok || !isKey:
		return nil, ErrMalformed
	case iterations > maxPBKDF2:
		return nil, ErrTooCostly
	}
	return func(password []byte) bool {
		computed, err := pbkdf2.Key(h, string(password), []byte(part[1]), iterations, len(key))
		return err == nil && subtle.ConstantTimeCompare(computed, key) == 1
	}, nil
}

// parseArgon2 parses $argon2id$v=19$m=..,t=..,p=..$salt$hash, and argon2i, which Django wrote
// before 3.0.
func parseArgon2(text string) (djangoVerifier, error) {
	kind, compute := "argon2id", argon2.IDKey
	if strings.HasPrefix(text, "argon2i$") {
		kind, compute = "argon2i", argon2.Key
	}
	rest, found := strings.CutPrefix(text, kind+"$")
	if !found {
		return nil, ErrMalformed
	}
	s, err := parsePHC("$argon2id$" + rest)
	if err != nil {
		return nil, err
	}
	if s.params.Memory > djangoMemory || uint64(s.params.Memory)*uint64(s.params.Time) > maxArgon2Work {
		return nil, ErrTooCostly
	}
	return func(password []byte) bool {
		computed := compute(password, s.salt, s.params.Time, s.params.Memory, s.params.Threads, uint32(len(s.key)))
		return subtle.ConstantTimeCompare(computed, s.key) == 1
	}, nil
}

// bcryptForm matches a bcrypt hash. bcrypt's base64 has no padding: the last characters of salt and
// hash are restricted to those whose spare bits are zero.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]$`)

// parseBcrypt parses $2b$rounds$salthash. The function key converts the password to the input of
// bcrypt.
func parseBcrypt(text string, key func(password []byte) []byte) (djangoVerifier, error) {
	found := bcryptForm.FindStringSubmatch(text)
	if found == nil {
		return nil, ErrMalformed
	}
	switch cost, err := strconv.Atoi(found[1]); {
	case err != nil || cost < bcrypt.MinCost || cost > bcrypt.MaxCost:
		return nil, ErrMalformed
	case cost > maxBcrypt:
		return nil, ErrTooCostly
	}
	return func(password []byte) bool {
		return bcrypt.CompareHashAndPassword([]byte(text), key(password)) == nil
	}, nil
}

// parseScrypt parses N$salt$r$p$hash.
func parseScrypt(text string) (djangoVerifier, error) {
	part := strings.Split(text, "$")
	if len(part) != 5 || !isSalt(part[1]) {
		return nil, ErrMalformed
	}
	n, okN := parseCount(part[0])
	r, okR := parseCount(part[2])
	p, okP := parseCount(part[3])
	key, isKey := parseKey(part[4], scryptKeyLength)
	switch {
	case !okN || !okR || !okP || !isKey || n < 2 || n&(n-1) != 0:
		return nil, ErrMalformed
	case n > maxScryptWork || r > maxScryptWork/n || p > maxScryptWork/(n*r) || (n+p)*r*128 > djangoMemory<<10:
		return nil, ErrTooCostly
	}
	return func(password []byte) bool {
		computed, err := scrypt.Key(password, []byte(part[1]), n, r, p, len(key))
		return err == nil && subtle.ConstantTimeCompare(computed, key) == 1
	}, nil
}

// parseCount parses a positive number in Python's format.
func parseCount(digits string) (int, bool) {
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && strconv.Itoa(n) == digits
}

// isSalt reports whether s can be a salt. Django's own salts are letters and digits; other programs
// may use any printable ASCII characters except for $.
func isSalt(s string) bool {
	return s != "" && len(s) <= maxSaltOfDjango && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' || r == '$' })
}

func parseKey(text string, length int) ([]byte, bool) {
	key, err := base64Padded.DecodeString(text)
	return key, err == nil && len(key) == length && base64Padded.EncodeToString(key) == text
}
