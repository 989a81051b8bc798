package server_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// The security log: an event is stored in the transaction of the write that it records. Only its
// user and staff members can read it.

// flush writes the queued events to the database.
func flush(t *testing.T, s *servertest.Server) {
	t.Helper()
	if err := s.Service.FlushEvents(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// eventsOf returns the user's events, newest first.
func eventsOf(t *testing.T, s *servertest.Server, c *servertest.Client) []object {
	t.Helper()
	flush(t, s)
	r := c.Do(http.MethodGet, "/accounts/events?limit=100", nil).Want(t, http.StatusOK, "")
	var list []object
	for _, each := range r.JSON["events"].([]any) {
		list = append(list, each.(object))
	}
	return list
}

// kindsOf returns the kinds of the events, oldest first.
func kindsOf(events []object) []string {
	var kinds []string
	for _, e := range slices.Backward(events) {
		kinds = append(kinds, e["kind"].(string))
	}
	return kinds
}

func wantEvents(t *testing.T, s *servertest.Server, c *servertest.Client, want ...string) []object {
	t.Helper()
	events := eventsOf(t, s, c)
	if diff := cmp.Diff(want, kindsOf(events)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	return events
}

// The log shows the failed logins before a successful one and the client addresses. Each event
// contains the ID of its request.
func TestEventsRecordLifeOfAccount(t *testing.T) {
	t.Attr("control", "16")
	t.Attr("control", "90")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		name := newName()
		email, moved := address(name), address("moved"+name)
		verify(s, register(t, s, 1, object{"email": email, "password": password, "username": name}), password).Want(t, http.StatusOK, "")
		failed := signIn(s, otherSpelling(email), "a wrong password").Want(t, http.StatusUnauthorized, "")
		signIn(s, otherSpelling(email), "another wrong password").Want(t, http.StatusUnauthorized, "")
		flush(t, s) // looks up the user by name
		u := servertest.User{User: stored(t, s, email), Password: password}
		c, other, third := s.Login(u, accounts.Hybrid), s.Login(u, accounts.BodyTokens), s.Login(u, accounts.Cookies)
		other.Logout().Want(t, http.StatusNoContent, "")
		other.Logout().Want(t, http.StatusNoContent, "") // the second logout changes nothing
		c.Do(http.MethodDelete, "/accounts/sessions/"+third.SessionID, nil).Want(t, http.StatusNoContent, "")
		for range 2 { // setting the same names is no change
			patch(c, object{"username": name, "first_name": "Ada", "locale": "en"}).Want(t, http.StatusOK, "")
		}
		patch(c, object{"username": "new" + name}).Want(t, http.StatusOK, "")
		c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": "a wrong password"}).Want(t, http.StatusUnprocessableEntity, "")
		flush(t, s)
		confirmEmail(s, requestEmailChange(t, s, c, moved, 1), password).Want(t, http.StatusNoContent, "")
		changePassword(c, password, otherPassword).Want(t, http.StatusOK, "")
		signIn(s, moved, otherPassword).Want(t, http.StatusOK, "")
		c.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, http.StatusNoContent, "")
		c.Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusNoContent, "")
		confirmReset(s, requestReset(t, s, moved, 3), password).Want(t, http.StatusNoContent, "")
		for _, active := range []bool{false, true} {
			if err := s.Service.SetActive(context.Background(), "new"+name, active); err != nil {
				t.Fatal(err)
			}
		}
		u.User = stored(t, s, moved)
		c = s.Login(u, accounts.Hybrid)
		events := wantEvents(t, s, c, "registered", "login", "login_failed", "login", "login", "login", "logout", "session_revoked", "profile_changed", "username_changed",
			"password_wrong", "email_change_requested", "email_changed", "password_changed", "login", "sessions_revoked", "sessions_revoked", "password_reset",
			"deactivated", "activated", "login")
		slices.Reverse(events)
		if got := events[2]; got["request_id"] != failed.Header.Get("X-Request-Id") || got["ip"] != "127.0.0.1" || got["user_agent"] != "Go-http-client/1.1" || got["session_id"] != nil {
			t.Errorf("the failed login is recorded as %v, want request %s, its address and no session", got, failed.Header.Get("X-Request-Id"))
		}
		if got := events[7]["session_id"]; got != third.SessionID {
			t.Errorf("the session that was ended is %v, want %s", got, third.SessionID)
		}
		details := map[int]string{11: "to m***@example.com", 12: "to m***@example.com", 15: "all other sessions"}
		changes := map[int]string{8: "first_name null>Ada", 9: "username " + name + ">new" + name, 18: "is_active true>false", 19: "is_active false>true"}
		for i, e := range events {
			if got := or(e["detail"], ""); got != details[i] {
				t.Errorf("event %d has the detail %q, want %q", i, got, details[i])
			}
			if got := changesOf(e); got != changes[i] {
				t.Errorf("event %d has the changes %q, want %q", i, got, changes[i])
			}
			actor := "self"
			if i == 18 || i == 19 {
				actor = "operator"
			}
			if e["actor"] != actor || e["actor_id"] != nil || e["actor_username"] != nil || e["user_id"] != float64(u.ID) || e["username"] != "new"+name {
				t.Errorf("event %d of %v %v was caused by %v %v %v, want %s", i, e["user_id"], e["username"], e["actor"], e["actor_id"], e["actor_username"], actor)
			}
			if (e["ip"] == nil) != (actor == "operator") || (e["request_id"] == nil) != (actor == "operator") {
				t.Errorf("event %d by %s has the request %v and the address %v", i, actor, e["request_id"], e["ip"])
			}
		}
	})
}

