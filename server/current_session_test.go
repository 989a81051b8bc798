package server_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

const sessionPath = "/accounts/session"

// carry returns a function that sends a request with these headers and no other credentials. A name
// other than Authorization is the name of a cookie.
func carry(s *servertest.Server, pairs ...string) func() *servertest.Response {
	return func() *servertest.Response {
		c := s.Anonymous()
		c.HTTP.Jar = nil
		return c.Do(http.MethodGet, sessionPath, nil, func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				if name := pairs[i]; name == "Authorization" {
					r.Header.Add(name, pairs[i+1])
				} else {
					r.Header.Add("Cookie", name+"="+pairs[i+1])
				}
			}
		})
	}
}

// wantSignedOut checks that a response is, byte for byte, the one for callers without a session.
func wantSignedOut(t *testing.T, name string, r *servertest.Response) {
	t.Helper()
	const signedOut = `{"csrf_token":null,"session":null}` + "\n"
	if r.Status != http.StatusOK || string(r.Raw) != signedOut || len(r.Cookies()) > 0 || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %d %v %s", name, r.Status, r.Header, r.Raw)
	}
}

// wantCurrent checks that a response contains the session of a client, and returns the CSRF token.
func wantCurrent(t *testing.T, name string, c *servertest.Client, r *servertest.Response) string {
	t.Helper()
	session, _ := r.JSON["session"].(object)
	if r.Status != http.StatusOK || session["id"] != c.SessionID || session["token_transport"] != string(c.Transport) || r.Text("csrf_token") != c.CSRF {
		t.Fatalf("%s: %d %s, want the session %s with the CSRF token %q", name, r.Status, r.Raw, c.SessionID, c.CSRF)
	}
	if len(r.Cookies()) > 0 || r.Header.Get("Cache-Control") != "no-store" || len(session) != 4 {
		t.Errorf("%s: %v, %v", name, r.Header, session)
	}
	return r.Text("csrf_token")
}

// Every credential of every transport, presented alone, identifies the session. The request writes
// nothing and sets no cookie, and the CSRF token in the response is accepted for a write.
func TestGetSessionAcceptsEachCredentialOfEachTransport(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		other := s.Login(u, transport)
		s.Database.Age(t, rotation)
		old := c.Copy()
		c.RefreshTokens().Want(t, http.StatusOK, "")
		access, refresh := accessOf(c), refreshOf(c)
		ways := map[accounts.Transport]map[string]func() *servertest.Response{
			accounts.Hybrid: {
				"Bearer": carry(s, "Authorization", "Bearer "+access), "refresh cookie": carry(s, "refreshtoken", refresh),
				"superseded refresh cookie": carry(s, "refreshtoken", refreshOf(old)), "superseded Bearer": carry(s, "Authorization", "Bearer "+accessOf(old)),
				"refresh cookie and another's access cookie": carry(s, "refreshtoken", refresh, "access", accessOf(other)),
			},
			accounts.Cookies: {
				"both cookies": carry(s, "access", access, "refreshtoken", refresh), "access cookie": carry(s, "access", access), "refresh cookie": carry(s, "refreshtoken", refresh),
				"an expired access cookie with the refresh cookie": carry(s, "access", expired(access), "refreshtoken", refresh),
			},
			accounts.ServerHeld: {"cookie": carry(s, "access", access), "expired cookie": carry(s, "access", expired(access)), "superseded cookie": carry(s, "access", accessOf(old))},
			accounts.BodyTokens: {"Bearer": carry(s, "Authorization", "Bearer "+access), "scheme in lower case": carry(s, "Authorization", "bearer "+access)},
		}
		before := s.Database.Dump(t)
		for name, request := range ways[transport] {
			r := request()
			csrf := wantCurrent(t, name, c, r)
			recent := r.JSON["session"].(object)["recent_authentication_until"] != nil
			if superseded := strings.Contains(name, "superseded"); recent == superseded {
				t.Errorf("%s: recent_authentication_until is present: %v", name, recent)
			}
			if (csrf == "") != (transport == accounts.BodyTokens) {
				t.Errorf("%s: the CSRF token is %q", name, csrf)
			}
		}
		wantUnchanged(t, s, before)
		end := row(t, s, c).ExpiresAt.UTC().Format(time.RFC3339)
		r := c.Do(http.MethodGet, sessionPath, nil)
		if got := r.JSON["session"].(object)["expires_at"]; got != end {
			t.Errorf("expires_at %v, want %s", got, end)
		}
		if transport == accounts.BodyTokens {
			return
		}
		with := func(csrf string) *servertest.Response {
			return c.Copy().RefreshTokens(servertest.Header("X-CSRFToken", csrf))
		}
		with(r.Text("csrf_token")).Want(t, http.StatusOK, "")
		twice := func(r *http.Request) { r.Header["X-Csrftoken"] = append(r.Header["X-Csrftoken"], "x") }
		c.Copy().RefreshTokens(servertest.Header("X-CSRFToken", r.Text("csrf_token")), twice).Want(t, http.StatusForbidden, "csrf_failed")
		with(wantCurrent(t, "the other session", other, other.Do(http.MethodGet, sessionPath, nil))).Want(t, http.StatusForbidden, "csrf_failed")
	})
}

