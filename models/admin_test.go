package models_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// Each verb applies only to the user as read: it fails if another request has changed the names,
// the address, a role or the active state, or revoked all sessions, since the user was read. A user
// who got a role after the deletion was authorized is not deleted by it, because the user may be
// the last superuser now.
func TestChangeAppliesOnlyToUserAsRead(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		name, hash, yes, no := "x", models.PasswordHash("x"), true, false
		verbs := map[string]func(tx *models.Tx, u models.User) error{
			"ChangeUser":     func(tx *models.Tx, u models.User) error { return tx.ChangeUser(u, models.UserPatch{LastName: &name}) },
			"LockUserAsRead": func(tx *models.Tx, u models.User) error { return tx.LockUserAsRead(u) },
			"DeleteUser":     func(tx *models.Tx, u models.User) error { return tx.DeleteUser(u) },
		}
		for verb, do := range verbs {
			for i, change := range []models.UserPatch{
				{IsSuperuser: &yes}, {IsStaff: &yes}, {IsActive: &no}, {NextEpoch: true}, {NewVersion: true}, {Password: &hash},
				{Username: &name, UsernameNorm: &name}, {Email: &name, EmailNorm: &name},
			} {
				judged := f.newUser(fmt.Sprint(verb, i))
				ok(t, f.ChangeUser(t.Context(), judged, change))
				again := func(u models.User) error {
					return f.Tx(t.Context(), func(tx *models.Tx) error { return do(tx, u) })
				}
				before := f.db.Dump(t)
				if err := again(judged); !errors.Is(err, models.ErrNotFound) || f.db.Dump(t) != before {
					t.Errorf("%s after %+v: got %v, or a row was written", verb, change, err)
				}
				changed, err := f.UserByID(t.Context(), judged.ID)
				ok(t, err)
				ok(t, again(changed))
				f.db.Exec(t, "DELETE FROM users WHERE id = ?", judged.ID)
			}
		}
	})
}

// Deactivated superusers and those without a password do not count.
func TestCountSuperusersExceptIgnoresInactiveOnes(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		count := func(want int64) {
			t.Helper()
			ok(t, f.Tx(t.Context(), func(tx *models.Tx) error {
				if err := tx.LockSuperusers(); err != nil {
					return err
				}
				n, err := tx.CountSuperusersExcept(f.user)
				if n != want {
					t.Errorf("got %d superusers, want %d", n, want)
				}
				return err
			}))
		}
		f.newUser("bob")
		count(0)
		f.db.Exec(t, "UPDATE users SET is_superuser = TRUE")
		count(1)
		for _, change := range []string{"is_active = FALSE", "password = ''", "is_superuser = FALSE"} {
			f.db.Exec(t, "UPDATE users SET is_active = TRUE, is_superuser = TRUE, password = 'hash'")
			f.db.Exec(t, "UPDATE users SET "+change+" WHERE username = 'bob'")
			count(0)
		}
		if u := f.reload(f.user); u.LockCount == f.user.LockCount || u.Version != f.user.Version {
			t.Errorf("lock_count %d, version %d: the superusers were not locked, or their version changed", u.LockCount, u.Version)
		}
	})
}

// A rate limit stays used up until its window ends.
func TestExhaustedLimitLastsUntilWindowEnds(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		b := models.RateLimitUse{ID: uuid.Must(uuid.NewV7()), Kind: "test", Limit: 2, Per: time.Minute}
		for uses, want := range []bool{false, false, true} {
			if got, err := f.IsRateLimited(t.Context(), at, models.RateLimitUse{ID: uuid.Must(uuid.NewV7()), Limit: 1}, b); err != nil || got != want {
				t.Errorf("after %d uses: got %t, %v", uses, got, err)
			}
			if !want {
				store := f.WithClock(func() time.Time { return at })
				ok(t, store.Tx(t.Context(), func(tx *models.Tx) error { return tx.CountUses(b) }))
			}
		}
		if got, err := f.IsRateLimited(t.Context(), at.Add(time.Minute), b); err != nil || got {
			t.Errorf("after the window: got %t, %v, want false", got, err)
		}
	})
}
