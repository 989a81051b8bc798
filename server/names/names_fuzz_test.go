package names

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// The comparison of names must not depend on how they were typed. A canonical form is its own
// canonical form, and every other spelling of a name (another case, width or normal form) is
// rejected or has the same form.

// identities holds names and addresses that are known from attacks.
var identities = []string{
	"ada", "Ada", "ADA@Example.COM", "ada@example.com", "a@b.co", "\u00e9", "e\u0301", "\u0130", "\u0131", "\u00df", "ss", "\u017f", "\u212a", "\uff41\uff44\uff41",
	"\u0430da", "a\u200bb", "a\u200db", "\ufeffa", "a\u2060b", "\u202eada", "a\u2066b", "a" + strings.Repeat("\u0301", 100), "\U0001f600", "\xff", "\xc0\x80", "a\x00b",
	" a", "a ", "a b", "\u00a0a", "a\u3000", strings.Repeat("a", 150), strings.Repeat("a", 151), strings.Repeat("\u1e9e", 76), "\u03c3\u03c2", "\u03a3", "\uac00", "\u1100\u1161",
	"a@\uff42.co", "a@b\u3002co", "a@xn--bcher-kva.example", "a@b\u00fccher.example", "a@B\u00dcCHER.example", "a@bu\u0308cher.example", "a@fa\u00df.de",
	"Name <a@b.co>", "a@b.co (c)", `"a b"@b.co`, `"a@evil.co"@b.co`, "a@b", "a@[127.0.0.1]", "a@b.co\r\nBcc: x@y.z", "=?utf-8?q?=0d=0a?=@b.co", "a@b.co,c@d.co",
	"a@@b.co", "a@b.co.", ".a@b.co", "a..b@b.co", strings.Repeat("a", 65) + "@b.co", "a@" + strings.Repeat("a", 64) + ".co", "a+tag@b.co", "-oQ/tmp@x.co", "a@1.2",
}

// spellings returns other ways to type a text.
func spellings(s string) []string {
	return []string{
		strings.Map(unicode.ToUpper, s), strings.Map(unicode.ToLower, s), strings.Map(unicode.ToTitle, s), strings.Map(unicode.SimpleFold, s),
		norm.NFC.String(s), norm.NFD.String(s), width.Fold.String(s), width.Narrow.String(s), width.Widen.String(s),
	}
}

func FuzzUsername(f *testing.F) { fuzzIdentity(f, NormalizeUsername, MaxUsername) }

func FuzzEmail(f *testing.F) { fuzzIdentity(f, NormalizeEmail, maxEmail) }

func fuzzIdentity(f *testing.F, canonical func(string) (string, bool), most int) {
	for _, s := range identities {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		form, ok := canonical(given)
		if !ok {
			return
		}
		if again, ok := canonical(form); !ok || again != form {
			t.Errorf("the canonical form of %q is %q, and that one's %q %v", given, form, again, ok)
		}
		if n := utf8.RuneCountInString(form); n < 1 || n > most || !utf8.ValidString(form) || strings.ContainsFunc(form, isUnsuitable) {
			t.Errorf("%q has the canonical form %q, which the contract has no place for", given, form)
		}
		for _, s := range append(spellings(given), spellings(form)...) {
			if other, ok := canonical(s); ok && other != form && sameLetters(s, given, form) {
				t.Errorf("%q is %q, and spelled %q it is %q", given, form, s, other)
			}
		}
	})
}

func isUnsuitable(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
}

// sameLetters reports whether s differs from given or from form only by case. It excludes a
// spelling whose capital is that of another letter: the dotless i is a letter of its own in the
// languages that have it.
func sameLetters(s, given, form string) bool {
	return strings.EqualFold(s, given) || strings.EqualFold(s, form)
}

// The form of an imported username is never that of a username that is chosen here, nor of an
// address: it cannot be mistaken for another user, and logs in no other user.
func FuzzImportedUsername(f *testing.F) {
	for _, s := range identities {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, given string) {
		form, ok := NormalizeImportedUsername(given)
		if !ok {
			return
		}
		if _, ok := NormalizeUsername(form); ok {
			t.Errorf("%q has the form %q, which is a username", given, form)
		}
		if _, ok := NormalizeEmail(form); ok {
			t.Errorf("%q has the form %q, which is an address", given, form)
		}
		if n := utf8.RuneCountInString(form); n < 1 || n > MaxUsername || !utf8.ValidString(form) || strings.ContainsFunc(form, unicode.IsControl) || strings.TrimSpace(form) != form {
			t.Errorf("%q has the form %q", given, form)
		}
		for _, s := range []string{strings.ToUpper(given), strings.ToLower(given)} {
			if other, ok := NormalizeImportedUsername(s); ok && other != form && strings.EqualFold(s, given) {
				t.Errorf("%q is %q, and %q is %q", given, form, s, other)
			}
		}
	})
}
