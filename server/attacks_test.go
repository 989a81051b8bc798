package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// raw sends parts over a new connection and reads one response.
func raw(t *testing.T, s *servertest.Server, parts ...func(net.Conn)) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, part := range parts {
		part(conn)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

func line(format string, args ...any) func(net.Conn) {
	return func(c net.Conn) { _, _ = fmt.Fprintf(c, format, args...) }
}

// A request whose body arrives late is answered with 503, regardless of its credentials, and
// changes nothing. Otherwise a thief could delay the body to test a stolen token without triggering
// reuse detection, or to obtain new tokens for it.
func TestLateBodyIsUnavailableAndChangesNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	for name, age := range map[string]time.Duration{"current": 0, "due": 40 * time.Second} {
		t.Run(name, func(t *testing.T) {
			c := s.Login(u, accounts.BodyTokens)
			s.Database.Age(t, age)
			before := s.Database.Dump(t)
			body := fmt.Sprintf(`{"refresh_token":%q}`, c.Refresh)
			reads := s.Clock.Reads()
			answer := raw(t, s,
				line("POST /accounts/refresh_token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body)),
				func(net.Conn) {
					waitFor(t, func() bool { return s.Clock.Reads() > reads })
					s.Clock.Advance(6 * time.Second)
				},
				line("%s", body))
			if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("status %d", answer.StatusCode)
			}
			if s.Database.Dump(t) != before {
				t.Error("a row changed")
			}
			c.RefreshTokens().Want(t, http.StatusOK, "")
		})
	}
}

// A body is rejected as too long by its declared Content-Length. The server closes the connection
// instead of reading the body.
func TestBodyTooLargeByContentLengthIsNotRead(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	start := time.Now()
	answer := raw(t, s, line("POST /accounts/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n{"))
	if answer.StatusCode != http.StatusRequestEntityTooLarge || !answer.Close || time.Since(start) > 5*time.Second {
		t.Errorf("status %d, close %t, after %s", answer.StatusCode, answer.Close, time.Since(start))
	}
}

// A path with unnecessary percent-encoding does not reach an operation.
func TestPercentEncodedPathReachesNoOperation(t *testing.T) {
	t.Attr("control", "74")
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for _, path := range []string{"/accounts%2Fprofile", "/%61ccounts/profile", "/accounts/profil%65", "/accounts%2fprofile"} {
		c.Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
}

// A mistyped or malformed query must not turn "all other sessions" into "all sessions".
func TestMalformedQueryRevokesNoSession(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for _, query := range []string{"keep_current=true;", "x=1;keep_current=true", "keep_current=true%zz", "keepcurrent=true", "Keep_Current=true", "keep_current[]=true", "x=1"} {
		c.Do(http.MethodDelete, "/accounts/sessions?"+query, nil).Want(t, http.StatusBadRequest, "request_malformed")
	}
	c.Profile().Want(t, http.StatusOK, "")
}

// An operation without parameters rejects any query.
func TestOperationWithoutParametersRejectsQuery(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for _, op := range servertest.Operations() {
		if op.Method != http.MethodGet || len(op.Operation.Parameters) > 0 {
			continue
		}
		c.Do(op.Method, op.Path+"?next=%&;=%zz", nil).Want(t, http.StatusBadRequest, "request_malformed")
		r := c.Do(op.Method, op.Path+"?next=x", nil).Want(t, http.StatusBadRequest, "request_malformed")
		wantParameter(t, r, "next")
		c.Do(op.Method, op.Path+"?", nil).Want(t, http.StatusOK, "")
	}
}

// If the browser does not send Sec-Fetch-Site, the Origin must equal the server's own exactly. A
// Host header that matches the Origin proves nothing (DNS rebinding).
func TestOriginEqualToHostHeaderProvesNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	body := map[string]any{"username": u.Username, "password": u.Password}
	for _, origin := range []string{"http://evil.example", "ws://" + strings.TrimPrefix(s.URL, "http://"), "http://evil@" + strings.TrimPrefix(s.URL, "http://"), "null"} {
		s.Anonymous().Do(http.MethodPost, "/accounts/login", body, servertest.Header("Origin", origin), func(r *http.Request) {
			r.Host = strings.TrimPrefix(origin, "http://")
		}).Want(t, http.StatusForbidden, "csrf_failed")
	}
	s.Anonymous().Do(http.MethodPost, "/accounts/login", body, servertest.Header("Origin", s.URL)).Want(t, http.StatusOK, "")
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	for range 500 {
		if ready() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come in 5 s")
}
