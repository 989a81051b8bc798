package accounts_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// storm refreshes and reads with eight copies of each client while end runs, and until each copy
// has made some requests after end was acknowledged. None of those may be answered with 200.
func (s *site) storm(end func(), clients ...*servertest.Client) {
	s.t.Helper()
	var acknowledged atomic.Bool
	var wait sync.WaitGroup
	var before atomic.Int64
	for i := range 8 * len(clients) {
		c := s.at(clients[i/8])
		wait.Go(func() {
			for after := 0; after < 3; {
				late := acknowledged.Load()
				r := c.Profile()
				if i%2 == 0 {
					r = c.RefreshTokens()
				}
				switch {
				case late && r.Status == http.StatusOK:
					s.t.Errorf("got 200 for a request that began after the end")
				case late && r.Code() != revoked:
					s.t.Errorf("got status %d %s after the end, want session_revoked", r.Status, r.Code())
				case r.Status != http.StatusOK && r.Code() != revoked:
					s.t.Errorf("got status %d %s during the refreshes", r.Status, r.Code())
				}
				if late {
					after++
				} else if r.Status == http.StatusOK {
					before.Add(1)
				}
			}
		})
	}
	for before.Load() < 10 {
		time.Sleep(time.Millisecond)
	}
	end()
	acknowledged.Store(true)
	wait.Wait()
}

// Every way to end a session takes effect at once, during a storm of refreshes that are due.
func TestEndedSessionStaysEndedDuringRefreshStorm(t *testing.T) {
	t.Attr("control", "46")
	t.Attr("control", "76")
	eachSite(t, nil, func(t *testing.T, s *site) {
		for name, end := range map[string]func(s *site, c *servertest.Client){
			"logout": func(s *site, c *servertest.Client) { s.at(c).Logout().Want(s.t, http.StatusNoContent, "") },
			"one session": func(s *site, c *servertest.Client) {
				s.at(c).Do(http.MethodDelete, "/accounts/sessions/"+c.SessionID, nil).Want(s.t, http.StatusNoContent, "")
			},
			"everywhere": func(s *site, c *servertest.Client) {
				s.at(c).Do(http.MethodDelete, "/accounts/sessions", nil).Want(s.t, http.StatusNoContent, "")
			},
			"deactivation": func(s *site, c *servertest.Client) {
				must(s.t, s.replicas[0].Service.SetActive(context.Background(), s.user.Username, false))
				must(s.t, s.replicas[0].Service.SetActive(context.Background(), s.user.Username, true))
			},
			"a new password": func(s *site, c *servertest.Client) {
				must(s.t, s.replicas[0].Service.SetPassword(context.Background(), s.user.Username, s.user.Password))
			},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.in(t)
				for _, tr := range []token.Transport{token.Cookies, token.Body} {
					c := s.login(tr)
					s.age(c, interval+margin)
					s.storm(func() { end(s, c) }, c)
					s.dead(c)
				}
			})
		}
	})
}

// All sessions are revoked during a storm of five sessions, including the caller's. After the 204,
// no session is accepted.
func TestLogoutEverywhereRevokesSessionsDuringRefreshStorm(t *testing.T) {
	t.Attr("control", "50")
	eachSite(t, nil, func(t *testing.T, s *site) {
		var sessions []*servertest.Client
		for _, tr := range append(transports, token.Body) {
			c := s.login(tr)
			s.age(c, interval+margin)
			sessions = append(sessions, c)
		}
		caller := s.at(sessions[0])
		s.storm(func() {
			caller.Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusNoContent, "")
		}, sessions...)
		s.dead(sessions...)
	})
}

// A session that one replica has revoked is rejected by the next one at once: a thousand times on
// each engine.
func TestRevokedSessionIsRejectedByEveryReplica(t *testing.T) {
	t.Attr("control", "51")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := newSite(t, e, 2)
		want := func(r *servertest.Response, status int, code string) {
			if r.Status != status || r.Code() != code {
				t.Errorf("got %d %s, want %d %s", r.Status, r.Code(), status, code)
			}
		}
		var wait sync.WaitGroup
		for i := range 8 {
			u := s.replicas[0].NewUser()
			wait.Go(func() {
				for n := range 125 {
					a, b := s.replicas[n%2], s.replicas[1-n%2]
					c := a.Login(u, transports[(i+n)%len(transports)])
					other := c.Copy().At(b)
					want(other.Profile(), http.StatusOK, "") // b has read the live session
					want(c.Logout(), http.StatusNoContent, "")
					want(other.RefreshTokens(), http.StatusUnauthorized, revoked)
					want(other.Profile(), http.StatusUnauthorized, revoked)
				}
			})
		}
		wait.Wait()
	})
}

