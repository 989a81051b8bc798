package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A secret consists of acs1_ and 48 base64url characters: 32 random bytes and the first 4 bytes of
// the SHA-256 of the prefix and the random bytes. The prefix lets secret scanners find a leaked
// secret. 36 bytes fill base64 exactly, so there is no padding and only one spelling.
const (
	secretPrefix = "acs1_"
	secretBytes  = 32
	sumBytes     = 4
	redacted     = "[redacted]"
)

var errSecret = errors.New("token: not a secret printed by `accountsd secret new`")

// Secret is the root of every key. fmt, slog and encoding/json print it as "[redacted]". The zero
// Secret is not usable.
type Secret struct {
	key hidden[[secretBytes]byte]
}

// hidden holds a value that reflection cannot reach. The methods of Secret are not enough: fmt does
// not call methods of a value in an unexported field of another struct, and prints its content,
// also behind pointers (%s). fmt cannot look into a function.
type hidden[T any] func() T

func hide[T any](value T) hidden[T] { return func() T { return value } }

// NewSecret returns the text of a new random secret, in the form that [ParseSecret] accepts.
func NewSecret() (string, error) {
	var key [secretBytes]byte
	if _, err := rand.Read(key[:]); err != nil {
		return "", fmt.Errorf("token: cannot read random bytes: %w", err)
	}
	return secretPrefix + base64.RawURLEncoding.EncodeToString(append(key[:], secretSum(key)...)), nil
}

// ParseSecret parses the text of a secret that [NewSecret] returned. It rejects everything else,
// including surrounding white space. The error never contains the value.
//
// Threat: the public half of an Ed25519 key is published, so a passphrase used as a secret can be
// searched for offline at any speed. Only random bytes are long enough. The checksum detects a
// secret that a person has made up, or a damaged copy.
func ParseSecret(s string) (Secret, error) {
	if len(s) != len(secretPrefix)+base64.RawURLEncoding.EncodedLen(secretBytes+sumBytes) || s[:len(secretPrefix)] != secretPrefix {
		return Secret{}, errSecret
	}
	// The decoder skips line breaks; the check of the length above rejects them.
	raw, err := base64.RawURLEncoding.DecodeString(s[len(secretPrefix):])
	if err != nil || len(raw) != secretBytes+sumBytes {
		return Secret{}, errSecret
	}
	key := [secretBytes]byte(raw[:secretBytes])
	if subtle.ConstantTimeCompare(raw[secretBytes:], secretSum(key)) != 1 {
		return Secret{}, errSecret
	}
	return Secret{key: hide(key)}, nil
}

func secretSum(key [secretBytes]byte) []byte {
	sum := sha256.Sum256(append([]byte(secretPrefix), key[:]...))
	return sum[:sumBytes]
}

// String does not reveal the secret.
func (Secret) String() string { return redacted }

// GoString does not reveal the secret.
func (Secret) GoString() string { return redacted }

// LogValue does not reveal the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON does not reveal the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Format does not reveal the secret for any verb, including %x and %d, for which fmt does not call
// String.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
