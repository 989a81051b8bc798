package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The tests in this file run the binary as an operator does and wait in real time: W = 2 s, so M =
// 0.4 s.
const (
	interval = 2 * time.Second
	margin   = interval / 5
	beyond   = time.Second // beyond a boundary of the decision table
)

var transports = []token.Transport{token.Hybrid, token.Cookies, token.ServerHeld, token.Body}

// TestSessionsLiveInEachTransportOnEachEngine tests the life of sessions in each transport with the
// running binary: on SQLite, on MySQL, and on MySQL with two replicas that receive the requests in
// turn.
func TestSessionsLiveInEachTransportOnEachEngine(t *testing.T) {
	setting := "ACCOUNTS_ROTATION_INTERVAL=" + interval.String()
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, servertest.NewDatabase(t, engine), "", setting)
			acceptance(t, r.newUser(t, "ada"), []*replica{r})
		})
		if engine == servertest.SQLite {
			return // SQLite has one replica by design
		}
		t.Run("two", func(t *testing.T) {
			t.Parallel()
			db := servertest.NewDatabase(t, engine)
			a := startReplica(t, db, "", setting)
			b := startReplica(t, db, a.URL, setting)
			acceptance(t, a.newUser(t, "ada"), []*replica{a, b})
		})
	})
}

func acceptance(t *testing.T, u servertest.User, replicas []*replica) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			f := &family{t: t, user: u, transport: transport, replicas: replicas}
			t.Run("refresh", f.testConvergence)
			t.Run("logout", f.testLogout)
			t.Run("garbage", f.testGarbage)
			t.Run("csrf", f.testCSRF)
		})
	}
}

// family tests the sessions of one transport. Its method at alternates between the replicas.
type family struct {
	t         *testing.T
	user      servertest.User
	transport token.Transport
	replicas  []*replica
	mu        sync.Mutex
	turn      int
}

func (f *family) at(c *servertest.Client) *servertest.Client {
	f.mu.Lock()
	f.turn++
	r := f.replicas[f.turn%len(f.replicas)]
	f.mu.Unlock()
	return c.Copy().At(r.Server)
}

func (f *family) login() *servertest.Client { return f.replicas[0].Login(f.user, f.transport) }

// shown returns the token in the response to a refresh, from the place that the transport uses.
func shown(c *servertest.Client, r *servertest.Response) string {
	for _, cookie := range r.Cookies() {
		if cookie.Name != "csrftoken" && cookie.Value != "" && (cookie.Name == "refreshtoken" || c.Transport == token.ServerHeld) {
			return cookie.Value
		}
	}
	return r.Text("refresh_token")
}

var storms sync.Mutex

// refresh retries after a 503, as the contract describes: the machine may be too busy to decide
// within the margin.
func refresh(c *servertest.Client) *servertest.Response {
	for try := 0; ; try++ {
		r := c.RefreshTokens()
		if r.Status != http.StatusServiceUnavailable || try == 20 {
			return r
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (f *family) testConvergence(t *testing.T) {
	first := f.login()
	time.Sleep(interval + margin + beyond)

	// Only one storm runs at a time, because the server must decide all requests of a storm within
	// W of the first rotation.
	storms.Lock()
	defer storms.Unlock()
	successors := map[string]int{}
	var wait sync.WaitGroup
	for range 100 {
		c := f.at(first)
		wait.Go(func() {
			r := refresh(c)
			if r.Status != http.StatusOK {
				t.Errorf("status %d %s", r.Status, r.Code())
			}
			f.mu.Lock()
			successors[shown(c, r)]++
			f.mu.Unlock()
		})
	}
	wait.Wait()
	if len(successors) != 1 || successors[""] > 0 {
		t.Fatalf("100 parallel refreshes gave %d different successors", len(successors))
	}

	second := f.at(first)
	refresh(second).Want(t, http.StatusOK, "")
	storms.Unlock()
	defer storms.Lock()
	time.Sleep(interval + margin + beyond)
	third := f.at(second)
	refresh(third).Want(t, http.StatusOK, "")
	f.at(third).Profile().Want(t, http.StatusOK, "")
	time.Sleep(interval + beyond)
	refresh(f.at(first)).Want(t, http.StatusUnauthorized, "refresh_reused")
	f.at(third).Profile().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(third).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(second).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
}

func (f *family) testLogout(t *testing.T) {
	c := f.login()
	f.at(c).Profile().Want(t, http.StatusOK, "")
	f.at(c).Logout().Want(t, http.StatusNoContent, "")
	f.at(c).Profile().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(c).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(c).Logout().Want(t, http.StatusNoContent, "")
}

func (f *family) testGarbage(t *testing.T) {
	for _, size := range []int{1, 100, 4096, 8192} {
		garbage := strings.Repeat("g", size)
		anonymous := f.replicas[0].Anonymous()
		ways := map[string]func() *servertest.Response{
			"bearer": func() *servertest.Response {
				return anonymous.Profile(servertest.Header("Authorization", "Bearer "+garbage))
			},
			"access cookie": func() *servertest.Response { return anonymous.Profile(servertest.Cookie("access", garbage)) },
			"refresh cookie": func() *servertest.Response {
				return anonymous.RefreshTokens(servertest.Cookie("refreshtoken", garbage))
			},
			"body": func() *servertest.Response {
				return anonymous.Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": garbage})
			},
			"logout": func() *servertest.Response {
				return anonymous.Do(http.MethodPost, "/accounts/logout", map[string]any{"refresh_token": garbage})
			},
		}
		for name, way := range ways {
			if r := way(); r.Status != http.StatusUnauthorized || r.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d bytes of garbage as %s: %d %s", size, name, r.Status, r.Raw)
			}
		}
	}
}

func (f *family) testCSRF(t *testing.T) {
	if f.transport == token.Body {
		return // without cookies, no CSRF token is needed
	}
	c := f.login()
	withoutBearer := servertest.Header("Authorization", "")
	for _, value := range []string{"", "AAAA", f.login().CSRF} {
		header := servertest.Header("X-CSRFToken", value)
		f.at(c).RefreshTokens(header).Want(t, http.StatusForbidden, "csrf_failed")
		f.at(c).Logout(header).Want(t, http.StatusForbidden, "csrf_failed")
		if f.transport != token.Hybrid {
			f.at(c).Do(http.MethodDelete, "/accounts/sessions", nil, header, withoutBearer).Want(t, http.StatusForbidden, "csrf_failed")
		}
	}
	f.at(c).Profile().Want(t, http.StatusOK, "")
	f.at(c).Logout().Want(t, http.StatusNoContent, "")
}
