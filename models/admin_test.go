package models_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// A user who is given a role after a deletion was judged is not deleted by it: it may be the last superuser by now.
func TestDeleteUserAsJudged(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		f.db.Exec(t, "UPDATE users SET is_superuser = TRUE")
		for i, change := range []string{"is_superuser = TRUE", "is_staff = TRUE", "is_active = FALSE"} {
			judged := f.newUser(fmt.Sprint("bob", i))
			f.db.Exec(t, "UPDATE users SET "+change+" WHERE id = ?", judged.ID)
			if err := f.DeleteUser(t.Context(), judged, nil); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s meanwhile: %v", change, err)
			}
			ok(t, f.DeleteUser(t.Context(), f.reload(judged), nil))
		}
	})
}

// With the last superuser gone by a deletion that was judged before, nobody would be left.
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

// What staff did to a user outlives the user, or a deletion would hide what came before it; the user's own events, and
// what is said of the user in words, do not.
func TestDeleteUserLeavesWhatStaffDid(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		bob := f.newUser("bob")
		event := func(kind models.EventKind, actor *int64) models.Event {
			return models.Event{ID: models.ID(uuid.Must(uuid.NewV7())), UserID: bob.ID, ActorID: actor, Kind: kind, Detail: "of bob", IP: "192.0.2.1", CreatedAt: now()}
		}
		ok(t, f.AddEvents(t.Context(), event(models.EventLogin, nil), event(models.EventNamesChanged, &bob.ID), event(models.EventEmailChanged, &f.user.ID)))
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
