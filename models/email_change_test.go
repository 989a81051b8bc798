package models_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/models"
)

// pendingChange starts a change of the user's address. It is started by a staff member unless actor
// is nil.
func (f *fixture) pendingChange(u models.User, actor *int64) models.OneTimeToken {
	f.t.Helper()
	t := newToken(models.PurposeEmailChange, u, now())
	t.Email, t.EmailNorm, t.ActorID = "New-"+u.Email, "new-"+u.EmailNorm, actor
	ok(f.t, f.addEmailChange(f.reload(u), t))
	return t
}

// successor returns a token that replaces the given one.
func successor(t models.OneTimeToken) models.OneTimeToken {
	next := newToken(t.Purpose, models.User{ID: t.UserID, Email: t.Email, EmailNorm: t.EmailNorm}, now())
	next.ActorID = t.ActorID
	return next
}

func event(kind models.EventKind, userID int64) models.Event {
	return models.Event{ID: uuid.Must(uuid.NewV7()), UserID: userID, Kind: kind, CreatedAt: now()}
}

// The profile contains the data of the tables, and no password hash.
func TestProfileContainsStoredDataWithoutHash(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		bob := f.newUser("bob")
		f.pendingChange(bob, nil)
		want := func(u models.User, hasPassword bool, pending string) {
			t.Helper()
			got, err := f.Profile(t.Context(), u.ID, now())
			ok(t, err)
			u = f.reload(u)
			u.Password, u.LockCount, u.Search = "", 0, ""
			if diff := cmp.Diff(models.Profile{User: u, HasPassword: hasPassword, PendingEmail: pending}, got); diff != "" {
				t.Errorf("profile (- want, + got):\n%s", diff)
			}
		}
		want(f.user, true, "")
		want(bob, true, "New-"+bob.Email)
		f.db.Exec(t, "UPDATE users SET imported_epoch = 7, last_login = ?, email_verified_at = ?, is_staff = ?, locale = 'ko', version = 9 WHERE id = ?", now(), now(), true, f.user.ID)
		want(f.user, true, "")
		f.db.Exec(t, "UPDATE users SET password = '' WHERE id = ?", f.user.ID)
		want(f.user, false, "")
		pending := f.pendingChange(f.user, nil)
		want(f.user, false, pending.Email)
		f.pendingChange(f.user, nil) // the newest counts
		want(f.user, false, pending.Email)
		f.db.Exec(t, "UPDATE one_time_tokens SET expires_at = ? WHERE user_id = ?", now().Add(-time.Second), f.user.ID)
		want(f.user, false, "")
		bobs := pendingOf(f, bob)
		ok(t, f.CancelEmailChange(t.Context(), f.Store, f.reload(bob), bobs))
		want(bob, true, "")
		if _, err := f.Profile(t.Context(), 12345, now()); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("unknown user: got %v, want ErrNotFound", err)
		}
	})
}

// Several concurrent cancellations end the change once, with one event.
func TestConcurrentCancelEmailChangeRecordsOneEvent(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for range 5 {
			pending := f.pendingChange(f.user, nil)
			u := f.reload(f.user)
			canceled := f.together(4, func(s *models.Store, _ int) error {
				return f.CancelEmailChange(context.Background(), s, u, pending, event(models.EventEmailChangeCanceled, f.user.ID))
			})
			if canceled != 1 || f.isOpen(pending) {
				t.Errorf("%d cancellations ended the change, want 1; it is open: %v", canceled, f.isOpen(pending))
			}
			if got := f.reload(f.user).Version; got != u.Version+1 {
				t.Errorf("got version %d after %d", got, u.Version)
			}
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = ?", models.EventEmailChangeCanceled); n != 5 {
			t.Errorf("got %d events for 5 changes", n)
		}
	})
}

