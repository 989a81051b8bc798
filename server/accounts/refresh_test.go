package accounts_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

const attemptHeader = "Refresh-Attempt"

var (
	attempt = servertest.Header(attemptHeader, "q83vEjRWeJCrze8SNFZ4kA")
	another = servertest.Header(attemptHeader, "AAAAAAAAAAAAAAAAAAAAAA")
)

// A hundred tabs refresh at once with one token that is due: all get the same successor.
func TestStormConverges(t *testing.T) {
	t.Attr("control", "31")
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		first := s.login(tr)
		s.age(first, interval+margin)
		var wait sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]int{}
		for range 100 {
			c := s.at(first)
			wait.Go(func() {
				r := patient(c)
				if r.Status != http.StatusOK {
					t.Errorf("status %d %s", r.Status, r.Code())
				}
				mu.Lock()
				answers[handed(r)+held(c)]++
				mu.Unlock()
			})
		}
		wait.Wait()
		if len(answers) != 1 {
			t.Errorf("%d different answers", len(answers))
		}
		if l := s.row(first); l.Generation != 1 || l.RevokedAt != nil {
			t.Errorf("generation %d, revoked at %v", l.Generation, l.RevokedAt)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind LIKE 'refresh%'"); n != 0 {
			t.Errorf("%d events", n)
		}
	})
}

// A token that is two generations old is presented: its session is revoked and no other one, and
// one event is written.
func TestReuse(t *testing.T) {
	t.Attr("control", "30")
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		bystander := s.login(tr)
		r0 := s.login(tr)
		r1 := s.next(r0)
		r2 := s.next(r1)
		s.at(r2).Profile().Want(t, http.StatusOK, "")
		s.age(r2, interval+margin) // the current token is due, and an old one must not rotate in its place

		s.at(r0).RefreshTokens().Want(t, http.StatusUnauthorized, reused)
		s.dead(r2, r1, r0)
		if n := s.events(r0, "refresh_reused"); n != 1 {
			t.Errorf("%d events", n)
		}
		if reason := s.row(r0).RevokeReason; reason != "refresh_reused" {
			t.Errorf("revoked for %q", reason)
		}
		s.at(bystander).Profile().Want(t, http.StatusOK, "")
		s.at(bystander).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// If several clients present an old token at once, there is one event. It has the session, the
// client that presented the token, and the age of the token.
func TestReuseAtOnce(t *testing.T) {
	t.Attr("control", "38")
	eachSite(t, nil, func(t *testing.T, s *site) {
		r0 := s.login(token.Body)
		s.next(s.next(s.next(r0)))
		var wait sync.WaitGroup
		for range 30 {
			c := s.at(r0)
			wait.Go(func() {
				if r := c.RefreshTokens(servertest.Header("User-Agent", "thief/1")); r.Status != http.StatusUnauthorized || r.Code() != reused && r.Code() != revoked {
					t.Errorf("status %d %s", r.Status, r.Code())
				}
			})
		}
		wait.Wait()
		if n := s.events(r0, "refresh_reused"); n != 1 {
			t.Errorf("%d events", n)
		}
		list, err := s.replicas[0].Store.Events(context.Background(), models.EventQuery{UserID: &s.user.ID, Limit: 9})
		must(t, err)
		if len(list) == 0 || *list[0].SessionID != id(r0) || list[0].Detail != "the refresh token was 3 generations old" || list[0].IP != "127.0.0.1" || list[0].UserAgent != "thief/1" {
			t.Errorf("%+v", list)
		}
	})
}

// Five devices have a session each. They do not disturb each other, in any order of refreshes.
func TestManyDevices(t *testing.T) {
	t.Attr("control", "29")
	eachSite(t, nil, func(t *testing.T, s *site) {
		var devices []*servertest.Client
		for _, tr := range append(transports, token.Body) {
			devices = append(devices, s.login(tr))
		}
		for range 10 {
			for _, c := range devices {
				s.age(c, interval+margin)
			}
			for i, c := range devices {
				devices[i] = s.at(c)
				if devices[i].RefreshTokens().Want(t, http.StatusOK, ""); held(devices[i]) == held(c) {
					t.Fatal("nothing was rotated")
				}
			}
		}
		for _, c := range devices {
			s.at(c).Profile().Want(t, http.StatusOK, "")
			if l := s.row(c); l.Generation != 10 || l.RevokedAt != nil {
				t.Errorf("generation %d, revoked at %v", l.Generation, l.RevokedAt)
			}
		}
	})
}

// The last token is accepted for W, and returns the same tokens as its rotation, byte for byte.
// After W it is reuse.
func TestGrace(t *testing.T) {
	t.Attr("control", "30")
	t.Attr("control", "33")
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		s.age(r0, interval+margin)
		winner := s.at(r0)
		first := winner.RefreshTokens().Want(t, http.StatusOK, "")
		for range 3 {
			if again := s.at(r0).RefreshTokens().Want(t, http.StatusOK, ""); handed(again) != handed(first) {
				t.Errorf("another answer:\n%s\nthan\n%s", handed(again), handed(first))
			}
		}
		s.age(r0, interval-5*time.Second)
		s.at(r0).RefreshTokens().Want(t, http.StatusOK, "")
		s.age(r0, 5*time.Second)
		s.at(r0).RefreshTokens().Want(t, http.StatusUnauthorized, reused)
		s.dead(winner, r0)
	})
}