// keep_current revokes every other session and keeps the caller's, while all of them refresh.
func TestKeepCurrentRevokesOtherSessionsDuringRefreshes(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		kept := s.login(tr)
		others := []*servertest.Client{s.login(tr), s.login(token.Body)}
		for _, c := range append(others, kept) {
			s.age(c, interval+margin)
		}
		s.storm(func() {
			s.at(kept).Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, http.StatusNoContent, "")
		}, others...)
		s.dead(others...)
		next := s.at(kept)
		next.RefreshTokens().Want(t, http.StatusOK, "")
		r := s.at(next).Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusOK, "")
		if list, _ := r.JSON["sessions"].([]any); len(list) != 1 {
			t.Errorf("got %d sessions, want 1", len(list))
		}
		s.at(kept).Profile().Want(t, http.StatusOK, "")
		s.at(next).Logout().Want(t, http.StatusNoContent, "")
	})
}

// Two sessions each revoke all others at once: one succeeds, and the other is answered that it has
// ended.
func TestOneOfTwoConcurrentKeepCurrentSucceeds(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		for range 5 {
			clients := []*servertest.Client{s.login(token.Body), s.login(token.Body)}
			statuses := make([]int, 2)
			var wait sync.WaitGroup
			for i, c := range clients {
				x := s.at(c)
				wait.Go(func() { statuses[i] = x.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Status })
			}
			wait.Wait()
			if statuses[0]+statuses[1] != http.StatusNoContent+http.StatusUnauthorized {
				t.Fatalf("got statuses %v, want 204 and 401", statuses)
			}
			for i, c := range clients {
				want := map[int]int{http.StatusNoContent: http.StatusOK, http.StatusUnauthorized: http.StatusUnauthorized}[statuses[i]]
				s.at(c).Profile().Want(t, want, "")
			}
		}
	})
}

// keep_current runs during refreshes of the kept session: none of them is rejected.
func TestKeepCurrentKeepsRefreshesOfItsSession(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		c := s.login(token.Body)
		s.age(c, interval+margin)
		var wait sync.WaitGroup
		for range 20 {
			x := s.at(c)
			wait.Go(func() {
				if r := x.RefreshTokens(); r.Status != http.StatusOK {
					t.Errorf("got status %d %s, want 200", r.Status, r.Code())
				}
			})
		}
		keep := s.at(c)
		wait.Go(func() {
			keep.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil)
		})
		wait.Wait()
	})
}

// A login in flight does not survive an operation that ends all sessions: it verified the old
// password, or an active user.
func TestLoginInFlightDoesNotSurviveEndOfSessions(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		for name, end := range map[string]func(u servertest.User){
			"deactivation": func(u servertest.User) {
				must(t, s.replicas[0].Service.SetActive(context.Background(), u.Username, false))
			},
			"a new password": func(u servertest.User) {
				must(t, s.replicas[0].Service.SetPassword(context.Background(), u.Username, "another horse battery"))
			},
		} {
			for range 4 {
				u := s.replicas[0].NewUser()
				clients := s.logins(u, func() { end(u) })
				for _, c := range clients {
					if r := s.at(c).RefreshTokens(); r.Status != http.StatusUnauthorized {
						t.Errorf("%s: a session from before: got status %d, want 401", name, r.Status)
					}
				}
			}
		}
	})
}

// logins returns the sessions that began while end ran.
func (s *site) logins(u servertest.User, end func()) (clients []*servertest.Client) {
	s.t.Helper()
	var wait sync.WaitGroup
	var mu sync.Mutex
	for i := range 16 {
		c := s.replicas[i%len(s.replicas)].Anonymous()
		wait.Go(func() {
			r := c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": "body"})
			switch {
			case r.Status == http.StatusOK:
				mu.Lock()
				clients = append(clients, c)
				mu.Unlock()
			case r.Code() != "credentials_invalid":
				s.t.Errorf("login: got %d %s, want credentials_invalid", r.Status, r.Code())
			}
		})
	}
	wait.Go(func() {
		time.Sleep(3 * time.Millisecond)
		end()
	})
	wait.Wait()
	return clients
}