// Every credential that is not valid for an active session gets the same response, which reveals
// nothing about users. Nothing is written.
func TestGetSessionRejectsInvalidCredentialsAlike(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		u := s.NewUser()
		of := map[accounts.Transport]*servertest.Client{}
		for _, transport := range transports {
			of[transport] = s.Login(u, transport)
		}
		hybrid, cookies, held, body := of[accounts.Hybrid], of[accounts.Cookies], of[accounts.ServerHeld], of[accounts.BodyTokens]
		// A server with another public URL, but the same secret and database.
		elsewhere := servertest.Start(t, servertest.Options{Engine: engine, Database: s.Database, Settings: []string{"ACCOUNTS_PUBLIC_URL=http://localhost:1"}})
		foreign := elsewhere.Login(u, accounts.Hybrid)
		revoked, inactive, deleted := s.Login(u, accounts.Hybrid), s.Login(s.NewUser(), accounts.Hybrid), s.Login(s.NewUser(), accounts.Hybrid)
		revoked.Copy().Logout().Want(t, http.StatusNoContent, "")
		s.Database.Exec(t, "UPDATE users SET is_active = ? WHERE id = (SELECT user_id FROM sessions WHERE id = ?)", false, sessionID(t, inactive))
		s.Database.Exec(t, "DELETE FROM sessions WHERE id = ?", sessionID(t, deleted))
		idle := s.Login(u, accounts.ServerHeld)
		s.Database.Exec(t, "UPDATE sessions SET idle_expires_at = ? WHERE id = ?", time.Now().UTC().Truncate(time.Second).Add(-time.Second), sessionID(t, idle))
		before := s.Database.Dump(t)
		bearer := func(c *servertest.Client) string { return "Bearer " + accessOf(c) }
		for name, pairs := range map[string][]string{
			"nothing":                                 nil,
			"an empty Authorization":                  {"Authorization", ""},
			"Basic":                                   {"Authorization", "Basic YTpi"},
			"Bearer without a token":                  {"Authorization", "Bearer"},
			"garbage as Bearer":                       {"Authorization", "Bearer x.y.z"},
			"garbage as Bearer, a good cookie":        {"Authorization", "Bearer x", "refreshtoken", refreshOf(cookies)},
			"two Authorizations":                      {"Authorization", bearer(hybrid), "Authorization", bearer(hybrid)},
			"garbage as access cookie":                {"access", "x"},
			"garbage as refresh cookie":               {"refreshtoken", "x"},
			"garbage as refresh cookie, good access":  {"refreshtoken", "x", "access", accessOf(cookies)},
			"an empty refresh cookie":                 {"refreshtoken", ""},
			"two refresh cookies":                     {"refreshtoken", refreshOf(hybrid), "refreshtoken", refreshOf(hybrid)},
			"two access cookies":                      {"access", accessOf(held), "access", accessOf(held)},
			"the csrftoken cookie alone":              {"csrftoken", hybrid.CSRF},
			"expired Bearer":                          {"Authorization", "Bearer " + expired(accessOf(hybrid))},
			"expired Bearer with a good cookie":       {"Authorization", "Bearer " + expired(accessOf(hybrid)), "refreshtoken", refreshOf(hybrid)},
			"expired Bearer of body":                  {"Authorization", "Bearer " + expired(accessOf(body))},
			"expired refresh cookie":                  {"refreshtoken", expired(refreshOf(hybrid))},
			"expired access cookie of cookies":        {"access", expired(accessOf(cookies))},
			"expired refresh with a good access":      {"access", accessOf(cookies), "refreshtoken", expired(refreshOf(cookies))},
			"a refresh token as Bearer":               {"Authorization", "Bearer " + refreshOf(hybrid)},
			"a refresh token as access cookie":        {"access", refreshOf(cookies)},
			"an access token as refresh cookie":       {"refreshtoken", accessOf(cookies)},
			"the access token of hybrid as cookie":    {"access", accessOf(hybrid)},
			"the access token of body as cookie":      {"access", accessOf(body)},
			"the access token of cookies as Bearer":   {"Authorization", bearer(cookies)},
			"the handle of server_held as Bearer":     {"Authorization", bearer(held)},
			"the handle of server_held as refresh":    {"refreshtoken", accessOf(held)},
			"the refresh token of body as cookie":     {"refreshtoken", refreshOf(body)},
			"a Bearer of another server":              {"Authorization", bearer(foreign)},
			"a refresh cookie of another server":      {"refreshtoken", refreshOf(foreign)},
			"a revoked session, Bearer":               {"Authorization", bearer(revoked)},
			"a revoked session, refresh cookie":       {"refreshtoken", refreshOf(revoked)},
			"an inactive user, Bearer":                {"Authorization", bearer(inactive)},
			"an inactive user, refresh cookie":        {"refreshtoken", refreshOf(inactive)},
			"a session that is not stored, Bearer":    {"Authorization", bearer(deleted)},
			"a session that is not stored, refresh":   {"refreshtoken", refreshOf(deleted)},
			"an idle session":                         {"access", accessOf(idle)},
			"an idle session with an expired cookie":  {"access", expired(accessOf(idle))},
			"the subject of another user":             {"refreshtoken", withSubject(refreshOf(hybrid), "999999")},
			"the subject of another user, Bearer":     {"Authorization", "Bearer " + withSubject(accessOf(hybrid), "999999")},
			"the __Host- names on plain http":         {"__Host-refreshtoken", refreshOf(hybrid), "__Host-access", accessOf(cookies)},
			"a cookie in quotation marks":             {"refreshtoken", `"` + refreshOf(hybrid) + `"`},
			"a good cookie, an Authorization of none": {"Authorization", "", "refreshtoken", refreshOf(hybrid)},
		} {
			wantSignedOut(t, name, carry(s, pairs...)())
		}
		for use, places := range map[tokentest.Use][2]string{tokentest.Access: {"Authorization", "Bearer "}, tokentest.Refresh: {"refreshtoken", ""}} {
			for _, hostile := range tokentest.Hostile(use, servertest.SecretKey, accessOf(hybrid), refreshOf(hybrid), time.Now()) {
				if len(hostile.Raw) < 8<<10 && isSent(hostile.Raw) {
					wantSignedOut(t, hostile.Name+" as "+places[0], carry(s, places[0], places[1]+hostile.Raw)())
				}
			}
		}
		wantUnchanged(t, s, before)
		wantCurrent(t, "the session itself", hybrid, hybrid.Do(http.MethodGet, sessionPath, nil))
	})
}

