package server_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/server/servertest"
)

// Twenty concurrent exchanges of one token start one session, whether they come from one browser or
// from several clients.
func TestConcurrentExchangesStartOneSession(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := startLegacy(t, engine)
		for name, tt := range map[string]struct {
			options []servertest.Option
			ok      int
		}{"strangers": {nil, 1}, "one browser": {[]servertest.Option{attempt(someAttempt)}, 20}} {
			t.Run(name, func(t *testing.T) {
				u := newImported(t, s)
				raw := simpleToken(u)
				answers := make([]*servertest.Response, 20)
				var all sync.WaitGroup
				for i := range answers {
					all.Go(func() { answers[i] = byBody(s, raw, tt.options...) })
				}
				all.Wait()
				ok, tokens := 0, map[string]bool{}
				for _, r := range answers {
					switch {
					case r.Status == http.StatusOK:
						ok++
						tokens[r.Text("access_token")+r.Text("refresh_token")] = true
					case r.Status != http.StatusUnauthorized || r.Code() != "refresh_invalid":
						t.Errorf("%d %s", r.Status, r.Code())
					}
				}
				if ok != tt.ok || len(tokens) != 1 {
					t.Errorf("got %d responses with %d pairs of tokens, want %d with 1", ok, len(tokens), tt.ok)
				}
				for table, where := range map[string]string{"sessions": "", "events": " AND kind = 'login'", "one_time_tokens": ""} {
					if n := s.Database.Count(t, "SELECT COUNT(*) FROM "+table+" WHERE user_id = ?"+where, u.ID); n != 1 {
						t.Errorf("got %d rows in %s, want 1", n, table)
					}
				}
			})
		}
	})
}

// If the response was lost, the same attempt gets the same tokens again, as long as they are
// current.
func TestLostExchangeIsRepeatableWithSameAttempt(t *testing.T) {
	eachLegacy(t, func(t *testing.T, s *servertest.Server, mint func(servertest.User) string, way string) {
		show := legacyWays[way]
		begin := func() (string, *servertest.Response) {
			raw := mint(newImported(t, s))
			return raw, show(s, raw, attempt(someAttempt)).Want(t, http.StatusOK, "")
		}
		raw, first := begin()
		for range 2 {
			again := show(s, raw, attempt(someAttempt)).Want(t, http.StatusOK, "")
			for _, member := range []string{"access_token", "refresh_token", "csrf_token", "token_transport"} {
				if again.Text(member) != first.Text(member) {
					t.Errorf("the repetition returned another %s", member)
				}
			}
			if diff := cmp.Diff(first.JSON["session"], again.JSON["session"]); diff != "" {
				t.Error(diff)
			}
			wantLegacyCookies(t, s, way, again)
		}
		other := map[string]string{"cookie": "body", "body": "cookie"}[way]
		before := s.Database.Dump(t)
		for name, r := range map[string]*servertest.Response{
			"no attempt": show(s, raw), "another attempt": show(s, raw, attempt(anotherOne)), "the other way": legacyWays[other](s, raw, attempt(someAttempt)),
		} {
			if r.Code() != "refresh_invalid" {
				t.Errorf("%s: %d %s", name, r.Status, r.Code())
			}
		}
		wantUnchanged(t, s, before)

		for name, end := range map[string]func(r *servertest.Response){
			"a refresh": func(r *servertest.Response) {
				s.Database.Exec(t, "UPDATE sessions SET generation = 1 WHERE id = ?", sessionOf(r))
			},
			"a log-out": func(r *servertest.Response) {
				s.Database.Exec(t, "UPDATE sessions SET revoked_at = ? WHERE id = ?", time.Now().UTC(), sessionOf(r))
			},
			"its end": func(r *servertest.Response) {
				s.Database.Exec(t, "UPDATE sessions SET expires_at = ? WHERE id = ?", time.Now().UTC(), sessionOf(r))
			},
			"a clean-up": func(r *servertest.Response) { s.Database.Exec(t, "DELETE FROM sessions WHERE id = ?", sessionOf(r)) },
		} {
			raw, r := begin()
			end(r)
			if r := show(s, raw, attempt(someAttempt)); r.Code() != "refresh_invalid" {
				t.Errorf("after %s: got %d %s, want refresh_invalid", name, r.Status, r.Code())
			}
		}
	})
}

func sessionOf(r *servertest.Response) []byte {
	id := uuid.MustParse(r.JSON["session"].(map[string]any)["id"].(string))
	return id[:]
}

// The strict profile ignores Refresh-Attempt: a token can be exchanged once only.
func TestStrictProfileExchangesLegacyTokenOnce(t *testing.T) {
	s := startLegacy(t, servertest.SQLite, "ACCOUNTS_ROTATION_INTERVAL=0")
	raw := simpleToken(newImported(t, s))
	byBody(s, raw, attempt(someAttempt)).Want(t, http.StatusOK, "")
	byBody(s, raw, attempt(someAttempt)).Want(t, http.StatusUnauthorized, "refresh_invalid")
}

// A database error during an exchange leaves nothing behind, and the same token works afterwards.
func TestLegacyTokenIsNotUsedUpByDatabaseError(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := startLegacy(t, engine)
		u := newImported(t, s)
		raw := simpleToken(u)
		before := s.Database.Dump(t)
		for _, table := range []string{"users", "one_time_tokens", "sessions", "events"} {
			s.Database.Exec(t, "ALTER TABLE "+table+" RENAME TO away")
			r := byOldCookie(s, raw)
			s.Database.Exec(t, "ALTER TABLE away RENAME TO "+table)
			if r.Status < 500 || len(r.Cookies()) > 0 {
				t.Errorf("without %s: got status %d, want a server error without cookies", table, r.Status)
			}
			wantUnchanged(t, s, before)
		}
		if err := s.Store.Close(); err != nil {
			t.Fatal(err)
		}
		byOldCookie(s, raw).Want(t, http.StatusServiceUnavailable, "service_unavailable")
		back := servertest.Start(t, servertest.Options{Database: s.Database, Settings: legacySettings(time.Now().Add(day))})
		byOldCookie(back, raw).Want(t, http.StatusOK, "")
	})
}
