package server_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"regexp"
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

// Each transport returns the members listed in the table of the contract's description.
func TestLoginReturnsMembersOfTransport(t *testing.T) {
	t.Attr("control", "28")
	common := []string{"expires_in", "generation", "refresh_in", "session", "token_transport"}
	members := map[accounts.Transport][]string{
		accounts.Hybrid: {"access_token", "csrf_token", "token_type"}, accounts.Cookies: {"csrf_token"}, accounts.ServerHeld: {"csrf_token"},
		accounts.BodyTokens: {"access_token", "refresh_token", "token_type"},
	}
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		want := func(r *servertest.Response, extra ...string) {
			t.Helper()
			names := slices.Concat(common, members[transport], extra)
			slices.Sort(names)
			if diff := cmp.Diff(names, slices.Sorted(maps.Keys(r.JSON))); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if r.Text("token_transport") != string(transport) || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%q, Cache-Control %q", r.Text("token_transport"), r.Header.Get("Cache-Control"))
			}
			for _, c := range r.Cookies() { // no token is in both
				if c.Name != "csrftoken" && c.Value != "" && bytes.Contains(r.Raw, []byte(c.Value)) {
					t.Errorf("the cookie %s is in the body too", c.Name)
				}
			}
		}
		c := s.Anonymous()
		r := login(c, u, transport).Want(t, http.StatusOK, "")
		want(r, "user")
		if user := r.JSON["user"].(map[string]any); user["username"] != u.Username || user["password"] != nil {
			t.Errorf("user: %v", user)
		}
		want(c.RefreshTokens().Want(t, http.StatusOK, ""))
		s.Database.Age(t, rotation)
		want(c.RefreshTokens().Want(t, http.StatusOK, ""))
	})
}

func TestLoginDefaultsToHybridAndAcceptsAddress(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		u := s.NewUser()
		for _, name := range []string{u.Username, u.Email, strings.ToUpper(u.Username), strings.ToUpper(u.Email)} {
			r := s.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": name, "password": u.Password}).Want(t, http.StatusOK, "")
			if r.Text("token_transport") != "hybrid" {
				t.Errorf("%s: %s", name, r.Raw)
			}
		}
	})
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// The failed logins of unknown, inactive, deleted, unverified and pending users and with a wrong
// password get identical responses, including the headers, each time.
func TestLoginAnswersAlikeForUnknownUsers(t *testing.T) {
	t.Attr("control", "12")
	life(t, func(t *testing.T, s *servertest.Server) {
		active, inactive, unverified, deleted := s.NewUser(), s.NewUser(), s.NewUser(), s.NewUser()
		setActive(t, s, inactive, false)
		s.Database.Exec(t, "UPDATE users SET email_verified_at = NULL WHERE id = ?", unverified.ID)
		s.Login(deleted, accounts.BodyTokens).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		pending := address(newName())
		register(t, s, 1, object{"email": pending, "password": password})
		sessions := s.Database.Count(t, "SELECT COUNT(*) FROM sessions")
		first := ""
		for _, c := range slices.Repeat([][2]string{
			{active.Username, "wrong"}, {active.Email, "wrong"}, {strings.ToUpper(active.Email), "wrong"},
			{"nobody", active.Password}, {"nobody@example.com", active.Password}, {deleted.Username, deleted.Password}, {deleted.Email, deleted.Password},
			{inactive.Username, inactive.Password}, {inactive.Email, inactive.Password}, {inactive.Username, "wrong"}, {pending, password}, {pending, "wrong"},
			{unverified.Username, unverified.Password}, {unverified.Username, "wrong"}, {active.Username + " ", active.Password}, {"\x00", "x"}, {"a\u202eb", "x"}, {strings.Repeat("😀", 254), "x"},
			{"admin", "admin"}, {"' OR 1=1 --", "x"}, {"@", "x"}, {"a@b@c", "x"}, {"ſ", "x"}, {"%", "%"}, {active.Username, active.Password + " "}, {active.Username, strings.ToUpper(active.Password)},
			{active.Username, active.Password + "\x00"}, {active.Username, strings.Repeat("é", 1024)},
		}, 20) {
			r := signIn(s, c[0], c[1]).Want(t, http.StatusUnauthorized, "credentials_invalid")
			got := alike(r)
			if first == "" {
				first = got
			}
			if diff := cmp.Diff(first, got); diff != "" || len(r.Cookies()) != 0 || r.Header.Get("WWW-Authenticate") != `Bearer realm="accounts"` {
				t.Errorf("%q: the answer differs, or sets a cookie, or has no challenge:\n%s", c[0], diff)
			}
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM sessions"); n != sessions {
			t.Errorf("%d sessions", n-sessions)
		}
	})
}

