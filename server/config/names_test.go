package config

import (
	"slices"
	"testing"
)

func TestSiteNamesComeFromURLAndSender(t *testing.T) {
	for _, test := range []struct {
		settings string
		more     []string
		want     []string
	}{
		{"", nil, []string{"localhost", "Accounts"}},
		{"PUBLIC_URL=https://id.Lovelace-Shop.example:8443 SECRET_KEYS=k MAIL=files", []string{"ACCOUNTS_MAIL_FROM=\"Lovelace & Co. Shop\" <no-reply@mail.example>"},
			[]string{"id.lovelace-shop.example", "lovelace-shop", "example", "Lovelace & Co. Shop", "Lovelace&Co.Shop", "Lovelace", "Shop"}},
		{"PUBLIC_URL=https://127.0.0.1:8443 MAIL_FROM=no-reply@mail.example", nil, []string{"127.0.0.1"}},
	} {
		c, _ := mustLoad(t, environ(test.settings, test.more...))
		for _, name := range test.want {
			if !slices.Contains(c.SiteNames(), name) {
				t.Errorf("%s: %q is missing in %q", test.settings, name, c.SiteNames())
			}
		}
		if slices.ContainsFunc(c.SiteNames(), func(name string) bool { return len(name) < shortestName }) {
			t.Errorf("%s: %q", test.settings, c.SiteNames())
		}
	}
}
