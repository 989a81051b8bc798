package server_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// requestReset requests a reset and returns the token of the mail, the nth mail to the address.
func requestReset(t *testing.T, s *servertest.Server, email string, n int) string {
	t.Helper()
	post(s, "/accounts/password/reset", object{"email": email}).Want(t, http.StatusAccepted, "")
	return linkToken(t, s, email, n, mail.Reset)
}

func confirmReset(s *servertest.Server, token, next string) *servertest.Response {
	return post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": next})
}

func changePassword(c *servertest.Client, current, next string) *servertest.Response {
	return c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": current, "new_password": next})
}

// sessionsInEach starts a session of a user in every transport.
func sessionsInEach(s *servertest.Server, u servertest.User) []*servertest.Client {
	var list []*servertest.Client
	for _, transport := range transports {
		list = append(list, s.Login(u, transport))
	}
	return list
}

// wantEnded checks that the tokens of the sessions are rejected. The clients keep their tokens.
func wantEnded(t *testing.T, clients []*servertest.Client) {
	t.Helper()
	for _, c := range clients {
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
	}
}

func TestChangePasswordRevokesSessionsAndStartsNewOne(t *testing.T) {
	t.Attr("control", "58")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		others := sessionsInEach(s, u)
		bystander := s.Login(s.NewUser(), transport)
		reset := requestReset(t, s, u.Email, 1)
		next := address(newName())
		change := requestEmailChange(t, s, others[0], next, 1)
		c := s.Login(u, transport)
		old := c.Copy()
		likeLogin := shape(login(s.Anonymous(), u, transport))
		r := changePassword(c, u.Password, otherPassword).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(likeLogin, shape(r)); diff != "" {
			t.Errorf("the response differs from that of a login (-login +change):\n%s", diff)
		}
		wantEnded(t, append(others, old))
		if c.SessionID == old.SessionID || profileOf(t, c.Profile())["username"] != u.Username {
			t.Error("the response has no new session of the same user")
		}
		c.RefreshTokens().Want(t, http.StatusOK, "")
		bystander.Profile().Want(t, http.StatusOK, "")
		signIn(s, u.Username, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, u.Username, otherPassword).Want(t, http.StatusOK, "")
		confirmReset(s, reset, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, change, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantMails(t, s, u.Email, mail.Reset, mail.EmailChangeNotice, mail.PasswordChanged)
	})
}

func TestChangePasswordRejectsInvalidRequests(t *testing.T) {
	t.Attr("control", "58")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		before, user := s.Database.Dump(t), stored(t, s, u.Email)
		wantField(t, changePassword(c.Copy(), u.Password+"x", otherPassword), "/current_password", "password_wrong")
		wantFields(t, changePassword(c.Copy(), "x", "password1234"), "/current_password password_wrong", "/new_password password_common")
		for next, code := range map[string]string{"elevenchars": "too_short", strings.Repeat("z", 257): "too_long", "password1234": "password_common", u.Email: "password_common", "12345" + u.Username: "password_common"} {
			wantField(t, changePassword(c.Copy(), u.Password, next), "/new_password", code)
		}
		wantUnchanged(t, s, before)
		for _, value := range []string{"", "AAAA", csrfOf(t, s.Login(s.NewUser(), transport))} {
			withoutBearer := servertest.Header("Authorization", "")
			if transport == accounts.Cookies || transport == accounts.ServerHeld {
				r := c.Copy().Do(http.MethodPost, "/accounts/password/change", object{"current_password": u.Password, "new_password": otherPassword}, servertest.Header("X-CSRFToken", value), withoutBearer)
				r.Want(t, http.StatusForbidden, "csrf_failed")
			}
		}
		if diff := cmp.Diff(user, stored(t, s, u.Email)); diff != "" {
			t.Errorf("the rejected requests changed the user:\n%s", diff)
		}
		c.Profile().Want(t, http.StatusOK, "")
	})
}

// Of several concurrent changes of the password from one session, one succeeds: its password and
// its new session are valid.
func TestOneOfConcurrentPasswordChangesSucceeds(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		const n = 10
		u := s.NewUser()
		c := s.Login(u, accounts.BodyTokens)
		clients := make([]*servertest.Client, n)
		for i := range clients {
			clients[i] = c.Copy()
		}
		answers := parallel(n, func(i int) *servertest.Response {
			return changePassword(clients[i], u.Password, otherPassword+strings.Repeat("!", i))
		})
		got := statuses(answers)
		if got[http.StatusOK] != 1 || got[http.StatusUnauthorized]+got[http.StatusUnprocessableEntity] != n-1 {
			t.Fatalf("responses by status: got %v, want one 200", got)
		}
		for i, r := range answers {
			if r.Status == http.StatusOK {
				clients[i].Profile().Want(t, http.StatusOK, "")
				signIn(s, u.Username, otherPassword+strings.Repeat("!", i)).Want(t, http.StatusOK, "")
			}
		}
		wantMails(t, s, u.Email, mail.PasswordChanged)
	})
}

