package accounts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// recorded returns the user's events, oldest first: "registered is_staff null>true (imported)".
func recorded(t *testing.T, s *servertest.Server, userID int64) (list []string) {
	t.Helper()
	events, err := s.Store.Events(t.Context(), models.EventQuery{UserID: &userID, Limit: 100})
	must(t, err)
	value := func(text *string) string {
		if text == nil {
			return "null"
		}
		return *text
	}
	for _, e := range events {
		line := e.Kind
		for _, c := range e.Changes {
			line += fmt.Sprintf(" %s %s>%s", c.Field, value(c.Before), value(c.After))
		}
		if e.Detail != "" {
			line += " (" + e.Detail + ")"
		}
		list = append([]string{line}, list...)
	}
	return list
}

// An event that the operator causes has no request. Its changes are the roles of a new user, and no
// event is recorded if the user was in that state before.
func TestEventsOfOperatorHaveNoRequest(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		u, err := s.Service.CreateUser(t.Context(), accounts.NewUser{Username: "grace", Email: "grace@example.com", Password: secret, Superuser: true})
		must(t, err)
		_, err = s.Service.CreateUser(t.Context(), accounts.NewUser{Username: "root", Email: "root@example.com", Password: secret, Superuser: true})
		must(t, err)
		for _, active := range []bool{false, false, true} {
			must(t, s.Service.SetActive(t.Context(), "grace", active))
		}
		must(t, s.Service.SetPassword(t.Context(), "grace", "another "+secret))
		want := []string{
			"registered is_staff null>true is_superuser null>true", "deactivated is_active true>false", "deactivated", "activated is_active false>true", "password_changed",
		}
		if diff := cmp.Diff(want, recorded(t, s, u.ID)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE request_id IS NULL AND ip = '' AND actor_id IS NULL"); n != 6 {
			t.Errorf("%d events without a request, want 6", n)
		}
	})
}

// An imported username can be an email address. An event of its change masks the address.
func TestEventsMaskAddressesThatAreUsernames(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		staff := djangoRow(7, "Ada.Lovelace@Example.com", "ada@example.com")
		staff.IsStaff = true
		if r := importAll(t, s, false, staff); r.Imported != 1 {
			t.Fatalf("%+v", r)
		}
		c := s.Login(servertest.User{User: userOf(t, s, 7), Password: oldPassword}, token.Body)
		name, first := "ada", "call me ada@example.com, or eve@example.com"
		_, err := s.Service.UpdateProfile(t.Context(), principal(t, s, c), accounts.ProfileChange{Username: &name, FirstName: &first}, accounts.Client{})
		must(t, err)
		got := strings.Join(recorded(t, s, 7), "\n")
		want := "registered is_staff null>true (imported)\nlogin\nusername_changed username A***@Example.com>ada\nprofile_changed first_name null>c***@example.com"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