// A token of a session that has already ended causes no second event.
func TestTokenOfEndedSessionCausesNoSecondEvent(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		old, c := s.Login(u, accounts.BodyTokens), s.Login(u, accounts.Hybrid)
		c.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, http.StatusNoContent, "")
		old.Logout().Want(t, http.StatusNoContent, "")
		for range 3 { // no other session is left
			c.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, http.StatusNoContent, "")
		}
		wantEvents(t, s, c, "registered", "login", "login", "sessions_revoked")
	})
}

// The longest possible address fits into an event.
func TestLongestAddressFitsIntoEvent(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		label := strings.Repeat("b", 60)
		changeEmail(c, "a@"+strings.Join([]string{label, label, label, label, "bbbb.co"}, ".")).Want(t, http.StatusAccepted, "")
		wantEvents(t, s, c, "registered", "login", "email_change_requested")
	})
}

// An event that the database rejects does not prevent other events from being stored.
func TestRejectedEventDoesNotPreventOthers(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{trusted}})
	u := s.NewUser()
	c := s.Login(u, accounts.Hybrid)
	s.Database.Exec(t, "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.ip = '192.0.2.66' BEGIN SELECT RAISE(ABORT, 'no'); END")
	for _, ip := range []string{"192.0.2.66", "192.0.2.67"} {
		post(s, "/accounts/login", object{"username": u.Username, "password": "a wrong password"}, from(ip))
	}
	if err := s.Service.FlushEvents(t.Context()); err == nil {
		t.Error("the database rejected no event")
	}
	wantEvents(t, s, c, "registered", "login", "login_failed")
	if n := metrics(t, s)["accounts_security_events_dropped_total"]; n != 1 {
		t.Errorf("%v events were dropped, want 1", n)
	}
}

// After a client exceeds its own rate limit, its requests cause no events for the accounts they
// name.
func TestRateLimitedClientCausesNoEvents(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		for range 3 {
			signIn(s, newName(), "a wrong password").Want(t, http.StatusUnauthorized, "")
		}
		wantLimited(t, signIn(s, u.Username, "a wrong password"))
		wantEvents(t, s, c, "registered", "login")
	}, "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=3/15m")
}

// Concurrent changes of the username record an event each, and each event contains the username
// that it replaced.
func TestConcurrentRenamesRecordOneEventEach(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		const n = 8
		names := []string{u.Username}
		for range n {
			names = append(names, newName())
		}
		if got := statuses(parallel(n, func(i int) *servertest.Response { return patch(c.Copy(), object{"username": names[i+1]}) })); got[http.StatusOK] != n {
			t.Fatalf("responses by status: got %v, want only 200", got)
		}
		replacedBy := map[any]any{}
		for _, e := range eventsOf(t, s, c)[:n] {
			change := e["changes"].([]any)[0].(object)
			replacedBy[change["before"]] = change["after"]
		}
		var last any = u.Username
		for range n {
			last = replacedBy[last]
		}
		if last != profileOf(t, c.Profile())["username"] || len(replacedBy) != n {
			t.Errorf("the events lead from %s to %v by the replacements %v", u.Username, last, replacedBy)
		}
	})
}

// If addresses need not be verified before login, registration and verification are two events.
func TestOptionalVerificationRecordsTwoEvents(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		c := s.Login(servertest.User{User: stored(t, s, email), Password: password}, accounts.Hybrid)
		verify(s, token, password).Want(t, http.StatusOK, "")
		wantEvents(t, s, c, "registered", "login", "email_verified", "login")
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional")
}