// A change that a staff member has resent ends when the staff member is removed, whichever is
// first.
func TestResentEmailChangeEndsWithStaffMember(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for range 20 {
			boss := f.newUser("boss" + uuid.NewString()[:8])
			pending := f.pendingChange(f.user, &boss.ID)
			next := successor(pending)
			u := f.reload(f.user)
			var both sync.WaitGroup
			both.Go(func() {
				err := f.ReplaceEmailChange(context.Background(), u, pending, next)
				if err != nil && !errors.Is(err, models.ErrNotFound) {
					t.Errorf("resend: %v (%v)", err, models.Cause(err))
				}
			})
			both.Go(func() {
				if err := f.RevokeAllSessions(context.Background(), boss.ID, boss.SessionEpoch); err != nil {
					t.Errorf("removal: %v (%v)", err, models.Cause(err))
				}
			})
			both.Wait()
			if n := f.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE used_at IS NULL AND actor_id = ?", boss.ID); n != 0 {
				t.Fatalf("%d links of the removed staff member are open, want 0", n)
			}
		}
	})
}

// A resent link replaces the previous one. A link that has ended does not become valid again.
func TestResendEmailChangeReplacesLink(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		pending := f.pendingChange(f.user, nil)
		next := successor(pending)
		if ok(t, f.ReplaceEmailChange(t.Context(), f.reload(f.user), pending, next)); f.isOpen(pending) || !f.isOpen(next) {
			t.Errorf("open links: the old one %v, the new one %v", f.isOpen(pending), f.isOpen(next))
		}
		for _, c := range []struct {
			name string
			end  func(u models.User)
		}{
			{"replaced", func(models.User) {}},
			{"canceled", func(u models.User) { ok(t, f.CancelEmailChange(t.Context(), f.Store, u, next)) }},
			{"another password", func(u models.User) { ok(t, f.SetPassword(t.Context(), u, "new")) }},
		} {
			c.end(f.reload(f.user))
			before := f.db.Dump(t)
			if err := f.ReplaceEmailChange(t.Context(), f.reload(f.user), pending, successor(pending)); !errors.Is(err, models.ErrNotFound) || f.db.Dump(t) != before {
				t.Errorf("%s: got %v, or a row was written", c.name, err)
			}
		}
	})
}

// The verb that ends the pending changes of an address leaves those to an excepted address, and
// those of other users, alone.
func TestEndEmailChangesKeepsExceptedAddress(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		pending, bobs := f.pendingChange(f.user, nil), f.pendingChange(f.newUser("bob"), nil)
		for _, c := range []struct {
			except string
			open   bool
		}{{pending.EmailNorm, true}, {"", false}} {
			ok(t, f.Tx(t.Context(), func(tx *models.Tx) error {
				return tx.EndTokens(models.TokenFilter{UserID: f.user.ID, Purpose: models.PurposeEmailChange, ExceptEmailNorm: c.except})
			}))
			if f.isOpen(pending) != c.open || !f.isOpen(bobs) {
				t.Errorf("except %q: the change is open: %v, that of another user: %v", c.except, f.isOpen(pending), f.isOpen(bobs))
			}
		}
	})
}

// A confirmation is guarded by the user as read, and a conflict does not use the token up.
func TestConfirmEmailChangeIsGuarded(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		pending, other := f.pendingChange(f.user, nil), f.reset(now())
		u := f.reload(f.user)
		f.db.Exec(t, "UPDATE users SET password = 'renewed', version = version + 1 WHERE id = ?", u.ID)
		before := f.db.Dump(t)
		if err := f.ConfirmEmailChange(t.Context(), u, pending); !errors.Is(err, models.ErrNotFound) || f.db.Dump(t) != before {
			t.Errorf("another password: got %v, or a row was written", err)
		}
		u = f.reload(f.user)
		bob := f.newUser("bob")
		f.db.Exec(t, "UPDATE users SET email_norm = ? WHERE id = ?", pending.EmailNorm, bob.ID)
		before = f.db.Dump(t)
		if err := f.ConfirmEmailChange(t.Context(), u, pending); !errors.Is(err, models.ErrConflict) || f.db.Dump(t) != before {
			t.Errorf("a taken address: got %v, or a row was written", err)
		}
		f.db.Exec(t, "UPDATE users SET email_norm = email WHERE id = ?", bob.ID)
		ok(t, f.ConfirmEmailChange(t.Context(), u, pending))
		if got := f.reload(f.user); got.EmailNorm != pending.EmailNorm || got.EmailVerifiedAt == nil || f.isOpen(other) || f.isOpen(pending) {
			t.Errorf("got %+v; the reset is open: %v, the change: %v", got, f.isOpen(other), f.isOpen(pending))
		}
		before = f.db.Dump(t)
		if err := f.ConfirmEmailChange(t.Context(), f.reload(f.user), pending); !errors.Is(err, models.ErrNotFound) || f.db.Dump(t) != before {
			t.Errorf("second confirmation: got %v, or a row was written", err)
		}
	})
}

