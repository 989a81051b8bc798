package accounts

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// scripts holds the scripts in which living languages are commonly written (UAX 31, table 5).
var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
	unicode.Arabic, unicode.Armenian, unicode.Bengali, unicode.Cyrillic, unicode.Devanagari, unicode.Ethiopic, unicode.Georgian,
	unicode.Greek, unicode.Gujarati, unicode.Gurmukhi, unicode.Hebrew, unicode.Kannada, unicode.Khmer, unicode.Lao,
	unicode.Malayalam, unicode.Myanmar, unicode.Oriya, unicode.Sinhala, unicode.Tamil, unicode.Telugu, unicode.Thaana,
	unicode.Thai, unicode.Tibetan,
}

// together holds the scripts that are mixed in one word: those of Japanese, Chinese and Korean (UTS
// 39, 5.2, highly restrictive).
var together = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// writtenAlike reports whether a name is written in one script, or in the scripts of one language.
// Otherwise a single letter that looks the same, such as a Cyrillic а among Latin letters, could
// imitate another user's name.
func writtenAlike(s string) bool {
	var used []*unicode.RangeTable
	for _, r := range s {
		if unicode.In(r, unicode.Common, unicode.Inherited) {
			continue
		}
		i := slices.IndexFunc(scripts, func(t *unicode.RangeTable) bool { return unicode.Is(t, r) })
		if i < 0 || scripts[i] == unicode.Latin && !isLatinLetter(r) {
			return false
		}
		if !slices.Contains(used, scripts[i]) {
			used = append(used, scripts[i])
		}
	}
	return len(used) <= 1 || slices.ContainsFunc(together, func(language []*unicode.RangeTable) bool {
		return !slices.ContainsFunc(used, func(t *unicode.RangeTable) bool { return !slices.Contains(language, t) })
	})
}

// isLatinLetter reports whether r is a Latin letter of a living language. It excludes obsolete and
// phonetic letters, many of which differ from a common letter only by a hook. Phonetic letters that
// languages of Africa have adopted are included.
func isLatinLetter(r rune) bool {
	for _, block := range [][2]rune{{0, 0x17f}, {0x1cd, 0x1dc}, {0x1e4, 0x1f0}, {0x1f4, 0x1f5}, {0x1f8, 0x21b}, {0x21e, 0x21f}, {0x226, 0x233}, {0x1e00, 0x1eff}} {
		if r >= block[0] && r <= block[1] {
			return true
		}
	}
	return strings.ContainsRune("ơưƒƙƴɓɔɖɗəɛɣɨɲʃʉʊʋʒ", r)
}

// latinTwins replaces letters that look like Latin ones, as small letters or as capitals. Each is
// listed before its Latin twin.
var latinTwins = strings.NewReplacer(
	"ё", "ë", "ї", "ï", "г", "r", "п", "n", "ѵ", "v",
	"а", "a", "в", "b", "е", "e", "к", "k", "м", "m", "н", "h", "о", "o", "р", "p", "с", "c", "т", "t", "у", "y", "х", "x",
	"ѕ", "s", "і", "i", "ј", "j", "ԛ", "q", "ԝ", "w", "һ", "h", "ԁ", "d", "ӏ", "l",
	"α", "a", "β", "b", "γ", "y", "ε", "e", "ζ", "z", "η", "h", "ι", "i", "κ", "k", "μ", "m", "ν", "v", "ο", "o", "ρ", "p",
	"τ", "t", "υ", "u", "χ", "x",
	"օ", "o", "ս", "u", "ո", "n", "յ", "j", "հ", "h", "ց", "g", "գ", "q", "լ", "l",
)

// asLatin returns the Latin name that a name in another script can be read as. The two are one
// name, such as сор and cop, so only one user can have it. A name with a letter that looks like no
// Latin one is returned unchanged.
func asLatin(s string) string {
	twin := latinTwins.Replace(s)
	if strings.ContainsFunc(twin, func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) }) {
		return s
	}
	return twin
}

// hanTwins are Chinese characters that look like the Latin letters l and o. A name may mix Latin
// and Chinese, so these two could imitate a Latin name.
const hanTwins = "丨〇"

// newUsername returns the canonical form of a username that a user chooses. Names are displayed as
// typed, and a few then look like another name than the one they compare as: Greek ΑΝΝΑ looks Latin
// but is αννα in small letters, and the Chinese 丨 and 〇 look like l and o among Latin letters.
// Those are rejected. Existing names are compared by [canonicalUsername] alone.
func newUsername(name string) (string, bool) {
	canonical, ok := canonicalUsername(name)
	latin := strings.ContainsFunc(canonical, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
	return canonical, ok && (!latin || !strings.ContainsAny(name, "ΝΥ"+hanTwins))
}

// isPlainDomain reports whether each label of a domain, given as A-labels, is written in one script
// or in the scripts of one language. Staff grant roles by looking at an address, and a Cyrillic о
// in cоrp.example would make a stranger's mailbox look like a colleague's (UTS 39; CWE-1007). A
// label that is entirely Cyrillic or Korean is plain. Existing addresses keep working: only new
// ones are checked.
func isPlainDomain(ascii string) bool {
	domain, err := idna.Registration.ToUnicode(ascii)
	if err != nil {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		latin := strings.ContainsFunc(label, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
		if !writtenAlike(label) || latin && strings.ContainsAny(label, hanTwins) {
			return false
		}
	}
	return true
}