func TestResetSetsPasswordAndRevokesSessions(t *testing.T) {
	t.Attr("control", "54")
	t.Attr("control", "55")
	t.Attr("control", "62")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, next := s.NewUser(), address(newName())
		sessions := sessionsInEach(s, u)
		change := requestEmailChange(t, s, sessions[0], next, 1)
		old := requestReset(t, s, u.Email, 2)
		token := requestReset(t, s, u.Email, 3)
		before := stored(t, s, u.Email)
		confirmReset(s, old, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid") // a newer link replaces the older one
		for value, code := range map[string]string{"x": "too_short", "password1234": "password_common", u.Email: "password_common"} {
			wantField(t, confirmReset(s, token, value), "/new_password", code) // uses up nothing
		}
		if diff := cmp.Diff(before, stored(t, s, u.Email)); diff != "" {
			t.Errorf("the rejected requests changed the user:\n%s", diff)
		}
		sessions[0].Profile().Want(t, http.StatusOK, "")                                      // the request for a mail ends no session
		wantEmpty(t, confirmReset(s, token, otherPassword).Want(t, http.StatusNoContent, "")) // the reset does not sign the user in
		wantEnded(t, sessions)
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", u.ID); n != 0 {
			t.Errorf("%d links are still open, want 0", n)
		}
		signIn(s, u.Email, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, u.Email, otherPassword).Want(t, http.StatusOK, "")
		confirmReset(s, token, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, change, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		signIn(s, u.Email, otherPassword).Want(t, http.StatusOK, "")
		wantMails(t, s, u.Email, mail.EmailChangeNotice, mail.Reset, mail.Reset, mail.PasswordChanged)
	})
}

// Known, unknown, inactive and unverified addresses get the same response. Only an active account
// gets a mail.
func TestResetRequestAnswersAlikeForUnknownAddresses(t *testing.T) {
	t.Attr("control", "53")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		active, inactive, pending, unknown := s.NewUser(), s.NewUser(), address(newName()), address(newName())
		setActive(t, s, inactive, false)
		register(t, s, 1, object{"email": pending, "password": password})
		c, before := s.Login(active, accounts.Hybrid), stored(t, s, active.Email)
		first := post(s, "/accounts/password/reset", object{"email": unknown}).Want(t, http.StatusAccepted, "")
		wantAccepted(t, first)
		for _, email := range []string{active.Email, inactive.Email, pending, otherSpelling(active.Email)} {
			r := post(s, "/accounts/password/reset", object{"email": email}).Want(t, http.StatusAccepted, "")
			if diff := cmp.Diff(comparableResponse(first), comparableResponse(r)); diff != "" {
				t.Errorf("%s: the response differs:\n%s", email, diff)
			}
			settle(t, s) // of two resets of one user, only the newer is sent
		}
		wantMails(t, s, unknown)
		wantMails(t, s, inactive.Email)
		wantMails(t, s, pending, mail.Verify)
		wantMails(t, s, otherSpelling(active.Email)) // mails go to the stored spelling of the address
		wantMails(t, s, active.Email, mail.Reset, mail.Reset)
		wantField(t, post(s, "/accounts/password/reset", object{"email": "x@y"}), "/email", "format_invalid")
		before.LockCount += 2 // two mails were queued
		if diff := cmp.Diff(before, stored(t, s, active.Email)); diff != "" {
			t.Errorf("the request for a reset changed the user:\n%s", diff)
		}
		c.Profile().Want(t, http.StatusOK, "")
		signIn(s, active.Email, active.Password).Want(t, http.StatusOK, "")
	})
}

