package credentials

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// shortestPattern is the fewest code points that count as a pattern once the digits and symbols
// around them are removed. A shorter pattern says little about the whole password.
const shortestPattern = 8

// isPattern reports whether password, in lower case, follows a rule instead of being a secret. Such
// a password repeats a unit that is too short to be a password itself, or consists of consecutive
// letters, digits or keys. Digits and symbols around a pattern do not make it stronger.
func isPattern(password string, minLength int) bool {
	inner := trimDecoration(password)
	return isRepetition(password, minLength) || isMadeOfRuns(password) ||
		utf8.RuneCountInString(inner) >= shortestPattern && (isRepetition(inner, minLength) || isMadeOfRuns(inner))
}

// isRepetition reports whether s isRepetition a unit of fewer than minLength code points.
func isRepetition(s string, minLength int) bool {
	u := repeatedUnit(s)
	return u != s && utf8.RuneCountInString(u) < minLength
}

// repeatedUnit returns the shortest string that s repeats at least twice, whether or not the last
// repetition is complete: "abc" for "abcabcab". It returns s if there is none.
func repeatedUnit(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if s[n:] == s[:len(s)-n] { // then n bytes are whole code points, since the rest begins like s
			return s[:n]
		}
	}
	return s
}

// shortestRun is the fewest consecutive characters that count as a run. Two are adjacent by chance
// in many good passwords.
const shortestRun = 3

// isMadeOfRuns reports whether s consists only of runs. A run is consecutive characters of an
// alphabet or a keyboard in either direction, or one repeated character. "112233445566" counts as
// runs too, because each of its characters is repeated.
func isMadeOfRuns(s string) bool {
	runes := []rune(s)
	single := slices.Compact(slices.Clone(runes))
	return splitsIntoRuns(runes) || len(single) <= len(runes)/2 && splitsIntoRuns(single)
}

func splitsIntoRuns(s []rune) bool {
	for len(s) > 0 {
		n := runLength(s)
		if n < shortestRun {
			return false
		}
		s = s[n:]
	}
	return true
}

// runLength returns the length of the longest run that s begins with, or 0 if it begins with none.
func runLength(s []rune) int {
	if len(s) < shortestRun {
		return 0
	}
	longest, start := 1, string(s[:shortestRun])
	for longest < len(s) && s[longest] == s[0] {
		longest++
	}
	for _, row := range rows {
		if !strings.Contains(row, start) {
			continue
		}
		n := shortestRun
		for n < len(s) && strings.Contains(row, string(s[:n+1])) {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

// rows are the sequences that runs are taken from, forward and backward.
var rows = func() []string {
	list := []string{
		"01234567890123456789", "abcdefghijklmnopqrstuvwxyz", // 0 follows 9
		"qwertyuiop", "asdfghjkl", "zxcvbnm", // the keyboard, also in Germany and France
		"qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
		"!@#$%^&*()", "1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm",
		"абвгдежзийклмнопрстуфхцчшщъыьэюя", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю",
		"αβγδεζηθικλμνξοπρστυφχψω", "가나다라마바사아자차카타파하", "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ",
	}
	for _, row := range slices.Clone(list) {
		list = append(list, reverse(row))
	}
	return list
}()