// The tokens in force are the same on every replica and at every refresh, and no cookie is set
// again.
func TestYoungTokensComeBackAsTheyAre(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		c := s.login(tr)
		before := held(c)
		for range 4 {
			x := s.at(c)
			r := x.RefreshTokens().Want(t, http.StatusOK, "")
			if r.Header.Get("Set-Cookie") != "" || held(x) != before || x.Access != c.Access {
				t.Errorf("other tokens: %s", handed(r))
			}
		}
		s.age(c, interval+margin-2*time.Second)
		r := s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		if l := s.row(c); l.Generation != 0 || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("generation %d", l.Generation)
		}
	})
}

// A refresh that does not rotate writes the last use, which ensures that the session is still live.
func TestYoungRefreshIsNoted(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		c := s.login(token.Hybrid)
		before := s.row(c)
		s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		after := s.row(c)
		if !after.LastUsedAt.After(before.LastUsedAt) {
			t.Error("not noted")
		}
		after.LastUsedAt, after.DBNow = before.LastUsedAt, before.DBNow
		if after.Generation != before.Generation || !after.IdleExpiresAt.Equal(before.IdleExpiresAt) || !after.RotatedAt.Equal(before.RotatedAt) {
			t.Errorf("more than the last use changed: %+v", after.Session)
		}
	})
}

// An answer that was lost for longer than W can be recovered by the client that made the request,
// and by no other.
func TestAttempt(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		s.next(r0, attempt)
		s.age(r0, 2*time.Minute)
		x := s.at(r0)
		x.RefreshTokens(attempt).Want(t, http.StatusOK, "")
		if s.row(r0).Generation != 1 {
			t.Error("the recovery rotated")
		}
		s.at(x).Profile().Want(t, http.StatusOK, "")
		s.at(x).RefreshTokens().Want(t, http.StatusOK, "") // it is due, and rotates

		for name, option := range map[string]servertest.Option{"none": servertest.Header(attemptHeader, ""), "another": another} {
			t.Run(name, func(t *testing.T) {
				s := s.in(t)
				r0 := s.login(tr)
				r1 := s.next(r0, attempt)
				s.age(r0, interval+time.Millisecond)
				s.at(r0).RefreshTokens(option).Want(t, http.StatusUnauthorized, reused)
				s.dead(r1)
			})
		}
		t.Run("the rotation had none", func(t *testing.T) {
			s := s.in(t)
			r0 := s.login(tr)
			s.next(r0)
			s.age(r0, interval+time.Millisecond)
			s.at(r0).RefreshTokens(attempt).Want(t, http.StatusUnauthorized, reused)
		})
	})
}

// A row keeps 16 bytes of the hash of an attempt. An invalid attempt is rejected and changes
// nothing.
func TestAttemptIsKeptAsAHash(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		c := s.login(token.Body)
		s.age(c, interval+margin)
		s.unchanged(func() {
			for _, bad := range []string{"x", strings.Repeat("A", 21), strings.Repeat("A", 23), strings.Repeat("+", 22)} {
				s.at(c).RefreshTokens(servertest.Header(attemptHeader, bad)).Want(t, http.StatusBadRequest, "request_malformed")
			}
		})
		s.at(c).RefreshTokens(attempt).Want(t, http.StatusOK, "")
		if l := s.row(c); len(l.Attempt) != 16 || strings.Contains(s.db.Dump(t), "q83vEjRWeJCrze8SNFZ4kA") {
			t.Errorf("the row keeps %q", l.Attempt)
		}
	})
}

