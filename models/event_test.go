package models_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

func loginFailed(userID int64) models.Event {
	return models.Event{ID: uuid.Must(uuid.NewV7()), UserID: userID, Kind: models.EventLoginFailed, IP: "192.0.2.1", CreatedAt: now()}
}

// AddEvents changes the rows of the users: a cluster compares only changed rows, and would let a
// concurrent deletion on another node commit.
func TestAddEventsChangesRowsOfUsers(t *testing.T) {
	t.Attr("control", "205")
	eachStore(t, func(t *testing.T, f *fixture) {
		bob, gone := f.newUser("bob"), f.newUser("gone")
		ok(t, f.DeleteUser(t.Context(), gone))
		ok(t, f.AddEvents(t.Context(), loginFailed(bob.ID), loginFailed(gone.ID), loginFailed(f.user.ID), loginFailed(bob.ID)))
		for _, before := range []models.User{bob, f.user} {
			if after := f.reload(before); after.LockCount != before.LockCount+1 {
				t.Errorf("%s: lock_count changed from %d to %d, want an increment", before.Username, before.LockCount, after.LockCount)
			}
		}
		again := loginFailed(bob.ID)
		for range 2 { // as after a lost answer to COMMIT
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
func TestEventsOfDeletedUserAreNotWritten(t *testing.T) {
	t.Attr("control", "200")
	eachStore(t, func(t *testing.T, f *fixture) {
		other := open(t, f.db)
		for range 20 {
			bob, eve := f.newUser("bob"+uuid.NewString()), f.newUser("eve"+uuid.NewString())
			var wait sync.WaitGroup
			for _, write := range []func() error{
				func() error { return f.AddEvents(t.Context(), loginFailed(bob.ID), loginFailed(eve.ID)) },
				func() error { return other.AddEvents(t.Context(), loginFailed(eve.ID), loginFailed(bob.ID)) },
				func() error { return f.DeleteUser(t.Context(), bob) },
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
			t.Errorf("%d events of deleted users are left, want 0", n)
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events"); n != 40 {
			t.Errorf("%d events of the remaining users, want 40", n)
		}
	})
}

// The ids of events have the order of their times, even if the clock is moved, and contain the
// millisecond of the time.
func TestEventIDsAreOrderedByTime(t *testing.T) {
	var ids models.EventIDs
	start := time.Date(2026, 11, 22, 9, 30, 0, 999_998_000, time.UTC)
	seen := map[uuid.UUID]bool{}
	for _, from := range []time.Time{start, start.Add(-time.Hour), start.Add(400 * 24 * time.Hour), time.Unix(0, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		var last uuid.UUID
		for i := range 4000 {
			at := from.Add(time.Duration(i/4) * time.Microsecond) // four in each microsecond
			id := ids.New(at)
			second, nanosecond := id.Time().UnixTime()
			if got := time.Unix(second, nanosecond); got.UnixMilli() != at.UnixMilli() || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
				t.Fatalf("the ID %v of %v is a version %d UUID of %v", id, at, id.Version(), got)
			}
			if bytes.Compare(id[:], last[:]) <= 0 || seen[id] {
				t.Fatalf("ID %v follows %v", id, last)
			}
			last, seen[id] = id, true
		}
	}
}

func TestEventIDsOfConcurrentEventsDiffer(t *testing.T) {
	var ids models.EventIDs
	at, made := now(), make(chan uuid.UUID, 4000)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 1000 {
				made <- ids.New(at)
			}
		})
	}
	wait.Wait()
	close(made)
	seen := map[uuid.UUID]bool{}
	for id := range made {
		seen[id] = true
	}
	if len(seen) != 4000 {
		t.Errorf("got %d different IDs of 4,000", len(seen))
	}
}

func text(s string) *string { return &s }

// Changes are read as they were written, with any character and with none as nil. Without changes
// the column is NULL.
func TestChangesOfEventAreReadAsWritten(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		want := models.Changes{
			{Field: "first_name", Before: text(`<"Ada" & \ 𝔸 é`), After: nil},
			{Field: "locale", Before: nil, After: text("ko")},
			{Field: "last_name", Before: text(strings.Repeat("\U0001F469", 150)), After: text(strings.Repeat("\u2028", 150))}, // the longest
		}
		changed, plain := loginFailed(f.user.ID), loginFailed(f.user.ID)
		changed.Changes = want
		ok(t, f.AddEvents(t.Context(), changed, plain))
		list, err := f.Events(t.Context(), models.EventQuery{Limit: 10})
		ok(t, err)
		if diff := cmp.Diff([]models.Changes{nil, want}, []models.Changes{list[0].Changes, list[1].Changes}); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events WHERE changes IS NULL"); n != 1 {
			t.Errorf("%d events have no changes, want 1", n)
		}
	})
}

