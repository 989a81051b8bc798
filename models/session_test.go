package models_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

// step returns a rotation that matches the session in its current state.
func step(s models.Session, at time.Time) models.Rotation {
	return models.Rotation{
		ID: s.ID, UserID: s.UserID, Generation: s.Generation, Transport: s.Transport, ExpiresAt: s.ExpiresAt, Now: at, RotatedBefore: at,
		IdleExpiresAt: at.Add(time.Hour).Truncate(time.Second), Attempt: []byte("0123456789abcdef"), UserAgent: "new agent", IP: "192.0.2.2", Tolerance: tolerance,
	}
}

func TestRotateWritesNextGeneration(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		r := step(s, now())
		done, err := f.Rotate(t.Context(), r)
		if ok(t, err); !done {
			t.Fatal("Rotate changed no row")
		}
		want := s
		want.Generation, want.RotatedAt, want.LastUsedAt, want.IdleExpiresAt = 1, r.Now, r.Now, r.IdleExpiresAt
		want.Attempt, want.UserAgent, want.IP = r.Attempt, r.UserAgent, r.IP
		if diff := cmp.Diff(want, f.read(s.ID).Session); diff != "" {
			t.Error(diff)
		}
		r = step(want, now())
		r.Attempt, r.RotatedBefore = nil, time.Time{}
		done, err = f.Rotate(t.Context(), r)
		if ok(t, err); !done || f.read(s.ID).Attempt != nil || f.read(s.ID).Generation != 2 {
			t.Error("the rotation without an attempt or an age failed, or stored them")
		}
	})
}

// The statement contains every condition of row 3. If one does not hold, nothing is changed.
func TestRotateChecksEveryCondition(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		f.login(f.newUser("bob")) // the row of another user is not changed
		for name, change := range map[string]func(*models.Rotation){
			"another session":       func(r *models.Rotation) { r.ID = uuid.New() },
			"a later generation":    func(r *models.Rotation) { r.Generation++ },
			"an older generation":   func(r *models.Rotation) { r.Generation-- },
			"another user":          func(r *models.Rotation) { r.UserID++ },
			"another transport":     func(r *models.Rotation) { r.Transport = "cookies" },
			"another absolute end":  func(r *models.Rotation) { r.ExpiresAt = r.ExpiresAt.Add(time.Second) },
			"too young":             func(r *models.Rotation) { r.RotatedBefore = r.RotatedBefore.Add(-time.Hour) },
			"idle end reached":      func(r *models.Rotation) { r.Now = r.ExpiresAt.Add(-time.Hour) },
			"absolute end reached":  func(r *models.Rotation) { r.Now = r.ExpiresAt },
			"transport in capitals": func(r *models.Rotation) { r.Transport = "Hybrid" },
		} {
			f.unchanged(name, func(s models.Session) (bool, error) {
				r := step(s, now())
				r.Tolerance = 5 * time.Hour // keeps the clock guard out of this test
				change(&r)
				return f.Rotate(t.Context(), r)
			})
		}
	})
}

// unchanged checks that a call with a new session returns false and changes no row.
func (f *fixture) unchanged(name string, call func(models.Session) (bool, error)) {
	f.t.Helper()
	s := f.login(f.user)
	before := f.db.Dump(f.t)
	if done, err := call(s); done || err != nil {
		f.t.Errorf("%s: %v %v", name, done, err)
	}
	if diff := cmp.Diff(before, f.db.Dump(f.t)); diff != "" {
		f.t.Errorf("%s changed\n%s", name, diff)
	}
}

