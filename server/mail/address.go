package mail

import (
	"errors"
	netmail "net/mail"
	"strings"
	"unicode"
)

// Limits of RFC 5321, 4.5.3.1.
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// isAddrSpec reports whether s is an RFC 5322 addr-spec in its simplest form: a dot-atom, an @ and
// a dotted domain, in ASCII. Every other form (display names, comments, quoted local parts,
// literals, lists, line breaks) can be used for header injection (CWE-93).
//
// It also rejects encoded-words (RFC 2047). They consist of characters that an atom may contain,
// but some mail servers decode one in a local part and then use another address.
func isAddrSpec(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && len(s) <= maxAddress && len(local) <= maxLocal && !strings.Contains(local, "=?") &&
		isDotAtom(local) && isDomain(domain)
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) }) {
			return false
		}
	}
	return true
}

// isDomain reports whether s consists of at least two labels, and the last one is not all digits.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return r != '-' && !isAlnum(r) }) {
			return false
		}
	}
	return len(labels) >= 2 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// ParseFrom checks that s can be the sender of mails: a bare address, or a name and an address as
// in "Accounts <no-reply@example.com>". The domain may also be localhost, for servers that write
// files. It returns an error that describes the fault.
func ParseFrom(s string) error {
	_, err := parseFrom(s)
	return err
}

func parseFrom(s string) (*netmail.Address, error) {
	from, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, errors.New(`the sender must be "name@example.com" or "Name <name@example.com>"`)
	}
	if strings.ContainsFunc(from.Name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return nil, errors.New("the name of the sender contains control characters")
	}
	if address, ok := strings.CutSuffix(from.Address, "@localhost"); !isAddrSpec(from.Address) && (!ok || !isAddrSpec(address+"@localhost.test")) {
		return nil, errors.New("the address of the sender must be a plain ASCII address such as no-reply@example.com")
	}
	return from, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Mask returns an address in a form that only its owner recognizes, such as "a***@example.com". A
// mail to the old address contains the new one in this form, because a stranger may read the old
// mailbox.
func Mask(address string) string {
	local, domain, _ := strings.Cut(tidy(address), "@")
	for _, first := range local {
		return string(first) + "***@" + domain
	}
	return "***@" + domain
}
