package credentials

import (
	"strings"
	"unicode/utf8"
)

// Upper bounds of a password, in code points and in bytes. They agree: 256 code points of four
// bytes each are exactly 1024 bytes.
const (
	MaxLength = 256
	MaxBytes  = 1024
)

// Codes of a [PolicyError], and CodeBreached for a password that [Breached] contains.
const (
	CodeTooShort      = "too_short"
	CodeTooLong       = "too_long"
	CodeInvalidFormat = "format_invalid"
	CodeCommon        = "password_common"
	CodeBreached      = "password_breached"
)

// PolicyError is the rule that a new password breaks. It never contains the password.
type PolicyError struct {
	Code             string // CodeTooShort, CodeTooLong, CodeInvalidFormat or CodeCommon
	Minimum, Maximum int    // the bound of CodeTooShort or CodeTooLong in code points, or 0
}

func (e *PolicyError) Error() string { return "credentials: password " + e.Code }

// CheckPolicy checks a new password: valid UTF-8 without NUL, at least minLength and at most 256
// code points, at most 1024 bytes. There is no composition rule (NIST SP 800-63B-4 §3.1.1). The
// password is checked and later hashed exactly as typed: leading and trailing spaces count, and no
// Unicode normal form is applied, so a code point counts as it was sent.
//
// Passwords that attackers try first are rejected with CodeCommon (ASVS 6.2.4):
//   - a common password or one of the given words (the names and the address of the account, the
//     names of the service), and simple variations of it: backwards, repeated, between digits and
//     symbols, or with digits and symbols for letters;
//   - a repeated unit that is shorter than minLength;
//   - consecutive letters, digits or keys of a keyboard.
//
// It returns nil or a *PolicyError.
func CheckPolicy(password string, minLength int, words ...string) error {
	if len(password) > MaxBytes { // and therefore more than MaxLength
		return &PolicyError{Code: CodeTooLong, Maximum: MaxLength}
	}
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return &PolicyError{Code: CodeInvalidFormat}
	}
	switch n := utf8.RuneCountInString(password); {
	case n < minLength:
		return &PolicyError{Code: CodeTooShort, Minimum: minLength}
	case n > MaxLength:
		return &PolicyError{Code: CodeTooLong, Maximum: MaxLength}
	}
	if lower := strings.ToLower(password); isCommon(lower, words) || isPattern(lower, minLength) {
		return &PolicyError{Code: CodeCommon}
	}
	return nil
}