// ways returns the guarded writes of a refresh. Each must detect that a session is not live.
func (f *fixture) ways() map[string]func(s models.Session, at time.Time, tolerance time.Duration) (bool, error) {
	ctx := f.t.Context()
	event := func(at time.Time) models.Event {
		return models.Event{ID: uuid.New(), UserID: f.user.ID, Kind: models.EventRefreshReused, CreatedAt: at}
	}
	return map[string]func(models.Session, time.Time, time.Duration) (bool, error){
		"rotate": func(s models.Session, at time.Time, tolerance time.Duration) (bool, error) {
			r := step(s, at)
			r.Tolerance, r.RotatedBefore = tolerance, time.Time{}
			return f.Rotate(ctx, r)
		},
		"touch": func(s models.Session, at time.Time, tolerance time.Duration) (bool, error) {
			return f.Touch(ctx, s.ID, s.Generation, at, tolerance, nil)
		},
		"touch with an event": func(s models.Session, at time.Time, tolerance time.Duration) (bool, error) {
			e := event(at)
			return f.Touch(ctx, s.ID, s.Generation, at, tolerance, &e)
		},
		"revoke": func(s models.Session, at time.Time, tolerance time.Duration) (bool, error) {
			return f.RevokeReused(ctx, s.ID, s.Generation, at, tolerance, event(at))
		},
	}
}

func TestEndedSessionIsNotChanged(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		ends := map[string]func(models.Session){
			"revoked": func(s models.Session) {
				_, err := f.Revoke(t.Context(), s.ID, s.UserID, now(), models.RevokedByLogout)
				ok(t, err)
			},
			"epoch": func(models.Session) {
				f.db.Exec(t, "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = ?", f.user.ID)
			},
			"inactive":        func(models.Session) { f.db.Exec(t, "UPDATE users SET is_active = 0 WHERE id = ?", f.user.ID) },
			"user is deleted": func(models.Session) { f.db.Exec(t, "DELETE FROM users WHERE id = ?", f.user.ID) },
			"generation": func(s models.Session) {
				f.db.Exec(t, "UPDATE sessions SET generation = generation + 1 WHERE id = ?", s.ID)
			},
			"idle end": func(s models.Session) {
				f.db.Exec(t, "UPDATE sessions SET idle_expires_at = ? WHERE id = ?", now(), s.ID)
			},
			"absolute end": func(s models.Session) { f.db.Exec(t, "UPDATE sessions SET expires_at = ? WHERE id = ?", now(), s.ID) },
		}
		i := 0
		for end, apply := range ends {
			for way, call := range f.ways() {
				i++
				f.user = f.newUser(fmt.Sprint("user", i))
				s := f.login(f.user)
				if end == "absolute end" { // the rotation contains the absolute end and must not be rejected for a different one
					s.ExpiresAt = now()
				}
				apply(s)
				before := f.db.Dump(t)
				if done, err := call(s, now(), tolerance); done || err != nil {
					t.Errorf("%s after %s: got %v %v", way, end, done, err)
				}
				if diff := cmp.Diff(before, f.db.Dump(t)); diff != "" {
					t.Errorf("%s after %s changed\n%s", way, end, diff)
				}
			}
		}
	})
}

// A statement that decides by age changes nothing if the clocks differ, or if it is late.
func TestStatementWithWrongClockChangesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for way, call := range f.ways() {
			for _, off := range []time.Duration{-time.Hour, -3 * time.Second, 3 * time.Second, 50 * time.Minute} {
				s := f.login(f.user)
				done, err := call(s, now().Add(off), tolerance)
				if ok(t, err); done != (f.db.Engine == servertest.SQLite) {
					t.Errorf("%s with a clock off by %v: got %v", way, off, done)
				}
			}
			for _, off := range []time.Duration{-time.Second, 0, time.Second} {
				done, err := call(f.login(f.user), now().Add(off), tolerance)
				if ok(t, err); !done {
					t.Errorf("%s with a clock off by %v was rejected", way, off)
				}
			}
		}
		for _, off := range []time.Duration{-time.Hour, 3 * time.Second} {
			err := f.CreateSession(t.Context(), newSession(f.user, now().Add(off)), f.user.Password, "", 50, tolerance)
			if f.db.Engine == servertest.MySQL && !errors.Is(err, models.ErrClock) || f.db.Engine == servertest.SQLite && err != nil {
				t.Errorf("a login with a clock off by %v: got %v", off, err)
			}
		}
	})
}

