package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
)

// userChanges is a server whose store the tests change users in.
type userChanges struct {
	*servertest.Server
	t *testing.T
}

func eachUserChanges(t *testing.T, f func(t *testing.T, s userChanges)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		f(t, userChanges{servertest.Start(t, servertest.Options{Engine: e, HoldMail: true}), t})
	})
}

func (s userChanges) change(u models.User, p models.UserPatch) error {
	return s.Store.Tx(context.Background(), func(tx *models.Tx) error { return accounts.ChangeUser(tx, u, p) })
}

func (s userChanges) delete(u models.User, events ...audit.Event) error {
	return s.Store.Tx(context.Background(), func(tx *models.Tx) error { return accounts.DeleteUser(tx, u, nil, events...) })
}

func (s userChanges) reload(u models.User) models.User {
	s.t.Helper()
	u, err := s.Store.UserByID(s.t.Context(), u.ID)
	must(s.t, err)
	return u
}

// A deactivated superuser, one without a password and one who was demoted are no other superusers.
func TestDeactivatedSuperuserDoesNotCountAsRemaining(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		root, bob := s.NewUser().User, s.NewUser().User
		last, no := problem.New(problem.SuperuserLast), false
		for _, change := range []string{"is_active = FALSE", "password = ''", "is_superuser = FALSE"} {
			s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE, is_active = TRUE, password = 'hash'")
			s.Database.Exec(t, "UPDATE users SET "+change+" WHERE id = ?", bob.ID)
			for _, p := range []models.UserPatch{{IsActive: &no}, {IsSuperuser: &no}} {
				if err := s.change(s.reload(root), p); !errors.Is(err, last) {
					t.Errorf("%s: %v", change, err)
				}
			}
			if err := s.delete(s.reload(root)); !errors.Is(err, last) {
				t.Errorf("%s: %v", change, err)
			}
		}
	})
}

// A deletion that was authorized while there was another superuser cannot delete the last one.
func TestDeleteUserKeepsLastSuperuser(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		root, judged := s.NewUser().User, s.NewUser().User
		s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE, version = version + 1")
		must(t, s.delete(s.reload(root)))
		if err := s.delete(judged); err == nil {
			t.Error("the deletion of the last superuser succeeded")
		}
		if err := s.delete(s.reload(judged)); !errors.Is(err, problem.New(problem.SuperuserLast)) {
			t.Error(err)
		}
	})
}

// Of two superusers who demote each other at the same time, one remains.
func TestSuperusersWhoDemoteEachOtherLeaveOne(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		no := false
		for range 10 {
			s.Database.Exec(t, "UPDATE users SET is_superuser = FALSE")
			a, b := s.NewUser().User, s.NewUser().User
			s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE WHERE id IN (?, ?)", a.ID, b.ID)
			a, b = s.reload(a), s.reload(b)
			errs := make(chan error, 2)
			go func() { errs <- s.change(a, models.UserPatch{IsSuperuser: &no}) }()
			go func() { errs <- s.delete(b) }()
			first, second := <-errs, <-errs
			if n := s.Database.Count(t, "SELECT COUNT(*) FROM users WHERE is_superuser"); n != 1 || (first == nil) == (second == nil) {
				t.Fatalf("got %d superusers, want 1: %v, %v", n, first, second)
			}
		}
	})
}

// A deactivation also drops the mails whose links wait to be sent, including an invitation.
// Otherwise the links would be created after the event that ended all links. A new password does the
// same, and neither ends a verification.
func TestDeactivationAndNewPasswordDropWaitingLinks(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		hash, no, name := models.PasswordHash("new"), false, "Eve"
		for what, c := range map[string]struct {
			patch models.UserPatch
			ends  bool
		}{
			"deactivation": {models.UserPatch{IsActive: &no}, true},
			"a password":   {models.UserPatch{Password: &hash}, true},
			"a name":       {models.UserPatch{FirstName: &name}, false},
			"all sessions": {models.UserPatch{NextEpoch: true}, false},
		} {
			u, at := s.NewUser().User, time.Now().UTC()
			must(t, s.Store.Tx(t.Context(), func(tx *models.Tx) error {
				var errs []error
				for _, kind := range []string{"reset", "invitation"} {
					errs = append(errs, tx.AddMails(models.Mail{ID: newID(), Kind: kind, UserID: u.ID, Email: u.Email, EmailNorm: u.EmailNorm, CreatedAt: at, NextAt: at, ExpiresAt: at}))
				}
				for _, purpose := range []string{models.PurposeReset, models.PurposeEmailChange, models.PurposeVerify} {
					id := newID()
					errs = append(errs, tx.AddToken(models.OneTimeToken{ID: id, Hash: append(id[:], id[:]...), Purpose: purpose, UserID: u.ID, CreatedAt: at, ExpiresAt: at.Add(time.Hour)}))
				}
				return errors.Join(errs...)
			}))
			must(t, s.change(s.reload(u), c.patch))
			got := fmt.Sprint(s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE user_id = ? AND done_at IS NULL", u.ID),
				s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL AND purpose <> 'verify'", u.ID),
				s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", u.ID))
			if want := map[bool]string{true: "0 0 1", false: "2 2 3"}[c.ends]; got != want {
				t.Errorf("%s: mails, links and all links: %s, want %s", what, got, want)
			}
		}
	})
}

