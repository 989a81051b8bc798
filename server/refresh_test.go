package server_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A client whose connection breaks after the rotation is stored, but before it reads the response,
// can repeat the request. It gets the same successor as every other repetition.
func TestRefreshIsRepeatableAfterUnreadResponse(t *testing.T) {
	t.Attr("control", "33")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		old := accessOf(c)
		s.Database.Age(t, rotation)
		breakOff(t, s, c, func() bool { return row(t, s, c).Generation == 1 })
		other := c.Copy()
		c.RefreshTokens().Want(t, http.StatusOK, "")
		other.RefreshTokens().Want(t, http.StatusOK, "")
		if accessOf(c) == old || accessOf(c) != accessOf(other) || refreshOf(c) != refreshOf(other) {
			t.Error("the repeated refresh did not return the same successor")
		}
		if l := row(t, s, c); l.Generation != 1 || l.RevokedAt != nil {
			t.Errorf("got generation %d, revoked at %v, want generation 1 of a live session", l.Generation, l.RevokedAt)
		}
		c.Profile().Want(t, http.StatusOK, "")
	})
}

// breakOff sends a refresh request and resets the connection without reading the response, as soon
// as happened returns true.
func breakOff(t *testing.T, s *servertest.Server, c *servertest.Client, happened func() bool) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := ""
	if transport := c.Transport; transport == accounts.BodyTokens {
		body = fmt.Sprintf(`{"refresh_token":%q}`, c.Refresh)
	}
	cookies := ""
	for _, name := range []string{"access", "refreshtoken"} {
		cookies += name + "=" + c.CookieValue(name) + "; "
	}
	line("POST /accounts/refresh_token HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\nX-CSRFToken: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		strings.NewReplacer("access=; ", "", "refreshtoken=; ", "").Replace(cookies), c.CSRF, len(body), body)(conn)
	waitFor(t, happened)
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
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

// expires_in and refresh_in are seconds from now, rounded down: exp − now, and max(0.8 × access
// TTL, W+M) − age. The generation is that of the returned tokens, so only a rotation increases it.
func TestTokenSecondsAreRoundedDown(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Anonymous()
		about := func(r *servertest.Response, expires, refresh, generation int) {
			t.Helper()
			e, f := r.JSON["expires_in"].(float64), r.JSON["refresh_in"].(float64)
			if int(e) > expires || int(e) < max(0, expires-3) || int(f) > refresh || int(f) < max(0, refresh-3) {
				t.Errorf("got expires_in %v and refresh_in %v, want about %d and %d", e, f, expires, refresh)
			}
			if r.JSON["generation"] != float64(generation) {
				t.Errorf("got generation %v, want %d", r.JSON["generation"], generation)
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
			t.Errorf("got %v and %v, want %v and %v", r.JSON["expires_in"], r.JSON["refresh_in"], expires, refresh)
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
