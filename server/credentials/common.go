package credentials

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed common.txt
var commonText string

// commonPasswords returns the common passwords, sorted and in lower case; see common.LICENSE for
// their origin.
var commonPasswords = sync.OnceValue(func() []string { return strings.Fields(commonText) })

// product is a word that counts as common for every account.
const product = "accounts"

// isCommon reports whether password, in lower case, is a simple variation of a common password or
// of one of the words. A guessing program tries all these variations of a word before any longer
// word, so they do not make it stronger.
func isCommon(password string, words []string) bool {
	lower := []string{product}
	for _, w := range words {
		w = strings.ToLower(w)
		lower = append(lower, w, trimDecoration(w)) // the digits at the ends of a name such as ada1985 are removed from the password, too
	}
	return slices.ContainsFunc(variations(password), func(v string) bool {
		_, listed := slices.BinarySearch(commonPasswords(), v)
		return v != "" && (listed || slices.Contains(lower, v))
	})
}

// variations returns the words that password may be a simple variation of. They are the password as
// it is, the password without the digits and symbols at its ends, and the part that it repeats,
// each also backwards and with letters in place of the digits and symbols that look like them.
func variations(password string) []string {
	var list []string
	for _, s := range []string{password, reverse(password)} {
		for _, s := range []string{s, trimDecoration(s), repeatedPart(s)} {
			s = repeatedUnit(s)
			list = append(list, s)
			if utf8.RuneCountInString(s) >= shortestLeetspeak {
				list = append(list, lookAlikes.Replace(s), lookAlikesL.Replace(s))
			}
		}
	}
	return list
}

// shortestLeetspeak is the minimum length of a text whose digits are read as letters, in code
// points. In shorter passwords random digits form a word by chance.
const shortestLeetspeak = 6

// lookAlikes replaces digits and symbols by the letters that they are commonly written for.
// lookAlikesL replaces 1 by l instead of i.
var (
	lookAlikes  = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t")
	lookAlikesL = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "l", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t")
)

// trimDecoration returns s without the digits and symbols at its ends, which users often add to a
// word to satisfy a rule.
func trimDecoration(s string) string { return strings.TrimFunc(s, isDecoration) }

// repeatedPart splits s at digits, symbols and spaces. If all parts are the same, it returns that
// part, such as "admin" for "admin-admin-1", and "" if not.
func repeatedPart(s string) string {
	parts := strings.FieldsFunc(s, isDecoration)
	if len(slices.Compact(parts)) != 1 {
		return ""
	}
	return parts[0]
}

// isDecoration reports whether r is a digit, a symbol or a space, which users often add to a word
// to satisfy a rule.
func isDecoration(r rune) bool {
	return unicode.IsDigit(r) || unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsSpace(r)
}

func reverse(s string) string {
	runes := []rune(s)
	slices.Reverse(runes)
	return string(runes)
}
