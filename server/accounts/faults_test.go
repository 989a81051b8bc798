package accounts_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

const (
	rotation = "SET generation = generation + 1" // the UPDATE of row 3
	answers  = 3 * time.Second                   // the most that an answer may take, regardless of the database
	recovers = 5 * time.Second                   // after this time no answer is a 503 any more
)

// faulty is a replica that reaches its MySQL server through a proxy. The site's own replica
// connects directly.
type faulty struct {
	*site
	proxy *proxy
	far   *servertest.Server
}

func eachFaulty(t *testing.T, settings []string, f func(t *testing.T, f *faulty)) {
	t.Helper()
	t.Parallel() // they wait most of the time
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return
		}
		s := newSite(t, e, 1, settings...)
		p, db := throughProxy(t, s.db)
		far := s.add(servertest.Options{Settings: settings, Database: db, HoldMail: true}) // the faults would hit a sender too
		s.replicas = s.replicas[:1]
		f(t, &faulty{site: s, proxy: p, far: far})
	})
}

func (f *faulty) in(t *testing.T) *faulty {
	f.proxy.t = t
	return &faulty{site: f.site.in(t), proxy: f.proxy, far: f.far}
}

// due returns a client of the far replica whose token is due for rotation.
func (f *faulty) due(tr token.Transport) *servertest.Client {
	f.t.Helper()
	c := f.login(tr).At(f.far)
	f.age(c, interval+margin)
	return c
}

// oneStep checks that the session has rotated exactly once and is not revoked.
func (f *faulty) oneStep(c *servertest.Client) {
	f.t.Helper()
	if l := f.row(c); l.Generation != 1 || l.RevokedAt != nil {
		f.t.Errorf("got generation %d, revoked at %v, want generation 1 of a live session", l.Generation, l.RevokedAt)
	}
}

// The answer to the UPDATE is lost with its connection. The row shows whether the UPDATE was made.
func TestRefreshReadsRowBackAfterLostResponse(t *testing.T) {
	t.Attr("control", "33")
	t.Attr("control", "36")
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		for name, faults := range map[string][]fault{
			"never made": {cutBefore}, "made": {cutAfter}, "never made, then made": {cutBefore, cutAfter}, "made later than the next try": {holdBack, cutBefore},
		} {
			for _, tr := range transports {
				t.Run(name+"/"+string(tr), func(t *testing.T) {
					f := f.in(t)
					old := f.due(tr)
					f.proxy.next(rotation, faults...)
					c := old.Copy()
					first := c.RefreshTokens().Want(t, http.StatusOK, "")
					f.proxy.happened(len(faults))
					f.oneStep(old)
					if held(c) == held(old) {
						t.Error("the refresh returned the previous tokens")
					}
					again := old.Copy().RefreshTokens().Want(t, http.StatusOK, "")
					if handed(again) != handed(first) {
						t.Errorf("the repeated refresh returned other tokens:\n%s\nwant\n%s", handed(again), handed(first))
					}
					f.at(c).Profile().Want(t, http.StatusOK, "")
					f.oneStep(old)
				})
			}
		}
	})
}

// In the strict profile, only reading the row back prevents a false alarm after a lost answer.
func TestStrictProfileReadsRowBackAfterLostResponse(t *testing.T) {
	eachFaulty(t, []string{"ACCOUNTS_ROTATION_INTERVAL=0"}, func(t *testing.T, f *faulty) {
		for name, faults := range map[string][]fault{
			"never made": {cutBefore}, "made": {cutAfter}, "made later than the next try": {holdBack, cutBefore},
		} {
			for _, tr := range transports {
				t.Run(name+"/"+string(tr), func(t *testing.T) {
					f := f.in(t)
					c := f.due(tr)
					f.proxy.next(rotation, faults...)
					c.RefreshTokens().Want(t, http.StatusOK, "")
					f.proxy.happened(len(faults))
					f.oneStep(c)
					c.RefreshTokens().Want(t, http.StatusOK, "")
				})
			}
		}
	})
}

// The database does not answer and does not close the connection: the answer is a 503 in time, and
// the same token works afterwards.
func TestStalledDatabaseResponseIsUnavailableInTime(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		for _, tr := range []token.Transport{token.Hybrid, token.ServerHeld, token.Body} {
			t.Run(string(tr), func(t *testing.T) {
				f := f.in(t)
				old := f.due(tr)
				f.proxy.next(rotation, stall)
				began := time.Now()
				r := old.Copy().RefreshTokens()
				if took := time.Since(began); took > answers {
					t.Errorf("the server responded only after %v", took)
				}
				if r.Status != http.StatusOK {
					wantUnavailable(t, r)
				}
				f.proxy.happened(1)
				c := old.Copy()
				c.RefreshTokens().Want(t, http.StatusOK, "")
				f.oneStep(old)
				c.Profile().Want(t, http.StatusOK, "")
			})
		}
	})
}

