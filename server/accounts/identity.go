package accounts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
)

const (
	maxUsername = 150 // characters, as Django's
	maxEmail    = 254 // RFC 5321, 4.5.3.1.3
	maxLocal    = 64  // RFC 5321, 4.5.3.1.1
	maxName     = 150
)

// newIdentity validates the address, the username and the names of a new user, and sets the
// canonical forms. An empty username is left to [withUsername]. Errors: ValidationFailed.
func newIdentity(u *models.User) error {
	var email, username error
	u.EmailNorm, email = newEmail(u.Email)
	if u.Username != "" {
		u.UsernameNorm, username = newName(u.Username)
	}
	return problem.Join(email, username, newNames(&u.FirstName, &u.LastName))
}

// newName returns the canonical form of a username that a user wants to use. Errors:
// ValidationFailed.
func newName(name string) (string, error) {
	norm, ok := newUsername(name)
	if !ok {
		return "", problem.Invalid("username", "format_invalid")
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
		return "", problem.Invalid("email", "format_invalid")
	}
	return norm, nil
}

// anyEmail returns the canonical form of an address that a user may already have. Errors:
// ValidationFailed.
func anyEmail(address string) (string, error) {
	norm, ok := canonicalEmail(address)
	if !ok {
		return "", problem.Invalid("email", "format_invalid")
	}
	return norm, nil
}

// newNames validates a first and a last name, unless they are nil. Errors: ValidationFailed.
func newNames(first, last *string) error {
	return problem.Join(newPersonName("first_name", first), newPersonName("last_name", last))
}

// changed returns the wanted name, or nil if the user already has it: an existing name may predate
// the rules.
func changed(present string, wanted *string) *string {
	if wanted == nil || *wanted == present {
		return nil
	}
	return wanted
}

func newPersonName(field string, name *string) error {
	if name != nil && !isName(*name) {
		return problem.Invalid(field, "format_invalid")
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
// The length is checked first, here and in the functions below: normalizing a long name costs the
// server far more than sending it costs an attacker.
func canonicalUsername(name string) (string, bool) {
	if utf8.RuneCountInString(name) > maxUsername {
		return "", false
	}
	canonical, err := precis.UsernameCaseMapped.String(name)
	if err != nil || canonical == "" || strings.Contains(canonical, "@") || !writtenAlike(canonical) {
		return "", false
	}
	canonical = strings.Map(sameCapital, canonical)
	if dotted := withoutSecondDot(canonical); dotted != canonical { // a mark after the dot may combine with the letter now
		return canonicalUsername(dotted)
	}
	return asLatin(canonical), utf8.RuneCountInString(canonical) <= maxUsername
}

// canonicalName returns the canonical form of the name in a login: of an address if it contains an
// @, or else of a username. A name that is neither may still be that of an imported user; see
// [foreignName].
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

// foreignName returns the form in which imported usernames are compared that cannot be chosen here:
// with an @, a blank, a symbol, or letters of several scripts. It is PRECIS Nickname (RFC 8266). A
// name whose form is also that of a username or of an address is rejected, so that it imitates
// neither.
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

// sameCapital maps small letters that have the same capital to one letter: the lower case of that
// capital. The dotless ı stays, because it is a letter other than i in the languages that use it.
func sameCapital(r rune) rune {
	if r == 'ı' {
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// withoutSecondDot removes dots above letters that have a dot of their own, where they are
// invisible.
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

// canonicalEmail returns the form in which addresses are compared: the local part in lower case,
// the domain as IDNA's A-labels.
//
// It accepts only a bare addr-spec with a dotted domain: no display name, comment, quoted part or
// literal, because mail programs disagree about those and a header could be built from them. For
// the same reason it rejects a domain with capitals that other programs map to other letters (UTS
// 46), such as İ and ẞ: they would send the mail to a stranger's domain.
func canonicalEmail(address string) (string, bool) {
	if utf8.RuneCountInString(address) > maxEmail { // the form with A-labels is no shorter
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

// mailbox returns an address as mail programs accept it. The local part stays as typed, because
// only the receiving server knows whether its case matters. The domain is in ASCII (RFC 5890
// A-labels), which does not need SMTPUTF8.
func mailbox(address string) string {
	canonical, ok := canonicalEmail(address)
	if !ok {
		return address // the sender rejects it
	}
	local, _, _ := strings.Cut(address, "@")
	_, domain, _ := strings.Cut(canonical, "@")
	return local + "@" + domain
}

// isDotAtom reports whether s is a dot-atom-text (RFC 5322) in ASCII.
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

// isDomain reports whether ascii has at least two labels of letters, digits and hyphens, with a
// last label that is not all digits.
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

// isName reports whether s can be a first or last name. It may be empty, and may contain anything
// visible, because it is text for people. Invisible characters, such as the controls of writing
// direction, could make a mail or a list of users display something else than it says. Joiners are
// allowed, because Persian and the languages of India need them.
func isName(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName && (s == "" || strings.TrimSpace(s) != "") && !strings.ContainsFunc(s, isHidden)
}

func isHidden(r rune) bool {
	if r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
