package names

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// MaxUsername is the length of the longest username in characters, the same as Django's.
const MaxUsername = 150

// NormalizeUsername returns the form in which usernames are compared: PRECIS UsernameCaseMapped
// (RFC 8265), so that names that look or compare alike are one name. A username contains no @: a
// name that does is an e-mail address.
//
// PRECIS leaves three cases open:
//   - Small letters with the same capital are one letter: the two sigmas, which differ by their
//     place in the word, and the letters of old Cyrillic prints, which look like today's.
//   - An i with a dot above it is an i, also if it comes from a Turkish İ.
//   - A name can look like another user's name in other letters; see isHighlyRestrictive and
//     skeleton.
//
// The length is checked first, here and in the functions below: normalizing a long name costs the
// server far more than sending it costs an attacker.
func NormalizeUsername(name string) (normalized string, ok bool) {
	if utf8.RuneCountInString(name) > MaxUsername {
		return "", false
	}
	form, err := precis.UsernameCaseMapped.String(name)
	if err != nil || form == "" || strings.Contains(form, "@") || !isHighlyRestrictive(form) {
		return "", false
	}
	form = strings.Map(mergeByCapital, form)
	if dotless := removeSecondDots(form); dotless != form { // a mark after the dot may combine with the letter now
		return NormalizeUsername(dotless)
	}
	return skeleton(form), utf8.RuneCountInString(form) <= MaxUsername
}

// ParseNewUsername returns the normalized form of a username that a user chooses. Names are
// displayed as typed, and a few then look like another name than the one they compare as: Greek
// ΑΝΝΑ looks Latin but is αννα in small letters, and the Chinese 丨 and 〇 look like l and o among
// Latin letters. It rejects those. Existing names are compared by [NormalizeUsername] alone.
func ParseNewUsername(name string) (normalized string, ok bool) {
	normalized, ok = NormalizeUsername(name)
	return normalized, ok && (!hasLatin(normalized) || !strings.ContainsAny(name, "ΝΥ"+hanConfusables))
}

// NormalizeImportedUsername returns the form in which imported usernames are compared that cannot
// be chosen here: with an @, a blank, a symbol, or letters of several scripts. It is PRECIS
// Nickname (RFC 8266). A name whose form is also that of a username or of an address is rejected,
// so that it can be mistaken for neither.
func NormalizeImportedUsername(name string) (normalized string, ok bool) {
	if utf8.RuneCountInString(name) > MaxUsername || isLongInNFKC(name) {
		return "", false
	}
	form, err := precis.Nickname.CompareKey(name)
	if err != nil || form == "" || utf8.RuneCountInString(form) > MaxUsername {
		return "", false
	}
	_, isUsername := NormalizeUsername(form)
	_, isEmail := NormalizeEmail(form)
	return form, !isUsername && !isEmail
}

// isLongInNFKC reports whether the compatibility form (NFKC) of a name is so long that its Nickname
// form is too long as well. The Nickname form lacks only blanks, and the name has at most
// MaxUsername of them. One character can become 18, so isLongInNFKC counts no further than that
// length and does not build the form.
func isLongInNFKC(name string) bool {
	var form norm.Iter
	form.InitString(norm.NFKC, name)
	for n := 0; !form.Done(); {
		if n += utf8.RuneCount(form.Next()); n > 2*MaxUsername {
			return true
		}
	}
	return false
}

// mergeByCapital maps small letters that have the same capital to one letter: the lower case of
// that capital. The dotless ı stays, because it is a letter other than i in the languages that use
// it.
func mergeByCapital(r rune) rune {
	if r == 'ı' {
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// removeSecondDots removes dots above letters that have a dot of their own, where they are
// invisible.
func removeSecondDots(s string) string {
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