// The database has closed the idle connections: no request fails.
func TestClosedIdleConnectionsFailNoRequest(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		for _, tr := range transports {
			c := f.due(tr)
			c.Profile().Want(t, http.StatusOK, "")
			f.proxy.cut()
			c.RefreshTokens().Want(t, http.StatusOK, "")
			f.proxy.cut()
			c.Profile().Want(t, http.StatusOK, "")
		}
	})
}

// The answers to COMMIT are lost.
func TestLostCommitHasConsistentResult(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		const commit = "COMMIT"
		for name, fault := range map[string]fault{"made": cutAfter, "never made": cutBefore} {
			t.Run("reuse, "+name, func(t *testing.T) {
				f := f.in(t)
				r0 := f.login(token.Body)
				r2 := f.next(f.next(r0))
				f.proxy.next(commit, fault)
				r := r0.Copy().At(f.far).RefreshTokens()
				if r.Status != http.StatusUnauthorized || r.Code() != reused && r.Code() != revoked {
					t.Errorf("got status %d %s, want 401 because of the reuse", r.Status, r.Code())
				}
				f.proxy.happened(1)
				f.dead(r2, r0)
				if n := f.events(r0, "refresh_reused"); n != 1 {
					t.Errorf("got %d refresh_reused events, want 1", n)
				}
			})
			t.Run("login, "+name, func(t *testing.T) {
				f := f.in(t)
				u := f.replicas[0].NewUser()
				f.proxy.next(commit, fault)
				body := map[string]any{"username": u.Username, "password": u.Password, "token_transport": "cookies"}
				wantUnavailable(t, f.far.Anonymous().Do(http.MethodPost, "/accounts/login", body))
				f.proxy.happened(1)
				f.far.Anonymous().Do(http.MethodPost, "/accounts/login", body).Want(t, http.StatusOK, "")
			})
			t.Run("logout, "+name, func(t *testing.T) {
				f := f.in(t)
				c := f.login(token.Cookies).At(f.far)
				f.proxy.next(commit, fault)
				wantUnavailable(t, c.Copy().Logout())
				f.proxy.happened(1)
				c.Copy().Logout().Want(t, http.StatusNoContent, "")
				f.dead(c)
			})
		}
	})
}

// COMMIT is not answered and the connection is not closed: the answer is a 503 in time, and the
// same request works afterwards.
func TestStalledCommitIsUnavailableAndRepeatable(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		c, u := f.login(token.Cookies).At(f.far), f.replicas[0].NewUser()
		for name, ask := range map[string]func() *servertest.Response{
			"login": func() *servertest.Response {
				return f.far.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password})
			},
			"logout": func() *servertest.Response { return c.Copy().Logout() },
		} {
			f.proxy.next("COMMIT", stall)
			began := time.Now()
			wantUnavailable(t, ask())
			if took := time.Since(began); took > answers {
				t.Errorf("%s: the server responded only after %v", name, took)
			}
			f.proxy.happened(1)
			if r := ask(); r.Status >= 300 {
				t.Errorf("%s: after the recovery: got %d %s, want success", name, r.Status, r.Code())
			}
		}
		f.dead(c)
	})
}

// The answer to the COMMIT of queued events is lost. They are written once, and later events are
// not held up.
func TestEventsAreWrittenOnceAfterLostCommit(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		for name, fault := range map[string]fault{"made": cutAfter, "never made": cutBefore} {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				fail := func(u servertest.User) {
					f.far.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": "a wrong password"}).Want(t, http.StatusUnauthorized, "")
				}
				first, second := f.replicas[0].NewUser(), f.replicas[0].NewUser()
				fail(first)
				f.proxy.next("COMMIT", fault)
				if err := f.far.Service.FlushEvents(t.Context()); err == nil {
					t.Error("FlushEvents returned no error after the lost response")
				}
				f.proxy.happened(1)
				fail(second)
				must(t, f.far.Service.FlushEvents(t.Context()))
				for _, u := range []servertest.User{first, second} {
					if n := f.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'login_failed' AND user_id = ?", u.ID); n != 1 {
						t.Errorf("got %d login_failed events, want 1", n)
					}
				}
			})
		}
	})
}

