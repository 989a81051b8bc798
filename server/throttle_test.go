package server_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// Rate limits restrict strangers without locking the owner out of an account.

// from makes a request come from another client address. The server must trust the proxy header.
func from(ip string) servertest.Option {
	return func(r *http.Request) { r.Header.Set("X-Forwarded-For", ip) }
}

const trusted = "ACCOUNTS_TRUSTED_PROXIES=127.0.0.0/8,::1"

// wantLimited checks that a response is a 429 and returns its Retry-After.
func wantLimited(t *testing.T, r *servertest.Response) time.Duration {
	t.Helper()
	r.Want(t, http.StatusTooManyRequests, "rate_limited")
	seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

// guess tries wrong passwords, each from another address, until the limit is exceeded. It returns
// how many were verified.
func guess(t *testing.T, s *servertest.Server, name string, most int) int {
	t.Helper()
	for i := range most {
		r := post(s, "/accounts/login", object{"username": name, "password": fmt.Sprint("a wrong one ", i)}, from(fmt.Sprintf("192.0.2.%d", i)))
		if r.Status != http.StatusUnauthorized {
			wantLimited(t, r)
			return i
		}
	}
	return most
}

// While an attacker guesses passwords of an account, the owner keeps the sessions and can log in
// again after a reset by mail. The responses do not reveal whether the account exists.
func TestPasswordGuessesDoNotLockOwnerOut(t *testing.T) {
	t.Attr("control", "14")
	t.Attr("control", "15")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		if n, unknown := guess(t, s, u.Username, 101), guess(t, s, newName(), 101); n != 10 || unknown != 10 {
			t.Errorf("%d guesses at an account were accepted, and %d at an unknown name; want 10 each", n, unknown)
		}
		stranger := post(s, "/accounts/login", object{"username": u.Username, "password": u.Password}, from("198.51.100.2"))
		if wait := wantLimited(t, stranger); wait < 14*time.Minute || wait > 15*time.Minute {
			t.Errorf("the first 429 has Retry-After %v, want about 15 minutes", wait)
		}
		right := post(s, "/accounts/login", object{"username": u.Username, "password": u.Password}, from("198.51.100.1"))
		wrong := post(s, "/accounts/login", object{"username": u.Username, "password": "a wrong one"}, from("198.51.100.1"))
		if wait := wantLimited(t, right); wait < 14*time.Minute || wait > 15*time.Minute || comparableResponse(right) != comparableResponse(wrong) {
			t.Errorf("Retry-After is %v, or the response to the correct password differs", wait)
		}
		c.RefreshTokens().Want(t, http.StatusOK, "")
		c.Profile().Want(t, http.StatusOK, "")

		confirmReset(s, requestReset(t, s, u.Email, 1), otherPassword).Want(t, http.StatusNoContent, "")
		signIn(s, u.Username, otherPassword).Want(t, http.StatusOK, "")

		if n := guess(t, s, u.Username, 101); n != 10 {
			t.Errorf("%d guesses were accepted after the reset", n)
		}
		s.Clock.Advance(15 * time.Minute)
		if s.Database.Engine == servertest.SQLite { // MySQL's clock cannot be moved, and a login compares the clocks
			signIn(s, u.Username, otherPassword).Want(t, http.StatusOK, "")
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", trusted)
}

// settleGuesses moves past the time in which counted guesses may be refunded.
func settleGuesses(t *testing.T, s *servertest.Server) {
	t.Helper()
	s.Database.Exec(t, "UPDATE rate_limits SET last_at = ?", time.Now().UTC().Add(-time.Minute))
	s.Clock.Advance(2 * time.Second) // until the cached decision expires
}

// A burst of correct logins, more than the limit of failures, gets a short Retry-After and then
// succeeds.
func TestBurstOfCorrectLoginsSucceedsAfterRetry(t *testing.T) {
	t.Attr("control", "14")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		var logins sync.WaitGroup
		for range 40 {
			logins.Go(func() {
				for {
					r := signIn(s, u.Username, u.Password)
					if r.Status == http.StatusOK {
						return
					}
					lost := r.Status == http.StatusServiceUnavailable // a cluster may have aborted the transaction too often
					if r.Status != http.StatusTooManyRequests && !lost || r.Header.Get("Retry-After") != "1" {
						t.Errorf("status %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
						return
					}
					time.Sleep(time.Second) // the Retry-After
				}
			})
		}
		logins.Wait()
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m")
}

// An attacker who guesses passwords for an address prevents its owner neither from opening the link
// of a registration nor from logging in after an operator has set a new password.
func TestGuessesDoNotBlockLinkOrRescueByOperator(t *testing.T) {
	t.Attr("control", "14")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		if n := guess(t, s, email, 20); n != 10 {
			t.Errorf("got %d guesses", n)
		}
		verify(s, token, password).Want(t, http.StatusOK, "")
		u := stored(t, s, email)
		login := func(p string) *servertest.Response {
			return post(s, "/accounts/login", object{"username": email, "password": p}, from("198.51.100.2"))
		}
		wantLimited(t, login(password))
		if err := s.Service.SetPassword(t.Context(), u.Username, otherPassword); err != nil {
			t.Fatal(err)
		}
		login(otherPassword).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", trusted)
}

// An attacker who guesses passwords of an account and also requests resets locks the owner out only
// until the owner's next reset.
func TestOwnerLogsInAfterResetDespiteGuesses(t *testing.T) {
	t.Attr("control", "14")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		for n := range 3 {
			guess(t, s, u.Username, 20)
			confirmReset(s, requestReset(t, s, u.Email, 2*n+1), fmt.Sprint(otherPassword, n)).Want(t, http.StatusNoContent, "")
			s.Mails.Wait(t, u.Email, 2*n+2) // the notice
			signIn(s, u.Username, fmt.Sprint(otherPassword, n)).Want(t, http.StatusOK, "")
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h", trusted)
}

// Correct passwords do not count as failures. Wrong passwords of one client count, regardless of
// the names.
func TestWrongPasswordsOfClientAreRateLimited(t *testing.T) {
	t.Attr("control", "14")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		for range 10 {
			signIn(s, u.Username, u.Password).Want(t, http.StatusOK, "")
		}
		for range 5 {
			signIn(s, newName(), password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		}
		wantLimited(t, signIn(s, newName(), password))
		wantLimited(t, signIn(s, u.Username, u.Password))
	}, "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=5/15m")
}

// Each of the two names of an account has its own limit. With a common limit, exceeding it for one
// name would reveal that the other belongs to the same account.
func TestNamesOfAccountHaveSeparateLimits(t *testing.T) {
	t.Attr("control", "15")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		if guess(t, s, u.Email, 20) != 10 || guess(t, s, u.Username, 20) != 10 {
			t.Error("the limit of the address applies to the username, which reveals that both belong to one account")
		}
		if n := guess(t, s, otherSpelling(u.Email), 20); n != 0 {
			t.Errorf("got %d more guesses at the address in capitals, want 0", n)
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", trusted)
}

// Concurrent guesses on two replicas share one limit, which also survives the restart of a replica.
func TestLimitsHoldAcrossReplicas(t *testing.T) {
	t.Attr("control", "80")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		settings := []string{"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", "ACCOUNTS_REGISTRATIONS_PER_CLIENT=7/1h", trusted}
		a := servertest.Start(t, servertest.Options{Engine: engine, Settings: settings})
		b := servertest.Start(t, servertest.Options{Engine: engine, Settings: settings, Database: a.Database})
		u := a.NewUser()
		replicas := []*servertest.Server{a, b}
		for path, want := range map[string]struct {
			status, n int
			body      object
		}{
			"/accounts/login":    {http.StatusUnauthorized, 10, object{"username": u.Username, "password": "a wrong one"}},
			"/accounts/register": {http.StatusAccepted, 7, object{"email": address(newName()), "password": password}},
		} {
			answers := parallel(40, func(i int) *servertest.Response {
				r := post(replicas[i%2], path, want.body)
				for range 20 { // a cluster may abort concurrent writes of one row; the client repeats the request
					if r.Status != http.StatusServiceUnavailable {
						break
					}
					r = post(replicas[i%2], path, want.body)
				}
				return r
			})
			if got := statuses(answers); got[want.status] != want.n || got[http.StatusTooManyRequests] != 40-want.n {
				t.Errorf("%s: got %v, want %d times %d and otherwise 429", path, got, want.n, want.status)
			}
			c := servertest.Start(t, servertest.Options{Engine: engine, Settings: settings, Database: a.Database})
			wantLimited(t, post(c, path, want.body))
		}
	})
}

// Requests from one address, or from one IPv6 network, count as one client. A client cannot change
// that by a header.
func TestClientIsOneAddressOrIPv6Network(t *testing.T) {
	t.Attr("control", "79")
	for name, c := range map[string]struct {
		settings []string
		ips      []string
		judged   int
	}{
		"a header that is not trusted": {nil, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, 2},
		"IPv4":                         {[]string{trusted}, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, 3},
		"IPv4 in IPv6":                 {[]string{trusted}, []string{"192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201"}, 2},
		"one IPv6 network":             {[]string{trusted}, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"}, 2},
		"IPv6 networks":                {[]string{trusted}, []string{"2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"}, 3},
		"what a client adds itself":    {[]string{trusted}, []string{"10.0.0.1, 192.0.2.1", "10.0.0.2, 192.0.2.1", "10.0.0.3, 192.0.2.1"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Start(t, servertest.Options{Settings: append(c.settings, "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=2/15m")})
			judged := 0
			for _, ip := range c.ips {
				r := post(s, "/accounts/login", object{"username": newName(), "password": password}, from(ip))
				if r.Status == http.StatusUnauthorized {
					judged++
				} else {
					wantLimited(t, r)
				}
			}
			if judged != c.judged {
				t.Errorf("%d of %d were accepted, want %d", judged, len(c.ips), c.judged)
			}
		})
	}
}

// Registrations and requests for mails each have their own limit per client. All confirmations
// share one limit, whether they succeed or not.
func TestClientHasLimitPerKindOfOperation(t *testing.T) {
	t.Attr("control", "8")
	t.Attr("control", "56")
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		requests := map[string]func() *servertest.Response{
			"register": func() *servertest.Response {
				return post(s, "/accounts/register", object{"email": address(newName()), "password": password})
			},
			"resend": func() *servertest.Response {
				return post(s, "/accounts/email/resend", object{"email": address(newName())})
			},
			"reset": func() *servertest.Response {
				return post(s, "/accounts/password/reset", object{"email": address(newName())})
			},
		}
		for name, request := range requests {
			for range 3 {
				request().Want(t, http.StatusAccepted, "")
			}
			before := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens") + s.Database.Count(t, "SELECT COUNT(*) FROM outbox")
			if wait := wantLimited(t, request()); wait > time.Hour || wait < 59*time.Minute {
				t.Errorf("%s: Retry-After %v", name, wait)
			}
			if s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens")+s.Database.Count(t, "SELECT COUNT(*) FROM outbox") != before {
				t.Errorf("%s: a row was written", name)
			}
		}
		post(s, "/accounts/register", object{"email": "no address", "password": password}).Want(t, http.StatusUnprocessableEntity, "validation_failed")

		none := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		confirm := []func() *servertest.Response{
			func() *servertest.Response { return verify(s, none, password) },
			func() *servertest.Response { return confirmReset(s, none, password) },
			func() *servertest.Response { return confirmEmail(s, none, password) },
		}
		for i := range 4 {
			confirm[i%3]().Want(t, http.StatusUnprocessableEntity, "link_invalid")
		}
		for _, each := range confirm {
			if wait := wantLimited(t, each()); wait > time.Minute {
				t.Errorf("Retry-After %v", wait)
			}
		}
		s.Clock.Advance(time.Minute)
		confirm[0]().Want(t, http.StatusUnprocessableEntity, "link_invalid")
	}, "ACCOUNTS_REGISTRATIONS_PER_CLIENT=3/1h", "ACCOUNTS_CONFIRMATIONS_PER_CLIENT=4/1m")
}