// A statement that has waited for its row is checked by the time at which it gets the row.
func TestClockIsCheckedAfterWaitForRow(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		for way, call := range f.ways() {
			s := f.login(f.user)
			other, err := f.db.SQL.BeginTx(t.Context(), nil)
			ok(t, err)
			_, err = other.ExecContext(t.Context(), "UPDATE sessions SET ip = 'locked' WHERE id = ?", s.ID[:])
			ok(t, err)
			time.AfterFunc(700*time.Millisecond, func() { _ = other.Rollback() })
			before := f.db.Dump(t)
			if done, err := call(s, now(), 300*time.Millisecond); done || err != nil {
				t.Errorf("%s, 700 ms late: got %v %v", way, done, err)
			}
			if diff := cmp.Diff(before, f.db.Dump(t)); diff != "" {
				t.Errorf("%s, 700 ms late, changed\n%s", way, diff)
			}
		}
	})
}

func TestTouchChangesLastUseOnly(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		at := now()
		done, err := f.Touch(t.Context(), s.ID, 0, at, tolerance, nil)
		if ok(t, err); !done {
			t.Fatal("Touch matched no row")
		}
		s.LastUsedAt = at
		if diff := cmp.Diff(s, f.read(s.ID).Session); diff != "" {
			t.Error(diff)
		}
		done, err = f.Touch(t.Context(), s.ID, 0, at, tolerance, nil) // matched, although no value changes
		if ok(t, err); !done {
			t.Error("the second Touch at the same instant matched no row")
		}
	})
}

// A session is revoked for reuse once, with one event, however many callers try.
func TestRevokeReusedRecordsOneEvent(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		var wait sync.WaitGroup
		results := make(chan bool, 20)
		for range cap(results) {
			wait.Go(func() {
				e := models.Event{ID: uuid.New(), UserID: s.UserID, SessionID: &s.ID, Kind: models.EventRefreshReused, CreatedAt: now()}
				done, err := f.RevokeReused(context.Background(), s.ID, 0, now(), tolerance, e)
				if err != nil && !errors.Is(err, models.ErrTransient) {
					t.Errorf("%v", err)
				}
				results <- done
			})
		}
		wait.Wait()
		close(results)
		won := 0
		for done := range results {
			if done {
				won++
			}
		}
		l := f.read(s.ID)
		if events := f.db.Count(t, "SELECT COUNT(*) FROM events"); won != 1 || events != 1 || l.RevokedAt == nil || l.RevokeReason != models.RevokedByReuse {
			t.Errorf("%d calls revoked the session, with %d events, at %v for %q", won, events, l.RevokedAt, l.RevokeReason)
		}
	})
}

func TestRevokeKeepsFirstReason(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		if found, err := f.Revoke(t.Context(), s.ID, s.UserID+1, now(), "x"); found || err != nil || f.read(s.ID).RevokedAt != nil {
			t.Errorf("session of another user: got %v %v, want false", found, err)
		}
		if found, err := f.Revoke(t.Context(), uuid.New(), s.UserID, now(), "x"); found || err != nil {
			t.Errorf("unknown session: got %v %v, want false", found, err)
		}
		at := now()
		for i, reason := range []string{models.RevokedByLogout, models.RevokedByUser} {
			found, err := f.Revoke(t.Context(), s.ID, s.UserID, at.Add(time.Duration(i)*time.Minute), reason)
			l := f.read(s.ID)
			if ok(t, err); !found || !l.RevokedAt.Equal(at) || l.RevokeReason != models.RevokedByLogout {
				t.Errorf("call %d: got %v, revoked at %v for %q", i, found, l.RevokedAt, l.RevokeReason)
			}
		}
	})
}

func TestKeepOnlyRevokesOtherSessions(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		a, b := f.login(f.user), f.login(f.user)
		for name, err := range map[string]error{
			"a stale epoch":  f.KeepOnly(t.Context(), a.ID, f.user.ID, f.user.SessionEpoch-1, now()),
			"another user":   f.KeepOnly(t.Context(), a.ID, f.user.ID+1, f.user.SessionEpoch, now()),
			"an ended one":   f.KeepOnly(t.Context(), a.ID, f.user.ID, f.user.SessionEpoch, a.ExpiresAt),
			"another id":     f.KeepOnly(t.Context(), uuid.New(), f.user.ID, f.user.SessionEpoch, now()),
			"a future epoch": f.KeepOnly(t.Context(), a.ID, f.user.ID, f.user.SessionEpoch+1, now()),
		} {
			if !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := f.read(a.ID); got.Epoch != f.user.SessionEpoch || got.User.SessionEpoch != f.user.SessionEpoch {
			t.Errorf("a part of the rejected change was committed: epochs %d, %d", got.Epoch, got.User.SessionEpoch)
		}
		ok(t, f.KeepOnly(t.Context(), a.ID, f.user.ID, f.user.SessionEpoch, now()))
		u := f.reload(f.user)
		if u.SessionEpoch != f.user.SessionEpoch+1 || f.read(a.ID).Epoch != u.SessionEpoch || f.read(b.ID).Epoch != f.user.SessionEpoch {
			t.Errorf("got the epochs %d, %d, %d", u.SessionEpoch, f.read(a.ID).Epoch, f.read(b.ID).Epoch)
		}
	})
}

