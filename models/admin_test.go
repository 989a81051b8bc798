package models_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// A user who got a role after the deletion was authorized is not deleted by it, because the user
// may be the last superuser now.
func TestDeleteUserAsJudged(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		f.db.Exec(t, "UPDATE users SET is_superuser = TRUE")
		for i, change := range []string{"is_superuser = TRUE", "is_staff = TRUE", "is_active = FALSE", "session_epoch = session_epoch + 1"} {
			judged := f.newUser(fmt.Sprint("bob", i))
			f.db.Exec(t, "UPDATE users SET "+change+" WHERE id = ?", judged.ID)
			if err := f.DeleteUser(t.Context(), judged, nil); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s meanwhile: %v", change, err)
			}
			ok(t, f.DeleteUser(t.Context(), f.reload(judged), nil))
		}
	})
}

// A change applies only to the user as read: if another request has changed the user since, it
// fails.
func TestChangeUserAsJudged(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		name := "Eve"
		for i, change := range []string{"is_superuser = TRUE", "is_staff = TRUE", "is_active = FALSE", "session_epoch = 7", "username = 'x'", "email = 'x@example.com'", "last_login = date_joined"} {
			judged := f.newUser(fmt.Sprint("bob", i))
			f.db.Exec(t, "UPDATE users SET "+change+" WHERE id = ?", judged.ID)
			if err := f.ChangeUser(t.Context(), judged, models.UserChange{ProfileChange: models.ProfileChange{FirstName: &name}}); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s meanwhile: %v", change, err)
			}
			ok(t, f.ChangeUser(t.Context(), f.reload(judged), models.UserChange{ProfileChange: models.ProfileChange{FirstName: &name}}))
		}
	})
}

// A mail that a staff member requests is queued only for the user and the address as read.
func TestAddUserMailAsJudged(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for i, change := range []string{"is_active = FALSE", "email_norm = 'x@example.com'"} {
			judged := f.newUser(fmt.Sprint("bob", i))
			f.db.Exec(t, "UPDATE users SET "+change+" WHERE id = ?", judged.ID)
			m := models.Mail{ID: models.ID(uuid.Must(uuid.NewV7())), Kind: "reset", UserID: judged.ID, CreatedAt: now(), NextAt: now(), ExpiresAt: now()}
			if err := f.AddUserMail(t.Context(), judged, m, nil); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s meanwhile: %v", change, err)
			}
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

// A deactivated superuser does not count as another superuser.
func TestADeactivatedSuperuserIsNoOther(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		f.newUser("bob")
		f.db.Exec(t, "UPDATE users SET is_superuser = TRUE")
		f.db.Exec(t, "UPDATE users SET is_active = FALSE WHERE username = 'bob'")
		no := false
		for _, change := range []models.UserChange{{IsActive: &no}, {IsSuperuser: &no}} {
			if err := f.ChangeUser(t.Context(), f.reload(f.user), change); !errors.Is(err, models.ErrLastSuperuser) {
				t.Error(err)
			}
		}
		if err := f.DeleteUser(t.Context(), f.reload(f.user), nil); !errors.Is(err, models.ErrLastSuperuser) {
			t.Error(err)
		}
	})
}

// A deactivation also invalidates the links that wait to be sent, including an invitation.
// Otherwise they would be created after the event that ended all links.
func TestWhatEndsWaitingLinks(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		bob := f.newUser("bob")
		for _, kind := range []string{"reset", "invitation"} {
			m := models.Mail{ID: models.ID(uuid.Must(uuid.NewV7())), Kind: kind, UserID: bob.ID, Email: bob.Email, EmailNorm: bob.EmailNorm, CreatedAt: now(), NextAt: now(), ExpiresAt: now()}
			ok(t, f.AddUserMail(t.Context(), bob, m, nil))
		}
		no := false
		ok(t, f.ChangeUser(t.Context(), f.reload(bob), models.UserChange{IsActive: &no}))
		if n := f.db.Count(t, "SELECT COUNT(*) FROM outbox WHERE user_id = ? AND done_at IS NULL", bob.ID); n != 0 {
			t.Errorf("%d mails with links still wait for %s, want 0", n, bob.Email)
		}
	})
}

// A deletion that was authorized while there was another superuser cannot delete the last one.
func TestDeleteUserCannotTakeTheLastSuperuser(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		judged, root := f.newUser("bob"), f.user
		f.db.Exec(t, "UPDATE users SET is_superuser = TRUE")
		ok(t, f.DeleteUser(t.Context(), f.reload(root), nil))
		if err := f.DeleteUser(t.Context(), judged, nil); err == nil {
			t.Error("nobody is left")
		}
		if err := f.DeleteUser(t.Context(), f.reload(judged), nil); !errors.Is(err, models.ErrLastSuperuser) {
			t.Error(err)
		}
	})
}

// The events that staff members caused outlive the user, because a deletion would otherwise hide
// them. The user's own events, and texts about the user, are removed.
func TestDeleteUserLeavesWhatStaffDid(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		bob := f.newUser("bob")
		event := func(kind models.EventKind, actor *int64) models.Event {
			return models.Event{ID: models.ID(uuid.Must(uuid.NewV7())), UserID: bob.ID, ActorID: actor, Kind: kind, Detail: "of bob", IP: "192.0.2.1", CreatedAt: now()}
		}
		ok(t, f.AddEvents(t.Context(), event(models.EventLogin, nil), event(models.EventProfileChanged, &bob.ID), event(models.EventEmailChanged, &f.user.ID)))
		ok(t, f.DeleteUser(t.Context(), bob, nil, event(models.EventDeleted, &f.user.ID)))
		list, err := f.Events(t.Context(), models.EventQuery{UserID: &bob.ID, Limit: 10})
		ok(t, err)
		var got []string
		for _, e := range list {
			got = append(got, e.Kind+" "+e.Detail)
		}
		if want := "[deleted of bob email_changed ]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// A rate limit stays used up until its window ends.
func TestUsedUp(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		b := models.RateLimitUse{ID: models.ID(uuid.Must(uuid.NewV7())), Kind: "test", Limit: 2, Per: time.Minute}
		for uses, want := range []bool{false, false, true} {
			if got, err := f.IsRateLimited(t.Context(), at, models.RateLimitUse{ID: models.ID(uuid.Must(uuid.NewV7())), Limit: 1}, b); err != nil || got != want {
				t.Errorf("after %d uses: %t, %v", uses, got, err)
			}
			if !want {
				store := f.WithClock(func() time.Time { return at })
				ok(t, store.Tx(t.Context(), func(tx *models.Tx) error { return tx.CountUses(b) }))
			}
		}
		if got, err := f.IsRateLimited(t.Context(), at.Add(time.Minute), b); err != nil || got {
			t.Errorf("when it is over: %t, %v", got, err)
		}
	})
}