// A new address ends every link, because all of them were sent to the old one.
func TestNewAddressInvalidatesEveryLink(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		u, at := s.NewUser().User, time.Now().UTC()
		must(t, s.Store.Tx(t.Context(), func(tx *models.Tx) error {
			id := newID()
			return tx.AddToken(models.OneTimeToken{ID: id, Hash: append(id[:], id[:]...), Purpose: models.PurposeVerify, UserID: u.ID, CreatedAt: at, ExpiresAt: at.Add(time.Hour)})
		}))
		email := "moved-" + u.Email
		must(t, s.change(u, models.UserPatch{Email: &email, EmailNorm: &email, EmailVerifiedAt: &at}))
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", u.ID); n != 0 {
			t.Errorf("%d links are open, want 0", n)
		}
	})
}

// A new password, a new state and a granted role revoke every session. Other changes do not.
func TestPasswordStateAndRoleChangesRevokeEverySession(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		root := s.NewUser().User
		s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE WHERE id = ?", root.ID)
		text, hash, yes, no := "text", models.PasswordHash("hash"), true, false
		for _, c := range []struct {
			patch   models.UserPatch
			revokes bool
		}{
			{models.UserPatch{Password: &hash}, true}, {models.UserPatch{IsStaff: &yes}, true}, {models.UserPatch{IsSuperuser: &yes}, true},
			{models.UserPatch{IsSuperuser: &yes, IsStaff: &no}, false}, // has the one, and loses the other
			{models.UserPatch{IsSuperuser: &no}, false}, {models.UserPatch{IsActive: &no}, true}, {models.UserPatch{IsActive: &yes}, true},
			{models.UserPatch{FirstName: &text}, false}, {models.UserPatch{NewVersion: true}, false}, {models.UserPatch{NextEpoch: true}, true},
		} {
			before := s.reload(s.NewUser().User)
			if c.patch.IsSuperuser != nil && !c.revokes {
				s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE, is_staff = TRUE WHERE id = ?", before.ID)
				before = s.reload(before)
			}
			must(t, s.change(before, c.patch))
			if after := s.reload(before); (after.SessionEpoch == before.SessionEpoch+1) != c.revokes {
				t.Errorf("%+v: got epoch %d after %d", c.patch, after.SessionEpoch, before.SessionEpoch)
			}
		}
	})
}

// Each removal of an authorization ends the changes of address that the user has started for others.
// Other changes of the user do not.
func TestRemovedAuthorizationCancelsStartedEmailChanges(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		root := s.NewUser().User
		s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE WHERE id = ?", root.ID)
		text, hash, no := "text", models.PasswordHash("hash"), false
		for _, c := range []struct {
			patch models.UserPatch
			ends  bool
		}{
			{models.UserPatch{IsSuperuser: &no}, true}, {models.UserPatch{IsStaff: &no}, true}, {models.UserPatch{IsActive: &no}, true},
			{models.UserPatch{NextEpoch: true}, true}, {models.UserPatch{Password: &hash}, true}, {models.UserPatch{FirstName: &text}, false},
		} {
			boss, u, at := s.NewUser().User, s.NewUser().User, time.Now().UTC()
			s.Database.Exec(t, "UPDATE users SET is_superuser = TRUE, is_staff = TRUE WHERE id = ?", boss.ID)
			must(t, s.Store.Tx(t.Context(), func(tx *models.Tx) error {
				id := newID()
				return tx.AddToken(models.OneTimeToken{ID: id, Hash: append(id[:], id[:]...), Purpose: models.PurposeEmailChange, UserID: u.ID, ActorID: &boss.ID, CreatedAt: at, ExpiresAt: at.Add(time.Hour)})
			}))
			must(t, s.change(s.reload(boss), c.patch))
			if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", u.ID); (n == 0) != c.ends {
				t.Errorf("%+v: got %d open changes", c.patch, n)
			}
			if after := s.reload(u); (after.Version > u.Version) != c.ends {
				t.Errorf("%+v: got version %d after %d", c.patch, after.Version, u.Version)
			}
		}
	})
}

// A change that was decided before the first login of the user fails: the user may have begun to use
// the account, so that only a superuser may change the address. A later login does not matter.
func TestFirstLoginOverridesEarlierDecisions(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		u, name := s.NewUser(), "Eve"
		for login, want := range []error{models.ErrNotFound, nil} {
			before := s.reload(u.User)
			s.Login(u, accounts.Hybrid)
			if err := s.change(before, models.UserPatch{FirstName: &name}); !errors.Is(err, want) {
				t.Errorf("login %d: %v, want %v", login+1, err, want)
			}
		}
	})
}

// The events that staff members caused outlive the user, because a deletion would otherwise hide
// them. The user's own events, and texts about the user, are removed.
func TestDeleteUserKeepsEventsOfStaff(t *testing.T) {
	eachUserChanges(t, func(t *testing.T, s userChanges) {
		ada, bob := s.NewUser().User, s.NewUser().User
		s.Database.Exec(t, "DELETE FROM events")
		event := func(kind models.EventKind, staff int64) audit.Event {
			return audit.Event{Kind: kind, UserID: bob.ID, StaffID: staff, Detail: "of bob", Client: audit.Client{IP: "192.0.2.1"}}
		}
		must(t, s.Store.Tx(t.Context(), func(tx *models.Tx) error {
			return audit.Record(tx, event(models.EventLogin, 0), event(models.EventProfileChanged, bob.ID), event(models.EventEmailChanged, ada.ID))
		}))
		must(t, s.delete(s.reload(bob), event(models.EventDeleted, ada.ID)))
		list, err := s.Store.Events(t.Context(), models.EventQuery{UserID: &bob.ID, Limit: 10})
		must(t, err)
		var got []string
		for _, e := range list {
			got = append(got, e.Kind+" "+e.Detail)
		}
		if want := "[deleted of bob email_changed ]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
