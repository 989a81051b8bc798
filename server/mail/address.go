package mail

import (
	"errors"
	netmail "net/mail"
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

// parseFrom rejects line breaks, which would start another header (CWE-93), also in encoded form
// (RFC 2047), and comments, which could make an address that differs from the visible one.
func parseFrom(s string) (*netmail.Address, error) {
	from, err := netmail.ParseAddress(s)
	if err != nil || strings.ContainsAny(s, "()") || !isGraphic(s) || !isGraphic(from.Name) || !names.IsAddrSpec(from.Address) {
		return nil, errors.New("must be one address, such as Accounts <no-reply@example.com>")
	}
	return from, nil
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