// A login in progress fails if an event ends all sessions.
func TestCreateSessionFailsIfSessionsWereRevoked(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		i := 0
		for name, change := range map[string]func(u models.User) error{
			"log-out everywhere": func(u models.User) error { return f.RevokeAllSessions(t.Context(), u.ID, u.SessionEpoch) },
			"a new password":     func(u models.User) error { return f.SetPassword(t.Context(), u, "new hash") },
			"deactivation":       func(u models.User) error { return f.SetActive(t.Context(), u, false) },
			"activation":         func(u models.User) error { return f.SetActive(t.Context(), u, true) },
		} {
			i++
			u := f.newUser(fmt.Sprint("user", i))
			ok(t, change(u))
			before := f.db.Dump(t)
			if err := f.CreateSession(t.Context(), newSession(u, now()), u.Password, "better hash", 50, tolerance); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(before, f.db.Dump(t)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			u.SessionEpoch++
			if err := change(models.User{ID: u.ID, SessionEpoch: u.SessionEpoch - 1, Password: u.Password}); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s twice: got %v, want ErrNotFound", name, err)
			}
		}
	})
}

func TestRehashReplacesVerifiedHashOnly(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		ok(t, f.CreateSession(t.Context(), newSession(f.user, now()), f.user.Password, "better", 50, tolerance))
		if got := f.reload(f.user).Password; got != "better" {
			t.Errorf("hash: got %q, want better", got)
		}
		ok(t, f.CreateSession(t.Context(), newSession(f.user, now()), f.user.Password, "late", 50, tolerance))
		if got := f.reload(f.user); got.Password != "better" || got.SessionEpoch != f.user.SessionEpoch {
			t.Errorf("hash: got %q, want better", got.Password.Reveal())
		}
	})
}

// Beyond the limit the oldest live sessions are revoked; sessions that have ended do not count.
func TestOldestLiveSessionsAreRevokedBeyondLimit(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		other := f.login(f.newUser("bob"))
		start := now().Add(-time.Minute)
		var all []models.Session
		for i := range 55 {
			s := newSession(f.user, start.Add(time.Duration(i)*time.Second))
			ok(t, f.CreateSession(t.Context(), s, f.user.Password, "", 50, time.Hour))
			all = append(all, s)
			if i == 30 {
				_, err := f.Revoke(t.Context(), s.ID, s.UserID, now(), models.RevokedByLogout)
				ok(t, err)
			}
		}
		for i, s := range all {
			want := ""
			switch {
			case i < 4:
				want = models.RevokedByEvictor
			case i == 30:
				want = models.RevokedByLogout
			}
			if got := f.read(s.ID); got.RevokeReason != want || (got.RevokedAt != nil) != (want != "") {
				t.Errorf("session %d: got %q, want %q", i, got.RevokeReason, want)
			}
		}
		if f.read(other.ID).RevokedAt != nil {
			t.Error("the session of another user was revoked")
		}
		list, err := f.Sessions(t.Context(), f.user.ID, f.user.SessionEpoch, now(), 50)
		ok(t, err)
		newestFirst := slices.IsSortedFunc(list, func(a, b models.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
		if len(list) != 50 || list[0].ID != all[54].ID || !newestFirst {
			t.Errorf("got %d sessions, newest first: %v", len(list), newestFirst)
		}
	})
}

