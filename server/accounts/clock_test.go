package accounts_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"example.com/accounts/server/metrics"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// A replica whose clock is off by more than its tolerance decides nothing and answers so. A replica
// within its tolerance works.
func TestReplicaWithWrongClockRejectsRequests(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return
		}
		for _, c := range []struct {
			interval string
			offset   time.Duration
			works    bool
		}{
			{"30s", 3 * time.Second, false}, {"30s", -3 * time.Second, false}, {"30s", time.Hour, false}, {"30s", -24 * time.Hour, false},
			{"30s", 1500 * time.Millisecond, true}, {"30s", -1500 * time.Millisecond, true},
			{"2s", 700 * time.Millisecond, false}, {"2s", -700 * time.Millisecond, false},
			{"0", 3 * time.Second, false}, {"0", -3 * time.Second, false}, {"0", 1500 * time.Millisecond, true},
		} {
			t.Run(c.interval+" off by "+c.offset.String(), func(t *testing.T) {
				t.Parallel()
				setting := "ACCOUNTS_ROTATION_INTERVAL=" + c.interval
				s := newSite(t, e, 1, setting)
				off := s.add(servertest.Options{Settings: []string{setting}, Now: func() time.Time { return time.Now().Add(c.offset) }})
				if c.works {
					s.works(off)
				} else {
					s.refusesToDecide(off, c.interval != "0")
				}
			})
		}
	})
}

func (s *site) works(off *servertest.Server) {
	s.t.Helper()
	off.Anonymous().Do(http.MethodGet, "/readyz", nil).Want(s.t, http.StatusOK, "")
	for _, tr := range transports {
		c := off.Login(s.user, tr)
		s.age(c, interval+margin+2*time.Second)
		c.Copy().RefreshTokens().Want(s.t, http.StatusOK, "")
		if s.row(c).Generation != 1 {
			s.t.Error("the refresh did not rotate the token")
		}
	}
}

func (s *site) refusesToDecide(off *servertest.Server, graces bool) {
	s.t.Helper()
	good := &site{t: s.t, replicas: s.replicas[:1], db: s.db, user: s.user}
	var clients []*servertest.Client
	for _, tr := range transports {
		due, young, old := good.login(tr), good.login(tr), good.login(tr)
		if graces {
			good.next(good.next(old))
		} else {
			good.at(old).RefreshTokens().Want(s.t, http.StatusOK, "")
		}
		s.age(due, interval+margin)
		clients = append(clients, due, young, old)
	}
	s.unchanged(func() {
		for _, c := range clients {
			wantUnavailable(s.t, c.Copy().At(off).RefreshTokens())
		}
		wantUnavailable(s.t, off.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": s.user.Username, "password": s.user.Password}))
		wantUnavailable(s.t, off.Anonymous().Do(http.MethodGet, "/readyz", nil))
	})
	if off.Counter(metrics.ClockOff) == "0" {
		s.t.Error("the metrics do not count the wrong clock")
	}
	off.Anonymous().Do(http.MethodGet, "/healthz", nil).Want(s.t, http.StatusOK, "")
	s.replicas[0].Anonymous().Do(http.MethodGet, "/readyz", nil).Want(s.t, http.StatusOK, "")
	due := clients[0].Copy().At(s.replicas[0])
	due.RefreshTokens().Want(s.t, http.StatusOK, "")
}

// steppingClock is a clock that is wrong from one of its readings on, or until one of them.
type steppingClock struct {
	by    atomic.Int64 // nanoseconds
	until atomic.Bool
	left  atomic.Int64 // readings before the step
}

func (c *steppingClock) now() time.Time {
	if stepped := c.left.Add(-1) < 0; stepped != c.until.Load() {
		return time.Now().Add(time.Duration(c.by.Load()))
	}
	return time.Now()
}

// The clock of a replica may be set during a refresh, at any of its readings. The client must not be
// told that its session has expired: it would log out.
func TestClockSetDuringRefreshExpiresNoSession(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return
		}
		s := newSite(t, e, 1)
		clock := &steppingClock{}
		clock.left.Store(math.MaxInt64)
		stepping := s.add(servertest.Options{Now: clock.now, HoldMail: true})
		s.replicas = s.replicas[:1]
		for _, by := range []time.Duration{8 * 24 * time.Hour, -8 * 24 * time.Hour} {
			clock.by.Store(int64(by))
			for _, tr := range []token.Transport{token.Hybrid, token.ServerHeld} {
				for _, until := range []bool{false, true} {
					clock.until.Store(until)
					s.refreshWhileClockIsSet(stepping, clock, tr)
				}
			}
		}
	})
}

