package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

func withIDs(values ...string) servertest.Option {
	return func(r *http.Request) { r.Header["X-Request-Id"] = values }
}

// A well-formed ID from the client is used in the header, in the log and in a problem. Any other ID
// is replaced.
func TestWellFormedRequestIDOfClientIsKept(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, version := range []string{"1", "4", "7", "8"} {
		id := "0198f6e5-c1a7-" + version + "c3e-9d55-0b1f1c2d3e4f"
		s.Log.Take()
		r := s.Anonymous().Do(http.MethodGet, "/accounts/profile", nil, withIDs(id)).Want(t, http.StatusUnauthorized, "credentials_missing")
		if r.Header.Get("X-Request-Id") != id || r.Text("request_id") != id || !strings.Contains(s.Log.Take(), id) {
			t.Errorf("request ID %s is %s in the header and %s in the problem", id, r.Header.Get("X-Request-Id"), r.Text("request_id"))
		}
	}
	const good = "0198f6e5-c1a7-4c3e-9d55-0b1f1c2d3e4f"
	seen := map[string]bool{}
	for _, values := range [][]string{
		nil, {""}, {"x"}, {strings.ToUpper(good)}, {"{" + good + "}"}, {"urn:uuid:" + good}, {strings.ReplaceAll(good, "-", "")}, {good + " x"}, {good, good},
		{good + "," + good}, {good[:35]}, {good + "0"}, {uuid.Nil.String()}, {strings.Replace(good, "c", "g", 1)}, {strings.Repeat("a", 10_000)},
	} {
		r := s.Anonymous().Do(http.MethodGet, "/accounts/profile", nil, withIDs(values...)).Want(t, http.StatusUnauthorized, "credentials_missing")
		id, err := uuid.Parse(r.Header.Get("X-Request-Id"))
		if err != nil || id.Version() != 7 || seen[id.String()] || r.Text("request_id") != id.String() {
			t.Errorf("%.50q: got the request ID %s, want a new UUIDv7 (%v)", values, r.Header.Get("X-Request-Id"), err)
		}
		seen[id.String()] = true
	}
}

// A hundred requests of several users may share one ID. All of them succeed, and each of their
// events contains it.
func TestRequestIDMayBeSharedByRequests(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		const id = "00000000-0000-4000-8000-000000000001"
		a, b := s.NewUser(), s.NewUser()
		for _, u := range []servertest.User{a, b} {
			for range 3 {
				post(s, "/accounts/login", object{"username": u.Username, "password": u.Password}, withIDs(id)).Want(t, http.StatusOK, "")
			}
			post(s, "/accounts/login", object{"username": u.Username, "password": "a wrong one"}, withIDs(id)).Want(t, http.StatusUnauthorized, "")
			c := s.Login(u, accounts.Hybrid)
			c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password}, withIDs(id)).Want(t, http.StatusOK, "")
			own := 0
			for _, e := range eventsOf(t, s, c) {
				if e["request_id"] == id {
					own++
				}
				if e["actor"] != "self" && e["kind"] != models.EventRegistered { // created by the test
					t.Errorf("%v", e)
				}
			}
			if own != 5 {
				t.Errorf("got %d events with the ID, want 5", own)
			}
		}
	})
}

// The nil UUID is replaced, because events with it would look like events of the operator.
func TestNilRequestIDIsReplaced(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	post(s, "/accounts/login", object{"username": u.Username, "password": u.Password}, withIDs(uuid.Nil.String())).Want(t, http.StatusOK, "")
	for _, e := range eventsOf(t, s, s.Login(u, accounts.Hybrid)) {
		if e["kind"] != models.EventRegistered && (e["actor"] != "self" || e["request_id"] == nil) {
			t.Errorf("an event of the user has the actor %v and the request %v", e["actor"], e["request_id"])
		}
	}
}