// expires_in and refresh_in are seconds from now, rounded down: exp − now, and max(0.8 × access
// TTL, W+M) − age. The generation is that of the returned tokens, so only a rotation increases it.
func TestTokenSecondsAreRoundedDown(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Anonymous()
		about := func(r *servertest.Response, expires, refresh, generation int) {
			t.Helper()
			e, f := r.JSON["expires_in"].(float64), r.JSON["refresh_in"].(float64)
			if int(e) > expires || int(e) < max(0, expires-3) || int(f) > refresh || int(f) < max(0, refresh-3) {
				t.Errorf("expires_in %v, refresh_in %v, want about %d and %d", e, f, expires, refresh)
			}
			if r.JSON["generation"] != float64(generation) {
				t.Errorf("generation %v, want %d", r.JSON["generation"], generation)
			}
		}
		about(login(c, u, transport), 300, 240, 0)
		s.Database.Age(t, 20*time.Second)
		old := c.Copy()
		about(c.RefreshTokens().Want(t, http.StatusOK, ""), 280, 220, 0)
		s.Database.Age(t, rotation)
		about(old.RefreshTokens().Want(t, http.StatusOK, ""), 300, 240, 1) // the next generation is new
		s.Database.Age(t, 20*time.Second)
		about(old.Copy().RefreshTokens().Want(t, http.StatusOK, ""), 280, 220, 1)
	})
}

// The values are exact to the second, including when the session ends before the access token. The
// clock stands still.
func TestTokenSecondsAreExact(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	s := servertest.Start(t, servertest.Options{Now: func() time.Time { return now },
		Settings: []string{"ACCOUNTS_ACCESS_TTL=2m", "ACCOUNTS_REFRESH_IDLE_TTL=4m", "ACCOUNTS_SERVER_HELD_IDLE_TTL=4m", "ACCOUNTS_SESSION_MAX_AGE=4m"}})
	c := s.Anonymous()
	want := func(r *servertest.Response, expires, refresh float64) {
		t.Helper()
		if r.JSON["expires_in"] != expires || r.JSON["refresh_in"] != refresh {
			t.Errorf("%v and %v, want %v and %v", r.JSON["expires_in"], r.JSON["refresh_in"], expires, refresh)
		}
	}
	want(login(c, s.NewUser(), accounts.BodyTokens), 120, 96)
	s.Clock.Advance(34*time.Second + 500*time.Millisecond)
	want(c.RefreshTokens(), 85, 61) // W+M is 35 s
	s.Clock.Advance(500 * time.Millisecond)
	want(c.RefreshTokens(), 120, 96)
	s.Clock.Advance(175 * time.Second) // 210 of 240 s have passed
	want(c.RefreshTokens(), 30, 96)
	s.Clock.Advance(29 * time.Second)
	want(c.RefreshTokens(), 1, 67)
	s.Clock.Advance(time.Second)
	c.RefreshTokens().Want(t, http.StatusUnauthorized, "session_expired")
}

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
		unchanged(t, s, before) // reads write nothing (control 71)

		c.RefreshTokens().Want(t, http.StatusOK, "")
		if accessOf(c) != accessOf(first) || row(t, s, c).Generation != 0 {
			t.Error("a young token was rotated")
		}
		s.Database.Age(t, rotation)
		c.RefreshTokens().Want(t, http.StatusOK, "")
		if accessOf(c) == accessOf(first) || row(t, s, c).Generation != 1 {
			t.Error("an old token was not rotated")
		}
		again := first.Copy()
		again.RefreshTokens().Want(t, http.StatusOK, "") // the response was lost, or a second tab refreshes
		if accessOf(again) != accessOf(c) || refreshOf(again) != refreshOf(c) {
			t.Error("the predecessor was answered with other tokens")
		}
		first.Profile().Want(t, http.StatusOK, "") // an access token is valid until its exp
		dump := s.Database.Dump(t)
		for _, secret := range []string{accessOf(c), refreshOf(c), accessOf(first), c.CSRF} {
			if secret != "" && strings.Contains(dump+s.Log.String(), secret) {
				t.Error("a token is in the database or in the log")
			}
		}
		s.Database.Age(t, rotation)
		c.Copy().RefreshTokens().Want(t, http.StatusOK, "")
		first.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_reused") // two generations old
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE user_id = ? AND kind = 'refresh_reused'", u.ID); n != 1 {
			t.Errorf("%d events", n)
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
			"expired":    func(c, _ *servertest.Client) *servertest.Client { return aged(c) },
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
				t.Errorf("%s: revoked at %v, then at %v", name, at, again)
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