// versioned is a write and whether it gives the user a new version.
type versioned struct {
	grows bool
	do    func(f *fixture, u models.User) error
}

// The version of a user grows with every change of data that users and staff see, by any actor, and
// with nothing else.
func TestVersionIncreasesWithVisibleChangesOnly(t *testing.T) {
	text, hash, yes, no, verified := "Other", models.PasswordHash("Other"), true, false, now()
	patch := func(p models.UserPatch) func(f *fixture, u models.User) error {
		return func(f *fixture, u models.User) error { return f.ChangeUser(f.t.Context(), u, p) }
	}
	login := func(f *fixture, u models.User) error {
		return f.CreateSession(f.t.Context(), newSession(u, now()), u.Password, "", 50, tolerance)
	}
	boss := func(f *fixture) models.User { return f.reload(models.User{UsernameNorm: "boss"}) }
	for name, w := range map[string]versioned{
		"the user's username": {true, patch(models.UserPatch{Username: &text, UsernameNorm: &text})},
		"the user's names":    {true, patch(models.UserPatch{FirstName: &text})},
		"the user's language": {true, patch(models.UserPatch{Locale: &text})},
		"no change":           {false, patch(models.UserPatch{})},
		"the user's password": {true, patch(models.UserPatch{Password: &hash, NextEpoch: true})},
		"a pending address": {true, func(f *fixture, u models.User) error {
			return f.addEmailChange(u, newToken(models.PurposeEmailChange, u, now()))
		}},
		"a canceled address": {true, func(f *fixture, u models.User) error {
			return f.CancelEmailChange(f.t.Context(), f.Store, u, pendingOf(f, u))
		}},
		"a resent link": {false, func(f *fixture, u models.User) error {
			pending := pendingOf(f, u)
			return f.ReplaceEmailChange(f.t.Context(), u, pending, successor(pending))
		}},
		"a confirmed address": {true, func(f *fixture, u models.User) error {
			return f.ConfirmEmailChange(f.t.Context(), u, pendingOf(f, u))
		}},
		"a verified address": {true, patch(models.UserPatch{EmailVerifiedAt: &verified})},
		"a password by a link": {true, func(f *fixture, u models.User) error {
			return f.ResetPassword(f.t.Context(), f.Store, f.resetOf(u, now()), u, "new")
		}},
		"names by staff":             {true, patch(models.UserPatch{LastName: &text})},
		"a role by staff":            {true, patch(models.UserPatch{IsStaff: &yes, NextEpoch: true})},
		"a state by staff":           {true, patch(models.UserPatch{IsActive: &no, NextEpoch: true})},
		"no change (staff)":          {false, patch(models.UserPatch{})},
		"a pending address by staff": {true, patch(models.UserPatch{NewVersion: true})},
		"the operator's password":    {true, func(f *fixture, u models.User) error { return f.SetPassword(f.t.Context(), u, "new") }},
		"the operator's state":       {true, func(f *fixture, u models.User) error { return f.SetActive(f.t.Context(), u, false) }},
		"a removed staff member, whose change of the address ends": {true, func(f *fixture, _ models.User) error {
			return f.RevokeAllSessions(f.t.Context(), boss(f).ID, boss(f).SessionEpoch)
		}},
		"a deleted staff member, whose change of the address ends": {true, func(f *fixture, _ models.User) error {
			return f.DeleteUser(f.t.Context(), boss(f))
		}},

		"a second login": {false, login},
		"a first login": {true, func(f *fixture, u models.User) error {
			return f.Tx(f.t.Context(), func(tx *models.Tx) error { return tx.RecordFirstLogin(u) })
		}},
		"a login that renews the hash": {false, func(f *fixture, u models.User) error {
			f.db.Exec(f.t, "UPDATE users SET last_login = ? WHERE id = ?", now(), u.ID)
			return f.CreateSession(f.t.Context(), newSession(u, now()), u.Password, "renewed", 50, tolerance)
		}},
		"an event, such as a failed login": {false, func(f *fixture, u models.User) error {
			return f.AddEvents(f.t.Context(), event(models.EventLoginFailed, u.ID))
		}},
		"a mail by staff": {false, func(f *fixture, u models.User) error {
			return f.Tx(f.t.Context(), func(tx *models.Tx) error { return errors.Join(tx.LockUserAsRead(u), tx.AddMails(newMail(now()))) })
		}},
		"a reset rate limit": {false, func(f *fixture, u models.User) error {
			return f.Tx(f.t.Context(), func(tx *models.Tx) error { return errors.Join(tx.LockUserAsRead(u), tx.ResetRateLimits()) })
		}},
		"all sessions": {false, func(f *fixture, u models.User) error { return f.RevokeAllSessions(f.t.Context(), u.ID, u.SessionEpoch) }},
		"all other sessions": {false, func(f *fixture, u models.User) error {
			f.db.Exec(f.t, "UPDATE users SET last_login = ? WHERE id = ?", now(), u.ID)
			s := f.login(u)
			return f.KeepOnly(f.t.Context(), s.ID, u.ID, u.SessionEpoch, now())
		}},
		"a write of the user's own session": {false, func(f *fixture, u models.User) error {
			f.db.Exec(f.t, "UPDATE users SET last_login = ? WHERE id = ?", now(), u.ID)
			s, bob := f.login(u), f.newUser("bob")
			return f.As(models.Actor{Session: s.ID, User: u.ID, At: now()}).Tx(f.t.Context(), func(tx *models.Tx) error { return tx.LockUserAsRead(bob) })
		}},
		"another superuser": {false, func(f *fixture, u models.User) error {
			f.db.Exec(f.t, "UPDATE users SET is_superuser = ?", true)
			return f.Tx(f.t.Context(), func(tx *models.Tx) error { return tx.LockSuperusers() })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, f *fixture) {
				b := f.newUser("boss")
				f.pendingChange(f.user, &b.ID)
				before := f.reload(f.user)
				ok(t, w.do(f, before))
				after, err := f.UserByID(t.Context(), before.ID)
				if ok(t, err); (after.Version > before.Version) != w.grows || after.Version < before.Version {
					t.Errorf("got version %d after %d", after.Version, before.Version)
				}
			})
		})
	}
}

func pendingOf(f *fixture, u models.User) models.OneTimeToken {
	f.t.Helper()
	t, err := f.PendingEmailChange(f.t.Context(), u.ID, now())
	ok(f.t, err)
	return t
}

// If several changes require the same version, one of them is made.
func TestChangeUserIsGuardedByVersion(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for round := range 20 {
			u := f.reload(f.user)
			made := f.together(4, func(s *models.Store, i int) error {
				name := fmt.Sprint(round, " ", i)
				return s.Tx(context.Background(), func(tx *models.Tx) error { return tx.ChangeUser(u, models.UserPatch{FirstName: &name}) })
			})
			if made != 1 {
				t.Fatalf("round %d: %d changes were made, want 1", round, made)
			}
		}
	})
}