// The answer to the COMMIT of a reset is lost. If the reset was made, it is answered as successful:
// a repetition would be rejected, because the link has been used.
func TestResetSucceedsIfItsCommitWasLost(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		for name, fault := range map[string]fault{"made": cutAfter, "never made": cutBefore} {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				u := f.replicas[0].NewUser()
				f.replicas[0].Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": u.Email}).Want(t, http.StatusAccepted, "")
				body := map[string]any{"token": servertest.Token(t, f.replicas[0].Mails.Wait(t, u.Email, 1)), "new_password": "an entirely different one"}
				f.proxy.next("COMMIT", fault)
				r := f.far.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", body)
				f.proxy.happened(1)
				if fault == cutBefore {
					wantUnavailable(t, r)
					r = f.far.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", body)
				}
				r.Want(t, http.StatusNoContent, "")
				f.far.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": "an entirely different one"}).Want(t, http.StatusOK, "")
			})
		}
	})
}

// The database is unavailable: every answer is a 503 in time that sets no cookies, and no row
// changes. When the database is back, the server works again without a restart.
func TestUnreachableDatabaseIsUnavailableAndRecovers(t *testing.T) {
	t.Attr("control", "36")
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		for name, away := range map[string]func(){"refuses": f.proxy.away, "is silent": f.proxy.silence} {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				var clients []*servertest.Client
				for _, tr := range transports {
					c := f.due(tr)
					c.Copy().Profile().Want(t, http.StatusOK, "")
					clients = append(clients, c)
				}
				before := f.db.Dump(t)
				away()
				f.allUnavailable(clients)
				if f.db.Dump(t) != before {
					t.Error("rows changed while the database was unavailable")
				}
				f.proxy.back()
				f.checkRecovery(clients)
			})
		}
	})
}

func (f *faulty) allUnavailable(clients []*servertest.Client) {
	f.t.Helper()
	credentials := map[string]any{"username": f.user.Username, "password": f.user.Password}
	calls := []func() *servertest.Response{
		func() *servertest.Response {
			return f.far.Anonymous().Do(http.MethodPost, "/accounts/login", credentials)
		},
		func() *servertest.Response { return f.far.Anonymous().Do(http.MethodGet, "/readyz", nil) },
	}
	for _, c := range clients {
		calls = append(calls,
			func() *servertest.Response { return c.Copy().RefreshTokens() },
			func() *servertest.Response { return c.Copy().RefreshTokens(attempt) },
			func() *servertest.Response { return c.Copy().Profile() },
			func() *servertest.Response { return c.Copy().Logout() },
			func() *servertest.Response { return c.Copy().Do(http.MethodGet, "/accounts/sessions", nil) },
			func() *servertest.Response { return c.Copy().Do(http.MethodDelete, "/accounts/sessions", nil) },
		)
	}
	var wait sync.WaitGroup
	for _, call := range calls {
		wait.Go(func() {
			began := time.Now()
			r := call()
			if took := time.Since(began); took > answers {
				f.t.Errorf("the server responded only after %v", took)
			}
			wantUnavailable(f.t, r)
		})
	}
	wait.Wait()
	f.far.Anonymous().Do(http.MethodGet, "/healthz", nil).Want(f.t, http.StatusOK, "")
}

// checkRecovery checks that within the time to recover no answer is a 503 any more, and that every
// token still works.
func (f *faulty) checkRecovery(clients []*servertest.Client) {
	f.t.Helper()
	back := time.Now()
	for f.far.Anonymous().Do(http.MethodGet, "/readyz", nil).Status != http.StatusOK {
		if time.Since(back) > recovers {
			f.t.Fatal("the server is not ready after the database has recovered")
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, c := range clients {
		c.Copy().RefreshTokens().Want(f.t, http.StatusOK, "")
		f.oneStep(c)
		c.Profile().Want(f.t, http.StatusOK, "")
	}
	f.far.Login(f.user, token.Body)
}

// A replica that has prepared no statements yet meets a database that does not answer. No request
// waits for the timeout of another one.
func TestFirstRequestsToSilentDatabaseTimeOutAlone(t *testing.T) {
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		clients := []*servertest.Client{f.due(token.Hybrid), f.due(token.Body)}
		f.proxy.silence()
		var wait sync.WaitGroup
		for i := range 40 {
			c := clients[i%2].Copy()
			wait.Go(func() {
				time.Sleep(time.Duration(i) * 30 * time.Millisecond)
				began := time.Now()
				r := c.RefreshTokens()
				if took := time.Since(began); took > answers {
					t.Errorf("request %d: the server responded only after %v", i, took)
				}
				wantUnavailable(t, r)
			})
		}
		wait.Wait()
		f.proxy.back()
		f.checkRecovery(clients)
	})
}