// refreshWhileClockIsSet refreshes with a token that is due for rotation and with a young one, while
// the clock is set before each of its readings.
func (s *site) refreshWhileClockIsSet(stepping *servertest.Server, clock *steppingClock, tr token.Transport) {
	s.t.Helper()
	until, by := clock.until.Load(), time.Duration(clock.by.Load())
	statuses := map[int]bool{}
	for at := range int64(14) {
		due, young := s.login(tr), s.login(tr)
		s.age(due, interval+margin)
		for _, c := range []*servertest.Client{due, young} {
			clock.left.Store(at)
			r := c.Copy().At(stepping).RefreshTokens()
			clock.left.Store(map[bool]int64{false: math.MaxInt64, true: -1}[until]) // right again
			statuses[r.Status] = true
			if r.Status != http.StatusOK && r.Status != http.StatusServiceUnavailable {
				s.t.Errorf("%s, off by %v, wrong until the reading %t, reading %d: status %d %s", tr, by, until, at, r.Status, r.Code())
			}
			s.at(c).RefreshTokens().Want(s.t, http.StatusOK, "")
		}
	}
	if !statuses[http.StatusOK] || !until && !statuses[http.StatusServiceUnavailable] { // a clock that is right in the end allows a retry
		s.t.Errorf("%s, off by %v, wrong until the reading %t: statuses %v", tr, by, until, statuses)
	}
}

// The age of an authentication is also measured by the database's clock, so that it is recent for
// the same time on every replica.
func TestRecentAuthenticationIsMeasuredByDatabaseClock(t *testing.T) {
	t.Attr("control", "72")
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return
		}
		for _, offset := range []time.Duration{-3 * time.Second, 3 * time.Second} {
			s := newSite(t, e, 1)
			s.db.Exec(t, "UPDATE users SET is_superuser = TRUE")
			c := s.login(token.Hybrid)
			s.db.Exec(t, "UPDATE sessions SET created_at = ? WHERE id = ?", time.Now().Add(-10*time.Minute-time.Second).UTC(), id(c))
			c = c.At(s.add(servertest.Options{Now: func() time.Time { return time.Now().Add(offset) }}))
			invite := func() *servertest.Response {
				return c.Do(http.MethodPost, "/admin/users", map[string]any{"email": "no address"})
			}
			invite().Want(t, http.StatusForbidden, "reauth_required")
			c.Do(http.MethodPost, "/accounts/reauthenticate", map[string]any{"password": s.user.Password}).Want(t, http.StatusOK, "")
			invite().Want(t, http.StatusUnprocessableEntity, "validation_failed")
			if n := s.db.Count(t, "SELECT COUNT(*) FROM sessions WHERE authenticated_at > UTC_TIMESTAMP(6)"); n != 0 {
				t.Errorf("off by %v: the authentication is recorded in the future", offset)
			}
		}
	})
}

// frozenSite is a replica on SQLite whose clock stands still unless a test moves it.
func frozenSite(t *testing.T, settings ...string) *site {
	t.Helper()
	begin := time.Now().UTC().Truncate(time.Second)
	s := &site{t: t, db: servertest.NewDatabase(t, servertest.SQLite)}
	r := s.add(servertest.Options{Settings: settings, Now: func() time.Time { return begin }})
	s.user = r.NewUser()
	return s
}