// Consecutive pages have no gaps and no duplicates, even if events are added in between. Users
// cannot read the events of others.
func TestEventPagesHaveNoGapsOrDuplicates(t *testing.T) {
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c, stranger := s.Login(u, transport), s.Login(s.NewUser(), transport)
		for range 5 {
			s.Login(u, accounts.BodyTokens)
		}
		want := eventsOf(t, s, c)
		var got []object
		path, pages := "/accounts/events?limit=2", 0
		for next := any(""); next != nil; pages++ {
			r := c.Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "")
			for _, each := range r.JSON["events"].([]any) {
				got = append(got, each.(object))
			}
			s.Login(u, accounts.BodyTokens)
			next = r.JSON["next_cursor"]
			path = fmt.Sprintf("/accounts/events?limit=2&cursor=%v", next)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) != 7 || pages != 4 {
			t.Errorf("%d pages, want 4 (-one page +pages):\n%s", pages, diff)
		}
		// The cursor of another user's list gives access to none of that user's events.
		cursor := c.Do(http.MethodGet, "/accounts/events?limit=1", nil).Want(t, http.StatusOK, "").JSON["next_cursor"].(string)
		r := stranger.Do(http.MethodGet, "/accounts/events?cursor="+cursor, nil).Want(t, http.StatusOK, "")
		for _, each := range r.JSON["events"].([]any) {
			if slices.ContainsFunc(want, func(e object) bool { return e["id"] == each.(object)["id"] }) {
				t.Errorf("a user can read the event of another user: %v", each)
			}
		}
		for _, query := range []string{"limit=0", "limit=101", "limit=-1", "limit=1e9", "limit=2.0", "limit=02", "limit=", "limit=2&limit=3",
			"cursor=", "cursor=1", "cursor=" + want[0]["id"].(string), "cursor=" + cursor + "'--", "cursor=" + cursor + "&cursor=" + cursor,
			"after=x", "before=x", "user_id=1", "actor_id=1", "kind=", "kind=nothing", "kind=login&kind=nothing", "kind=login,logout",
			"created_from=", "created_from=2026-11-22", "created_from=2026-11-22T09:30:00.5Z", "created_before=2026-11-22T09:30:00%2B01:00", "created_before=now",
			"created_before=2026-11-22T09:30:00Z&created_before=2026-11-23T09:30:00Z", "created_before=2026-13-22T09:30:00Z"} {
			c.Do(http.MethodGet, "/accounts/events?"+query, nil).Want(t, http.StatusBadRequest, "request_malformed")
		}
	})
}

// A rejected attempt is recorded once a minute for each name, kind and client, however often it
// occurs, and only if the name belongs to a user.
func TestRejectedAttemptsAreRecordedOncePerMinute(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, nobody := s.NewUser(), newName()
		c := s.Login(u, accounts.Hybrid)
		before := len(eventsOf(t, s, c))
		noted := func() []string {
			kinds := kindsOf(eventsOf(t, s, c))[before:]
			slices.Sort(kinds)
			return kinds
		}
		try := func(name, ip string) {
			post(s, "/accounts/login", object{"username": name, "password": "a wrong password"}, from(ip))
		}
		for range 12 { // the limit allows ten
			try(u.Username, "192.0.2.1")
			try(nobody, "192.0.2.1")
		}
		if diff := cmp.Diff([]string{"login_failed", "rate_limited"}, noted()); diff != "" {
			t.Errorf("twelve failures of one client (-want +got):\n%s", diff)
		}
		try(u.Username, "192.0.2.2") // another client
		s.Clock.Advance(time.Minute) // another minute
		try(u.Username, "192.0.2.1")
		if diff := cmp.Diff([]string{"login_failed", "rate_limited", "rate_limited"}, noted()); diff != "" {
			t.Errorf("another client, and another minute (-want +got):\n%s", diff)
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE user_id NOT IN (SELECT id FROM users)"); n != 0 {
			t.Errorf("%d events of unknown users were recorded, want 0", n)
		}
	}, trusted, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m")
}