// No event names a deleted user: the user's own events are removed, those that staff members caused
// have neither details nor changes, and remaining users have their current names.
func TestEventsDoNotNameDeletedUser(t *testing.T) {
	t.Attr("control", "200")
	eachStore(t, func(t *testing.T, f *fixture) {
		bob, eve := f.newUser("bob"), f.newUser("eve")
		event := func(u, actor models.User, changes models.Changes) models.Event {
			e := loginFailed(u.ID)
			e.Kind, e.Detail, e.Changes = models.EventUsernameChanged, "of "+u.Username, changes
			if actor.ID != 0 {
				e.ActorID = &actor.ID
			}
			return e
		}
		renamed := models.Changes{{Field: "username", Before: text("robert"), After: text("bob")}}
		ok(t, f.AddEvents(t.Context(), event(bob, models.User{}, renamed), event(bob, eve, renamed), event(eve, bob, nil), event(f.user, bob, nil)))
		named := func(want ...string) {
			t.Helper()
			list, err := f.Events(t.Context(), models.EventQuery{Limit: 10})
			ok(t, err)
			var got []string
			for _, e := range list {
				got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s by %s: %s %d", name(e.Username), name(e.ActorUsername), e.Detail, len(e.Changes))), " "))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		}
		named("ada by bob: of ada 0", "eve by bob: of eve 0", "bob by eve: of bob 1", "bob by -: of bob 1")
		robin := "robin"
		ok(t, f.ChangeUser(t.Context(), f.reload(eve), models.UserPatch{Username: &robin, UsernameNorm: &robin}))
		ok(t, f.DeleteUser(t.Context(), f.reload(bob), event(bob, f.user, nil)))
		named("- by ada: of bob 0", "ada by -: of ada 0", "robin by -: of eve 0", "- by robin: 0")
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events WHERE actor_id = ?", bob.ID); n != 2 {
			t.Errorf("%d events by the deleted user, want 2", n)
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM events WHERE changes IS NOT NULL"); n != 0 {
			t.Errorf("%d events of the deleted user have changes, want 0", n)
		}
	})
}

func name(of *string) string {
	if of == nil {
		return "-"
	}
	return *of
}

// someEvents stores n events of four users, two of whom are staff members, over two hours.
func someEvents(t *testing.T, f *fixture, start time.Time, n int) []models.Event {
	t.Helper()
	users := []int64{f.user.ID, f.newUser("bob").ID, f.newUser("eve").ID, f.newUser("joe").ID}
	kinds := []models.EventKind{models.EventLogin, models.EventLogin, models.EventLogin, models.EventLoginFailed, models.EventRolesChanged}
	var ids models.EventIDs
	var list []models.Event
	for range n {
		at := start.Add(time.Duration(rand.IntN(7200)) * time.Second).Add(time.Duration(rand.IntN(3)-1) * time.Microsecond)
		e := models.Event{ID: ids.New(at), UserID: users[rand.IntN(4)], Kind: kinds[rand.IntN(5)], CreatedAt: at}
		if actor := rand.IntN(4); actor < 2 { // also users themselves
			e.ActorID = &users[actor]
		}
		list = append(list, e)
	}
	ok(t, f.AddEvents(t.Context(), list...))
	slices.SortFunc(list, func(a, b models.Event) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return list
}

// matches reports whether q selects e, according to its definition.
func matches(q models.EventQuery, e models.Event) bool {
	return (q.UserID == nil || e.UserID == *q.UserID) &&
		(q.ActorID == nil || e.ActorID != nil && *e.ActorID == *q.ActorID && e.UserID != *q.ActorID) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) &&
		(q.From == nil || !e.CreatedAt.Before(*q.From)) && (q.Until == nil || e.CreatedAt.Before(*q.Until))
}

// Any combination of filters lists exactly the matching events, in pages that neither repeat nor
// omit an event while further events are written.
func TestEventQueryListsMatchingEventsOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		start := now().Add(-24 * time.Hour).Truncate(time.Second)
		stored := someEvents(t, f, start, 400)
		later := loginFailed(f.user.ID)
		for round := range 200 {
			q := models.EventQuery{Limit: 1 + rand.IntN(60)}
			for _, id := range []**int64{&q.UserID, &q.ActorID} {
				if rand.IntN(3) == 0 {
					*id = &stored[rand.IntN(len(stored))].UserID
				}
			}
			for range rand.IntN(4) {
				q.Kinds = append(q.Kinds, []models.EventKind{models.EventLogin, models.EventLoginFailed, models.EventRolesChanged, models.EventDeleted}[rand.IntN(4)])
			}
			slices.Sort(q.Kinds)
			q.Kinds = slices.Compact(q.Kinds)
			for _, at := range []**time.Time{&q.From, &q.Until} {
				if rand.IntN(2) == 0 { // often exactly the time of an event
					some := stored[rand.IntN(len(stored))].CreatedAt.Truncate(time.Second)
					*at = &some
				}
			}
			var want, got []uuid.UUID
			for _, e := range stored {
				if matches(q, e) {
					want = append(want, e.ID)
				}
			}
			for {
				page, err := f.Events(t.Context(), q)
				ok(t, err)
				for _, e := range page {
					if !e.CreatedAt.Before(later.CreatedAt) { // written since the first page
						continue
					}
					got = append(got, e.ID)
				}
				if len(page) < q.Limit {
					break
				}
				q.Before = page[len(page)-1].ID
				ok(t, f.AddEvents(t.Context(), loginFailed(f.user.ID)))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("round %d, %+v (-want +got):\n%s", round, q, diff)
			}
		}
	})
}