// A failover lost acknowledged commits: the client did nothing wrong, and this is not theft.
func TestStateRegression(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		c := s.next(s.next(s.login(tr)))
		s.db.Exec(t, "UPDATE sessions SET generation = generation - 1 WHERE id = ?", id(c))
		before := observed(t, s.replicas[0], "state_regression")
		s.unchanged(func() {
			for range len(s.replicas) {
				s.at(c).RefreshTokens().Want(t, http.StatusUnauthorized, expired)
			}
		})
		if observed(t, s.replicas[0], "state_regression") == before {
			t.Error("no metric says so")
		}
	})
}

// A caller that has disconnected proves no theft.
func TestCallerIsGone(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		r2 := s.next(s.next(r0))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.unchanged(func() {
			_, err := s.replicas[0].Service.RefreshToken(ctx, s.input(r0))
			if !errors.Is(err, &problem.Error{Code: problem.ServiceUnavailable}) {
				t.Errorf("%v", err)
			}
		})
		// A rotation that has begun is completed regardless.
		s.age(r2, interval+margin)
		_, err := s.replicas[0].Service.RefreshToken(ctx, s.input(r2))
		if must(t, err); s.row(r2).Generation != 3 {
			t.Errorf("generation %d", s.row(r2).Generation)
		}
	})
}