// The queue of events is bounded. Events beyond the bound are dropped and counted, and responses do
// not change.
func TestQueueOfRejectedAttemptsIsBounded(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	for i := range 1005 {
		signIn(s, fmt.Sprint("nobody", i), "a wrong password").Want(t, http.StatusUnauthorized, "credentials_invalid")
	}
	if n := metrics(t, s)["accounts_security_events_dropped_total"]; n != 5 {
		t.Errorf("%v events were dropped, want 5", n)
	}
	c := s.Login(u, accounts.Hybrid)
	eventsOf(t, s, c)
	signIn(s, u.Username, "a wrong password")
	if kinds := kindsOf(eventsOf(t, s, c)); kinds[len(kinds)-1] != "login_failed" {
		t.Errorf("events after the flood: got %v, want login_failed as the last", kinds)
	}
}

// A write and its event are one transaction: if one fails, the other is rolled back.
func TestEventAndWriteAreOneTransaction(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		name := newName()
		email := address(name)
		pending := register(t, s, 1, object{"email": email, "password": password})
		u := s.NewUser()
		c, other := s.Login(u, accounts.Hybrid), s.Login(u, accounts.BodyTokens)
		reset, moved := requestReset(t, s, u.Email, 1), address("moved"+name)
		move := requestEmailChange(t, s, c, moved, 1)
		settle(t, s)
		s.Database.Exec(t, "ALTER TABLE events RENAME COLUMN detail TO detail_away")
		before := s.Database.Dump(t)
		for what, try := range map[string]func() *servertest.Response{
			"verify": func() *servertest.Response { return verify(s, pending, password) },
			"login":  func() *servertest.Response { return signIn(s, u.Username, u.Password) },
			"logout": func() *servertest.Response { return other.Copy().Logout() },
			"end a session": func() *servertest.Response {
				return c.Copy().Do(http.MethodDelete, "/accounts/sessions/"+other.SessionID, nil)
			},
			"end all": func() *servertest.Response { return c.Copy().Do(http.MethodDelete, "/accounts/sessions", nil) },
			"end the others": func() *servertest.Response {
				return c.Copy().Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil)
			},
			"username":        func() *servertest.Response { return patch(c.Copy(), object{"username": name}) },
			"email change":    func() *servertest.Response { return changeEmail(c.Copy(), address("x"+name)) },
			"email confirmed": func() *servertest.Response { return confirmEmail(s, move, u.Password) },
			"password":        func() *servertest.Response { return changePassword(c.Copy(), u.Password, otherPassword) },
			"reset":           func() *servertest.Response { return confirmReset(s, reset, otherPassword) },
		} {
			if r := try(); r.Status != http.StatusInternalServerError || len(r.Cookies()) != 0 {
				t.Errorf("%s: got status %d and the cookies %v, want 500 and no cookies", what, r.Status, r.Cookies())
			}
		}
		if diff := cmp.Diff(before, s.Database.Dump(t)); diff != "" {
			t.Errorf("a row was written without its event (-before +after):\n%s", diff)
		}
		s.Database.Exec(t, "ALTER TABLE events RENAME COLUMN detail_away TO detail")
		c.Profile().Want(t, http.StatusOK, "")
		other.RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// Events are deleted with their user and after the retention period. Two replicas may clean up at
// the same time.
func TestEventsAreDeletedWithUserAndAfterRetention(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, Settings: []string{"ACCOUNTS_EVENT_RETENTION=7d"}})
		replica := servertest.Start(t, servertest.Options{Database: s.Database, Settings: []string{"ACCOUNTS_PUBLIC_URL=" + s.URL, "ACCOUNTS_EVENT_RETENTION=7d"}})
		u, leaving := s.NewUser(), s.NewUser()
		for range 3 {
			s.Login(u, accounts.BodyTokens)
		}
		left := s.Login(leaving, accounts.Hybrid)
		left.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": "a wrong password"}).Want(t, http.StatusUnprocessableEntity, "")
		deleteAccount(left).Want(t, http.StatusNoContent, "")
		flush(t, s) // writes the queued event of the wrong password
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE user_id = ?", leaving.ID); n != 0 {
			t.Errorf("%d events of the deleted user are left, want 0", n)
		}
		old := time.Now().UTC().Add(-7*24*time.Hour - time.Minute)
		s.Database.Exec(t, "UPDATE events SET created_at = ? WHERE kind = 'login'", old)
		removed := make(chan int64, 2)
		for _, each := range []*servertest.Server{s, replica} {
			go func() {
				n, err := each.Service.CleanUp(context.Background())
				if err != nil {
					t.Error(err)
				}
				removed <- n
			}()
		}
		if n := <-removed + <-removed; n != 3 {
			t.Errorf("%d rows removed, want the three old events", n)
		}
		c := s.Login(u, accounts.Hybrid)
		wantEvents(t, s, c, "registered", "login")
	})
}
