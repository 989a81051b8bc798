package server_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// requestEmailChange requests a new address and returns the token of the mail, the nth mail to it.
func requestEmailChange(t *testing.T, s *servertest.Server, c *servertest.Client, next string, n int) string {
	t.Helper()
	wantAccepted(t, changeEmail(c, next))
	return linkToken(t, s, next, n, mail.EmailChange)
}

func changeEmail(c *servertest.Client, next string) *servertest.Response {
	return c.Do(http.MethodPost, "/accounts/email/change", object{"email": next})
}

// confirmEmail confirms a new address with the token of the mail and the user's password.
func confirmEmail(s *servertest.Server, token, password string, options ...servertest.Option) *servertest.Response {
	return post(s, "/accounts/email/change/confirm", object{"token": token, "password": password}, options...)
}

func deleteAccount(c *servertest.Client) *servertest.Response {
	return c.Do(http.MethodDelete, "/accounts/profile", nil)
}

func patch(c *servertest.Client, body object) *servertest.Response {
	return c.Do(http.MethodPatch, "/accounts/profile", body)
}

func TestUpdateProfileChangesGivenMembers(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		want := profileOf(t, c.Profile())
		for _, change := range []object{
			{}, {"first_name": "Augusta Ada"}, {"last_name": ""}, {"first_name": "에이다", "last_name": "King-Noel"},
			{"username": strings.ToUpper(u.Username)}, {"username": u.Username}, {"username": newName()},
		} {
			maps.Copy(want, change)
			if diff := cmp.Diff(want, profileOf(t, patch(c, change))); diff != "" {
				t.Errorf("after %v (-want +got):\n%s", change, diff)
			}
			if diff := cmp.Diff(want, profileOf(t, c.Profile())); diff != "" {
				t.Errorf("then, after %v (-want +got):\n%s", change, diff)
			}
		}
		signIn(s, want["username"].(string), u.Password).Want(t, http.StatusOK, "")
		signIn(s, u.Username, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		patch(c, object{"locale": "ko"}).Want(t, http.StatusOK, "")
		if got := profileOf(t, patch(c, object{"first_name": "Ada"})); got["locale"] != "ko" { // an absent member is not null
			t.Errorf("locale: got %v, want ko", got["locale"])
		}
		requestReset(t, s, u.Email, 1)
		if m := s.Mails.To(u.Email)[0]; m.Locale != "ko" {
			t.Errorf("the mail is in %q, want ko", m.Locale)
		}
		for range 2 { // clearing an empty field is no error
			if got := profileOf(t, patch(c, object{"locale": nil})); got["locale"] != nil {
				t.Errorf("locale: got %q, want null", got["locale"])
			}
		}
		if got, there := profileOf(t, c.Profile())["locale"]; got != nil || !there {
			t.Errorf("locale: got %v, want null", got)
		}
	})
}

func TestUpdateProfileRejectsInvalidMembers(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	before := s.Database.Dump(t)
	for _, e := range []struct {
		member string
		value  any
		code   string
	}{
		{"username", nil, "type_invalid"}, {"first_name", nil, "type_invalid"}, {"last_name", nil, "type_invalid"}, {"locale", 1, "type_invalid"},
		{"username", "", "required"}, {"username", "a@b", "format_invalid"}, {"username", "a b", "format_invalid"}, {"username", "a\u202eb", "format_invalid"}, {"username", strings.Repeat("a", 151), "too_long"},
		{"first_name", "a\x00b", "format_invalid"}, {"last_name", "a\r\nb", "format_invalid"}, {"first_name", strings.Repeat("a", 151), "too_long"}, {"locale", "x", "format_invalid"}, {"locale", "", "format_invalid"},
		{"email", "x@example.com", "field_unknown"}, {"password", otherPassword, "field_unknown"}, {"is_staff", true, "field_unknown"}, {"is_superuser", true, "field_unknown"}, {"is_active", true, "field_unknown"},
		{"id", 1, "field_unknown"}, {"email_verified", true, "field_unknown"}, {"date_joined", "2020-01-01T00:00:00Z", "field_unknown"}, {"session_epoch", 1, "field_unknown"},
	} {
		wantField(t, patch(c, object{e.member: e.value}), "/"+e.member, e.code)
		if e.member != "first_name" { // a rejected request changes nothing
			wantField(t, patch(c, object{"first_name": "Mallory", e.member: e.value}), "/"+e.member, e.code)
		}
	}
	wantUnchanged(t, s, before)
}

