package models_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

func newToken(purpose string, u models.User, at time.Time) models.OneTimeToken {
	id := models.ID(uuid.Must(uuid.NewV7()))
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

func registered(t models.OneTimeToken, username string) *models.User {
	return &models.User{Username: username, UsernameNorm: username, Email: t.Email, EmailNorm: t.EmailNorm, IsActive: true, DateJoined: t.CreatedAt}
}

func (f *fixture) reset(at time.Time) models.OneTimeToken {
	f.t.Helper()
	t := newToken(models.PurposeReset, f.user, at)
	ok(f.t, f.AddResetToken(f.t.Context(), t))
	return t
}

// isOpen says whether a token can still be used.
func (f *fixture) isOpen(t models.OneTimeToken) bool {
	f.t.Helper()
	found, err := f.Token(f.t.Context(), t.Purpose, t.Hash)
	ok(f.t, err)
	return found.UsedAt == nil
}

// together makes calls at once, over two stores, and says how many succeeded; the others must be ErrNotFound.
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
		won := f.together(20, func(s *models.Store, i int) error {
			return s.ResetPassword(context.Background(), token, fmt.Sprintf("hash %d", i), now(), newMail(now()))
		})
		u := f.reload(f.user)
		if won != 1 || u.SessionEpoch != f.user.SessionEpoch+1 || u.EmailVerifiedAt == nil || f.db.Count(t, "SELECT COUNT(*) FROM outbox") != 1 {
			t.Errorf("%d of 20 set the password, epoch %d, verified at %v", won, u.SessionEpoch, u.EmailVerifiedAt)
		}
	})
}

// Two tokens of one user, made by two requests: whoever is first ends the other.
func TestResetEndsEveryOtherToken(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		change, reset := newToken(models.PurposeEmailChange, f.user, now()), f.reset(now())
		ok(t, f.AddEmailChange(t.Context(), f.reload(f.user), change, newMail(now())))
		other := newToken(models.PurposeReset, f.newUser("bob"), now())
		ok(t, f.AddResetToken(t.Context(), other))
		ok(t, f.ResetPassword(t.Context(), reset, "new", now(), newMail(now())))
		if f.isOpen(change) || f.isOpen(reset) || !f.isOpen(other) {
			t.Errorf("open: change %v, reset %v, another user's %v", f.isOpen(change), f.isOpen(reset), f.isOpen(other))
		}
	})
}

// A token is worth something for its time, its user's address and its purpose.
func TestResetIsRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		token := f.reset(at)
		moved := token
		moved.EmailNorm = "elsewhere@example.com"
		for name, c := range map[string]struct {
			token models.OneTimeToken
			at    time.Time
		}{"expired": {token, token.ExpiresAt}, "another address": {moved, at}} {
			before := f.db.Dump(t)
			if err := f.ResetPassword(t.Context(), c.token, "new", c.at, newMail(at)); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if f.db.Dump(t) != before {
				t.Errorf("%s: something was written", name)
			}
		}
		if _, err := f.Token(t.Context(), models.PurposeVerify, token.Hash); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("found for another purpose: %v", err)
		}
		ok(t, f.ResetPassword(t.Context(), token, "new", token.ExpiresAt.Add(-time.Microsecond), newMail(at)))
	})
}

func TestRegistrationIsCompletedOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		token, twin := f.register("new@example.com", at), f.register("new@example.com", at)
		won := f.together(20, func(s *models.Store, i int) error {
			return s.CompleteRegistration(context.Background(), token, registered(token, fmt.Sprint("new", i)), at)
		})
		if n := f.db.Count(t, "SELECT COUNT(*) FROM users WHERE email_norm = 'new@example.com'"); won != 1 || n != 1 {
			t.Errorf("%d of 20 succeeded and made %d users", won, n)
		}
		if f.isOpen(token) || f.isOpen(twin) {
			t.Error("a registration of the address is still open")
		}
	})
}

