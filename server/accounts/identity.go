package accounts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"example.com/accounts/models"
)

const (
	maxUsername = 150 // characters, as Django's
	maxEmail    = 254 // RFC 5321, 4.5.3.1.3
	maxLocal    = 64  // RFC 5321, 4.5.3.1.1
	maxName     = 150
)

// newIdentity checks what a user is to be called, and sets the canonical forms. An empty username is for withUsername.
// Errors: ValidationFailed.
func newIdentity(u *models.User) error {
	var email, username error
	u.EmailNorm, email = newEmail(u.Email)
	if u.Username != "" {
		u.UsernameNorm, username = newName(u.Username)
	}
	return allFaults(email, username, newNames(&u.FirstName, &u.LastName))
}

// newName is the canonical form of a username that is to be one. Errors: ValidationFailed.
func newName(name string) (string, error) {
	norm, ok := newUsername(name)
	if !ok {
		return "", invalid("username", "format_invalid")
	}
	return norm, nil
}

// newEmail returns the canonical form of an address that a user wants to use. Its domain must not
// imitate another one; see isPlainDomain. Errors: ValidationFailed.
func newEmail(address string) (string, error) {
	norm, err := anyEmail(address)
	if err != nil {
		return "", err
	}
	if _, domain, _ := strings.Cut(norm, "@"); !isPlainDomain(domain) {
		return "", invalid("email", "format_invalid")
	}
	return norm, nil
}

// anyEmail returns the canonical form of an address that a user may already have. Errors:
// ValidationFailed.
func anyEmail(address string) (string, error) {
	norm, ok := canonicalEmail(address)
	if !ok {
		return "", invalid("email", "format_invalid")
	}
	return norm, nil
}

// newNames checks those names of a person that are given. Errors: ValidationFailed.
func newNames(first, last *string) error {
	return allFaults(newPersonName("first_name", first), newPersonName("last_name", last))
}

// changed returns the wanted name, or nil if the user already has it. A present name may be older than the rules.
func changed(present string, wanted *string) *string {
	if wanted == nil || *wanted == present {
		return nil
	}
	return wanted
}

func newPersonName(field string, name *string) error {
	if name != nil && !isName(*name) {
		return invalid(field, "format_invalid")
	}
	return nil
}

// canonicalUsername returns the form in which usernames are compared: PRECIS UsernameCaseMapped
// (RFC 8265), so that names that look or compare alike are one name. A username contains no @: a
// name that does is an e-mail address.
//
// PRECIS leaves three cases open:
//   - Small letters with the same capital are one letter: the two sigmas, which differ by their
//     place in the word, and the letters of old Cyrillic prints, which look like today's.
//   - An i with a dot above it is an i, also if it comes from a Turkish İ.
//   - A name can imitate another user's name in other letters; see writtenAlike and asLatin.
//
// The length is checked first, here and in the functions below: normalizing a name can cost an
// attacker far less to request than the server to do.
func canonicalUsername(name string) (string, bool) {
	if utf8.RuneCountInString(name) > maxUsername {
		return "", false
	}
	canonical, err := precis.UsernameCaseMapped.String(name)
	if err != nil || canonical == "" || strings.Contains(canonical, "@") || !writtenAlike(canonical) {
		return "", false
	}
	canonical = strings.Map(sameCapital, canonical)
	if dotted := withoutSecondDot(canonical); dotted != canonical { // what stood behind the dot may be the letter's now
		return canonicalUsername(dotted)
	}
	return asLatin(canonical), utf8.RuneCountInString(canonical) <= maxUsername
}

// canonicalName is the canonical form of what somebody logs in with: of an address if it holds an @, or of a username.
// What is neither may still be the name of somebody who was imported; see foreignName.
func canonicalName(name string) (string, bool) {
	canonical := canonicalUsername
	if strings.Contains(name, "@") {
		canonical = canonicalEmail
	}
	if norm, ok := canonical(name); ok {
		return norm, true
	}
	return foreignName(name)
}

// loginName is the name of a login in canonical form. It is computed once per request, because it
// costs more than all other work for a rejected request.
type loginName struct {
	norm     string
	possible bool // a user can have it
}

// newLoginName also accepts a name that no user can have, so that it has limits like any other
// name.
func newLoginName(name string) loginName {
	if norm, ok := canonicalName(name); ok {
		return loginName{norm, true}
	}
	return loginName{strings.ToLower(name), false}
}

// foreignName is the form in which usernames are compared that another service has given out and nobody can choose
// here: with an @, a blank, a sign, or letters of several scripts. It is PRECIS Nickname (RFC 8266), and never the form
// of a username or an address of ours, so that it imitates none: what comes out as one is no name at all.
func foreignName(name string) (string, bool) {
	if utf8.RuneCountInString(name) > maxUsername || expands(name) {
		return "", false
	}
	key, err := precis.Nickname.CompareKey(name)
	if err != nil || key == "" || utf8.RuneCountInString(key) > maxUsername {
		return "", false
	}
	_, isUsername := canonicalUsername(key)
	_, isEmail := canonicalEmail(key)
	return key, !isUsername && !isEmail
}

// expands reports whether the compatibility form (NFKC) of a name is so long that its Nickname form
// is too long as well. The Nickname form lacks only blanks, and the name has at most maxUsername of
// them. One character can become 18, so expands counts no further than that length and does not
// build the form.
func expands(name string) bool {
	var form norm.Iter
	form.InitString(norm.NFKC, name)
	for n := 0; !form.Done(); {
		if n += utf8.RuneCount(form.Next()); n > 2*maxUsername {
			return true
		}
	}
	return false
}

// sameCapital is the one of the small letters with r's capital that the capital becomes. The dotless ı is another
// letter than i to those who write it.
func sameCapital(r rune) rune {
	if r == 'ı' {
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// withoutSecondDot takes the dots away that stand above letters with a dot of their own, and cannot be seen there.
func withoutSecondDot(s string) string {
	const dotAbove = '\u0307'
	var last rune
	return strings.Map(func(r rune) rune {
		if r == dotAbove && unicode.Is(unicode.Soft_Dotted, last) {
			return -1
		}
		last = r
		return r
	}, s)
}

// canonicalEmail is the form in which addresses are compared: the local part in lower case, the domain as IDNA's
// A-labels. Only a bare addr-spec with a dotted domain is taken: no display name, comment, quoted part or literal,
// since mail programs disagree about those and a header could be built from them. For the same reason a domain is
// none whose capitals others make other letters of (UTS 46): İ and ẞ, with which mail would go to somebody else's domain.
func canonicalEmail(address string) (string, bool) {
	if utf8.RuneCountInString(address) > maxEmail { // its A-labels are no shorter
		return "", false
	}
	local, domain, ok := strings.Cut(address, "@")
	if !ok || len(local) > maxLocal || !isDotAtom(local) || strings.Contains(local, "=?") { // "=?": an encoded-word, RFC 2047
		return "", false
	}
	ascii, err := idna.Registration.ToASCII(strings.ToLower(domain))
	if mapped, other := idna.Lookup.ToASCII(domain); err != nil || other != nil || mapped != ascii || !isDomain(ascii) {
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

// isName bounds a first or last name: text for people, so anything that can be seen. With what cannot, such as the
// controls of writing direction, a mail or a list of users could be made to show something else than it says. The joiners
// are letters to Persian and to the languages of India.
func isName(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName && (s == "" || strings.TrimSpace(s) != "") && !strings.ContainsFunc(s, isHidden)
}

func isHidden(r rune) bool {
	if r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
