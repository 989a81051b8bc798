package names

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"example.com/accounts/server/hosts"
)

const (
	maxEmail     = 254 // RFC 5321, 4.5.3.1.3
	maxLocalPart = 64  // RFC 5321, 4.5.3.1.1
)

// NormalizeEmail returns the form in which addresses are compared: the local part in lower case,
// the domain as IDNA's A-labels.
//
// It accepts only what [IsAddrSpec] does, with a domain that may also be in Unicode. It rejects a
// domain with capitals that other programs map to other letters (UTS #46), such as İ and ẞ: those
// programs would send the mail to a stranger's domain.
func NormalizeEmail(address string) (normalized string, ok bool) {
	if utf8.RuneCountInString(address) > maxEmail { // the form with A-labels is no shorter
		return "", false
	}
	local, domain, ok := strings.Cut(address, "@")
	if !ok || !isLocalPart(local) {
		return "", false
	}
	ascii, err := idna.Registration.ToASCII(strings.ToLower(domain))
	if mapped, other := idna.Lookup.ToASCII(domain); err != nil || other != nil || mapped != ascii {
		return "", false
	}
	normalized = strings.ToLower(local) + "@" + ascii
	return normalized, IsAddrSpec(normalized)
}

// ParseNewEmail returns the normalized form of an address that a user wants to use. Its domain must
// not look like another one. Existing addresses are compared by [NormalizeEmail] alone.
func ParseNewEmail(address string) (normalized string, ok bool) {
	normalized, ok = NormalizeEmail(address)
	if !ok {
		return "", false
	}
	_, domain, _ := strings.Cut(normalized, "@")
	return normalized, !isConfusableDomain(domain)
}

// Mailbox returns an address as mail programs accept it. The local part stays as typed, because
// only the receiving server knows whether its case matters. The domain is in ASCII (RFC 5890
// A-labels), which does not need SMTPUTF8. An address that is not valid is returned unchanged, and
// package mail rejects it.
func Mailbox(address string) string {
	normalized, ok := NormalizeEmail(address)
	if !ok {
		return address
	}
	local, _, _ := strings.Cut(address, "@")
	_, domain, _ := strings.Cut(normalized, "@")
	return local + "@" + domain
}

// IsAddrSpec reports whether s is an RFC 5322 addr-spec in its simplest form: a dot-atom, an @ and
// a dotted domain, in ASCII. Mail programs disagree about every other form (display names,
// comments, quoted local parts, literals, lists, line breaks), and all of them can be used for
// header injection (CWE-93).
func IsAddrSpec(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && len(s) <= maxEmail && isLocalPart(local) && hosts.IsDomain(domain)
}

// isLocalPart also rejects encoded-words (RFC 2047). They consist of characters that an atom may
// contain, but some mail servers decode one in a local part and then use another address.
func isLocalPart(s string) bool {
	return len(s) <= maxLocalPart && isDotAtom(s) && !strings.Contains(s, "=?")
}

// isDotAtom reports whether s is a dot-atom-text (RFC 5322, 3.2.3) in ASCII.
func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtext(r) }) {
			return false
		}
	}
	return true
}

func isAtext(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}
