package names

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

type spelling struct {
	given string
	want  string // "" is rejected
}

func spell(t *testing.T, canonical func(string) (string, bool), maxChars int, table []spelling) {
	t.Helper()
	for _, s := range table {
		got, ok := canonical(s.given)
		if ok != (s.want != "") || ok && got != s.want {
			t.Errorf("%.60q gives %.60q %v, want %.60q", s.given, got, ok, s.want)
		}
		if !ok {
			continue
		}
		if again, ok := canonical(got); !ok || again != got {
			t.Errorf("the canonical form of %.60q has another one: %.60q %v", got, again, ok)
		}
		if utf8.RuneCountInString(got) > maxChars {
			t.Errorf("the canonical form of %.60q does not fit its column", s.given)
		}
	}
}

// The corpus of names that look or compare alike: they are one name, or are rejected.
func TestLookAlikeUsernamesAreOneOrRejected(t *testing.T) {
	spell(t, NormalizeUsername, MaxUsername, []spelling{
		{"ada", "ada"},
		{"Ada", "ada"},
		{"ADA_Lovelace-1.2+3", "ada_lovelace-1.2+3"},
		{"1815", "1815"},
		{"jos\u00e9", "jos\u00e9"},
		{"JOSE\u0301", "jos\u00e9"},   // NFD
		{"jose", "jose"},              // another person
		{"\uff41\uff44\uff41", "ada"}, // fullwidth
		{"\u212a", "k"},               // Kelvin sign
		{"\u00c5", "\u00e5"},          // Å
		{"\u212b", "\u00e5"},          // Ångström sign
		{"stra\u00dfe", "stra\u00dfe"},
		{"strasse", "strasse"},
		{"STRA\u1e9eE", "stra\u00dfe"},
		{"\u0131", "\u0131"}, // dotless ı is a letter of its own
		{"I", "i"},
		{"\u0130brahim", "ibrahim"},  // the Turkish capital
		{"i\u0307brahim", "ibrahim"}, // its NFD, in small letters
		{"i\u0307\u0301", "\u00ed"},  // an accent above the dot
		{"\uff29\u0307", "i"},        // fullwidth
		{"i\u0307\u0307\u0307", "i"}, // any number of dots
		{"\u0456\u0307", "i"},        // Cyrillic has one too
		{"e\u0307", "\u0117"},        // a letter of its own
		{strings.Repeat("\u0130", 150), strings.Repeat("i", 150)},
		{"\u0391\u03a3", "\u03b1\u03c3"},
		{"\u03a3\u03c2", "\u03c3\u03c3"}, // the final sigma is the same letter
		{"\u0430\u0434\u0430", "\u0430\u0434\u0430"},
		{"\u0434\u043e\u043c", "\u0434\u043e\u043c"},
		{"\u1c81\u1c82\u043c", "\u0434\u043e\u043c"}, // the same in letters from old prints
		{"\u0441\u043e\u0440", "cop"},                // Cyrillic, as it can be read
		{"\u0421\u041e\u0420-1", "cop-1"},
		{"\u03bf\u03c1\u03b1", "opa"}, // Greek
		{"\u0585\u057d\u0578", "oun"}, // Armenian
		{"\u0441\u04bb\u04cf\u043e\u0451", "chlo\u00eb"},
		{"\u10d0\u10d3\u10d0", "\u10d0\u10d3\u10d0"},
		{"\u7530\u306e\u30a2-ada", "\u7530\u306e\u30a2-ada"}, // Japanese
		{"\u0256\u025b\u0254", "\u0256\u025b\u0254"},         // Ewe
		{"\uae40\u6771-ada", "\uae40\u6771-ada"},
		{"\u05d0\u05d1", "\u05d0\u05d1"},
		{strings.Repeat("a", 150), strings.Repeat("a", 150)},
		{strings.Repeat("\u00e9", 150), strings.Repeat("\u00e9", 150)},

		{"", ""},
		{"\u0430d\u0430", ""}, // Cyrillic а about a Latin d
		{"ad\u03b1", ""},      // Greek α
		{"t\u0585m", ""},      // Armenian օ
		{"\u0251da", ""},      // phonetic ɑ
		{"\u01c0da", ""},      // a click, which is a stroke
		{"\u01bfaypal", ""},   // wynn, an obsolete letter
		{"\u0237acob", ""},    // a j without a dot
		{"\u13a0\u13af", ""},  // Cherokee
		{"\ua4ee\ua4d3", ""},  // Lisu
		{"\u0434\u3042", ""},  // Cyrillic and Japanese
		{"ada@example.com", ""},
		{"@", ""},
		{"\uff20ada", ""}, // a fullwidth @ becomes one
		{"\ufe6bada", ""}, // a small one
		{" ada", ""},
		{"ada ", ""},
		{"ada lovelace", ""},
		{"ada\u00a0", ""},
		{"ada\u3000lovelace", ""},
		{"ada\u0000", ""},
		{"ada\n", ""},
		{"ada\t", ""},
		{"a\u200bda", ""}, // zero-width space, non-joiner, joiner
		{"a\u200cda", ""},
		{"a\u200dda", ""},
		{"\ufeffada", ""},
		{"a\u2060da", ""},
		{"a\u00adda", ""}, // soft hyphen
		{"\u202eada", ""}, // bidi
		{"a\u2066da", ""},
		{"\u05d0a", ""},    // mixed directions (RFC 5893)
		{"\u0301a", ""},    // begins with a mark
		{"\u017f", ""},     // long s
		{"\ufb01", ""},     // the ligature fi
		{"\u2460", ""},     // circled one
		{"\U0001f600", ""}, // emoji
		{"a\xc0\x80", ""},  // overlong NUL
		{"a\xff", ""},
		{"a\xed\xa0\x80", ""}, // a lone surrogate
		{strings.Repeat("a", 151), ""},
		{"a" + strings.Repeat("\u0301", 1000), ""},
		{strings.Repeat("a", 10000), ""},
	})
}