// Names that look alike or compare as equal count as the same name.
func TestLookAlikeUsernameIsTaken(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		other, c := s.NewUser(), s.Login(s.NewUser(), accounts.Cookies)
		before := s.Database.Dump(t)
		for _, name := range []string{other.Username, strings.ToUpper(other.Username), fullwidth(other.Username)} {
			patch(c, object{"username": name, "first_name": "Mallory"}).Want(t, http.StatusConflict, "username_taken")
		}
		wantUnchanged(t, s, before)
		const n = 10
		names := newName()
		clients := make([]*servertest.Client, n)
		for i := range clients {
			clients[i] = s.Login(s.NewUser(), accounts.BodyTokens)
		}
		answers := parallel(n, func(i int) *servertest.Response { return patch(clients[i], object{"username": names}) })
		if got := statuses(answers); got[http.StatusOK] != 1 || got[http.StatusConflict] != n-1 {
			t.Errorf("responses by status: got %v, want one 200", got)
		}
	})
}

func TestProfileExportContainsDataOfUserOnly(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		stranger := s.NewUser()
		s.Login(stranger, accounts.Hybrid)
		victim := s.Login(u, accounts.BodyTokens)
		stolen := victim.Copy()
		for range 2 { // two rotations, so that using the old token records an event
			s.Database.Age(t, rotation)
			victim.RefreshTokens().Want(t, http.StatusOK, "")
		}
		stolen.RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_reused")
		c := s.Login(u, transport)
		patch(c, object{"locale": "ko"}).Want(t, http.StatusOK, "")
		r := c.Do(http.MethodGet, "/accounts/profile/export", nil).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(profileOf(t, c.Profile()), r.JSON["user"]); diff != "" {
			t.Errorf("user (-profile +export):\n%s", diff)
		}
		sessions, events := r.JSON["sessions"].([]any), r.JSON["events"].([]any)
		if len(sessions) != 1 || sessions[0].(object)["id"] != c.SessionID || sessions[0].(object)["current"] != true {
			t.Errorf("sessions: got %v, want the current one", sessions)
		}
		if diff := cmp.Diff(c.Do(http.MethodGet, "/accounts/events", nil).Want(t, http.StatusOK, "").JSON["events"], r.JSON["events"]); diff != "" {
			t.Errorf("events (-list +export):\n%s", diff)
		}
		if len(events) != 5 || events[0].(object)["kind"] != "profile_changed" || events[2].(object)["kind"] != "refresh_reused" || r.JSON["user"].(object)["locale"] != "ko" {
			t.Errorf("events: got %v; user: %v", events, r.JSON["user"])
		}
		if r.Header.Get("Cache-Control") != "no-store" {
			t.Error("the response may be stored by caches")
		}
		for what, secret := range map[string]string{
			"hash": stored(t, s, u.Email).Password.Reveal(), "password": u.Password, "argon2": "argon2", "access token": accessOf(c), "refresh token": refreshOf(c), "CSRF token": c.CSRF, "stranger": stranger.Email,
		} {
			if secret != "" && strings.Contains(string(r.Raw), secret) {
				t.Errorf("the export contains the %s", what)
			}
		}
	})
}

