package models_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

func newToken(purpose string, u models.User, at time.Time) models.OneTimeToken {
	id := uuid.Must(uuid.NewV7())
	hash := sha256.Sum256(id[:])
	return models.OneTimeToken{
		ID: id, Purpose: purpose, Hash: hash[:], UserID: u.ID, Email: u.Email, EmailNorm: u.EmailNorm, CreatedAt: at, ExpiresAt: at.Add(time.Hour),
	}
}

// register stores a registration of an address.
func (f *fixture) register(email string, at time.Time) models.OneTimeToken {
	f.t.Helper()
	t := newToken(models.PurposeVerify, models.User{Email: email, EmailNorm: email}, at)
	ok(f.t, f.AddRegistration(f.t.Context(), t, newMail(at)))
	return t
}

func (f *fixture) addEmailChange(u models.User, t models.OneTimeToken) error {
	f.t.Helper()
	return f.AddEmailChange(f.t.Context(), u, t)
}

func registered(t models.OneTimeToken, username string) *models.User {
	return &models.User{Username: username, UsernameNorm: username, Email: t.Email, EmailNorm: t.EmailNorm, IsActive: true, DateJoined: t.CreatedAt}
}

func (f *fixture) reset(at time.Time) models.OneTimeToken {
	f.t.Helper()
	return f.resetOf(f.user, at)
}

// resetOf queues the mail of a reset and stores its token, as after its delivery.
func (f *fixture) resetOf(u models.User, at time.Time) models.OneTimeToken {
	f.t.Helper()
	t, m := newToken(models.PurposeReset, u, at), newMail(at)
	m.ID, m.Kind, m.Email, m.EmailNorm = t.ID, "reset", u.Email, u.EmailNorm
	ok(f.t, f.Tx(f.t.Context(), func(tx *models.Tx) error { return errors.Join(tx.AddMails(m), tx.AddToken(t)) }))
	return t
}

// isOpen reports whether a token can still be used.
func (f *fixture) isOpen(t models.OneTimeToken) bool {
	f.t.Helper()
	found, err := f.Token(f.t.Context(), t.Purpose, t.Hash)
	ok(f.t, err)
	return found.UsedAt == nil
}

// together makes n calls at once, over two stores, and returns how many succeeded. The others must
// return ErrNotFound.
func (f *fixture) together(n int, call func(s *models.Store, i int) error) int64 {
	f.t.Helper()
	stores := []*models.Store{f.Store, open(f.t, f.db)}
	var won atomic.Int64
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-start
			err := call(stores[i%2], i)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, models.ErrNotFound) {
				f.t.Errorf("%v (%v)", err, models.Cause(err))
			}
		})
	}
	close(start)
	wait.Wait()
	return won.Load()
}

func TestResetIsUsedOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		token := f.reset(now())
		u := f.reload(f.user)
		won := f.together(20, func(s *models.Store, i int) error {
			return f.ResetPassword(context.Background(), s, token, u, models.PasswordHash(fmt.Sprintf("hash %d", i)))
		})
		if u := f.reload(f.user); won != 1 || u.SessionEpoch != f.user.SessionEpoch+1 || u.EmailVerifiedAt == nil {
			t.Errorf("%d of 20 set the password, want 1; epoch %d, verified at %v", won, u.SessionEpoch, u.EmailVerifiedAt)
		}
	})
}

// A completed reset ends the other tokens of its user, and none of another user.
func TestResetInvalidatesOtherTokensOfUser(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		change, reset := newToken(models.PurposeEmailChange, f.user, now()), f.reset(now())
		ok(t, f.addEmailChange(f.reload(f.user), change))
		other := f.resetOf(f.newUser("bob"), now())
		ok(t, f.ResetPassword(t.Context(), f.Store, reset, f.reload(f.user), "new"))
		if f.isOpen(change) || f.isOpen(reset) || !f.isOpen(other) {
			t.Errorf("open tokens: change %v, reset %v, another user's %v", f.isOpen(change), f.isOpen(reset), f.isOpen(other))
		}
	})
}

// A token is accepted only until it expires, only for the user as read, and only for its purpose.
func TestResetRejectsInvalidTokens(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		token := f.reset(now())
		at := func(now time.Time) *models.Store { return f.WithClock(func() time.Time { return now }) }
		current, stale := f.reload(f.user), f.reload(f.user)
		stale.Version--
		for name, reset := range map[string]func() error{
			"expired":      func() error { return f.ResetPassword(t.Context(), at(token.ExpiresAt), token, current, "new") },
			"another user": func() error { return f.ResetPassword(t.Context(), f.Store, token, stale, "new") },
		} {
			before := f.db.Dump(t)
			if err := reset(); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if f.db.Dump(t) != before {
				t.Errorf("%s: a row was written", name)
			}
		}
		if _, err := f.Token(t.Context(), models.PurposeVerify, token.Hash); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("another purpose: got %v, want ErrNotFound", err)
		}
		ok(t, f.ResetPassword(t.Context(), at(token.ExpiresAt.Add(-time.Microsecond)), token, current, "new"))
	})
}

func TestRegistrationIsCompletedOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		token, twin := f.register("new@example.com", at), f.register("new@example.com", at)
		won := f.together(20, func(s *models.Store, i int) error {
			return f.CompleteRegistration(context.Background(), s, token, registered(token, fmt.Sprint("new", i)))
		})
		if n := f.db.Count(t, "SELECT COUNT(*) FROM users WHERE email_norm = 'new@example.com'"); won != 1 || n != 1 {
			t.Errorf("%d of 20 succeeded and created %d users, want 1 and 1", won, n)
		}
		if f.isOpen(token) || f.isOpen(twin) {
			t.Error("a registration of the address is still open")
		}
	})
}

// Two registrations of one address that are completed at once create one user.
func TestConcurrentRegistrationsCreateOneUser(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		var tokens []models.OneTimeToken
		for range 10 {
			tokens = append(tokens, f.register("new@example.com", at))
		}
		won := f.together(20, func(s *models.Store, i int) error {
			token := tokens[i%len(tokens)]
			return f.CompleteRegistration(context.Background(), s, token, registered(token, fmt.Sprint("new", i)))
		})
		if n := f.db.Count(t, "SELECT COUNT(*) FROM users WHERE email_norm = 'new@example.com'"); won != 1 || n != 1 {
			t.Errorf("%d of 20 succeeded and created %d users, want 1 and 1", won, n)
		}
	})
}

// If the name is taken, the token is not consumed and can be used again.
func TestTakenNameDoesNotUseToken(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		token, twin := f.register("new@example.com", at), f.register("new@example.com", at)
		taken := f.register(f.user.EmailNorm, at)
		before := f.db.Dump(t)
		for name, err := range map[string]error{
			"username": f.CompleteRegistration(t.Context(), f.Store, token, registered(token, f.user.Username)),
			"address":  f.CompleteRegistration(t.Context(), f.Store, taken, registered(taken, "other")),
		} {
			if !errors.Is(err, models.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if f.db.Dump(t) != before || !f.isOpen(token) || !f.isOpen(twin) {
			t.Error("the conflict wrote a row or used a token")
		}
		ok(t, f.CompleteRegistration(t.Context(), f.Store, token, registered(token, "free")))
	})
}

// A change of address that was started before the account was recovered does not take effect after
// the recovery.
func TestEmailChangeStartedBeforeRecoveryFails(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for name, end := range map[string]func(u models.User) error{
			"another password": func(u models.User) error { return f.SetPassword(t.Context(), u, "new") },
			"another epoch":    func(u models.User) error { return f.RevokeAllSessions(t.Context(), u.ID, u.SessionEpoch) },
			"disabled":         func(u models.User) error { return f.SetActive(t.Context(), u, false) },
		} {
			u := f.reload(f.newUser(strings.ReplaceAll(name, " ", "")))
			ok(t, end(u))
			before := f.db.Dump(t)
			if err := f.addEmailChange(u, newToken(models.PurposeEmailChange, u, now())); !errors.Is(err, models.ErrNotFound) || f.db.Dump(t) != before {
				t.Errorf("%s: got %v, or a row was written", name, err)
			}
		}
	})
}

func TestPendingRegistrationIsNewest(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		f.register("new@example.com", at)
		newest := f.register("new@example.com", at.Add(time.Second))
		f.register("other@example.com", at.Add(2*time.Second))
		found, err := f.PendingRegistration(t.Context(), "new@example.com", at.Add(3*time.Second))
		if ok(t, err); found.ID != newest.ID {
			t.Error("got another registration than the newest")
		}
		if _, err := f.PendingRegistration(t.Context(), "new@example.com", newest.ExpiresAt); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("after its expiry: got %v, want ErrNotFound", err)
		}
		ok(t, f.CompleteRegistration(t.Context(), f.Store, newest, registered(newest, "new")))
		if _, err := f.PendingRegistration(t.Context(), "new@example.com", at.Add(4*time.Second)); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("after the address was verified: got %v, want ErrNotFound", err)
		}
	})
}

func TestDeleteOldTokensDeletesInBatches(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		for i := range 4 {
			f.register("new@example.com", at.Add(time.Duration(i)*time.Minute)) // each lives for an hour
		}
		for _, want := range []int64{2, 1, 0} {
			n, err := f.DeleteObsolete(t.Context(), models.ExpiredTokens, at.Add(time.Hour+3*time.Minute), 2)
			if ok(t, err); n != want {
				t.Errorf("%d tokens were deleted, want %d", n, want)
			}
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens"); n != 1 {
			t.Errorf("%d tokens are left, want 1", n)
		}
	})
}