func TestEmailSpellingsAreOneOrRejected(t *testing.T) {
	t.Attr("control", "66")
	t.Attr("control", "67")
	local64 := strings.Repeat("l", 64)
	domain := func(length int) string { // of labels of 50
		d := strings.Repeat(strings.Repeat("d", 50)+".", 5)
		return d[:length-3] + ".co"
	}
	spell(t, NormalizeEmail, maxEmail, []spelling{
		{"a@b.co", "a@b.co"},
		{"A@B.CO", "a@b.co"},
		{"a+tag@b.co", "a+tag@b.co"},
		{"first.last@mail.b.co", "first.last@mail.b.co"},
		{"!#$%&'*+-/?=^_`{|}~@b.co", "!#$%&'*+-/?=^_`{|}~@b.co"}, {"a=?b@b.co", ""},
		{"-oQ/tmp@x.co", "-oq/tmp@x.co"}, // a bare addr-spec; no shell ever sees it
		{"a@b\u00fccher.example", "a@xn--bcher-kva.example"},
		{"a@B\u00dcCHER.example", "a@xn--bcher-kva.example"},
		{"a@bu\u0308cher.example", ""}, // NFD
		{"a@stra\u00dfe.example", "a@xn--strae-oqa.example"},
		{"a@STRA\u1e9eE.example", ""},   // straße to some programs, strasse to others
		{"a@\u0130stanbul.example", ""}, // istanbul to this server, i̇stanbul to others
		{"a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		{"a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"},
		{"a@1a.co", "a@1a.co"},
		{local64 + "@b.co", local64 + "@b.co"},
		{"a@" + strings.Repeat("d", 63) + ".co", "a@" + strings.Repeat("d", 63) + ".co"},
		{local64 + "@" + domain(189), local64 + "@" + domain(189)}, // 254

		{"", ""},
		{"a", ""},
		{"@b.co", ""},
		{"a@", ""},
		{"a@b", ""},
		{"a@localhost", ""},
		{"a@[127.0.0.1]", ""},
		{"a@127.0.0.1", ""},
		{"a@b.1", ""},
		{"Name <a@b.co>", ""},
		{"<a@b.co>", ""},
		{"a@b.co (c)", ""},
		{"a(c)@b.co", ""},
		{`"a b"@b.co`, ""},
		{`"a@evil.co"@b.co`, ""},
		{"a@evil.co@b.co", ""},
		{"a@b.co,c@d.co", ""},
		{"a@b.co;c", ""},
		{"a@b.co\r\nBcc: x@y.z", ""},
		{"a\r\nBcc: x@y.z", ""},
		{"a@b.co\n", ""},
		{"a@b.co%0d%0aBcc:x@y.z", ""},
		{"a@b.co\u2028", ""},
		{"=?utf-8?q?=0d=0a?=@b.co\u2028", ""},
		{"a@b.co.", ""},
		{"a@.b.co", ""},
		{"a@b..co", ""},
		{".a@b.co", ""},
		{"a.@b.co", ""},
		{"a..b@b.co", ""},
		{" a@b.co", ""},
		{"a@b.co ", ""},
		{"a @b.co", ""},
		{"a@b.co\x00", ""},
		{"a@-b.co", ""},
		{"a@b-.co", ""},
		{"a@b_c.co", ""},
		{"a@xn--.co", ""},
		{"a@xn--a.co", ""},
		{"\uff41@b.co", ""}, // fullwidth: net/mail would accept it
		{"\u00e9@b.co", ""},
		{"\u0430@b.co", ""},
		{"a\u200b@b.co", ""},
		{"a@b\xff.co", ""},
		{local64 + "l@b.co", ""},
		{local64 + "@" + domain(190), ""}, // 255
		{"a@" + strings.Repeat("d", 64) + ".co", ""},
		{"a@" + strings.Repeat("d.", 5000) + "co", ""},
		{"{{.}}@b.co\n", ""},
		{"<script>@b.co", ""},
	})
}

// Domains that Unicode can spell in several ways are one domain, or rejected.
func TestSpellingsOfDomainAreOneOrRejected(t *testing.T) {
	t.Attr("control", "66")
	for _, d := range []string{"b.\uff43o", "b\u3002co", "b\uff0eco", "\u212a.co", "b\u200d.co", "b\u00ad.co"} {
		got, ok := NormalizeEmail("a@" + d)
		if !ok {
			continue
		}
		for _, r := range got {
			if r > 0x7f {
				t.Errorf("%q gives %q, which is not ASCII", d, got)
			}
		}
		if again, ok := NormalizeEmail(got); !ok || again != got {
			t.Errorf("%q gives %q, then %q %v", d, got, again, ok)
		}
	}
}

// For every letter, mail goes to the domain that other programs read (UTS 46), or the address is
// rejected.
func TestDomainsAreReadAsByOtherPrograms(t *testing.T) {
	t.Attr("control", "66")
	taken := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		domain := "x" + string(r) + "y.example"
		got, ok := NormalizeEmail("a@" + domain)
		if !ok {
			continue
		}
		taken++
		if theirs, err := idna.Lookup.ToASCII(domain); err != nil || got != "a@"+theirs {
			t.Errorf("%U: %s, to others %s (%v)", r, got, theirs, err)
		}
	}
	if taken < 10_000 {
		t.Errorf("only %d letters are taken", taken)
	}
}