// Concurrent logins do not exceed the limit.
func TestConcurrentLoginsDoNotExceedLimit(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		var wait sync.WaitGroup
		for range 30 {
			wait.Go(func() {
				if err := f.CreateSession(context.Background(), newSession(f.user, now()), f.user.Password, "", 5, tolerance); err != nil {
					t.Errorf("%v (%v)", err, models.Cause(err))
				}
			})
		}
		wait.Wait()
		if live := f.db.Count(t, "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL"); live != 5 {
			t.Errorf("%d live sessions, want 5", live)
		}
	})
}

func TestDeleteObsoleteDeletesInBatches(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now().Truncate(time.Second)
		var all []models.Session
		for i := range 7 {
			s := f.login(f.user)
			f.db.Exec(t, "UPDATE sessions SET expires_at = ? WHERE id = ?", at.Add(time.Duration(i-5)*time.Second), s.ID)
			all = append(all, s)
		}
		for _, want := range []int64{2, 2, 1, 0} {
			if n, err := f.DeleteObsolete(t.Context(), models.EndedSessions, at, 2); n != want || err != nil {
				t.Errorf("%d sessions were deleted, want %d, %v", n, want, err)
			}
		}
		for i, s := range all {
			if _, err := f.Session(t.Context(), s.ID); errors.Is(err, models.ErrNotFound) != (i < 5) {
				t.Errorf("session %d: got %v", i, err)
			}
		}
	})
}

// An id is never assigned to a second user, because old tokens would then identify the new user.
func TestUserIDIsNotReused(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		last := f.newUser("bob")
		f.db.Exec(t, "DELETE FROM users WHERE id = ?", last.ID)
		if next := f.newUser("bob"); next.ID <= last.ID {
			t.Errorf("user ID %d after %d", next.ID, last.ID)
		}
		f.db.Exec(t, "DELETE FROM users")
		ok(t, f.Close())
		f.Store = open(t, f.db)
		if next := f.newUser("carol"); next.ID <= last.ID+1 {
			t.Errorf("user ID %d after a restart", next.ID)
		}
	})
}

// The user is read with the session, without the password hash.
func TestSessionHasNoPasswordHash(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		l := f.read(f.login(f.user).ID)
		if l.User.Password != "" || l.User.Username != "ada" || !l.User.IsActive || l.User.ID != f.user.ID {
			t.Errorf("%+v", l.User)
		}
		if _, err := f.Session(t.Context(), uuid.New()); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// Ids are stored as 16 bytes by every way to a driver: models, conditions, SQL and prepared
// statements.
func TestIDsAreStoredAsBytes(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user) // SQL
		request := uuid.New()
		graced := models.Event{ID: uuid.New(), UserID: s.UserID, SessionID: &s.ID, RequestID: &request, Kind: models.EventRefreshGraced, CreatedAt: now()}
		for name, e := range map[string]*models.Event{"prepared": nil, "models": &graced} {
			if touched, err := f.Touch(t.Context(), s.ID, 0, now(), tolerance, e); !touched || err != nil {
				t.Errorf("%s: %v %v", name, touched, err)
			}
		}
		without := models.Event{ID: uuid.New(), UserID: s.UserID, Kind: models.EventLogin, CreatedAt: now()}
		ok(t, f.AddEvents(t.Context(), without))
		if rows := f.query("SELECT LENGTH(id), LENGTH(session_id), LENGTH(request_id) FROM events ORDER BY kind"); !slices.EqualFunc(rows, [][]string{{"16", "", ""}, {"16", "16", "16"}}, slices.Equal) {
			t.Errorf("events: %q", rows)
		}
		if rows := f.query("SELECT LENGTH(id) FROM sessions WHERE id = ?", s.ID); len(rows) != 1 || rows[0][0] != "16" {
			t.Errorf("sessions: %q", rows)
		}
		list, err := f.Events(t.Context(), models.EventQuery{UserID: &s.UserID, Before: uuid.Max, Limit: 5})
		i := slices.IndexFunc(list, func(e models.Event) bool { return e.ID == graced.ID })
		if ok(t, err); len(list) != 2 || i < 0 || *list[i].SessionID != s.ID || list[1-i].SessionID != nil {
			t.Errorf("%+v", list)
		}
	})
}