// isSent reports whether a token can be sent unchanged in an HTTP header.
func isSent(raw string) bool {
	return !strings.ContainsFunc(raw, unicode.IsControl) && strings.TrimSpace(raw) == raw
}

var subjectClaim = regexp.MustCompile(`"sub":"[0-9]+"`)

// withSubject returns the same token for another user, signed with the real key.
func withSubject(raw, subject string) string {
	return forged(raw, func(header, claims string) (string, string) {
		return header, subjectClaim.ReplaceAllString(claims, `"sub":"`+subject+`"`)
	})
}

// A token of the service that users were imported from is not accepted as a session, and it is not
// used up.
func TestGetSessionDoesNotExchangeLegacyToken(t *testing.T) {
	for scheme, more := range map[string][]string{"http": nil, "https": {httpsSettings}} {
		s := startLegacy(t, servertest.SQLite, more...)
		for kind, mint := range legacyKinds {
			u := newImported(t, s)
			raw, before := mint(u), s.Database.Dump(t)
			for _, name := range []string{oldCookie, "__Host-refreshtoken", "access", "__Host-access"} {
				wantSignedOut(t, scheme+" "+kind+" as "+name, carry(s, name, raw)())
			}
			wantSignedOut(t, scheme+" "+kind+" as Bearer", carry(s, "Authorization", "Bearer "+raw)())
			wantUnchanged(t, s, before)
			byOldCookie(s, raw).Want(t, http.StatusOK, "")
		}
	}
}

