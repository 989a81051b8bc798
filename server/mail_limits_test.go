package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// Mails that anyone can cause by entering an address are limited. Responses do not reveal that the
// limit is exceeded.
func TestMailsToAnAddressAreRateLimited(t *testing.T) {
	t.Attr("control", "8")
	t.Attr("control", "65")
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_MAILS_PER_RECIPIENT=5/1h"}})
	email, known := address(newName()), s.NewUser().Email
	for i, request := range []func(email string) *servertest.Response{
		func(email string) *servertest.Response {
			return post(s, "/accounts/register", object{"email": email, "password": password})
		},
		func(email string) *servertest.Response {
			return post(s, "/accounts/password/reset", object{"email": email})
		},
		func(email string) *servertest.Response {
			return post(s, "/accounts/email/resend", object{"email": email})
		},
	} {
		for range 6 {
			first := comparableResponse(request(email).Want(t, http.StatusAccepted, ""))
			if at := comparableResponse(request(known).Want(t, http.StatusAccepted, "")); at != first {
				t.Errorf("request %d: got another response than the first:\n%s\n%s", i, first, at)
			}
			if again := comparableResponse(request(strings.ToUpper(email)).Want(t, http.StatusAccepted, "")); again != first { // within the same minute
				t.Errorf("request %d: got another response than the first:\n%s\n%s", i, first, again)
			}
			s.Clock.Advance(time.Minute)
		}
	}
	queued := func(email string) int64 {
		return s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE email_norm = ?", email)
	}
	if queued(email) != 3*5 || queued(known) != 3*5 { // each kind has its own limit
		t.Errorf("%d and %d mails were queued, want 15 each", queued(email), queued(known))
	}
	// The link of the last accepted registration works, and the next hour has a new limit.
	settle(t, s)
	verify(s, servertest.Token(t, s.Mails.To(email)[0]), password).Want(t, http.StatusOK, "")
	s.Clock.Advance(time.Hour)
	post(s, "/accounts/email/resend", object{"email": email}).Want(t, http.StatusAccepted, "")
	if queued(email) != 3*5+1 {
		t.Errorf("%d mails were queued, want 16", queued(email))
	}
}

// The limit of mails holds for concurrent requests on several replicas. Mails to other addresses
// are not affected.
func TestMailLimitHoldsForConcurrentRequests(t *testing.T) {
	t.Attr("control", "8")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		limit := []string{"ACCOUNTS_MAILS_PER_RECIPIENT=5/1h"}
		a := servertest.Start(t, servertest.Options{Engine: engine, Settings: limit})
		b := servertest.Start(t, servertest.Options{Engine: engine, Database: a.Database, Settings: limit})
		email, known := address(newName()), a.NewUser().Email
		for _, each := range []string{email, known} {
			for path, body := range map[string]object{
				"/accounts/register": {"email": each, "password": password}, "/accounts/password/reset": {"email": each},
			} {
				answers := parallel(20, func(i int) *servertest.Response { return post([]*servertest.Server{a, b}[i%2], path, body) })
				if got := statuses(answers); got[http.StatusAccepted] != 20 {
					t.Errorf("%s: %v", path, got)
				}
			}
		}
		settle(t, a)
		for each, want := range map[string]int{email: 1, known: 2} { // no reset is possible before the address is verified
			if got := len(a.Mails.To(each)) + len(b.Mails.To(each)); got != want {
				t.Errorf("%d mails arrived, want %d", got, want)
			}
		}
	})
}

// A mail that could not be queued does not count against the limit, so that a repeated request
// sends it.
func TestFailedMailDoesNotCountAgainstLimit(t *testing.T) {
	t.Attr("control", "8")
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		for what, try := range map[string]struct {
			ask func() *servertest.Response
			to  string
		}{
			"register": {func() *servertest.Response {
				return post(s, "/accounts/register", object{"email": address("a" + u.Username), "password": password})
			}, address("a" + u.Username)},
			"reset":  {func() *servertest.Response { return post(s, "/accounts/password/reset", object{"email": u.Email}) }, u.Email},
			"change": {func() *servertest.Response { return changeEmail(c.Copy(), address("b"+u.Username)) }, address("b" + u.Username)},
		} {
			s.Database.Exec(t, "ALTER TABLE outbox RENAME TO away")
			try.ask().Want(t, http.StatusInternalServerError, "server_failed")
			s.Database.Exec(t, "ALTER TABLE away RENAME TO outbox")
			try.ask().Want(t, http.StatusAccepted, "")
			s.Mails.Wait(t, try.to, 1)
			settle(t, s)
			t.Log(what)
		}
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h")
}

// Changes of the address are limited, because each sends a mail to the new address and a notice to
// the old one.
func TestChangesOfAddressAreRateLimited(t *testing.T) {
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		for range 5 {
			changeEmail(c, address(newName())).Want(t, http.StatusAccepted, "")
		}
		wantLimited(t, changeEmail(c, address(newName())))
		settle(t, s)
		if n := len(s.Mails.To(u.Email)); n != 5 {
			t.Errorf("got %d notices, want 5", n)
		}
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h")
}

// If another person has just caused a mail to an address, no further mail is sent to it for a
// while. A user who requests a change to that address gets the same response. The change is
// pending, in the log and in the export, and counts against the limit.
func TestMailsToChangedAddressAreRateLimited(t *testing.T) {
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, next := s.NewUser(), address(newName())
		c := s.Login(u, accounts.Hybrid)
		for range 4 {
			changeEmail(c, address(newName())).Want(t, http.StatusAccepted, "")
		}
		post(s, "/accounts/register", object{"email": next, "password": password}).Want(t, http.StatusAccepted, "")
		changeEmail(c, next).Want(t, http.StatusAccepted, "")
		wantMails(t, s, next, mail.Verify)
		for _, path := range []string{"/accounts/profile", "/accounts/profile/export"} {
			if u := profileOf(t, c.Do(http.MethodGet, path, nil)); u["pending_email"] != next {
				t.Errorf("%s has %v, want %s", path, u["pending_email"], next)
			}
		}
		if e := eventsOf(t, s, c)[0]; e["kind"] != models.EventEmailChangeRequested {
			t.Errorf("last event: got %v, want email_change_requested", e)
		}
		wantLimited(t, changeEmail(c, address(newName())))
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h")
}

// If a change is requested twice within a moment, as by a double click, one mail is sent and its
// link works. The link of an earlier change to another address stops working with the new request.
func TestRepeatedChangeOfAddressSendsOneMail(t *testing.T) {
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, next, other := s.NewUser(), address(newName()), address(newName())
		c := s.Login(u, accounts.Hybrid)
		changeEmail(c, other).Want(t, http.StatusAccepted, "")
		replaced := linkToken(t, s, other, 1, mail.EmailChange) // no mail is sent if the change is replaced before
		for range 2 {
			changeEmail(c, next).Want(t, http.StatusAccepted, "")
		}
		wantMails(t, s, next, mail.EmailChange)
		confirmEmail(s, replaced, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, linkToken(t, s, next, 1, mail.EmailChange), u.Password).Want(t, http.StatusNoContent, "")
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h")
}
