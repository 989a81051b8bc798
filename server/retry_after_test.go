package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A request repeated after the Retry-After of a 429 succeeds, and not before. The test moves the
// clock, so it runs on SQLite only, which uses the server's clock.
func TestRetryAfterIsExact(t *testing.T) {
	right := func(s *servertest.Server, u servertest.User) *servertest.Response {
		return loginFrom(s, "192.0.2.9", u.Username, u.Password)
	}
	for name, c := range map[string]struct {
		setting string
		use     func(t *testing.T, s *servertest.Server, u servertest.User, c *servertest.Client) (request func() *servertest.Response)
		success int
	}{
		"wrong passwords of a name": {"LOGIN_FAILURES_PER_ACCOUNT=2/15m", func(_ *testing.T, s *servertest.Server, u servertest.User, _ *servertest.Client) func() *servertest.Response {
			loginFrom(s, "192.0.2.1", u.Username, "a wrong one")
			loginFrom(s, "192.0.2.2", u.Username, "a wrong one")
			return func() *servertest.Response { return right(s, u) }
		}, http.StatusOK},
		"wrong passwords of a client": {"LOGIN_FAILURES_PER_CLIENT=1/15m", func(_ *testing.T, s *servertest.Server, u servertest.User, _ *servertest.Client) func() *servertest.Response {
			loginFrom(s, "192.0.2.9", newName(), "a wrong one")
			return func() *servertest.Response { return right(s, u) }
		}, http.StatusOK},
		"passwords of a client": {"PASSWORDS_PER_CLIENT=2/15m", func(_ *testing.T, s *servertest.Server, u servertest.User, _ *servertest.Client) func() *servertest.Response {
			right(s, u)
			right(s, u)
			return func() *servertest.Response { return right(s, u) }
		}, http.StatusOK},
		"right passwords of a user": {"PASSWORDS_PER_USER=2/1h", func(_ *testing.T, s *servertest.Server, u servertest.User, _ *servertest.Client) func() *servertest.Response {
			right(s, u) // the second one, after the login of the test's client
			return func() *servertest.Response { return right(s, u) }
		}, http.StatusOK},
		"wrong passwords of a signed-in user": {"LOGIN_FAILURES_PER_ACCOUNT=1/4m", func(_ *testing.T, _ *servertest.Server, u servertest.User, c *servertest.Client) func() *servertest.Response {
			again := func(password string) *servertest.Response {
				c.RefreshTokens()
				return c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": password})
			}
			again("a wrong one")
			return func() *servertest.Response { return again(u.Password) }
		}, http.StatusOK},
		"wrong passwords of a link": {"LOGIN_FAILURES_PER_ACCOUNT=1/15m", func(t *testing.T, s *servertest.Server, _ servertest.User, _ *servertest.Client) func() *servertest.Response {
			token := register(t, s, 1, object{"email": address(newName()), "password": password})
			verify(s, token, "a wrong one")
			return func() *servertest.Response { return verify(s, token, password) }
		}, http.StatusOK},
		"registrations of a client": {"REGISTRATIONS_PER_CLIENT=1/1h", func(_ *testing.T, s *servertest.Server, _ servertest.User, _ *servertest.Client) func() *servertest.Response {
			request := func() *servertest.Response {
				return post(s, "/accounts/register", object{"email": address(newName()), "password": password})
			}
			request()
			return request
		}, http.StatusAccepted},
		"confirmations of a client": {"CONFIRMATIONS_PER_CLIENT=1/1m", func(_ *testing.T, s *servertest.Server, _ servertest.User, _ *servertest.Client) func() *servertest.Response {
			request := func() *servertest.Response {
				return verify(s, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password)
			}
			request()
			return request
		}, http.StatusUnprocessableEntity},
		"exports of a user": {"RARE_ACTIONS_PER_USER=1/4m", func(_ *testing.T, _ *servertest.Server, _ servertest.User, c *servertest.Client) func() *servertest.Response {
			request := func() *servertest.Response { return c.Do(http.MethodGet, "/accounts/profile/export", nil) }
			request()
			return request
		}, http.StatusOK},
		"usernames of a user": {"RARE_ACTIONS_PER_USER=1/4m", func(_ *testing.T, _ *servertest.Server, _ servertest.User, c *servertest.Client) func() *servertest.Response {
			request := func() *servertest.Response { return patch(c, object{"username": newName()}) }
			request()
			return request
		}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_" + c.setting, trusted}})
			u := s.NewUser()
			request := c.use(t, s, u, s.Login(u, accounts.Hybrid))
			wait := wantLimited(t, request())
			s.Clock.Advance(2 * time.Second) // the cached decision has expired
			if again := wantLimited(t, request()); again > wait || again < wait-3*time.Second {
				t.Errorf("got Retry-After %v, and %v two seconds later", wait, again)
			}
			s.Clock.Advance(wait - 5*time.Second)
			wantLimited(t, request())
			s.Clock.Advance(3 * time.Second)
			request().Want(t, c.success, "")
		})
	}
}