func TestDeleteProfileRemovesAccount(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		bystander := s.Login(s.NewUser(), transport)
		others := sessionsInEach(s, u)
		c := s.Login(u, transport)
		reset := requestReset(t, s, u.Email, 1)
		change := requestEmailChange(t, s, others[0], address(newName()), 1)
		s.Database.Exec(t, "UPDATE sessions SET generation = generation + 2 WHERE user_id = ? AND id = ?", u.ID, idBytes(t, others[3]))
		settle(t, s)
		outdated := s.Login(u, transport)
		makeOld(t, s, outdated)
		before := s.Database.Dump(t)
		deleteAccount(outdated).Want(t, http.StatusForbidden, "reauth_required")
		wantUnchanged(t, s, before)
		others[3].Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_reused") // records an event

		old := c.Copy()
		r := deleteAccount(c).Want(t, http.StatusNoContent, "")
		for _, cookie := range r.Cookies() {
			if cookie.MaxAge >= 0 || cookie.Value != "" {
				t.Errorf("the response sets the cookie %s", cookie.Name)
			}
		}
		if c.CookieValue("access")+c.CookieValue("refreshtoken")+c.CookieValue("csrftoken") != "" || transport != accounts.BodyTokens && len(r.Cookies()) == 0 {
			t.Errorf("the response does not clear the cookies: %v", r.Cookies())
		}
		wantEnded(t, append(others, old, outdated))
		signIn(s, u.Email, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		confirmReset(s, reset, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, change, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		for _, table := range []string{"sessions", "events", "one_time_tokens"} {
			if n := s.Database.Count(t, "SELECT COUNT(*) FROM "+table+" WHERE user_id = ?", u.ID); n != 0 {
				t.Errorf("got %d rows in %s, want 0", n, table)
			}
		}
		if usersWith(t, s, u.Email) != 0 {
			t.Error("the user still exists")
		}
		wantMails(t, s, u.Email, mail.Reset, mail.EmailChangeNotice, mail.AccountDeleted)
		bystander.Profile().Want(t, http.StatusOK, "")

		// The names can be used again, but the ID cannot: the subject of an old token must not
		// identify a new user.
		token := register(t, s, 4, object{"email": u.Email, "password": password, "username": u.Username})
		again := profileOf(t, verify(s, token, password))
		if again["username"] != u.Username || again["id"].(float64) <= float64(u.ID) {
			t.Errorf("user %v must be new, with the username of user %d", again, u.ID)
		}
		wantEnded(t, append(others, old))
	})
}

// The deletion of a user removes nothing that another user has requested, not even a change to the
// address that becomes free.
func TestDeleteProfileKeepsRequestsOfOtherUsers(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true})
		u, other := s.NewUser(), s.NewUser()
		changeEmail(s.Login(other, accounts.Hybrid), u.Email).Want(t, http.StatusAccepted, "")
		post(s, "/accounts/password/reset", object{"email": u.Email}).Want(t, http.StatusAccepted, "")
		deleteAccount(s.Login(u, accounts.Hybrid)).Want(t, http.StatusNoContent, "")
		tokens, mails := "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ?", "SELECT COUNT(*) FROM outbox WHERE user_id = ?"
		if n, m := s.Database.Count(t, tokens, other.ID), s.Database.Count(t, mails, other.ID); n != 1 || m != 2 {
			t.Errorf("the other user has %d tokens and %d mails left, want 1 and 2", n, m)
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE email_norm = ?", u.EmailNorm); n != 2 {
			t.Errorf("got %d mails to the address, want the link of the other user and the notice of the deletion", n)
		}
	})
}

// makeOld moves the login of a session back in time, so that it no longer counts as recent.
func makeOld(t *testing.T, s *servertest.Server, c *servertest.Client) {
	t.Helper()
	s.Database.Exec(t, "UPDATE sessions SET created_at = ? WHERE id = ?", time.Now().Add(-10*time.Minute-time.Second).UTC(), idBytes(t, c))
}

func idBytes(t *testing.T, c *servertest.Client) []byte {
	t.Helper()
	id := sessionID(t, c)
	return id[:]
}

func TestChangeEmailTakesEffectAfterConfirmation(t *testing.T) {
	t.Attr("control", "62")
	t.Attr("control", "63")
	t.Attr("control", "64")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c, name := s.Login(u, transport), newName()
		next := address("New." + name)
		before := s.Database.Dump(t)
		wantField(t, changeEmail(c, "nowhere"), "/email", "format_invalid")
		wantUnchanged(t, s, before)
		makeOld(t, s, c)
		before = s.Database.Dump(t)
		changeEmail(c, next).Want(t, http.StatusForbidden, "reauth_required")
		wantUnchanged(t, s, before)
		c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password}).Want(t, http.StatusOK, "")

		older := requestEmailChange(t, s, c, address("older"+name), 1)
		reset := requestReset(t, s, u.Email, 2)
		token := requestEmailChange(t, s, c, next, 1)
		if got := profileOf(t, c.Profile()); got["email"] != u.Email || got["pending_email"] != next {
			t.Errorf("before the confirmation the address is %v, pending %v", got["email"], got["pending_email"])
		}
		signIn(s, next, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, u.Email, u.Password).Want(t, http.StatusOK, "")
		wantMails(t, s, u.Email, mail.EmailChangeNotice, mail.Reset, mail.EmailChangeNotice)
		if m := s.Mails.To(u.Email)[2]; m.NewEmail != next || m.Link != s.Config.ResetURL+"#lang=en" || m.ValidFor != 0 {
			t.Errorf("notice %+v", m)
		}
		confirmEmail(s, older, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")

		wantEmpty(t, confirmEmail(s, token, u.Password).Want(t, http.StatusNoContent, ""))
		if got := profileOf(t, c.Profile()); got["email"] != next || got["email_verified"] != true || got["pending_email"] != nil || got["id"] != float64(u.ID) { // the session goes on
			t.Errorf("after the confirmation the user is %v", got)
		}
		c.RefreshTokens().Want(t, http.StatusOK, "")
		signIn(s, strings.ToLower(next), u.Password).Want(t, http.StatusOK, "")
		signIn(s, u.Email, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		confirmEmail(s, token, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmReset(s, reset, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid") // it was sent to the old address
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", u.ID); n != 0 {
			t.Errorf("%d links are still open, and would work again if the address were restored", n)
		}
		post(s, "/accounts/password/reset", object{"email": u.Email}).Want(t, http.StatusAccepted, "")
		wantMails(t, s, u.Email, mail.EmailChangeNotice, mail.Reset, mail.EmailChangeNotice)
	})
}

