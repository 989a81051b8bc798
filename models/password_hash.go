package models

import (
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"
)

// PasswordHash is the encoded hash of a password, or empty for a user without a password. It
// prints, logs and marshals as a placeholder, so that a log line or a response with a whole row
// does not contain the hash. Only [PasswordHash.Reveal] returns it. Package fmt calls no methods of
// unexported fields, so do not print a struct that holds a row in one.
type PasswordHash string

const hiddenHash = "[password hash]"

// Reveal returns the encoded hash, for package credentials to verify a password with.
func (h PasswordHash) Reveal() string { return string(h) }

// String returns a placeholder.
func (h PasswordHash) String() string { return hiddenHash }

// GoString returns a placeholder.
func (h PasswordHash) GoString() string { return hiddenHash }

// Format writes a placeholder for every verb except %p, for which fmt does not call it.
func (h PasswordHash) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hiddenHash) }

// LogValue returns a placeholder.
func (h PasswordHash) LogValue() slog.Value { return slog.StringValue(hiddenHash) }

// MarshalText returns a placeholder. JSON and other text formats use it.
func (h PasswordHash) MarshalText() ([]byte, error) { return []byte(hiddenHash), nil }

// Value returns the hash for the database.
func (h PasswordHash) Value() (driver.Value, error) { return string(h), nil }

// Scan reads the hash from the database.
func (h *PasswordHash) Scan(src any) error {
	switch src := src.(type) {
	case string:
		*h = PasswordHash(src)
	case []byte:
		*h = PasswordHash(src)
	default:
		return fmt.Errorf("models: a password hash is text, not %T", src)
	}
	return nil
}
