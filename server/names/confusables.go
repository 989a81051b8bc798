package names

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// scripts holds the scripts in which living languages are commonly written (UAX #31, table 5).
var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
	unicode.Arabic, unicode.Armenian, unicode.Bengali, unicode.Cyrillic, unicode.Devanagari, unicode.Ethiopic, unicode.Georgian,
	unicode.Greek, unicode.Gujarati, unicode.Gurmukhi, unicode.Hebrew, unicode.Kannada, unicode.Khmer, unicode.Lao,
	unicode.Malayalam, unicode.Myanmar, unicode.Oriya, unicode.Sinhala, unicode.Tamil, unicode.Telugu, unicode.Thaana,
	unicode.Thai, unicode.Tibetan,
}

// mixedScripts holds the scripts that are mixed in one word: those of Japanese, Chinese and Korean
// (UTS #39, 5.2, highly restrictive).
var mixedScripts = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// isHighlyRestrictive reports whether s is written in one script, or in the scripts of one
// language: the restriction level of that name in UTS #39, 5.2. Otherwise a single letter that
// looks the same, such as a Cyrillic а among Latin letters, could make a name look like another
// user's.
func isHighlyRestrictive(s string) bool {
	var used []*unicode.RangeTable
	for _, r := range s {
		if unicode.In(r, unicode.Common, unicode.Inherited) {
			continue
		}
		i := slices.IndexFunc(scripts, func(t *unicode.RangeTable) bool { return unicode.Is(t, r) })
		if i < 0 || scripts[i] == unicode.Latin && !isLivingLatin(r) {
			return false
		}
		if !slices.Contains(used, scripts[i]) {
			used = append(used, scripts[i])
		}
	}
	return len(used) <= 1 || slices.ContainsFunc(mixedScripts, func(language []*unicode.RangeTable) bool {
		return !slices.ContainsFunc(used, func(t *unicode.RangeTable) bool { return !slices.Contains(language, t) })
	})
}

// isLivingLatin reports whether r is a Latin letter of a living language. It excludes obsolete and
// phonetic letters: many differ from a common letter only by a hook. Phonetic letters that
// languages of Africa have adopted are included.
func isLivingLatin(r rune) bool {
	for _, block := range [][2]rune{{0, 0x17f}, {0x1cd, 0x1dc}, {0x1e4, 0x1f0}, {0x1f4, 0x1f5}, {0x1f8, 0x21b}, {0x21e, 0x21f}, {0x226, 0x233}, {0x1e00, 0x1eff}} {
		if r >= block[0] && r <= block[1] {
			return true
		}
	}
	return strings.ContainsRune("ơưƒƙƴɓɔɖɗəɛɣɨɲʃʉʊʋʒ", r)
}

// latinConfusables replaces letters that look like a Latin letter, in small letters or in capitals.
// In the list, each is followed by the Latin letter that replaces it.
var latinConfusables = strings.NewReplacer(
	"ё", "ë", "ї", "ï", "г", "r", "п", "n", "ѵ", "v",
	"а", "a", "в", "b", "е", "e", "к", "k", "м", "m", "н", "h", "о", "o", "р", "p", "с", "c", "т", "t", "у", "y", "х", "x",
	"ѕ", "s", "і", "i", "ј", "j", "ԛ", "q", "ԝ", "w", "һ", "h", "ԁ", "d", "ӏ", "l",
	"α", "a", "β", "b", "γ", "y", "ε", "e", "ζ", "z", "η", "h", "ι", "i", "κ", "k", "μ", "m", "ν", "v", "ο", "o", "ρ", "p",
	"τ", "t", "υ", "u", "χ", "x",
	"օ", "o", "ս", "u", "ո", "n", "յ", "j", "հ", "h", "ց", "g", "գ", "q", "լ", "l",
)

// skeleton returns the Latin name that s, in small letters, can be read as (UTS #39, 4). Names with
// the same skeleton are one name, such as сор and cop, so only one user can have it. A name with a
// letter that looks like no Latin one is its own skeleton.
func skeleton(s string) string {
	latin := latinConfusables.Replace(s)
	if strings.ContainsFunc(latin, func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) }) {
		return s
	}
	return latin
}

// hanConfusables are Chinese characters that look like the Latin letters l and o. A name may mix
// Latin and Chinese, so with these two it could look like a Latin name.
const hanConfusables = "丨〇"

func hasLatin(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
}

// isConfusableDomain reports whether a domain, given as A-labels, has a label that can be mistaken
// for another one: it mixes the scripts of several languages, or Latin letters with Chinese
// characters that look like them. Staff grant roles by looking at an address, and a Cyrillic о in
// cоrp.example would make a stranger's mailbox look like a colleague's (UTS #39; CWE-1007). A label
// that is entirely Cyrillic or Korean is not confusable.
func isConfusableDomain(ascii string) bool {
	domain, err := idna.Registration.ToUnicode(ascii)
	if err != nil {
		return true
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isHighlyRestrictive(label) || hasLatin(label) && strings.ContainsAny(label, hanConfusables) {
			return true
		}
	}
	return false
}