// An idle session expires, exactly to the second, also for its access token.
func TestIdleSessionExpiresToTheSecond(t *testing.T) {
	t.Attr("control", "34")
	for tr, idle := range map[token.Transport]time.Duration{
		token.Hybrid: 7 * 24 * time.Hour, token.Cookies: 7 * 24 * time.Hour, token.Body: 7 * 24 * time.Hour, token.ServerHeld: 30 * time.Minute,
	} {
		t.Run(string(tr), func(t *testing.T) {
			s := frozenSite(t)
			clock := s.replicas[0].Clock
			c, d := s.login(tr), s.login(tr)
			clock.Advance(idle - time.Second)
			c.RefreshTokens().Want(t, http.StatusOK, "")
			c.Profile().Want(t, http.StatusOK, "")
			clock.Advance(time.Second)
			s.unchanged(func() {
				d.RefreshTokens().Want(t, http.StatusUnauthorized, expired)
				d.RefreshTokens(attempt).Want(t, http.StatusUnauthorized, expired)
			})
			clock.Advance(idle - 2*time.Second) // the refresh has moved the end of the first one
			c.RefreshTokens().Want(t, http.StatusOK, "")
			d.Logout().Want(t, http.StatusNoContent, "")
		})
	}
}

// Reading does not count as use of a session: it does not postpone the idle end, and writes
// nothing.
func TestReadingDoesNotPostponeIdleEnd(t *testing.T) {
	t.Attr("control", "71")
	s := frozenSite(t)
	c := s.login(token.ServerHeld)
	s.unchanged(func() {
		for range 4 {
			s.replicas[0].Clock.Advance(time.Minute)
			c.Profile().Want(t, http.StatusOK, "")
			c.Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusOK, "")
			c.Do(http.MethodGet, "/accounts/session", nil).Want(t, http.StatusOK, "")
		}
	})
}

// The absolute end is the same in every answer, and the session expires then.
func TestAbsoluteEndOfSessionDoesNotMove(t *testing.T) {
	t.Attr("control", "34")
	for _, tr := range transports {
		t.Run(string(tr), func(t *testing.T) {
			settings := []string{"ACCOUNTS_SERVER_HELD_IDLE_TTL=7d"} // with the default of 30 days, the test would take many steps
			s := frozenSite(t, settings...)
			clock := s.replicas[0].Clock
			c := s.login(tr)
			end := s.row(c).ExpiresAt
			if want := clock.Now().Add(30 * 24 * time.Hour); !end.Equal(want) {
				t.Fatalf("the end is %v, want %v", end, want)
			}
			for range 29 {
				clock.Advance(24 * time.Hour)
				r := c.RefreshTokens().Want(t, http.StatusOK, "")
				session, _ := r.JSON["session"].(map[string]any)
				if got, _ := session["expires_at"].(string); got != end.Format(time.RFC3339) {
					t.Fatalf("expires_at has moved to %s", got)
				}
				for _, cookie := range r.Cookies() {
					if left := end.Sub(clock.Now()); time.Duration(cookie.MaxAge)*time.Second > left {
						t.Errorf("cookie %s lasts %d s, but the session ends in %v", cookie.Name, cookie.MaxAge, left)
					}
				}
				if l := s.row(c); !l.ExpiresAt.Equal(end) || l.IdleExpiresAt.After(end) {
					t.Fatalf("the session ends at %v and %v", l.IdleExpiresAt, l.ExpiresAt)
				}
			}
			clock.Advance(24*time.Hour - time.Second)
			c.RefreshTokens().Want(t, http.StatusOK, "")
			c.Profile().Want(t, http.StatusOK, "")
			clock.Advance(time.Second)
			s.unchanged(func() { c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, expired) })
			if r := c.Profile().Want(t, http.StatusUnauthorized, ""); r.Code() != "access_expired" && r.Code() != expired {
				t.Errorf("got code %s, want access_expired or session_expired", r.Code())
			}
		})
	}
}

// An access token identifies the user and contains no other personal data. It lives for five
// minutes. An expired one is rejected except as the refresh credential of server_held.
func TestAccessTokenExpiresAfterFiveMinutes(t *testing.T) {
	t.Attr("control", "24")
	for _, tr := range transports {
		s := frozenSite(t)
		c := s.login(tr)
		s.checkIdentifiersOnly(cmp.Or(c.Access, c.CookieValue("access")))
		s.replicas[0].Clock.Advance(5*time.Minute - time.Second)
		c.Profile().Want(t, http.StatusOK, "")
		s.replicas[0].Clock.Advance(time.Second)
		for range 2 {
			c.Profile().Want(t, http.StatusUnauthorized, "access_expired")
			c.Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusUnauthorized, "access_expired")
			s.replicas[0].Clock.Advance(6 * time.Second)
		}
		c.RefreshTokens().Want(t, http.StatusOK, "")
		c.Profile().Want(t, http.StatusOK, "")
	}
}