// A reset link is rejected after the user is deactivated or deleted.
func TestResetLinkOfDisabledUserIsRejected(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, gone := s.NewUser(), s.NewUser()
		token, orphan := requestReset(t, s, u.Email, 1), requestReset(t, s, gone.Email, 1)
		settle(t, s)
		setActive(t, s, u, false)
		deleteAccount(s.Login(gone, accounts.BodyTokens)).Want(t, http.StatusNoContent, "")
		settle(t, s)
		before := s.Database.Dump(t)
		confirmReset(s, token, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmReset(s, orphan, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantUnchanged(t, s, before)
		setActive(t, s, u, true)
		signIn(s, u.Email, u.Password).Want(t, http.StatusOK, "")
	})
}

func TestOneOfConcurrentUsesOfResetLinkSucceeds(t *testing.T) {
	t.Attr("control", "54")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		replicas := []*servertest.Server{s, servertest.Start(t, servertest.Options{Engine: engine, Database: s.Database, HoldMail: true})}
		u := s.NewUser()
		token := requestReset(t, s, u.Email, 1)
		const n = 20
		answers := parallel(n, func(i int) *servertest.Response {
			return confirmReset(replicas[i%2], token, otherPassword+strings.Repeat("!", i))
		})
		if got := statuses(answers); got[http.StatusNoContent] != 1 || got[http.StatusUnprocessableEntity] != n-1 {
			t.Fatalf("responses by status: got %v, want one 204", got)
		}
		for i, r := range answers {
			want := http.StatusUnauthorized
			if r.Status == http.StatusNoContent {
				want = http.StatusOK
			}
			signIn(s, u.Email, otherPassword+strings.Repeat("!", i)).Want(t, want, "")
		}
		wantMails(t, s, u.Email, mail.Reset, mail.PasswordChanged)
	})
}

// failing is a mail server that can be down.
type failing struct {
	servertest.Mails
	down atomic.Bool
}

func (f *failing) Send(ctx context.Context, m mail.Message) error {
	if f.down.Load() {
		return context.DeadlineExceeded
	}
	return f.Mails.Send(ctx, m)
}

// A change and the mail about it are one transaction, so that no change happens without a notice to
// its owner. A mail server that is down does not block the change.
func TestPasswordChangeAndItsNoticeAreOneTransaction(t *testing.T) {
	t.Attr("control", "59")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		office := &failing{}
		s := servertest.Start(t, servertest.Options{Engine: engine, Mail: office})
		u := s.NewUser()
		post(s, "/accounts/password/reset", object{"email": u.Email}).Want(t, http.StatusAccepted, "")
		token := servertest.Token(t, office.Wait(t, u.Email, 1))
		settle(t, s)
		c := s.Login(u, accounts.BodyTokens)
		operations := []func() *servertest.Response{
			func() *servertest.Response { return changePassword(c.Copy(), u.Password, otherPassword) },
			func() *servertest.Response { return confirmReset(s, token, otherPassword) },
			func() *servertest.Response { return changeEmail(c.Copy(), address(newName())) },
			func() *servertest.Response { return deleteAccount(c.Copy()) },
			func() *servertest.Response {
				return post(s, "/accounts/register", object{"email": address(newName()), "password": password})
			},
		}
		before := s.Database.Dump(t)
		refuse := "CREATE TRIGGER full BEFORE INSERT ON outbox FOR EACH ROW SIGNAL SQLSTATE '45000'"
		if engine == servertest.SQLite {
			refuse = "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, ''); END"
		}
		s.Database.Exec(t, refuse)
		for i, operation := range operations {
			if r := operation(); r.Status < 500 || r.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("operation %d with a failing queue of mails: got %d %s, want a problem with a 5xx status", i, r.Status, r.Raw)
			}
		}
		s.Database.Exec(t, "DROP TRIGGER full")
		wantUnchanged(t, s, before)
		c.Profile().Want(t, http.StatusOK, "")

		office.down.Store(true)
		confirmReset(s, token, otherPassword).Want(t, http.StatusNoContent, "")
		c = s.Login(servertest.User{User: u.User, Password: otherPassword}, accounts.BodyTokens)
		changePassword(c, otherPassword, password).Want(t, http.StatusOK, "")
		signIn(s, u.Email, password).Want(t, http.StatusOK, "")
		office.down.Store(false)
		s.Clock.Advance(time.Hour) // the next attempts are due
		post(s, "/accounts/password/reset", object{"email": address(newName())}).Want(t, http.StatusAccepted, "")
		settle(t, s)
		if mails := office.To(u.Email); len(mails) != 3 || mails[1].Kind != mail.PasswordChanged || mails[2].Kind != mail.PasswordChanged {
			t.Errorf("mails after the recovery: got %v, want 3", mails)
		}
	})
}