// An attacker with a stolen session or mail cannot find the password by guessing. The session stays
// valid.
func TestPasswordGuessesWithStolenSessionAreRateLimited(t *testing.T) {
	t.Attr("control", "58")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		requests := []func(password string) *servertest.Response{
			func(p string) *servertest.Response {
				return c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": p, "new_password": otherPassword})
			},
			func(p string) *servertest.Response {
				return c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": p})
			},
		}
		for i := range 4 {
			requests[i%2]("a wrong password").Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
		before := stored(t, s, u.Email)
		for _, request := range requests {
			wantLimited(t, request(u.Password))
		}
		if diff := cmp.Diff(before, stored(t, s, u.Email)); diff != "" {
			t.Errorf("the guesses changed the user:\n%s", diff)
		}
		c.Profile().Want(t, http.StatusOK, "")
		signIn(s, u.Username, u.Password).Want(t, http.StatusOK, "") // a thief of a session cannot lock the owner out

		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		for range 4 {
			wantField(t, verify(s, token, "a wrong password"), "/password", "password_wrong")
		}
		wantLimited(t, verify(s, token, password))
		s.Clock.Advance(15 * time.Minute)
		if s.Database.Engine == servertest.SQLite {
			verify(s, token, password).Want(t, http.StatusOK, "")
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=4/15m")
}

// A flood from one client is rejected without a database query. After a second the database is
// queried again.
func TestFloodOfClientIsRejectedWithoutDatabase(t *testing.T) {
	t.Attr("control", "80")
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=1/15m", trusted}})
	login := func(ip string) *servertest.Response {
		return post(s, "/accounts/login", object{"username": newName(), "password": password}, from(ip))
	}
	login("192.0.2.1").Want(t, http.StatusUnauthorized, "credentials_invalid")
	wantLimited(t, login("192.0.2.1"))
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	wantLimited(t, login("192.0.2.1"))
	login("192.0.2.2").Want(t, http.StatusServiceUnavailable, "service_unavailable")
	s.Clock.Advance(time.Second)
	login("192.0.2.1").Want(t, http.StatusServiceUnavailable, "service_unavailable")
}

// Each change of the username adds an event and each export is long, so both are limited per user.
// Operations without such a limit and other users are not affected.
func TestRenamesAndExportsOfUserAreRateLimited(t *testing.T) {
	t.Attr("control", "80")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		c, other := s.Login(s.NewUser(), accounts.Hybrid), s.Login(s.NewUser(), accounts.Hybrid)
		var last string
		for range 2 {
			last = newName()
			patch(c, object{"username": last}).Want(t, http.StatusOK, "")
			c.Do(http.MethodGet, "/accounts/profile/export", nil).Want(t, http.StatusOK, "")
		}
		before := s.Database.Dump(t)
		wantLimited(t, patch(c, object{"username": newName(), "first_name": "Ada"}))
		wantLimited(t, c.Do(http.MethodGet, "/accounts/profile/export", nil))
		wantUnchanged(t, s, before)
		patch(c, object{"username": last, "first_name": "Ada"}).Want(t, http.StatusOK, "")
		patch(other, object{"username": newName()}).Want(t, http.StatusOK, "")
		s.Clock.Advance(time.Minute)
		patch(c, object{"username": newName()}).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=2/1m")
}
