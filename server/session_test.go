package server_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

// The life of a session over HTTP, in each transport and on each engine.

// eachSession runs a scenario once for each engine and transport, with a new user.
func eachSession(t *testing.T, f func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		eachTransport(t, func(t *testing.T, transport accounts.Transport) { f(t, s, s.NewUser(), transport) })
	})
}

func login(c *servertest.Client, u servertest.User, transport accounts.Transport) *servertest.Response {
	return c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": transport})
}

const rotation = 40 * time.Second // age after which a refresh rotates the token, with the default settings

func TestSessionWorksFromLoginToLogout(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		if got := c.Profile().Want(t, http.StatusOK, "").JSON["user"].(map[string]any); got["username"] != u.Username || got["id"] != float64(u.ID) || got["last_login"] == nil {
			t.Errorf("profile: %v", got)
		}
		first, before := c.Copy(), s.Database.Dump(t)
		c.Profile()
		c.Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusOK, "")
		c.Copy().Do(http.MethodGet, sessionPath, nil).Want(t, http.StatusOK, "")
		wantUnchanged(t, s, before) // reads write nothing (control 71)

		c.RefreshTokens().Want(t, http.StatusOK, "")
		if accessOf(c) != accessOf(first) || row(t, s, c).Generation != 0 {
			t.Error("the refresh rotated a token that was not due")
		}
		s.Database.Age(t, rotation)
		c.RefreshTokens().Want(t, http.StatusOK, "")
		if accessOf(c) == accessOf(first) || row(t, s, c).Generation != 1 {
			t.Error("the refresh did not rotate a token that was due")
		}
		again := first.Copy()
		again.RefreshTokens().Want(t, http.StatusOK, "") // the response was lost, or a second tab refreshes
		if accessOf(again) != accessOf(c) || refreshOf(again) != refreshOf(c) {
			t.Error("the superseded token returned other tokens than its rotation")
		}
		first.Profile().Want(t, http.StatusOK, "") // an access token is valid until its exp
		dump := s.Database.Dump(t)
		for _, secret := range []string{accessOf(c), refreshOf(c), accessOf(first), c.CSRF} {
			if secret != "" && strings.Contains(dump+s.Log.String(), secret) {
				t.Error("the database or the log contains a token")
			}
		}
		s.Database.Age(t, rotation)
		c.Copy().RefreshTokens().Want(t, http.StatusOK, "")
		first.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_reused") // two generations old
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE user_id = ? AND kind = 'refresh_reused'", u.ID); n != 1 {
			t.Errorf("got %d refresh_reused events, want 1", n)
		}
	})
}

// Every authentic token logs out: current, superseded or expired. A second logout succeeds too.
// Afterwards no token of the session works, and no other session has ended.
func TestLogoutAcceptsEveryAuthenticToken(t *testing.T) {
	t.Attr("control", "46")
	t.Attr("control", "47")
	t.Attr("control", "48")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		other, own := s.Login(s.NewUser(), transport), s.Login(u, transport)
		for name, token := range map[string]func(c, old *servertest.Client) *servertest.Client{
			"current":    func(c, _ *servertest.Client) *servertest.Client { return c },
			"superseded": func(_, old *servertest.Client) *servertest.Client { return old },
			"expired":    func(c, _ *servertest.Client) *servertest.Client { return withExpiredTokens(c) },
		} {
			c := s.Login(u, transport)
			old := c.Copy()
			s.Database.Age(t, rotation)
			c.RefreshTokens().Want(t, http.StatusOK, "")
			shown := token(c.Copy(), old.Copy())
			shown.Copy().Logout().Want(t, http.StatusNoContent, "")
			at := row(t, s, c).RevokedAt
			shown.Copy().Logout().Want(t, http.StatusNoContent, "")
			if again := row(t, s, c).RevokedAt; at == nil || again == nil || !at.Equal(*again) {
				t.Errorf("%s: the revocation time changed from %v to %v", name, at, again)
			}
			for _, dead := range []*servertest.Client{c, old} {
				dead.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
				dead.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
				wantSignedOut(t, "a revoked session", dead.Copy().Do(http.MethodGet, sessionPath, nil))
			}
		}
		// The session to end is that of the credential, never one named in the body (control 47).
		for _, body := range []string{`{"username":"` + u.Username + `"}`, `{"session_id":"` + own.SessionID + `"}`, `{"sid":"` + own.SessionID + `"}`} {
			other.Copy().Do(http.MethodPost, "/accounts/logout", withToken(other, body)).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
		own.Profile().Want(t, http.StatusOK, "")
		other.Profile().Want(t, http.StatusOK, "")
	})
}