// Two registrations of one address, completed at once: one user.
func TestTwinRegistrations(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		var tokens []models.OneTimeToken
		for range 10 {
			tokens = append(tokens, f.register("new@example.com", at))
		}
		won := f.together(20, func(s *models.Store, i int) error {
			token := tokens[i%len(tokens)]
			return s.CompleteRegistration(context.Background(), token, registered(token, fmt.Sprint("new", i)), at)
		})
		if n := f.db.Count(t, "SELECT COUNT(*) FROM users WHERE email_norm = 'new@example.com'"); won != 1 || n != 1 {
			t.Errorf("%d of 20 succeeded and made %d users", won, n)
		}
	})
}

// A name that is taken leaves the token as it was, for another try.
func TestConflictConsumesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		token, twin := f.register("new@example.com", at), f.register("new@example.com", at)
		taken := f.register(f.user.EmailNorm, at)
		before := f.db.Dump(t)
		for name, err := range map[string]error{
			"username": f.CompleteRegistration(t.Context(), token, registered(token, f.user.Username), at),
			"address":  f.CompleteRegistration(t.Context(), taken, registered(taken, "other"), at),
		} {
			if !errors.Is(err, models.ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if f.db.Dump(t) != before || !f.isOpen(token) || !f.isOpen(twin) {
			t.Error("something was written")
		}
		ok(t, f.CompleteRegistration(t.Context(), token, registered(token, "free"), at))
	})
}

// The worker may make the token of a mail several times.
func TestResetTokenIsStoredOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		token := f.reset(now())
		before := f.db.Dump(t)
		ok(t, f.AddResetToken(t.Context(), token))
		if f.db.Dump(t) != before {
			t.Error("storing it again changed something")
		}
		ok(t, f.ResetPassword(t.Context(), token, "new", now(), newMail(now())))
		before = f.db.Dump(t)
		ok(t, f.AddResetToken(t.Context(), token))
		if f.db.Dump(t) != before || f.isOpen(token) {
			t.Error("storing it again opened it again")
		}
	})
}

// The newest request's token is the one that works, in whatever order the mails went out.
func TestNewestResetKillsTheOlder(t *testing.T) {
	at := now().Truncate(time.Second)
	for name, order := range map[string][]time.Duration{
		"in order": {0, time.Second, 2 * time.Second}, "backwards": {2 * time.Second, time.Second, 0}, "mixed": {time.Second, 2 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, f *fixture) {
				bob := newToken(models.PurposeReset, f.newUser("bob"), at)
				ok(t, f.AddResetToken(t.Context(), bob))
				for _, after := range order {
					f.reset(at.Add(after))
				}
				rows := f.query("SELECT created_at FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", f.user.ID)
				if n := f.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE used_at IS NULL AND created_at = ?", at.Add(2*time.Second)); len(rows) != 1 || n != 1 {
					t.Errorf("open are %v", rows)
				}
				if !f.isOpen(bob) {
					t.Error("another user's is dead")
				}
			})
		})
	}
}

func TestPendingRegistrationIsTheNewest(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		f.register("new@example.com", at)
		newest := f.register("new@example.com", at.Add(time.Second))
		f.register("other@example.com", at.Add(2*time.Second))
		found, err := f.PendingRegistration(t.Context(), "new@example.com", at.Add(3*time.Second))
		if ok(t, err); found.ID != newest.ID {
			t.Error("another one")
		}
		if _, err := f.PendingRegistration(t.Context(), "new@example.com", newest.ExpiresAt); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("after its end: %v", err)
		}
		ok(t, f.CompleteRegistration(t.Context(), newest, registered(newest, "new"), at.Add(3*time.Second)))
		if _, err := f.PendingRegistration(t.Context(), "new@example.com", at.Add(4*time.Second)); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("after the address was verified: %v", err)
		}
	})
}

func TestDeleteOldTokens(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		for i := range 4 {
			f.register("new@example.com", at.Add(time.Duration(i)*time.Minute)) // each lives for an hour
		}
		for _, want := range []int64{2, 1, 0} {
			n, err := f.DeleteOldTokens(t.Context(), at.Add(time.Hour+3*time.Minute), 2)
			if ok(t, err); n != want {
				t.Errorf("%d were deleted, want %d", n, want)
			}
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens"); n != 1 {
			t.Errorf("%d are left", n)
		}
	})
}
