package names

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPersonName is the length of the longest first or last name in characters.
const MaxPersonName = 150

// IsPersonName reports whether s can be a first or last name. It may be empty, and may contain
// anything visible, because it is text for people.
func IsPersonName(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= MaxPersonName && (s == "" || strings.TrimSpace(s) != "") && !strings.ContainsFunc(s, IsInvisible)
}

// IsInvisible reports whether r displays nothing. Such characters, among them the controls of
// writing direction, could make a mail or a list of users display something else than it says.
// Joiners do not count, because Persian and the languages of India need them.
func IsInvisible(r rune) bool {
	if r == '\u200c' || r == '\u200d' || unicode.Is(unicode.Prepended_Concatenation_Mark, r) {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}