func withToken(c *servertest.Client, body string) string {
	if c.Transport != accounts.BodyTokens {
		return body
	}
	return `{"refresh_token":"` + c.Refresh + `",` + body[1:]
}

// withExpiredTokens returns a copy of the client whose tokens have all expired.
func withExpiredTokens(c *servertest.Client) *servertest.Client {
	old := c.Copy()
	if old.Access != "" {
		old.Access = expired(old.Access)
	}
	if old.Refresh != "" {
		old.Refresh = expired(old.Refresh)
	}
	set := []*http.Cookie{}
	for _, name := range []string{"access", "refreshtoken"} {
		if value := old.CookieValue(name); value != "" {
			set = append(set, &http.Cookie{Name: name, Value: expired(value), Path: "/"})
		}
	}
	request, _ := http.NewRequest(http.MethodGet, old.Server.URL, nil)
	old.HTTP.Jar.SetCookies(request.URL, set)
	return old
}

// An expired access token is accepted only as the handle of server_held, and only by the three
// operations about the session itself (control 27).
func TestExpiredAccessTokenIsAcceptedAsServerHeldHandleOnly(t *testing.T) {
	t.Attr("control", "27")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := withExpiredTokens(s.Login(u, transport))
		for _, path := range []string{"/accounts/profile", "/accounts/sessions"} {
			c.Copy().Do(http.MethodGet, path, nil).Want(t, http.StatusUnauthorized, "access_expired")
		}
		c.Copy().Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusUnauthorized, "access_expired")
		current, refresh := c.Copy().Do(http.MethodGet, sessionPath, nil), c.Copy().RefreshTokens()
		if transport == accounts.ServerHeld {
			wantCurrent(t, "the expired handle", c, current)
			refresh.Want(t, http.StatusOK, "")
			testExpiredHandle(t, s, c)
			s.Database.Exec(t, "UPDATE sessions SET idle_expires_at = ? WHERE user_id = ?", time.Now().UTC().Truncate(time.Second).Add(-time.Second), u.ID)
			c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_expired") // the idle lifetime has ended
		} else {
			wantSignedOut(t, "an expired token", current) // an expired bearer token decides, even if the request also has a valid cookie
			refresh.Want(t, http.StatusUnauthorized, "session_expired")
		}
		c.Copy().Logout().Want(t, http.StatusNoContent, "")
	})
}

// testExpiredHandle checks that an expired handle follows all rules of a refresh token. It is
// exchanged for one successor, each time the same, and only if everything except its exp is valid.
func testExpiredHandle(t *testing.T, s *servertest.Server, c *servertest.Client) {
	t.Helper()
	s.Database.Age(t, rotation)
	before := s.Database.Dump(t)
	handle := c.CookieValue("access")
	for name, change := range map[string][2]string{
		"aud": {`"aud":"` + s.URL, `"aud":"` + s.URL + `/accounts/refresh_token`}, "iss": {`"iss":"http`, `"iss":"https`}, "sub": {`"sub":"`, `"sub":"9`}, "typ": {"at+jwt", "rt+jwt"}, "alg": {"EdDSA", "HS256"},
	} {
		wrong := forged(handle, func(header, claims string) (string, string) {
			return strings.Replace(header, change[0], change[1], 1), strings.Replace(claims, change[0], change[1], 1)
		})
		if wrong == handle {
			t.Fatalf("%s did not change the token", name)
		}
		s.Anonymous().RefreshTokens(servertest.Cookie("access", wrong), servertest.Header("X-CSRFToken", c.CSRF)).Want(t, http.StatusUnauthorized, "refresh_invalid")
	}
	wantUnchanged(t, s, before)
	first, again := c.Copy(), c.Copy()
	first.RefreshTokens().Want(t, http.StatusOK, "")
	again.RefreshTokens().Want(t, http.StatusOK, "")
	if first.CookieValue("access") == handle || first.CookieValue("access") != again.CookieValue("access") {
		t.Error("the expired handle did not return one successor each time")
	}
}

