package models_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

func loginFailed(userID int64) models.Event {
	return models.Event{ID: models.ID(uuid.Must(uuid.NewV7())), UserID: userID, Kind: models.EventLoginFailed, IP: "192.0.2.1", CreatedAt: now()}
}

// AddEvents changes the rows of the users: a cluster compares only changed rows, and would let a
// concurrent deletion on another node commit.
func TestControl205EventsClaimTheirUsers(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		bob, gone := f.newUser("bob"), f.newUser("gone")
		ok(t, f.DeleteUser(t.Context(), gone, nil))
		ok(t, f.AddEvents(t.Context(), loginFailed(bob.ID), loginFailed(gone.ID), loginFailed(f.user.ID), loginFailed(bob.ID)))
		for _, before := range []models.User{bob, f.user} {
			if after := f.reload(before); after.Claims != before.Claims+1 {
				t.Errorf("%s: claims went from %d to %d", before.Username, before.Claims, after.Claims)
			}
		}
		again := loginFailed(bob.ID)
		for range 2 { // as after an answer to COMMIT that was lost
			ok(t, f.AddEvents(t.Context(), again))
		}
		ok(t, f.AddEvents(t.Context(), loginFailed(gone.ID)))
		if n, of := f.db.Count(t, "SELECT COUNT(*) FROM events"), f.db.Count(t, "SELECT COUNT(*) FROM events WHERE user_id = ?", gone.ID); n != 4 || of != 0 {
			t.Errorf("%d events, %d of them of a deleted user; want 4 and 0", n, of)
		}
	})
}

// Two replicas write events of the same users in different orders, while one of the users is
// deleted.
func TestControl200EventsDoNotOutliveTheirUser(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		other := open(t, f.db)
		for range 20 {
			bob, eve := f.newUser("bob"+uuid.NewString()), f.newUser("eve"+uuid.NewString())
			var wait sync.WaitGroup
			for _, write := range []func() error{
				func() error { return f.AddEvents(t.Context(), loginFailed(bob.ID), loginFailed(eve.ID)) },
				func() error { return other.AddEvents(t.Context(), loginFailed(eve.ID), loginFailed(bob.ID)) },
				func() error { return f.DeleteUser(t.Context(), bob, nil) },
			} {
				wait.Go(func() {
					if err := write(); err != nil {
						t.Error(err, models.Cause(err))
					}
				})
			}
			wait.Wait()
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events WHERE user_id NOT IN (SELECT id FROM users)"); n != 0 {
			t.Errorf("%d events outlive their users", n)
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events"); n != 40 {
			t.Errorf("%d events of the remaining users, want 40", n)
		}
	})
}
