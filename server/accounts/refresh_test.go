package accounts_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

const attemptHeader = "Refresh-Attempt"

var (
	attempt = servertest.Header(attemptHeader, "q83vEjRWeJCrze8SNFZ4kA")
	another = servertest.Header(attemptHeader, "AAAAAAAAAAAAAAAAAAAAAA")
)

// A hundred tabs refresh at once with one token that is due: all get the same successor.
func TestConcurrentRefreshesReturnOneSuccessor(t *testing.T) {
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
				r := refreshPatiently(c)
				if r.Status != http.StatusOK {
					t.Errorf("got status %d %s, want 200", r.Status, r.Code())
				}
				mu.Lock()
				answers[handed(r)+held(c)]++
				mu.Unlock()
			})
		}
		wait.Wait()
		if len(answers) != 1 {
			t.Errorf("got %d different responses, want 1", len(answers))
		}
		if l := s.row(first); l.Generation != 1 || l.RevokedAt != nil {
			t.Errorf("got generation %d, revoked at %v, want generation 1 of a live session", l.Generation, l.RevokedAt)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind LIKE 'refresh%'"); n != 0 {
			t.Errorf("got %d refresh events, want 0", n)
		}
	})
}

// A token that is two generations old is presented: its session is revoked and no other one, and
// one event is written.
func TestRefreshWithSupersededTokenRevokesSession(t *testing.T) {
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
			t.Errorf("got %d refresh_reused events, want 1", n)
		}
		if reason := s.row(r0).RevokeReason; reason != "refresh_reused" {
			t.Errorf("revocation reason: got %q, want refresh_reused", reason)
		}
		s.at(bystander).Profile().Want(t, http.StatusOK, "")
		s.at(bystander).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// If several clients present an old token at once, there is one event. It has the session, the
// client that presented the token, and the age of the token.
func TestConcurrentReuseRecordsOneEvent(t *testing.T) {
	t.Attr("control", "38")
	eachSite(t, nil, func(t *testing.T, s *site) {
		r0 := s.login(token.Body)
		s.next(s.next(s.next(r0)))
		var wait sync.WaitGroup
		for range 30 {
			c := s.at(r0)
			wait.Go(func() {
				if r := c.RefreshTokens(servertest.Header("User-Agent", "thief/1")); r.Status != http.StatusUnauthorized || r.Code() != reused && r.Code() != revoked {
					t.Errorf("got status %d %s, want 401 because of the reuse", r.Status, r.Code())
				}
			})
		}
		wait.Wait()
		if n := s.events(r0, "refresh_reused"); n != 1 {
			t.Errorf("got %d refresh_reused events, want 1", n)
		}
		list, err := s.replicas[0].Store.Events(context.Background(), models.EventQuery{UserID: &s.user.ID, Limit: 9})
		must(t, err)
		if len(list) == 0 || *list[0].SessionID != id(r0) || list[0].Detail != "the refresh token was 3 generations old" || list[0].IP != "127.0.0.1" || list[0].UserAgent != "thief/1" {
			t.Errorf("%+v", list)
		}
	})
}

// Five devices have a session each. They do not disturb each other, in any order of refreshes.
func TestSessionsOfSeveralDevicesAreIndependent(t *testing.T) {
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
					t.Fatal("the refresh did not rotate the token")
				}
			}
		}
		for _, c := range devices {
			s.at(c).Profile().Want(t, http.StatusOK, "")
			if l := s.row(c); l.Generation != 10 || l.RevokedAt != nil {
				t.Errorf("got generation %d, revoked at %v, want generation 10 of a live session", l.Generation, l.RevokedAt)
			}
		}
	})
}

// The last token is accepted for W, and returns the same tokens as its rotation, byte for byte.
// After W it is reuse.
func TestPreviousTokenReturnsSameTokensInGracePeriod(t *testing.T) {
	t.Attr("control", "30")
	t.Attr("control", "33")
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		s.age(r0, interval+margin)
		winner := s.at(r0)
		first := winner.RefreshTokens().Want(t, http.StatusOK, "")
		for range 3 {
			if again := s.at(r0).RefreshTokens().Want(t, http.StatusOK, ""); handed(again) != handed(first) {
				t.Errorf("the repeated refresh returned other tokens:\n%s\nwant\n%s", handed(again), handed(first))
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
func TestRefreshBeforeRotationReturnsCurrentTokens(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		c := s.login(tr)
		before := held(c)
		for range 4 {
			x := s.at(c)
			r := x.RefreshTokens().Want(t, http.StatusOK, "")
			if r.Header.Get("Set-Cookie") != "" || held(x) != before || x.Access != c.Access {
				t.Errorf("the refresh returned other tokens: %s", handed(r))
			}
		}
		s.age(c, interval+margin-2*time.Second)
		r := s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		if l := s.row(c); l.Generation != 0 || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("got generation %d, want 0 and no cookies", l.Generation)
		}
	})
}

// A refresh that does not rotate writes the last use, which ensures that the session is still live.
func TestRefreshWithoutRotationRecordsUse(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		c := s.login(token.Hybrid)
		before := s.row(c)
		s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		after := s.row(c)
		if !after.LastUsedAt.After(before.LastUsedAt) {
			t.Error("the refresh did not record the use")
		}
		after.LastUsedAt, after.DBNow = before.LastUsedAt, before.DBNow
		if after.Generation != before.Generation || !after.IdleExpiresAt.Equal(before.IdleExpiresAt) || !after.RotatedAt.Equal(before.RotatedAt) {
			t.Errorf("the refresh changed more than the last use: %+v", after.Session)
		}
	})
}

// An answer that was lost for longer than W can be recovered by the client that made the request,
// and by no other.
func TestAttemptRecoversLostResponse(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		s.next(r0, attempt)
		s.age(r0, 2*time.Minute)
		x := s.at(r0)
		x.RefreshTokens(attempt).Want(t, http.StatusOK, "")
		if s.row(r0).Generation != 1 {
			t.Error("the repeated refresh rotated the token again")
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
func TestAttemptIsStoredAsHash(t *testing.T) {
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
			t.Errorf("the row contains %q, want 16 bytes of the hash", l.Attempt)
		}
	})
}

// A failover lost acknowledged commits: the client did nothing wrong, and this is not theft.
func TestTokenNewerThanRowIsNotReuse(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		c := s.next(s.next(s.login(tr)))
		s.db.Exec(t, "UPDATE sessions SET generation = generation - 1 WHERE id = ?", id(c))
		before := s.replicas[0].Counter(metrics.RefreshRegression)
		s.unchanged(func() {
			for range len(s.replicas) {
				s.at(c).RefreshTokens().Want(t, http.StatusUnauthorized, expired)
			}
		})
		if s.replicas[0].Counter(metrics.RefreshRegression) == before {
			t.Error("the metrics do not count the state regression")
		}
	})
}

// A token that is accepted in the grace period from another address and another user agent is
// recorded.
func TestGracePeriodUseFromOtherClientIsRecorded(t *testing.T) {
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
func TestGracePeriodEventsAreRateLimited(t *testing.T) {
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
func TestTokenFromWrongLocationChangesNothing(t *testing.T) {
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
func TestTokenOfOtherUserOrTransportIsRejected(t *testing.T) {
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
func TestDatabaseAndLogContainNoToken(t *testing.T) {
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
				t.Errorf("the database or the log contains a token: %.20s...", value)
			}
		}
		if found < 50 || !strings.Contains(dump, "users.username_norm="+s.user.UsernameNorm) || strings.Contains(dump, s.user.Password) {
			t.Errorf("only %d values were looked for, or the database lacks expected data", found)
		}
	})
}
