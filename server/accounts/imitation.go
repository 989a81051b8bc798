package accounts

import (
	"slices"
	"strings"
	"unicode"
)

// scripts are those that living languages are commonly written in (UAX 31, table 5).
var scripts = []*unicode.RangeTable{
	unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
	unicode.Arabic, unicode.Armenian, unicode.Bengali, unicode.Cyrillic, unicode.Devanagari, unicode.Ethiopic, unicode.Georgian,
	unicode.Greek, unicode.Gujarati, unicode.Gurmukhi, unicode.Hebrew, unicode.Kannada, unicode.Khmer, unicode.Lao,
	unicode.Malayalam, unicode.Myanmar, unicode.Oriya, unicode.Sinhala, unicode.Tamil, unicode.Telugu, unicode.Thaana,
	unicode.Thai, unicode.Tibetan,
}

// together are scripts that people write in one word: Japanese, Chinese and Korean (UTS 39, 5.2, highly restrictive).
var together = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// writtenAlike says that a name is written in one script, or in those of one language. Otherwise somebody else's name
// could be imitated by a single letter that looks the same: a Cyrillic а among Latin ones.
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

// isLatinLetter leaves out the letters of phonetics, many of which differ from everybody's by a hook; those that
// languages of Africa have taken from there are letters. The clicks at U+01C0 are strokes.
func isLatinLetter(r rune) bool {
	return r < 0x1c0 || r > 0x1c3 && r < 0x250 || r >= 0x1e00 && r < 0x1f00 || strings.ContainsRune("ɓɔɖɗəɛɣɨɲʃʉʊʋʒ", r)
}

// latinTwins are letters that look like Latin ones, small or as capitals, each before its twin.
var latinTwins = strings.NewReplacer(
	"а", "a", "в", "b", "е", "e", "к", "k", "м", "m", "н", "h", "о", "o", "р", "p", "с", "c", "т", "t", "у", "y", "х", "x",
	"ѕ", "s", "і", "i", "ј", "j", "ԛ", "q", "ԝ", "w", "һ", "h", "ԁ", "d", "ӏ", "l",
	"α", "a", "β", "b", "γ", "y", "ε", "e", "ζ", "z", "η", "h", "ι", "i", "κ", "k", "μ", "m", "ν", "v", "ο", "o", "ρ", "p",
	"τ", "t", "υ", "u", "χ", "x",
	"օ", "o", "ս", "u", "ո", "n", "յ", "j", "հ", "h", "ց", "g", "գ", "q", "լ", "l",
)

// asLatin is the Latin name that one of other letters can be read as. The two are one name, whoever comes first: сор
// and cop. A name with a letter that looks like no Latin one stays as it is.
func asLatin(s string) string {
	if twin := latinTwins.Replace(s); !strings.ContainsFunc(twin, func(r rune) bool { return r >= 0x80 }) {
		return twin
	}
	return s
}