// All sessions are revoked while others log in: earlier sessions are revoked, and later ones are
// live.
func TestLogoutEverywhereRevokesEarlierLoginsOnly(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		for range 4 {
			u := s.replicas[0].NewUser()
			before := s.replicas[0].Login(u, token.Body)
			s.logins(u, func() {
				s.at(before).Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusNoContent, "")
			})
			s.dead(before)
			s.at(s.replicas[0].Login(u, token.Body)).Profile().Want(t, http.StatusOK, "")
			stale := s.db.Count(t, "SELECT COUNT(*) FROM sessions x JOIN users y ON y.id = x.user_id WHERE y.id = ? AND x.epoch > y.session_epoch", u.ID)
			if stale != 0 {
				t.Errorf("%d sessions have an epoch in the future, want 0", stale)
			}
		}
	})
}

// The fifty-first session displaces the oldest one.
func TestFiftyFirstSessionReplacesOldest(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		first, second := s.login(token.Body), s.login(token.Body)
		for range 49 {
			s.login(token.Body)
		}
		s.dead(first)
		s.at(second).Profile().Want(t, http.StatusOK, "")
	})
}

// Logout accepts any authentic token of the session, any number of times.
func TestLogoutAcceptsAnyAuthenticToken(t *testing.T) {
	t.Attr("control", "48")
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		r2 := s.next(s.next(r0))
		s.age(r2, time.Hour)
		for range 2 {
			s.at(r0).Logout().Want(t, http.StatusNoContent, "")
			s.dead(r2)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind LIKE 'refresh%'"); n != 0 {
			t.Errorf("got %d refresh events, want 0", n)
		}
		other := s.login(tr)
		s.db.Exec(t, "UPDATE sessions SET idle_expires_at = ?, expires_at = ? WHERE id = ?", time.Now().UTC().Add(-time.Hour), time.Now().UTC().Add(-time.Hour), id(other))
		s.at(other).Logout().Want(t, http.StatusNoContent, "")
		s.db.Exec(t, "DELETE FROM sessions WHERE id = ?", id(other))
		s.at(other).Logout().Want(t, http.StatusNoContent, "")
	})
}

// Two requests remove the last two superusers at the same moment, in any way and at any replica.
// One of them is rejected: two hundred times, on each engine and with two replicas. A superuser
// whom the other request removes first is rejected as an actor.
func TestLastSuperuserIsNotRemoved(t *testing.T) {
	t.Attr("control", "75")
	eachSite(t, nil, func(t *testing.T, s *site) {
		ctx := context.Background()
		no := false
		ways := map[string]func(r *servertest.Server, by accounts.Principal, of models.User) error{
			"demotion": func(r *servertest.Server, by accounts.Principal, of models.User) error {
				_, err := r.Service.UpdateUser(ctx, by, of.ID, accounts.UserChange{IsSuperuser: &no}, accounts.Client{})
				return err
			},
			"deactivation": func(r *servertest.Server, by accounts.Principal, of models.User) error {
				_, err := r.Service.UpdateUser(ctx, by, of.ID, accounts.UserChange{IsActive: &no}, accounts.Client{})
				return err
			},
			"an operator": func(r *servertest.Server, _ accounts.Principal, of models.User) error {
				return r.Service.SetActive(ctx, of.Username, false)
			},
		}
		pair := [2]servertest.User{s.user, s.replicas[0].NewUser()}
		names := slices.Sorted(maps.Keys(ways))
		for round := range 200 {
			s.db.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ?, is_active = ?", true, true, true)
			var actors [2]accounts.Principal
			for i := range pair {
				actors[i] = principal(t, s.replicas[0], s.replicas[0].Login(pair[i], accounts.Hybrid))
			}
			var errs [2]error
			var both sync.WaitGroup
			for i := range 2 {
				both.Go(func() {
					way := ways[names[(round/(1+2*i))%len(names)]]
					errs[i] = way(s.replicas[i%len(s.replicas)], actors[i], pair[(i+round)%2].User)
				})
			}
			both.Wait()
			refused := 0
			for _, err := range errs {
				switch code := codeOf(err); code {
				case problem.SuperuserLast, problem.SessionRevoked, problem.RoleRequired:
					refused++
				case "":
				default:
					t.Fatal(err)
				}
			}
			left := s.db.Count(t, "SELECT COUNT(*) FROM users WHERE is_superuser AND is_active")
			if left != 1 || refused != 1 {
				t.Fatalf("round %d: got %d superusers and %d rejected requests, want 1 each", round, left, refused)
			}
		}
	})
}
