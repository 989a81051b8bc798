package accounts_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

const oldSecret = "the secret of the old service, which is long"

func oldService() []string {
	return []string{"ACCOUNTS_LEGACY_JWT_SECRETS=" + oldSecret, "ACCOUNTS_LEGACY_JWT_UNTIL=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
}

// imported adds an imported user.
func (s *site) imported() servertest.User {
	u := s.replicas[0].NewUser()
	s.db.Exec(s.t, "UPDATE users SET imported_epoch = session_epoch WHERE id = ?", u.ID)
	return u
}

// oldToken returns a new refresh token of the Django service at each call.
func oldToken(u servertest.User) string {
	now := time.Now().Unix()
	return tokentest.LegacySimple(oldSecret, "refresh", u.ID, now-60, now+3600, uuid.NewString())
}

func exchange(c *servertest.Client, raw string) *servertest.Response {
	return c.Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": raw})
}

// The answer to COMMIT is lost, so it is unknown whether the token has been used. The call finds
// out itself, also if the client sends no attempt.
func TestExchangeResolvesLostCommit(t *testing.T) {
	eachFaulty(t, oldService(), func(t *testing.T, f *faulty) {
		for name, faults := range map[string][]fault{"made": {cutAfter}, "never made": {cutBefore}, "never made, then made": {cutBefore, cutAfter}} {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				u := f.imported()
				raw := oldToken(u)
				f.proxy.next("COMMIT", faults...)
				c := f.far.Anonymous()
				exchange(c, raw).Want(t, http.StatusOK, "")
				f.proxy.happened(len(faults))
				f.at(c).Profile().Want(t, http.StatusOK, "")
				if n := f.db.Count(t, "SELECT COUNT(*) FROM sessions WHERE user_id = ?", u.ID); n != 1 {
					t.Errorf("got %d sessions, want 1", n)
				}
				exchange(f.far.Anonymous(), raw).Want(t, http.StatusUnauthorized, "refresh_invalid")
			})
		}
	})
}

// An exchange counts as a sign-in. The first one cancels a change of address that a superuser has
// started.
func TestFirstExchangeCancelsPendingEmailChange(t *testing.T) {
	t.Attr("control", "182")
	eachSite(t, oldService(), func(t *testing.T, s *site) {
		r := s.replicas[0]
		root := r.NewUser()
		s.db.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, root.ID)
		u := s.imported()
		moved := "moved-" + u.Email
		r.Login(root, accounts.Hybrid).Do(http.MethodPatch, "/admin/users/"+decimal(u.ID), map[string]any{"email": moved}).Want(t, http.StatusOK, "")
		link := servertest.Token(t, r.Mails.Wait(t, moved, 1))
		exchange(r.Anonymous(), oldToken(u)).Want(t, http.StatusOK, "")
		r.Anonymous().Do(http.MethodPost, "/accounts/email/change/confirm", map[string]any{"token": link}).Want(t, http.StatusUnprocessableEntity, "link_invalid")
	})
}

// A token that was valid when the request arrived is rejected if LEGACY_JWT_UNTIL or its own expiry
// passes while the request waits for the database.
func TestExchangeFailsIfTokenExpiresWhileItWaits(t *testing.T) {
	s := newSite(t, servertest.SQLite, 1, oldService()...)
	now, r := time.Now().Unix(), s.replicas[0]
	u := s.imported()
	for name, raw := range map[string]string{
		"its own end": tokentest.LegacySimple(oldSecret, "refresh", u.ID, now-60, now+600, "a"),
		"the day":     tokentest.LegacySimple(oldSecret, "refresh", u.ID, now-60, now+86400, "b"),
	} {
		t.Run(name, func(t *testing.T) {
			by := map[string]time.Duration{"its own end": 10 * time.Minute, "the day": time.Hour}[name]
			c, err := r.Service.ExchangeableCredential(accounts.RequestBody, raw)
			must(t, err)
			r.Clock.Advance(by)
			defer r.Clock.Advance(-by)
			_, err = r.Service.RefreshToken(t.Context(), accounts.RefreshInput{Credential: c, Received: r.Clock.Now()})
			if !errors.Is(err, &problem.Error{Code: problem.RefreshInvalid}) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A replica whose clock is wrong must not log out a user of the Django service: it gives no tokens,
// and the token still works at another replica.
func TestExchangeWithWrongClockIsUnavailableAndRepeatable(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL { // SQLite has no clock of its own
			return
		}
		s := newSite(t, e, 1, oldService()...)
		for _, by := range []time.Duration{3 * time.Second, 8 * 24 * time.Hour, -8 * 24 * time.Hour} {
			wrong := s.add(servertest.Options{Settings: oldService(), Now: func() time.Time { return time.Now().Add(by) }})
			raw := oldToken(s.imported())
			exchange(wrong.Anonymous(), raw).Want(t, http.StatusServiceUnavailable, "service_unavailable")
			exchange(s.replicas[0].Anonymous(), raw).Want(t, http.StatusOK, "")
		}
	})
}

// The database does not answer: the answer is a 503 in time, and the same token works afterwards.
func TestExchangeOnSilentDatabaseIsUnavailableAndRepeatable(t *testing.T) {
	eachFaulty(t, oldService(), func(t *testing.T, f *faulty) {
		u := f.imported()
		raw := oldToken(u)
		f.proxy.silence()
		began := time.Now()
		wantUnavailable(t, exchange(f.far.Anonymous(), raw))
		if took := time.Since(began); took > answers {
			t.Errorf("the server responded only after %v", took)
		}
		f.proxy.back()
		for began := time.Now(); f.far.Anonymous().Do(http.MethodGet, "/readyz", nil).Status != http.StatusOK && time.Since(began) < recovers; {
			time.Sleep(50 * time.Millisecond)
		}
		exchange(f.far.Anonymous(), raw).Want(t, http.StatusOK, "")
	})
}

// An exchange in flight does not survive an operation that ends all sessions, and none succeeds
// afterwards.
func TestExchangeInFlightDoesNotSurviveEndOfSessions(t *testing.T) {
	eachSite(t, oldService(), func(t *testing.T, s *site) {
		for name, end := range map[string]func(u servertest.User) error{
			"deactivation": func(u servertest.User) error {
				return s.replicas[0].Service.SetActive(context.Background(), u.Username, false)
			},
			"a new password": func(u servertest.User) error {
				return s.replicas[0].Service.SetPassword(context.Background(), u.Username, "another horse battery")
			},
		} {
			for range 4 {
				u := s.imported()
				clients := make([]*servertest.Client, 16)
				var all sync.WaitGroup
				for i := range clients {
					clients[i] = s.replicas[i%len(s.replicas)].Anonymous()
					all.Go(func() {
						if r := exchange(clients[i], oldToken(u)); r.Status != http.StatusOK && r.Code() != "refresh_invalid" {
							t.Errorf("%s: %d %s", name, r.Status, r.Code())
						}
					})
				}
				all.Go(func() {
					time.Sleep(2 * time.Millisecond)
					must(t, end(u))
				})
				all.Wait()
				for _, c := range clients {
					if r := s.at(c).Profile(); r.Status != http.StatusUnauthorized {
						t.Errorf("%s: a session from before: got status %d, want 401", name, r.Status)
					}
				}
				exchange(s.replicas[0].Anonymous(), oldToken(u)).Want(t, http.StatusUnauthorized, "refresh_invalid")
			}
		}
	})
}
