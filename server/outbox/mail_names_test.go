package outbox_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// named returns the mails to an address so far, each with the name in it.
func named(s *servertest.Server, email string) (list []string) {
	for _, m := range s.Mails.To(email) {
		list = append(list, string(m.Kind)+" "+m.Name)
	}
	slices.Sort(list)
	return list
}

// A stranger who types another person's address types the name too, and the operator's server sends
// the mail. So only mails to verified addresses contain a name, and no mail contains anything else
// that the stranger typed.
func TestOnlyMailsToVerifiedAddressesContainName(t *testing.T) {
	t.Attr("control", "202")
	const squatted, fresh = "victim@example.com", "fresh@example.com"
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, Settings: []string{"ACCOUNTS_EMAIL_VERIFICATION=optional"}})
		u := s.NewUser()
		signUp := func(email string) {
			s.Anonymous().Do(http.MethodPost, "/accounts/register", map[string]any{
				"email": email, "password": secret, "first_name": "Call us", "locale": "call-18005550-199",
			}).Want(t, http.StatusAccepted, "")
		}
		resendTo := func(email string) {
			s.Anonymous().Do(http.MethodPost, "/accounts/email/resend", map[string]any{"email": email}).Want(t, http.StatusAccepted, "")
		}
		signUp(squatted) // the stranger's account; its address is not verified
		s.Mails.Wait(t, squatted, 1)
		resendTo(squatted)
		requestReset(t, s, squatted)
		signUp(squatted)
		requestReset(t, s, u.Email)
		signUp(u.Email)
		s.Login(u, token.Body).Do(http.MethodPost, "/accounts/email/change", map[string]any{"email": fresh}).
			Want(t, http.StatusAccepted, "")
		for email, want := range map[string][]string{
			squatted: {"already_registered ", "reset ", "verify ", "verify "},
			fresh:    {"email_change "},
			u.Email:  {"already_registered Ada", "email_change_notice Ada", "reset Ada"},
		} {
			eventually(t, "all mails to "+email, func() bool { return len(s.Mails.To(email)) >= len(want) })
			if got := named(s, email); !slices.Equal(got, want) {
				t.Errorf("mails to %s: got %q, want %q", email, got, want)
			}
			for _, m := range s.Mails.To(email) {
				if strings.Contains(m.Link, "18005550") || strings.Contains(m.Name, "Call") {
					t.Errorf("a %s mail contains text that a stranger entered: %q, %s", m.Kind, m.Name, m.Link[:strings.IndexByte(m.Link, '#')])
				}
				if m.Kind == mail.Verify && !strings.HasSuffix(m.Link, "&lang=en") {
					t.Error("the link lacks the language of the mail")
				}
			}
		}
	})
}
