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

// A secret reads acs1_ and 48 base64url characters: 32 random bytes and the
// first 4 bytes of the SHA-256 of prefix and random bytes. The prefix lets secret
// scanners find a leaked one; 36 bytes fill base64 exactly, so there is no
// padding and no second spelling.
const (
	secretPrefix = "acs1_"
	secretBytes  = 32
	sumBytes     = 4
	redacted     = "[redacted]"
)

var errSecret = errors.New("token: not a secret printed by `accountsd secret new`")

// Secret is the root of every key. It prints as "[redacted]" in every way fmt,
// slog and encoding/json have. The zero Secret is not usable.
type Secret struct {
	key hidden[[secretBytes]byte]
}

// hidden holds a value where reflection cannot follow. The methods below are not
// enough: fmt does not call those of a value in somebody's unexported field, and
// prints what it finds there, behind pointers too (%s). A function it cannot open.
type hidden[T any] func() T

func hide[T any](value T) hidden[T] { return func() T { return value } }

// NewSecret returns the text of a fresh random secret, as [ParseSecret] reads it.
func NewSecret() (string, error) {
	var key [secretBytes]byte
	if _, err := rand.Read(key[:]); err != nil {
		return "", fmt.Errorf("token: no randomness: %w", err)
	}
	return secretPrefix + base64.RawURLEncoding.EncodeToString(append(key[:], secretSum(key)...)), nil
}

// ParseSecret reads what [NewSecret] printed and refuses everything else, white
// space around it included; the error never holds the value.
//
// The threat: the public half of an Ed25519 key is published, so a pass-phrase
// used as a secret can be searched for offline at any speed. Only random bytes
// are long enough, and the checksum is how a person's own idea of a secret, or a
// mangled copy, is told from ours.
func ParseSecret(s string) (Secret, error) {
	if len(s) != len(secretPrefix)+base64.RawURLEncoding.EncodedLen(secretBytes+sumBytes) || s[:len(secretPrefix)] != secretPrefix {
		return Secret{}, errSecret
	}
	// The decoder skips line breaks; the length asked for here does not.
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

// String, GoString, LogValue and MarshalJSON never show the secret.
func (Secret) String() string { return redacted }

// GoString does not show the secret.
func (Secret) GoString() string { return redacted }

// LogValue does not show the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON does not show the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Format answers every verb, %x and %d too, which never ask String.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