// checkIdentifiersOnly reads an access token as any holder can, without a key, and checks that it
// contains only identifiers.
func (s *site) checkIdentifiersOnly(raw string) {
	s.t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	must(s.t, err)
	var claims map[string]any
	must(s.t, json.Unmarshal(text, &claims))
	names := slices.Sorted(maps.Keys(claims))
	if diff := gocmp.Diff([]string{"aud", "exp", "gen", "iat", "iss", "jti", "sid", "sub"}, names); diff != "" {
		s.t.Errorf("claims (-want +got):\n%s", diff)
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != 300 {
		s.t.Errorf("the access token is valid for %v s, want 300", life)
	}
	delete(claims, "jti") // random ids can contain any short name
	delete(claims, "sid")
	text, err = json.Marshal(claims)
	must(s.t, err)
	for _, personal := range []string{s.user.Username, s.user.Email, s.user.FirstName, s.user.LastName} {
		if strings.Contains(strings.ToLower(string(text)), strings.ToLower(personal)) {
			s.t.Errorf("the access token contains %q", personal)
		}
	}
}

// A clock that is set back makes no honest client look like a thief, and revives no session that
// has ended.
func TestClockSetBackRevivesNoSessionAndProvesNoReuse(t *testing.T) {
	s := frozenSite(t)
	clock := s.replicas[0].Clock
	for _, tr := range []token.Transport{token.Hybrid, token.Cookies, token.Body} {
		r0 := s.login(tr)
		clock.Advance(time.Minute)
		r1 := r0.Copy()
		r1.RefreshTokens().Want(t, http.StatusOK, "")
		clock.Advance(time.Minute)
		r2 := r1.Copy()
		r2.RefreshTokens().Want(t, http.StatusOK, "")
		gone := s.login(tr)
		gone.Logout().Want(t, http.StatusNoContent, "")

		clock.Advance(-90 * time.Second)
		s.unchanged(func() {
			wantUnavailable(t, r1.Copy().RefreshTokens())
			wantUnavailable(t, r0.Copy().RefreshTokens())
		})
		r2.Copy().RefreshTokens().Want(t, http.StatusOK, "")
		clock.Advance(90 * time.Second)
		r1.Copy().RefreshTokens().Want(t, http.StatusOK, "")
		clock.Advance(time.Minute)
		r0.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, reused)
	}
}

// Sessions that ended a month ago are deleted; their tokens are still rejected.
func TestTokensOfDeletedSessionsAreRejected(t *testing.T) {
	t.Attr("control", "52")
	s := frozenSite(t)
	clock := s.replicas[0].Clock
	ended := s.login(token.Body)
	ended.Logout().Want(t, http.StatusNoContent, "")
	clock.Advance(10 * 24 * time.Hour)
	later := s.login(token.Body)
	for _, step := range []struct {
		by   time.Duration
		want int64
	}{{0, 0}, {20 * 24 * time.Hour, 0}, {30*24*time.Hour + time.Second, 1}, {0, 0}} {
		clock.Advance(step.by)
		n, err := s.replicas[0].Service.CleanUp(context.Background())
		must(t, err)
		if n != step.want {
			t.Errorf("%d sessions removed, want %d", n, step.want)
		}
	}
	ended.RefreshTokens().Want(t, http.StatusUnauthorized, "")
	_ = s.row(later)
}

// Activation of a user does not revive sessions, because the epoch has changed.
func TestActivationRevivesNoSession(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		c := s.login(token.Hybrid)
		for _, active := range []bool{false, true} {
			must(t, s.replicas[0].Service.SetActive(context.Background(), strings.ToUpper(s.user.Username), active))
			s.dead(c)
		}
		s.at(s.login(token.Hybrid)).Profile().Want(t, http.StatusOK, "")
	})
}
