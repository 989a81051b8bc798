package mail

import (
	"errors"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"

	"example.com/accounts/server/names"
)

// CheckFrom checks that s can be the sender of mails: one address (RFC 5322, 3.4), bare or with a
// name, as in "Accounts <no-reply@example.com>". The error is a predicate to the name of a setting.
func CheckFrom(s string) error {
	_, err := parseFrom(s)
	return err
}

// SenderName returns the display name of a sender that [CheckFrom] accepts, or "".
func SenderName(s string) string {
	from, err := parseFrom(s)
	if err != nil {
		return ""
	}
	return from.Name
}

var errFrom = errors.New("must be one address, such as Accounts <no-reply@example.com>")

// parseFrom rejects line breaks, which would start another header (CWE-93), also in encoded form
// (RFC 2047), and comments, which could make an address that differs from the visible one.
func parseFrom(s string) (*netmail.Address, error) {
	from, err := splitFrom(s)
	if err != nil || !isGraphic(s) || !isGraphic(from.Name) || !names.IsAddrSpec(from.Address) {
		if inner, ok := strings.CutPrefix(strings.TrimSuffix(s, `"`), `"`); ok && !strings.HasPrefix(inner, `"`) && CheckFrom(inner) == nil {
			return nil, errors.New("must not be in quotation marks as a whole: remove them")
		}
		return nil, errFrom
	}
	return from, nil
}

var quotedString = regexp.MustCompile(`^"([^"\\]|\\.)*"$`)

// splitFrom separates the name from the address. A name without quotation marks is used as it is,
// although RFC 5322 requires them in "Acme, Inc." and "Acme (Support)". A name with a character that
// could begin another address or an encoded word is left to the parser.
func splitFrom(s string) (*netmail.Address, error) {
	at := strings.LastIndexByte(s, '<')
	name := strings.TrimSpace(s[:max(0, at)])
	switch {
	case name != "" && strings.HasSuffix(s, ">") && !strings.ContainsAny(name, "\"\\@<>;=?"):
		return &netmail.Address{Name: name, Address: s[at+1 : len(s)-1]}, nil
	case strings.ContainsAny(s, "()") && !quotedString.MatchString(name):
		return nil, errFrom
	}
	return netmail.ParseAddress(s)
}

func isGraphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Mask returns an address in a form that only its owner recognizes, such as "a***@example.com". A
// mail to the old address contains the new one in this form, because a stranger may read the old
// mailbox.
func Mask(address string) string {
	local, domain, _ := strings.Cut(toVisibleLine(address), "@")
	for _, first := range local {
		return string(first) + "***@" + domain
	}
	return "***@" + domain
}