// Only the owner of an address learns that it has an account. Other users do not.
func TestChangeEmailDoesNotRevealTakenAddress(t *testing.T) {
	t.Attr("control", "63")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		other, u := s.NewUser(), s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		free := address(newName())
		first := changeEmail(c, free).Want(t, http.StatusAccepted, "")
		linkToken(t, s, free, 1, mail.EmailChange)
		if diff := cmp.Diff(comparableResponse(first), comparableResponse(changeEmail(c, other.Email))); diff != "" {
			t.Errorf("the response differs (-free +taken):\n%s", diff)
		}
		wantMails(t, s, other.Email, mail.AlreadyRegistered)
		wantMails(t, s, u.Email, mail.EmailChangeNotice, mail.EmailChangeNotice)
		if m := s.Mails.To(other.Email)[0]; m.Link != s.Config.ResetURL {
			t.Errorf("the mail to the owner of the address has the link %s", m.Link)
		}
		// The address is taken between request and confirmation.
		token := requestEmailChange(t, s, c, free, 2)
		taker := register(t, s, 3, object{"email": free, "password": password})
		verify(s, taker, password).Want(t, http.StatusOK, "")
		settle(t, s)
		before := s.Database.Dump(t)
		confirmEmail(s, token, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantUnchanged(t, s, before)
		if got := profileOf(t, c.Profile())["email"]; got != u.Email {
			t.Errorf("the address has changed to %v", got)
		}
	})
}

func TestChangeEmailOfDisabledUserIsRejected(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		token := requestEmailChange(t, s, s.Login(u, accounts.Hybrid), address(newName()), 1)
		settle(t, s)
		setActive(t, s, u, false)
		before := s.Database.Dump(t)
		confirmEmail(s, token, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantUnchanged(t, s, before)
	})
}

// A pending address is shown as long as its link is valid, also a link that was sent again or that a
// staff member has requested, and no longer.
func TestPendingAddressIsShownWhileItsLinkIsValid(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		if s.Database.Engine != servertest.SQLite { // the clock of a database server cannot be set
			return
		}
		u := s.NewUser()
		c := s.Login(u, accounts.BodyTokens)
		wantPending := func(want any) {
			t.Helper()
			c.RefreshTokens()
			if got := profileOf(t, c.Profile())["pending_email"]; got != want {
				t.Errorf("the pending address is %v, want %v", got, want)
			}
		}
		wantPending(nil)
		next := address(newName())
		c.Do(http.MethodPost, "/accounts/email/change", object{"email": next}).Want(t, http.StatusAccepted, "")
		wantPending(next)
		s.Clock.Advance(23 * time.Hour)
		wantPending(next)
		c.Do(http.MethodPost, "/accounts/email/change/resend", nil).Want(t, http.StatusAccepted, "")
		s.Clock.Advance(23 * time.Hour) // the first link has expired
		wantPending(next)
		s.Clock.Advance(2 * time.Hour)
		wantPending(nil)

		next = address(newName())
		root := s.Login(s.root, accounts.BodyTokens) // the session of the clients in s is too old
		root.Do(http.MethodPatch, at(u, ""), object{"email": next}).Want(t, http.StatusOK, "")
		wantPending(next)
		c.Do(http.MethodDelete, "/accounts/email/change", nil).Want(t, http.StatusNoContent, "")
		wantPending(nil)
	})
}