// After a user is deactivated or deletes the account, none of the user's sessions is valid.
func TestDeactivatedUserHasNoValidSession(t *testing.T) {
	t.Attr("control", "35")
	t.Attr("control", "76")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		for _, active := range []bool{false, true} { // activation restores no session
			setActive(t, s, u, active)
			c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
			c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
			c.Copy().Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusUnauthorized, "session_revoked")
		}
		c = s.Login(u, transport)
		s.Database.Exec(t, "UPDATE users SET is_active = ? WHERE id = ?", false, u.ID) // deactivated directly in the database
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")

		gone := s.NewUser()
		sessions := sessionsInEach(s, gone)
		s.Login(gone, transport).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		wantEnded(t, sessions)
	})
}

// list returns the sessions in the response of GET /accounts/sessions.
func list(t *testing.T, c *servertest.Client) []map[string]any {
	t.Helper()
	var sessions []map[string]any
	for _, item := range c.Copy().Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusOK, "").JSON["sessions"].([]any) {
		sessions = append(sessions, item.(map[string]any))
	}
	return sessions
}

func ids(sessions []map[string]any) []string {
	var list []string
	for _, s := range sessions {
		list = append(list, s["id"].(string))
	}
	return list
}

func TestListSessionsShowsLiveSessionsOfUser(t *testing.T) {
	t.Attr("control", "68")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		s.Login(s.NewUser(), transport)
		first := s.Login(u, accounts.Hybrid)
		agent := "Mozilla/5.0 " + strings.Repeat("é", 300)
		c := s.Anonymous()
		c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": transport}, servertest.Header("User-Agent", agent)).Want(t, http.StatusOK, "")
		gone := s.Login(u, accounts.Cookies)
		gone.Logout().Want(t, http.StatusNoContent, "")
		sessions := list(t, c)
		if diff := cmp.Diff([]string{c.SessionID, first.SessionID}, ids(sessions)); diff != "" { // newest first
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		got := sessions[0]
		if got["current"] != true || sessions[1]["current"] != false || got["token_transport"] != string(transport) || got["ip"] == "" || got["user_agent"] != string([]rune(agent)[:256]) {
			t.Errorf("%v", got)
		}
		used, err := time.Parse(time.RFC3339, got["last_used_at"].(string))
		if stored := row(t, s, c).LastUsedAt; err != nil || !used.Equal(stored.Truncate(time.Hour)) || used.Location() != time.UTC {
			t.Errorf("last_used_at: got %v, want the hour of %v", got["last_used_at"], stored)
		}
		names := slices.Sorted(maps.Keys(got)) // neither the generation nor the idle expiry
		if diff := cmp.Diff([]string{"created_at", "current", "expires_at", "id", "ip", "last_used_at", "token_transport", "user_agent"}, names); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		raw := string(c.Copy().Do(http.MethodGet, "/accounts/sessions", nil).Raw)
		for _, secret := range []string{accessOf(c), refreshOf(c), csrfOf(t, c), accessOf(first), refreshOf(first), first.CSRF} {
			if secret != "" && strings.Contains(raw, secret) {
				t.Error("the list of sessions contains a token")
			}
		}
	})
}

// The fifty-first login revokes the oldest session (control 70).
func TestFiftyFirstLoginRevokesOldestSession(t *testing.T) {
	t.Attr("control", "70")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		u := s.NewUser()
		first, second := s.Login(u, accounts.BodyTokens), s.Login(u, accounts.BodyTokens)
		for range 48 {
			s.Login(u, accounts.BodyTokens)
		}
		first.Profile().Want(t, http.StatusOK, "")
		last := s.Login(u, accounts.BodyTokens)
		first.Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		first.RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		second.Profile().Want(t, http.StatusOK, "")
		if got := list(t, last); len(got) != 50 || got[0]["id"] != last.SessionID || got[49]["id"] != second.SessionID {
			t.Errorf("got %d sessions, want 50: %v", len(got), ids(got))
		}
		if e := eventsOf(t, s, last)[0]; e["kind"] != models.EventSessionRevoked || e["session_id"] != first.SessionID {
			t.Errorf("last event: got %v, want the revocation of the first session", e)
		}
	})
}

