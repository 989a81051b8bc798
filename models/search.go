package models

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
	"gorm.io/gorm"
)

// searchColumns are the columns that the search text is computed from.
var searchColumns = []string{"username", "email", "first_name", "last_name"}

// searchText returns the text that FindUsers compares words with, one value per line: the names,
// the address as the user entered it, with its domain in ASCII, and with its domain in Unicode.
func searchText(u User) string {
	lines := []string{fold(u.Username), fold(u.Email)}
	if local, domain, ok := strings.Cut(u.EmailNorm, "@"); ok {
		lines = append(lines, fold(u.EmailNorm))
		if shown, err := idna.Punycode.ToUnicode(domain); err == nil {
			lines = append(lines, fold(local+"@"+shown))
		}
	}
	lines = append(lines, fold(u.FirstName), fold(u.LastName))
	var text []string
	for _, line := range lines {
		if line != "" && !slices.Contains(text, line) {
			text = append(text, line)
		}
	}
	return strings.Join(text, "\n")
}

// fold returns the form of a text that searches compare: Unicode's compatibility form (NFKC) in
// lower case. The server folds, not the database, because the engines differ in the letters that
// they fold. fold first maps to upper case, which turns ß, ſ, ﬁ and ς into the letters they are
// equal to. cases.Fold would do so too, but it swaps the two cases of Cherokee. A dot above an i is
// removed, so that İ matches i.
func fold(text string) string {
	for range maxFolds { // one step can undo the form that another one has produced
		capitals := cases.Upper(language.Und).String(strings.ToLower(norm.NFKC.String(text)))
		folded := norm.NFKC.String(strings.ReplaceAll(strings.ToLower(capitals), "i\u0307", "i"))
		if folded == text {
			break
		}
		text = folded
	}
	return text
}

const maxFolds = 4 // more than any letter needs

// maxSearchWord is the maximum length of a folded word in a search. It is the length of the longest
// address.
const maxSearchWord = 254

// searchWord returns the folded form of a word in a search, cut to maxSearchWord letters. The bound
// is needed because one letter can fold to 18, and comparing a pattern of thousands of letters with
// names that repeat its beginning takes a millisecond per user.
func searchWord(word string) string {
	letters := []rune(fold(word))
	return string(letters[:min(len(letters), maxSearchWord)])
}

// BeforeCreate is GORM's hook. It sets the search text of every new user.
func (u *User) BeforeCreate(*gorm.DB) error {
	u.Search = searchText(*u)
	return nil
}

// updateSearch sets the search text if one of its columns was set. The row is locked, because it
// was just written.
func updateSearch(tx *gorm.DB, set map[string]any, id any) error {
	if !slices.ContainsFunc(searchColumns, func(column string) bool { return set[column] != nil }) {
		return nil
	}
	var u User
	if err := tx.Where("id = ?", id).Take(&u).Error; err != nil {
		return err
	}
	return exactlyOne(tx.Model(&User{}).Where("id = ?", u.ID).Updates(map[string]any{"search": searchText(u)}))
}