// recent_authentication_until is exactly the time from which an operation with
// x-recent-authentication is rejected.
func TestGetSessionReportsWhenAuthenticationStopsBeingRecent(t *testing.T) {
	start := time.Now().Truncate(time.Second).Add(300 * time.Millisecond)
	for _, transport := range []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld, accounts.BodyTokens} {
		s := servertest.Start(t, servertest.Options{HoldMail: true, Now: func() time.Time { return start }})
		u := s.NewUser()
		c := s.Login(u, transport)
		until := func() any {
			t.Helper()
			c.RefreshTokens().Want(t, http.StatusOK, "")
			return c.Do(http.MethodGet, sessionPath, nil).Want(t, http.StatusOK, "").JSON["session"].(object)["recent_authentication_until"]
		}
		at := func(moment time.Time) any { return moment.UTC().Truncate(time.Second).Format(time.RFC3339) }
		if got, want := until(), at(start.Add(10*time.Minute)); got != want {
			t.Errorf("%s: after the login %v, want %v", transport, got, want)
		}
		s.Clock.Advance(9 * time.Minute)
		if got, want := until(), at(start.Add(10*time.Minute)); got != want {
			t.Errorf("%s: after nine minutes %v, want %v", transport, got, want)
		}
		changeEmail(c.Copy(), address(newName())).Want(t, http.StatusAccepted, "")
		s.Clock.Advance(59 * time.Second)
		if until() == nil {
			t.Errorf("%s: the authentication stopped being recent more than a second early", transport)
		}
		s.Clock.Advance(time.Second)
		if got := until(); got != nil {
			t.Errorf("%s: after ten minutes: got %v, want null", transport, got)
		}
		changeEmail(c.Copy(), address(newName())).Want(t, http.StatusForbidden, "reauth_required")
		s.Clock.Advance(time.Minute)
		c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password}).Want(t, http.StatusOK, "")
		if got, want := until(), at(start.Add(21*time.Minute)); got != want {
			t.Errorf("%s: after reauthenticating %v, want %v", transport, got, want)
		}
		changeEmail(c.Copy(), address(newName())).Want(t, http.StatusAccepted, "")
	}
}

// Without the database the server cannot determine whether the caller is signed in. It responds
// with an error, so that a page does not delete its tokens.
func TestGetSessionWithoutDatabaseIsUnavailable(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pairs := range [][]string{{"Authorization", "Bearer " + c.Access}, {"refreshtoken", refreshOf(c)}} {
		if r := carry(s, pairs...)().Want(t, http.StatusServiceUnavailable, "service_unavailable"); r.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
		}
	}
	for name, pairs := range map[string][]string{"nothing": nil, "garbage": {"refreshtoken", "x"}} {
		wantSignedOut(t, name, carry(s, pairs...)())
	}
}

// The log line of a request names the user of a valid session, and no user otherwise.
func TestGetSessionLogsUserOfValidSession(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	c := s.Login(u, accounts.Hybrid)
	for name, want := range map[string]int64{"Bearer " + c.Access: u.ID, "Bearer x": 0} {
		id := uuid.NewString()
		c.Copy().Do(http.MethodGet, sessionPath, nil, servertest.Header("Authorization", name), withIDs(id)).Want(t, http.StatusOK, "")
		if got := loggedUser(t, s, id); got != want {
			t.Errorf("%.20s: the log has the user %d, want %d", name, got, want)
		}
	}
}

// loggedUser returns the user_id that the log has for a request.
func loggedUser(t *testing.T, s *servertest.Server, id string) int64 {
	t.Helper()
	for line := range strings.Lines(s.Log.String()) {
		var record struct {
			Msg       string
			RequestID string `json:"request_id"`
			UserID    int64  `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Msg == "request" && record.RequestID == id {
			return record.UserID
		}
	}
	t.Fatalf("the log has no line about the request %s", id)
	return 0
}