// aged returns a copy of the client whose tokens have all expired.
func aged(c *servertest.Client) *servertest.Client {
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
		c := aged(s.Login(u, transport))
		for _, path := range []string{"/accounts/profile", "/accounts/sessions"} {
			c.Copy().Do(http.MethodGet, path, nil).Want(t, http.StatusUnauthorized, "access_expired")
		}
		c.Copy().Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusUnauthorized, "access_expired")
		current, refresh := c.Copy().Do(http.MethodGet, sessionPath, nil), c.Copy().RefreshTokens()
		if transport == accounts.ServerHeld {
			wantCurrent(t, "the expired handle", c, current)
			refresh.Want(t, http.StatusOK, "")
			expiredHandle(t, s, c)
			s.Database.Exec(t, "UPDATE sessions SET idle_expires_at = ? WHERE user_id = ?", time.Now().UTC().Truncate(time.Second).Add(-time.Second), u.ID)
			c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_expired") // the idle lifetime has ended
		} else {
			wantSignedOut(t, "an expired token", current) // an expired bearer token decides, even if the request also has a valid cookie
			refresh.Want(t, http.StatusUnauthorized, "session_expired")
		}
		c.Copy().Logout().Want(t, http.StatusNoContent, "")
	})
}

// expiredHandle checks that an expired handle follows all rules of a refresh token. It is exchanged
// for one successor, each time the same, and only if everything except its exp is valid.
func expiredHandle(t *testing.T, s *servertest.Server, c *servertest.Client) {
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
			t.Fatalf("%s was not changed", name)
		}
		s.Anonymous().RefreshTokens(servertest.Cookie("access", wrong), servertest.Header("X-CSRFToken", c.CSRF)).Want(t, http.StatusUnauthorized, "refresh_invalid")
	}
	unchanged(t, s, before)
	first, again := c.Copy(), c.Copy()
	first.RefreshTokens().Want(t, http.StatusOK, "")
	again.RefreshTokens().Want(t, http.StatusOK, "")
	if first.CookieValue("access") == handle || first.CookieValue("access") != again.CookieValue("access") {
		t.Error("an expired handle was not answered with one successor")
	}
}

// A client may attach its expired bearer token to every request, so refresh and logout ignore it.
func TestRefreshIgnoresAuthorization(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		bearer := servertest.Header("Authorization", "Bearer "+expired(accessOf(c)))
		c.RefreshTokens(bearer).Want(t, http.StatusOK, "")
		c.Logout(bearer).Want(t, http.StatusNoContent, "")
	})
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
			t.Errorf("last_used_at %v of %v", got["last_used_at"], stored)
		}
		names := slices.Sorted(maps.Keys(got)) // neither the generation nor the idle expiry
		if diff := cmp.Diff([]string{"created_at", "current", "expires_at", "id", "ip", "last_used_at", "token_transport", "user_agent"}, names); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		raw := string(c.Copy().Do(http.MethodGet, "/accounts/sessions", nil).Raw)
		for _, secret := range []string{accessOf(c), refreshOf(c), csrfOf(t, c), accessOf(first), refreshOf(first), first.CSRF} {
			if secret != "" && strings.Contains(raw, secret) {
				t.Error("a token is in the list")
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
			t.Errorf("%d sessions: %v", len(got), ids(got))
		}
		if e := eventsOf(t, s, last)[0]; e["kind"] != models.EventSessionRevoked || e["session_id"] != first.SessionID {
			t.Errorf("the last event is %v", e)
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
			t.Errorf("somebody else's session is not answered like none:\n%s", diff)
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
			t.Fatalf("%d deleted: %v", n, err)
		}
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().Logout().Want(t, http.StatusNoContent, "")
	})
}
