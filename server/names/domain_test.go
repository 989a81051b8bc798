package names

import (
	"testing"

	"golang.org/x/net/idna"
)

func TestDomainsOfMixedScriptsAreRejected(t *testing.T) {
	t.Attr("control", "203")
	for domain, plain := range map[string]bool{
		"example.com": true, "a-1.example": true, "1und1.example": true, "bücher.example": true, "straße.example": true, "łódź.example": true,
		"회사.example": true, "example.한국": true, "пример.example": true, "почта.рф": true, "παράδειγμα.example": true,
		"例え.example": true, "日本ドメイン.example": true, "食狮.example": true, "mail.почта.example": true, "lg전자.example": true, "ソニーstore.example": true,
		"пример1.example": true, "مثال.example": true,

		"c\u043erp.example":        false, // Cyrillic о
		"сorp.example":             false, // Cyrillic с
		"\u0440\u0430ypal.example": false,
		"g\u03bf\u03bfgle.example": false, // Greek omicron
		"mail.c\u043erp.example":   false,
		"example.c\u043em":         false,
		"한글\u043e.example":         false, // Korean and Cyrillic
		"paypa\u4e28.example":      false, // a Chinese stroke
		"g\u3007\u3007gle.example": false, // a Chinese ring
		"\u0261oogle.example":      false, // the phonetic script g
		"p\u0569ain.example":       false, // Armenian
	} {
		ascii, err := idna.Registration.ToASCII(domain)
		if err != nil {
			t.Errorf("%s is not a domain: %v", domain, err)
			continue
		}
		for _, form := range []string{domain, ascii} {
			norm, ok := ParseNewEmail("cfo@" + form)
			if ok != plain {
				t.Errorf("%s: accepted: %t, want %t", form, ok, plain)
			}
			if plain && norm != "cfo@"+ascii {
				t.Errorf("%s: %s", form, norm)
			}
			if _, ok := NormalizeEmail("cfo@" + form); !ok {
				t.Errorf("%s is rejected as an existing address", form)
			}
		}
	}
}