func TestUserEndsOwnSessionOnly(t *testing.T) {
	t.Attr("control", "69")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c, other, stranger := s.Login(u, transport), s.Login(u, accounts.Hybrid), s.Login(s.NewUser(), transport)
		end := func(id string) *servertest.Response {
			return c.Copy().Do(http.MethodDelete, "/accounts/sessions/"+id, nil)
		}
		theirs := end(stranger.SessionID).Want(t, http.StatusNotFound, "resource_not_found")
		nobodys := end("01980f6e-5c1a-7c3e-9d55-0b1f1c2d3e4f").Want(t, http.StatusNotFound, "resource_not_found")
		if diff := cmp.Diff(requestID.ReplaceAllString(string(theirs.Raw), ""), requestID.ReplaceAllString(string(nobodys.Raw), "")); diff != "" {
			t.Errorf("the responses for another user's session and for a missing one differ:\n%s", diff)
		}
		stranger.Profile().Want(t, http.StatusOK, "") // control 69
		end(other.SessionID).Want(t, http.StatusNoContent, "")
		end(other.SessionID).Want(t, http.StatusNoContent, "")
		other.Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		other.RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Profile().Want(t, http.StatusOK, "")
		end(c.SessionID).Want(t, http.StatusNoContent, "")
		c.Profile().Want(t, http.StatusUnauthorized, "session_revoked")
	})
}

func TestEndAllSessionsMayKeepCurrent(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c, stranger := s.Login(u, transport), s.Login(s.NewUser(), transport)
		var others []*servertest.Client
		for _, each := range transports {
			others = append(others, s.Login(u, each))
		}
		dead := func(clients []*servertest.Client) {
			t.Helper()
			for _, other := range clients {
				other.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
				other.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
			}
		}
		c.Copy().Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, http.StatusNoContent, "")
		dead(others)
		if diff := cmp.Diff([]string{c.SessionID}, ids(list(t, c))); diff != "" {
			t.Errorf("sessions left (-want +got):\n%s", diff)
		}
		s.Database.Age(t, rotation)
		c.RefreshTokens().Want(t, http.StatusOK, "")
		another := s.Login(u, accounts.Hybrid)
		c.Copy().Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusNoContent, "")
		dead([]*servertest.Client{c, another})
		stranger.Profile().Want(t, http.StatusOK, "")
		s.Login(u, transport)
	})
}

// After a change of the secret, as after a leak, no token from before works.
func TestTokensFromBeforeSecretChangeAreRejected(t *testing.T) {
	t.Attr("control", "93")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		fresh := servertest.Start(t, servertest.Options{Database: s.Database, Settings: []string{"ACCOUNTS_PUBLIC_URL=" + s.URL, "ACCOUNTS_SECRET_KEYS=" + tokentest.Secret("another")}})
		c.Copy().At(fresh).Profile().Want(t, http.StatusUnauthorized, "access_invalid")
		c.Copy().At(fresh).RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_invalid")
		c.Profile().Want(t, http.StatusOK, "")
	})
}

// A session that the cleanup has removed stays ended (control 52).
func TestCleanedUpSessionStaysEnded(t *testing.T) {
	t.Attr("control", "52")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		s.Database.Exec(t, "UPDATE sessions SET expires_at = ? WHERE user_id = ?", time.Now().UTC().Truncate(time.Second).Add(-(30*24+1)*time.Hour), u.ID)
		if n, err := s.Service.CleanUp(context.Background()); err != nil || n == 0 {
			t.Fatalf("CleanUp deleted %d sessions: %v", n, err)
		}
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().Logout().Want(t, http.StatusNoContent, "")
	})
}
