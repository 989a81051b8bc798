package credentials

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"
)

//go:embed common.txt
var commonText string

// commonPasswords are sorted, in lower case; see common.LICENSE for their origin.
var commonPasswords = sync.OnceValue(func() []string { return strings.Fields(commonText) })

// product is a word of every account of this service.
const product = "accounts"

// isCommon says whether a password, in lower case, is a common one or one of the
// words. Digits and symbols around it do not make it better: "password" and
// "password12345678!" are one guess to a program.
func isCommon(password string, words []string) bool {
	candidates := []string{password, reverse(password)}
	for _, c := range candidates[:2] {
		candidates = append(candidates, strings.TrimFunc(c, isDressing))
	}
	for _, c := range candidates {
		if c == "" { // digits and symbols alone may still be a good one
			continue
		}
		if _, found := slices.BinarySearch(commonPasswords(), c); found {
			return true
		}
		if c == product || slices.ContainsFunc(words, func(w string) bool { return isWord(c, strings.ToLower(w)) }) {
			return true
		}
	}
	return false
}

// isWord: a name that ends in digits itself, such as ada1985, loses them when the password is undressed.
func isWord(candidate, word string) bool {
	return candidate == word || candidate == strings.TrimFunc(word, isDressing)
}

// isDressing: what is put around a word to please a rule.
func isDressing(r rune) bool {
	return unicode.IsDigit(r) || unicode.IsPunct(r) || unicode.IsSymbol(r) || unicode.IsSpace(r)
}

const longestBlock = 4

// isPattern says whether a password is nothing but digits that repeat or count: 111111111111, 121212121212,
// 123456789012. Of digits in another order the most common are in the list.
func isPattern(password string) bool {
	if strings.Trim(password, "0123456789") != "" {
		return false
	}
	for block := 1; block <= min(longestBlock, len(password)/2); block++ {
		if password[block:] == password[:len(password)-block] {
			return true
		}
	}
	return counts(password) || counts(reverse(password))
}

// counts says whether each digit is the one before it and one more; after 9 comes 0.
func counts(digits string) bool {
	for i := 1; i < len(digits); i++ {
		if digits[i]-'0' != (digits[i-1]-'0'+1)%10 {
			return false
		}
	}
	return true
}

func reverse(s string) string {
	runes := []rune(s)
	slices.Reverse(runes)
	return string(runes)
}