// A name in capitals and in small letters is one name, for every letter except ı, whose capital is
// that of i.
func TestUsernamesInAnyCaseAreOne(t *testing.T) {
	taken := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		name, ok := NormalizeUsername(string(r))
		if !ok || r == 'ı' {
			continue
		}
		taken++
		for _, other := range []string{strings.ToUpper(string(r)), strings.ToLower(string(r)), string(unicode.SimpleFold(r))} {
			if got, ok := NormalizeUsername(other); ok && got != name {
				t.Errorf("%U gives %q, and %q gives %q", r, name, other, got)
			}
		}
		if again, ok := NormalizeUsername(name); !ok || again != name {
			t.Errorf("%U gives %q, and that %q %v", r, name, again, ok)
		}
	}
	if taken < 10_000 {
		t.Errorf("only %d letters are taken", taken)
	}
}

// A name that is displayed as typed must not look like another name than the one it compares as.
func TestNewUsernameLooksAsItCompares(t *testing.T) {
	for name, want := range map[string]bool{
		"ada": true, "\u03b1\u03bd\u03bd\u03b1": true, "\u0391\u039d\u039d\u0391": false, "\u03a4\u039f\u039d\u03a5": false, "\u039d\u03af\u03ba\u03bf\u03c2": true,
		"a\u4e28ice": false, "b\u3007b": false, "\u4e00\u4e28": true, "a b": false,
	} {
		if _, ok := ParseNewUsername(name); ok != want {
			t.Errorf("%q: %v", name, ok)
		}
	}
}

func TestIsPersonNameRejectsControlCharacters(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "Ada": true, "\u00c9lodie-Ma\u00ebl O'Neil": true, "\u5f20\u4f1f": true, strings.Repeat("\u00e9", 150): true,
		strings.Repeat("a", 151): false, "a\x00": false, "a\r\nBcc: x": false, "a\tb": false, "a\x7f": false, "a\xff": false,
		"\u0646\u06cc\u200c\u0645\u0627": true, "Ada \U0001f469\u200d\U0001f4bb": true, // joiners
		"\u202eada": false, "a\u2066da": false, "ada\u2028": false, "ada\u0085": false, "a\u00adda": false, "\ufeffada": false, "\ue000": false,
		"\u3164": false, "a\u115fb": false, "a\u034fb": false, "   ": false, " ": false, "\u0600\u0661": true,
	} {
		if IsPersonName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
