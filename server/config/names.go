package config

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"example.com/accounts/server/mail"
)

// shortestName is the minimum length of a name that passwords are compared with. Shorter names,
// such as "eu" or "of", occur in good passwords by chance.
const shortestName = 3

// SiteNames returns the names of this service, which attackers try as passwords: the host of
// PUBLIC_URL and each of its labels, and the display name of MAIL_FROM, whole and word by word.
func (c Config) SiteNames() []string {
	var names []string
	add := func(candidates ...string) {
		for _, name := range candidates {
			if utf8.RuneCountInString(name) >= shortestName {
				names = append(names, name)
			}
		}
	}
	if u, err := url.Parse(c.PublicURL); err == nil {
		add(u.Hostname())
		add(strings.Split(u.Hostname(), ".")...)
	}
	words := strings.Fields(mail.SenderName(c.MailFrom))
	add(strings.Join(words, " "), strings.Join(words, ""))
	add(words...)
	return names
}
