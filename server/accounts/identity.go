package accounts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

const (
	maxUsername = 150 // characters, as Django's
	maxEmail    = 254 // RFC 5321, 4.5.3.1.3
	maxLocal    = 64  // RFC 5321, 4.5.3.1.1
	maxName     = 150
)

// canonicalUsername is the form in which usernames are compared: PRECIS UsernameCaseMapped (RFC 8265), so that names
// that look or compare alike are one name. A username holds no @: what holds one is an e-mail address.
//
// Two things PRECIS leaves open. The two small sigmas are one letter, and which of them a capital becomes depends on
// where it stands. And letters of Latin, Greek and Cyrillic that look the same are not one letter, so a name that mixes
// these scripts, which is how somebody else's name is imitated, is none (UTS 39, 5.1).
func canonicalUsername(name string) (string, bool) {
	canonical, err := precis.UsernameCaseMapped.String(name)
	if err != nil || canonical == "" || strings.Contains(canonical, "@") || mixesScripts(canonical) {
		return "", false
	}
	canonical = strings.ReplaceAll(canonical, "ς", "σ")
	n := utf8.RuneCountInString(canonical)
	return canonical, n <= maxUsername && utf8.RuneCountInString(name) <= maxUsername
}

func mixesScripts(s string) bool {
	found := 0
	for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic} {
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(script, r) }) {
			found++
		}
	}
	return found > 1
}

// canonicalEmail is the form in which addresses are compared: the local part in lower case, the domain as IDNA's
// A-labels. Only a bare addr-spec with a dotted domain is taken: no display name, comment, quoted part or literal,
// since mail programs disagree about those and a header could be built from them.
func canonicalEmail(address string) (string, bool) {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || len(local) > maxLocal || !isDotAtom(local) || strings.Contains(local, "=?") { // "=?": an encoded-word, RFC 2047
		return "", false
	}
	ascii, err := idna.Registration.ToASCII(strings.ToLower(domain))
	if err != nil || !isDomain(ascii) {
		return "", false
	}
	canonical := strings.ToLower(local) + "@" + ascii
	return canonical, len(canonical) <= maxEmail
}

// mailbox is an address as a mail program takes it: the local part as its owner writes it, since only the owner's server
// knows what its case means, and the domain in ASCII (RFC 5890 A-labels), which needs no SMTPUTF8.
func mailbox(address string) string {
	canonical, ok := canonicalEmail(address)
	if !ok {
		return address // the sender refuses it
	}
	local, _, _ := strings.Cut(address, "@")
	_, domain, _ := strings.Cut(canonical, "@")
	return local + "@" + domain
}

// isDotAtom is RFC 5322's dot-atom-text, in ASCII.
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

// isDomain asks for at least two labels of letters, digits and hyphens, the last one not of digits alone.
func isDomain(ascii string) bool {
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.ContainsFunc(label, func(r rune) bool { return r != '-' && !isAlnum(r) }) {
			return false
		}
	}
	return len(labels) >= 2 && strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r < '0' || r > '9' })
}

func isAlnum(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// isName bounds a first or last name: text for people, so anything but control characters.
func isName(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