// The same over HTTP: the client disconnects while its request waits for a lock in the database.
func TestCallerHangsUp(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		r0 := s.login(token.Body)
		r2 := s.next(s.next(r0))
		release := s.lock(r0)
		ctx, hangUp := context.WithCancel(context.Background())
		answered := make(chan error)
		c := s.at(r0)
		go func() {
			_, err := c.Try(http.MethodPost, "/accounts/refresh_token", c.RefreshBody(), func(r *http.Request) { *r = *r.WithContext(ctx) })
			answered <- err
		}()
		time.Sleep(200 * time.Millisecond)
		hangUp()
		if err := <-answered; err == nil {
			t.Fatal("answered while the row was locked")
		}
		time.Sleep(100 * time.Millisecond) // the server sees the connection end
		before := s.db.Dump(t)
		release()
		s.idle(c.Server)
		if after := s.db.Dump(t); after != before {
			t.Errorf("rows changed from\n%s\nto\n%s", before, after)
		}
		s.at(r2).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// lock locks the session's row, so that a write of it waits on every replica.
func (s *site) lock(c *servertest.Client) (release func()) {
	s.t.Helper()
	var held []*sql.Tx
	for _, door := range s.db.BackDoors() {
		tx, err := door.BeginTx(context.Background(), nil)
		must(s.t, err)
		_, err = tx.ExecContext(context.Background(), "UPDATE sessions SET ip = 'locked' WHERE id = ?", servertest.Args(id(c))...)
		must(s.t, err)
		held = append(held, tx)
	}
	return func() {
		for _, tx := range held {
			must(s.t, tx.Rollback())
		}
	}
}

// idle waits until the replica has logged the end of a refresh that failed or was rejected.
func (s *site) idle(r *servertest.Server) {
	s.t.Helper()
	for range 300 {
		for line := range strings.Lines(r.Log.String()) {
			if strings.Contains(line, `"operation":"refreshToken"`) && !strings.Contains(line, `"status":200`) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the server has not finished the request")
}

// A request that was held up for longer than M proves no theft either.
func TestLateVerdict(t *testing.T) {
	frozen := time.Now().UTC().Truncate(time.Microsecond)
	s := &site{t: t, db: servertest.NewDatabase(t, servertest.SQLite)}
	r := s.add(servertest.Options{Now: func() time.Time { return frozen }})
	s.user = r.NewUser()
	for _, tr := range transports {
		r0 := s.login(tr)
		s.next(s.next(r0))
		in := s.input(r0)
		in.Received = frozen.Add(-margin - time.Microsecond)
		s.unchanged(func() {
			_, err := r.Service.RefreshToken(context.Background(), in)
			var rule *problem.Error
			if !errors.As(err, &rule) || rule.Code != problem.ServiceUnavailable || rule.RetryAfter <= 0 {
				t.Errorf("%s: %v", tr, err)
			}
		})
		in.Received = frozen.Add(-margin)
		if _, err := r.Service.RefreshToken(context.Background(), in); !errors.Is(err, &problem.Error{Code: problem.RefreshReused}) {
			t.Errorf("%s: %v", tr, err)
		}
	}
}

// The same over HTTP: W = 2 s, so M is 0.4 s, and the row is locked for longer than that.
func TestHeldUpRequest(t *testing.T) {
	eachSite(t, []string{"ACCOUNTS_ROTATION_INTERVAL=2s"}, func(t *testing.T, s *site) {
		r0 := s.login(token.Body)
		r2 := s.next(s.next(r0))
		s.age(r2, 10*time.Second)
		release := s.lock(r0)
		answer := make(chan *servertest.Response)
		go func() { answer <- s.at(r0).RefreshTokens() }()
		time.Sleep(700 * time.Millisecond)
		release()
		wantUnavailable(t, <-answer)
		if l := s.row(r0); l.RevokedAt != nil || s.events(r0, "refresh_reused") != 0 {
			t.Error("revoked")
		}
		s.at(r2).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// With W = 0 a token has one use. Of two requests at once, one succeeds and the other revokes the
// session.
func TestStrictProfile(t *testing.T) {
	eachTransport(t, []string{"ACCOUNTS_ROTATION_INTERVAL=0"}, func(t *testing.T, s *site, tr token.Transport) {
		c := s.login(tr)
		for i := range 3 { // each use rotates, regardless of the token's age
			n := s.at(c)
			if n.RefreshTokens().Want(t, http.StatusOK, ""); held(n) == held(c) || s.row(c).Generation != int64(i+1) {
				t.Fatal("nothing was rotated")
			}
			c = n
		}
		var wait sync.WaitGroup
		answers := make(chan string, 2)
		for range 2 {
			x := s.at(c)
			wait.Go(func() {
				r := x.RefreshTokens(attempt)
				answers <- r.Code()
			})
		}
		wait.Wait()
		if a, b := <-answers, <-answers; a+b != reused {
			t.Errorf("%q and %q", a, b)
		}
		s.dead(c)
		if n := s.events(c, "refresh_reused"); n != 1 {
			t.Errorf("%d events", n)
		}
		if s.row(c).Attempt != nil {
			t.Error("the strict profile keeps an attempt")
		}
	})
}

// The strict profile has no M, so a held-up request is not excused.
func TestStrictProfileHasNoMargin(t *testing.T) {
	eachSite(t, []string{"ACCOUNTS_ROTATION_INTERVAL=0"}, func(t *testing.T, s *site) {
		c := s.login(token.Body)
		s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		in := s.input(c)
		in.Received = in.Received.Add(-time.Hour)
		if _, err := s.replicas[0].Service.RefreshToken(context.Background(), in); !errors.Is(err, &problem.Error{Code: problem.RefreshReused}) {
			t.Errorf("%v", err)
		}
	})
}

// A token that is accepted in the grace period from another address and another user agent is
// recorded.
func TestGracedEvent(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		c := s.login(token.Body)
		s.age(c, interval+margin)
		s.at(c).RefreshTokens(servertest.Header("User-Agent", "first")).Want(t, http.StatusOK, "")
		in := s.input(c)
		for _, client := range []accounts.Client{{IP: "198.51.100.7", UserAgent: "first"}, {IP: s.row(c).IP, UserAgent: "second"}, {IP: "198.51.100.7", UserAgent: "second"}} {
			in.Client = client
			_, err := s.replicas[0].Service.RefreshToken(context.Background(), in)
			must(t, err)
		}
		if n := s.events(c, "refresh_graced"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
}

// A client that changes its address and user agent with each request causes a limited number of
// events.
func TestGracedEventsAreBounded(t *testing.T) {
	t.Attr("control", "186")
	eachSite(t, []string{"ACCOUNTS_RARE_ACTIONS_PER_USER=3/1h"}, func(t *testing.T, s *site) {
		c := s.login(token.Body)
		s.age(c, interval+margin)
		s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		in := s.input(c)
		for i := range 6 {
			in.Client = accounts.Client{IP: fmt.Sprintf("198.51.100.%d", i), UserAgent: fmt.Sprint("agent ", i)}
			_, err := s.replicas[0].Service.RefreshToken(context.Background(), in)
			must(t, err)
		}
		if n := s.events(c, "refresh_graced"); n != 3 {
			t.Errorf("%d events, want 3", n)
		}
	})
}

// A token from another location than its transport's, or one that is not authentic, changes
// nothing.
func TestWrongCarrier(t *testing.T) {
	t.Attr("control", "20")
	t.Attr("control", "32")
	eachSite(t, nil, func(t *testing.T, s *site) {
		for _, tr := range transports {
			c := s.login(tr)
			s.age(c, interval+margin)
			stranger := s.replicas[0].Anonymous()
			raw, csrf := held(c), servertest.Header("X-CSRFToken", c.CSRF)
			flipped := raw[:len(raw)-10] + map[bool]string{true: "B", false: "A"}[raw[len(raw)-10] == 'A'] + raw[len(raw)-9:]
			s.unchanged(func() {
				if tr != token.Body {
					s.at(stranger).Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": raw}).Want(t, http.StatusUnauthorized, "refresh_invalid")
				}
				if tr == token.Body {
					s.at(stranger).RefreshTokens(servertest.Cookie("refreshtoken", raw)).Want(t, http.StatusUnauthorized, "refresh_invalid")
				}
				if tr == token.Cookies {
					access := c.CookieValue("access")
					s.at(stranger).RefreshTokens(servertest.Cookie("access", access), csrf).Want(t, http.StatusUnauthorized, "refresh_invalid")
				}
				for _, forged := range []string{flipped, raw + "x", raw[:len(raw)-1]} {
					if name := map[token.Transport]string{token.Hybrid: "refreshtoken", token.Cookies: "refreshtoken", token.ServerHeld: "access"}[tr]; name != "" {
						s.at(stranger).RefreshTokens(servertest.Cookie(name, forged), csrf).Want(t, http.StatusUnauthorized, "refresh_invalid")
					}
					s.at(stranger).Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": forged}).Want(t, http.StatusUnauthorized, "refresh_invalid")
				}
			})
			s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		}
	})
}

// Tokens are rejected if the session's row now belongs to another user or to another transport.
func TestTokenMustFitTheRow(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		other := s.replicas[0].NewUser()
		c, d := s.login(token.Hybrid), s.login(token.Cookies)
		s.db.Exec(t, "UPDATE sessions SET user_id = ? WHERE id = ?", other.ID, id(c))
		s.db.Exec(t, "UPDATE sessions SET transport = 'hybrid' WHERE id = ?", id(d))
		for _, x := range []*servertest.Client{c, d} {
			s.age(x, interval+margin)
			s.unchanged(func() { s.at(x).RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_invalid") })
		}
	})
}

// No token that was issued is in the database or in a log.
func TestDumpHoldsNoToken(t *testing.T) {
	t.Attr("control", "28")
	eachSite(t, nil, func(t *testing.T, s *site) {
		var issued []string
		note := func(c *servertest.Client, r *servertest.Response) {
			for line := range strings.Lines(handed(r) + "\n" + held(c) + "\n" + c.Access + "\n" + c.CSRF) {
				_, value, ok := strings.Cut(strings.TrimSpace(line), "=")
				if !ok {
					value = strings.TrimSpace(line)
				}
				issued = append(issued, value, value[strings.LastIndexByte(value, '.')+1:])
			}
		}
		for _, tr := range transports {
			c := s.login(tr)
			note(c, &servertest.Response{})
			for range 3 {
				s.age(c, interval+margin)
				old := c
				c = s.at(c)
				note(c, c.RefreshTokens(attempt).Want(t, http.StatusOK, ""))
				note(old, s.at(old).RefreshTokens(attempt))
			}
			if tr == token.Hybrid {
				c.Logout()
			}
		}
		dump := s.db.Dump(t)
		for _, r := range s.replicas {
			dump += r.Log.String()
		}
		found := 0
		for _, value := range issued {
			if len(value) < 16 {
				continue
			}
			found++
			if strings.Contains(dump, value) {
				t.Errorf("a token is in the dump or the log: %.20s...", value)
			}
		}
		if found < 50 || !strings.Contains(dump, "users.username_norm="+s.user.UsernameNorm) || strings.Contains(dump, s.user.Password) {
			t.Errorf("%d values looked for", found)
		}
	})
}
