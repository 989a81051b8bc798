package models

// Truncate returns the first n characters of text. The length of a text column is in characters, and
// a longer value is an error on MySQL.
func Truncate(text string, n int) string {
	if len(text) <= n { // bytes; no shorter than characters
		return text
	}
	if characters := []rune(text); len(characters) > n {
		return string(characters[:n])
	}
	return text
}
