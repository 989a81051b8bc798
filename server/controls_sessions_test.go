package server_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

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
			t.Error("the answer was not given again")
		}
		if l := row(t, s, c); l.Generation != 1 || l.RevokedAt != nil {
			t.Errorf("generation %d, revoked at %v", l.Generation, l.RevokedAt)
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

// GET, HEAD and OPTIONS change no row on any path, with any headers. They are rejected where they
// are not an operation. HEAD is an operation wherever GET is.
func TestReadsChangeNoRow(t *testing.T) {
	t.Attr("control", "44")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true})
		ada := newAda(t, s)
		var clients []*servertest.Client
		for _, transport := range transports {
			clients = append(clients, s.Login(ada, transport))
		}
		s.Database.Age(t, rotation) // a refresh would rotate
		before := s.Database.Dump(t)
		for _, op := range servertest.Operations() {
			e := exampleOf(t, op)
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				for _, c := range clients {
					r := c.Copy().Do(method, e.path, e.body, servertest.Header("X-CSRFToken", csrfOf(t, c)),
						servertest.Header("X-HTTP-Method-Override", op.Method), servertest.Header("X-HTTP-Method", op.Method))
					if r.Status >= 500 || r.Status < 300 && method == http.MethodOptions || len(r.Cookies()) > 0 {
						t.Errorf("%s %s: %d %s", method, e.path, r.Status, r.Code())
					}
				}
			}
		}
		unchanged(t, s, before)
	})
}

// A thousand reads write nothing, not even a time of last use. Otherwise a client could keep the
// database busy by reading.
func TestThousandReadsWriteNothing(t *testing.T) {
	t.Attr("control", "71")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		u := s.NewUser()
		for _, transport := range transports {
			c := s.Login(u, transport)
			before := s.Database.Dump(t)
			for range 250 {
				c.Profile().Want(t, http.StatusOK, "")
			}
			for _, path := range []string{"/accounts/sessions", "/accounts/session", "/accounts/profile/export"} {
				c.Copy().Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "")
			}
			unchanged(t, s, before)
		}
	})
}
