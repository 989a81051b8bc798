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

// isAddrSpec takes an RFC 5322 addr-spec only in its plainest form: a dot-atom, an
// @ and a dotted domain, in ASCII. Header injection (CWE-93) lives in everything
// else: display names, comments, quoted local parts, literals, lists, line ends.
//
// An encoded-word (RFC 2047) is made of the characters of an atom, but there are
// mail servers that decode one in a local part and then see another address.
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

// isDomain asks for two labels or more, the last one not of digits alone.
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

// ParseFrom reports why s cannot be the sender of mails: it has to be a bare
// address or a name and an address, as in "Accounts <no-reply@example.com>". The
// domain may be localhost too, for servers that write files.
func ParseFrom(s string) error {
	_, err := parseFrom(s)
	return err
}

func parseFrom(s string) (*netmail.Address, error) {
	from, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, errors.New(`a sender is "name@example.com" or "Name <name@example.com>"`)
	}
	if strings.ContainsFunc(from.Name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return nil, errors.New("the name of the sender holds control characters")
	}
	if address, ok := strings.CutSuffix(from.Address, "@localhost"); !isAddrSpec(from.Address) && (!ok || !isAddrSpec(address+"@localhost.test")) {
		return nil, errors.New("the address of the sender is not a plain one in ASCII, as no-reply@example.com")
	}
	return from, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Mask keeps of an address what its owner recognises: the old address may be read
// by somebody who is not to learn the new one.
func Mask(address string) string {
	local, domain, _ := strings.Cut(tidy(address), "@")
	for _, first := range local {
		return string(first) + "***@" + domain
	}
	return "***@" + domain
}