// While guesses that use up a limit are being verified, the server cannot determine whether the
// next request may succeed in a moment or only after a quarter of an hour. It responds with 503, so
// that the first 429 is correct, and records no event.
func TestRequestIsUnavailableWhileLimitIsUndecided(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		login := func() *servertest.Response { return loginFrom(s, "192.0.2.9", u.Username, u.Password) }
		again := func() *servertest.Response {
			return c.Copy().Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password})
		}
		loginFrom(s, "192.0.2.1", u.Username, "a wrong one").Want(t, http.StatusUnauthorized, "credentials_invalid")
		c.Copy().Do(http.MethodPost, "/accounts/reauthenticate", object{"password": "a wrong one"}).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		// Another replica is verifying two more guesses.
		inFlight := func(ago time.Duration) {
			s.Database.Exec(t, "UPDATE rate_limits SET hits = 3, last_at = ? WHERE kind IN ('login_account', 'password_user')", time.Now().UTC().Truncate(time.Microsecond).Add(-ago))
		}
		inFlight(0)
		for _, request := range []func() *servertest.Response{login, again} {
			if r := request().Want(t, http.StatusServiceUnavailable, "service_unavailable"); r.Header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After is %s, want 1", r.Header.Get("Retry-After"))
			}
		}
		flush(t, s)
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE user_id = ? AND kind = 'rate_limited'", u.ID); n != 0 {
			t.Errorf("%d rate_limited events were recorded although the limit is undecided, want 0", n)
		}
		inFlight(6 * time.Second) // the replica has stopped, so its guesses count
		for _, request := range []func() *servertest.Response{login, again} {
			if wait := wantLimited(t, request()); wait < 14*time.Minute {
				t.Errorf("Retry-After is %v, want about 15 minutes", wait)
			}
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m", trusted)
}

// If a request exceeds several limits, Retry-After is the longest of their times, regardless of the
// order of their IDs. Of the two limits of a name that apply to its owner, the one that ends sooner
// counts.
func TestRetryAfterIsLongestOfExceededLimits(t *testing.T) {
	ends := func(s *servertest.Server, kind string, minutes int) {
		s.Database.Exec(t, "UPDATE rate_limits SET hits = 1000, last_at = ?, ends_at = ? WHERE kind = ?", time.Unix(0, 0).UTC(), time.Now().UTC().Truncate(time.Microsecond).Add(inMinutes(minutes)), kind)
	}
	for i := range 8 { // the order of the ids is random
		s := servertest.Start(t, servertest.Options{Settings: []string{
			"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=5/15m", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=100/15m", "ACCOUNTS_PASSWORDS_PER_CLIENT=100/15m", trusted,
		}})
		u := s.NewUser()
		login := func(ip, password string) *servertest.Response { return loginFrom(s, ip, u.Username, password) }
		owner, stranger := "192.0.2.1", fmt.Sprintf("198.51.100.%d", i)
		login(owner, u.Password).Want(t, http.StatusOK, "")
		for _, ip := range []string{owner, stranger} {
			login(ip, "a wrong one").Want(t, http.StatusUnauthorized, "credentials_invalid")
		}
		want := func(ip string, minutes int, limits map[string]int) {
			t.Helper()
			s.Clock.Advance(2 * time.Second) // until the cached decision expires
			for kind, in := range limits {
				ends(s, kind, in)
			}
			if wait := wantLimited(t, login(ip, u.Password)); wait > inMinutes(minutes) || wait < inMinutes(minutes)-30*time.Second {
				t.Errorf("%s with %v: Retry-After is %v", ip, limits, wait)
			}
		}
		want(stranger, 9, map[string]int{"login_account": 9, "login_client": 7, "passwords_client": 5})
		want(stranger, 9, map[string]int{"login_account": 7, "login_client": 9, "passwords_client": 5})
		want(stranger, 9, map[string]int{"login_account": 5, "login_client": 7, "passwords_client": 9})
		want(owner, 8, map[string]int{"login_known": 8, "login_account": 11, "login_client": 3, "passwords_client": 2})
		want(owner, 8, map[string]int{"login_known": 12, "login_account": 8, "login_client": 3, "passwords_client": 2})
		want(owner, 9, map[string]int{"login_known": 7, "login_account": 8, "login_client": 9, "passwords_client": 2})
	}
}

func inMinutes(n int) time.Duration { return time.Duration(n) * time.Minute }