// A filter by a time that no event can have lists all events or none.
func TestEventFilterAcceptsExtremeTimes(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		ok(t, f.AddEvents(t.Context(), loginFailed(f.user.ID)))
		for year, past := range map[int]bool{0: true, 1: true, 1969: true, 1970: true, 9999: false} {
			at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			since, err := f.Events(t.Context(), models.EventQuery{From: &at, Limit: 10})
			ok(t, err)
			until, err := f.Events(t.Context(), models.EventQuery{Until: &at, Limit: 10})
			ok(t, err)
			if len(since) == 1 != past || len(until) == 0 != past || len(since)+len(until) != 1 {
				t.Errorf("year %d: got %d events since and %d before", year, len(since), len(until))
			}
		}
	})
}

// Every list reads one index in its order, so that the cost of a page does not depend on the number
// of events. Only the joined page, of at most a few kinds' limits, is sorted.
func TestEventListsReadOneIndexInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now().Add(-time.Hour)
		yesterday := at.Add(-24 * time.Hour)
		someEvents(t, f, yesterday, 500)
		id, other := f.user.ID, f.user.ID+1
		for index, queries := range map[string][]models.EventQuery{
			"PRIMARY":      {{}, {From: &at}, {Until: &at}},
			"events_user":  {{UserID: &id}, {UserID: &id, Until: &at}, {UserID: &id, From: &yesterday, Until: &at}},
			"events_actor": {{ActorID: &id}, {ActorID: &id, UserID: &other, Until: &at}},
			"events_kind": {
				{Kinds: []models.EventKind{models.EventLogin}}, {Kinds: []models.EventKind{models.EventLogin}, Until: &at},
				{Kinds: []models.EventKind{models.EventLogin, models.EventDeleted, models.EventLoginFailed}, Until: &at},
			},
		} {
			for _, q := range queries {
				q.Limit = 51
				for _, step := range f.eventPlan(q) {
					ordered := strings.Contains(step, index) && !strings.Contains(step, "filesort") && !strings.Contains(step, "TEMP B-TREE")
					fromStart := q.Until != nil && strings.HasPrefix(step, "ref ") // MariaDB would also read all later rows
					if !ordered || fromStart {
						t.Errorf("%+v: %s, want the order of %s", q, step, index)
					}
				}
			}
		}
	})
}

// eventPlan returns the steps of a query that read rows of events, each with the further operations
// on these rows before they are joined.
func (f *fixture) eventPlan(q models.EventQuery) (steps []string) {
	f.t.Helper()
	query, args := f.EventsSQL(f.t.Context(), q)
	if f.db.Engine == servertest.MySQL {
		for _, row := range f.query("EXPLAIN "+query, args...) {
			if row[2] == "events" {
				steps = append(steps, strings.Join([]string{row[3], row[5], row[len(row)-1]}, " ")) // type, key, Extra
			}
		}
	} else {
		rows := f.query("EXPLAIN QUERY PLAN "+query, args...) // id, parent, -, text
		for _, row := range rows {
			if !strings.Contains(row[3], " events USING ") {
				continue
			}
			step := strings.Replace(row[3], "sqlite_autoindex_events_1", "PRIMARY", 1)
			for _, other := range rows {
				if other[1] == row[1] && other[0] != row[0] {
					step += ", " + other[3]
				}
			}
			steps = append(steps, step)
		}
	}
	if want := max(1, len(q.Kinds)); len(steps) != want {
		f.t.Fatalf("%+v: %d steps read events, want %d: %q", q, len(steps), want, steps)
	}
	return steps
}
