package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// promisedKinds returns the kinds of events in the contract, sorted.
func promisedKinds(t *testing.T) (kinds []string) {
	t.Helper()
	schema := servertest.Contract().Components.Schemas["EventKind"].Value
	for _, kind := range schema.Enum {
		kinds = append(kinds, kind.(string))
		if !strings.Contains(schema.Description, fmt.Sprintf("| `%s` | ", kind)) {
			t.Errorf("the contract does not describe the kind %s", kind)
		}
	}
	if rows := strings.Count(schema.Description, "\n| `"); rows != len(kinds) {
		t.Errorf("the contract describes %d kinds, want %d", rows, len(kinds))
	}
	slices.Sort(kinds)
	return kinds
}

// The event kinds declared in package models are those of the contract.
func TestEventKindsEqualContract(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../models/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Event") {
			return true
		}
		kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, kind)
		return true
	})
	slices.Sort(declared)
	if diff := cmp.Diff(promisedKinds(t), declared); diff != "" {
		t.Errorf("kinds (-contract +models):\n%s", diff)
	}
}

// An operation records each kind of event. The changes and the detail of an event contain no
// password, no token and no unmasked email address. No text in it is empty or has surplus blanks.
func TestEveryKindOfEventIsRecorded(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		ok := func(r *servertest.Response) {
			t.Helper()
			if r.Status/100 != 2 {
				t.Fatalf("%d %s", r.Status, r.Raw)
			}
		}
		reauthenticate := func(c *servertest.Client, password string) *servertest.Response {
			return c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": password})
		}
		// Actions of a user.
		email, other, moved := address(newName()), address(newName()), address(newName())
		ok(verify(s.Server, register(t, s.Server, 1, object{"email": email, "password": password}), password)) // registered, email_verified, login
		u := servertest.User{User: stored(t, s.Server, email), Password: password}
		c := s.Login(u, accounts.Hybrid)
		ok(reauthenticate(c, password))
		reauthenticate(c, "a wrong password") // password_wrong
		ok(s.Login(u, accounts.Hybrid).Logout())
		ok(c.Do(http.MethodDelete, "/accounts/sessions/"+s.Login(u, accounts.Hybrid).SessionID, nil)) // session_revoked
		s.Login(u, accounts.Hybrid)
		ok(c.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil))                                         // sessions_revoked
		ok(patch(c, object{"username": newName(), "first_name": "Ada", "last_name": "ada@example.com", "locale": "ko"})) // username_changed, profile_changed
		ok(changeEmail(c, other))                                                                                        // email_change_requested
		ok(c.Do(http.MethodDelete, "/accounts/email/change", nil))                                                       // email_change_canceled
		ok(confirmEmail(s.Server, requestEmailChange(t, s.Server, c, moved, 1), password))                               // email_changed
		ok(changePassword(c, password, otherPassword))
		ok(confirmReset(s.Server, requestReset(t, s.Server, moved, 3), password))
		// Attempts by others under the user's name.
		for range 4 {
			post(s.Server, "/accounts/login", object{"username": moved, "password": "a wrong password"}, from("198.51.100.9")) // login_failed, rate_limited
		}
		// Token refreshes.
		first := s.Login(s.una, accounts.BodyTokens)
		for range 2 {
			s.Database.Age(t, rotation)
			c := first.Copy()
			ok(c.RefreshTokens())
			ok(first.Copy().RefreshTokens(from("198.51.100.7"), servertest.Header("User-Agent", "another"))) // refresh_graced
			s.Database.Age(t, rotation)
			ok(c.RefreshTokens())
			first.Copy().RefreshTokens() // refresh_reused
			first = s.Login(s.una, accounts.BodyTokens)
		}
		// Actions of staff members.
		ok(edit(s.asRoot, s.una, object{"is_staff": true}))   // roles_changed
		ok(edit(s.asRoot, s.una, object{"is_active": false})) // deactivated
		ok(edit(s.asRoot, s.una, object{"is_active": true}))  // activated
		ok(s.asSam.Do(http.MethodDelete, at(u, "/login_limit"), nil))
		ok(s.asSam.Do(http.MethodPost, at(u, "/password_reset"), nil))
		ok(s.asSam.Do(http.MethodDelete, at(s.inviteUser(), ""), nil)) // invited, deleted

		var kinds []string
		for _, e := range s.audit("") {
			kinds = append(kinds, e["kind"].(string))
			texts := []any{e["detail"]}
			for _, change := range e["changes"].([]any) {
				texts = append(texts, change.(object)["before"], change.(object)["after"])
			}
			for _, each := range texts {
				text, is := each.(string)
				if !is {
					continue
				}
				if strings.Contains(strings.ReplaceAll(text, "***@", ""), "@") || strings.Contains(text, "password") || strings.Join(strings.Fields(text), " ") != text || text == "" {
					t.Errorf("an event of the kind %s contains %q", e["kind"], text)
				}
			}
		}
		slices.Sort(kinds)
		if diff := cmp.Diff(promisedKinds(t), slices.Compact(kinds)); diff != "" {
			t.Errorf("kinds (-contract +recorded):\n%s", diff)
		}
	}, trusted, "ACCOUNTS_EMAIL_VERIFICATION=optional", "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m")
}

// A change by a staff member records one event of each affected kind. The event lists the changes
// as data and has no detail.
func TestEventsOfStaffChangesListChangesAsData(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		name := newName()
		edit(s.asRoot, s.una, object{"username": name, "first_name": `"A"`, "last_name": "", "locale": "ko", "is_staff": true, "is_superuser": true, "is_active": false}).Want(t, http.StatusOK, "")
		edit(s.asRoot, s.una, object{"locale": nil, "first_name": "mail eve@x.example or ada@example.com"}).Want(t, http.StatusOK, "")
		invited := s.asRoot.Do(http.MethodPost, "/admin/users", object{"email": address(newName()), "is_staff": true}).Want(t, http.StatusCreated, "")
		id := int64(invited.JSON["user"].(object)["id"].(float64))
		s.asRoot.Do(http.MethodPost, fmt.Sprintf("/admin/users/%d/password_reset", id), nil).Want(t, http.StatusAccepted, "")
		s.asRoot.Do(http.MethodDelete, fmt.Sprintf("/admin/users/%d", id), nil).Want(t, http.StatusNoContent, "")
		s.wantAudit(s.root,
			fmt.Sprintf("roles_changed %d is_staff false>true, is_superuser false>true", s.una.ID),
			fmt.Sprintf("username_changed %d username %s>%s", s.una.ID, s.una.Username, name),
			fmt.Sprintf(`profile_changed %d first_name Ada>"A", last_name Lovelace>null, locale null>ko`, s.una.ID),
			fmt.Sprintf("deactivated %d is_active true>false", s.una.ID),
			fmt.Sprintf(`profile_changed %d first_name "A">m***@example.com, locale ko>null`, s.una.ID),
			fmt.Sprintf("invited %d", id), // the deletion of the user has removed the changes
			fmt.Sprintf("password_reset_sent %d", id),
			fmt.Sprintf("deleted %d is_staff true>null", id),
		)
		for _, e := range s.audit(fmt.Sprint("&actor_id=", s.root.ID)) {
			if e["detail"] != nil {
				t.Errorf("event %s has the detail %v, want none", e["kind"], e["detail"])
			}
			var gone any = name
			if e["user_id"] == float64(id) {
				gone = nil
			}
			if e["username"] != gone || e["actor_username"] != s.root.Username {
				t.Errorf("event %s names %v and the actor %v", e["kind"], e["username"], e["actor_username"])
			}
		}
	})
}

// The event of an invitation lists the granted roles as changes from null. The event of a mail sent
// by staff has the kind of mail as its detail.
func TestInvitationEventsListGrantedRoles(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		for body, want := range map[string]string{"": "", "is_staff": "is_staff null>true", "is_superuser": "is_superuser null>true"} {
			in := object{"email": address(newName())}
			if body != "" {
				in[body] = true
			}
			id := s.asRoot.Do(http.MethodPost, "/admin/users", in).Want(t, http.StatusCreated, "").JSON["user"].(object)["id"]
			s.asRoot.Do(http.MethodPost, fmt.Sprintf("/admin/users/%.0f/password_reset", id), nil).Want(t, http.StatusAccepted, "")
			events := s.audit(fmt.Sprintf("&user_id=%.0f", id))
			if got := changesOf(events[0]); got != want || events[0]["kind"] != "invited" || events[1]["detail"] != "an invitation" {
				t.Errorf("%s: %v", body, events)
			}
		}
	})
}

// A user's changes to their own profile are recorded up to a limit, because a client could
// otherwise fill the security log. Beyond the limit the changes are still made.
func TestProfileEventsAreRateLimited(t *testing.T) {
	t.Attr("control", "186")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		var want []string
		for i, name := range []string{"A", "B", "B", "C", "D", "E"} { // the third changes nothing
			patch(c, object{"first_name": name, "last_name": u.LastName}).Want(t, http.StatusOK, "")
			if i < 4 && i != 2 {
				want = append(want, name)
			}
		}
		var got []string
		for _, e := range slices.Backward(eventsOf(t, s, c)) {
			if e["kind"] == "profile_changed" {
				got = append(got, e["changes"].([]any)[0].(object)["after"].(string))
			}
		}
		if first := profileOf(t, c.Profile())["first_name"]; !slices.Equal(got, want) || first != "E" {
			t.Errorf("recorded %q, want %q; the name is %v", got, want, first)
		}
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=3/1h")
}

// Lists of events can be filtered by kind and by time. The start is inclusive and the end is
// exclusive. A time filter is a range of event IDs, which contain the time of the event, so it also
// works after the clock was moved.
func TestEventsAreFilteredByKindAndTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		for range 3 {
			s.Clock.Advance(600 * time.Millisecond) // no further, because MySQL has its own clock
			s.Login(u, accounts.BodyTokens).Logout()
			signIn(s, u.Username, "a wrong password") // recorded once a minute
		}
		all := eventsOf(t, s, c)
		if len(all) != 9 { // registered, login, three times login and logout, login_failed
			t.Fatalf("events: got %v, want 9", kindsOf(all))
		}
		list := func(q url.Values) []object {
			t.Helper()
			var list []object
			for _, each := range c.Do(http.MethodGet, "/accounts/events?"+q.Encode(), nil).Want(t, http.StatusOK, "").JSON["events"].([]any) {
				list = append(list, each.(object))
			}
			return list
		}
		for _, kinds := range [][]string{nil, {"login"}, {"login", "login_failed"}, {"logout", "registered", "deleted"}} {
			for _, from := range append(all, nil) {
				for _, before := range append(all, nil) {
					q := url.Values{"kind": kinds}
					if from != nil {
						q.Set("created_from", from["created_at"].(string))
					}
					if before != nil {
						q.Set("created_before", before["created_at"].(string))
					}
					var want []object
					for _, e := range all {
						at := e["created_at"].(string)
						if (kinds == nil || slices.Contains(kinds, e["kind"].(string))) && (from == nil || at >= from["created_at"].(string)) && (before == nil || at < before["created_at"].(string)) {
							want = append(want, e)
						}
					}
					if diff := cmp.Diff(want, list(q)); diff != "" {
						t.Fatalf("%v (-want +got):\n%s", q, diff)
					}
				}
			}
		}
		for query, want := range map[string]int{
			"created_before=0000-01-01T00:00:00Z": 0, "created_before=0001-01-01T00:00:00Z": 0, "created_from=0001-01-01T00:00:00Z": 9, "created_before=9999-12-31T23:59:59Z": 9, "created_from=9999-12-31T23:59:59Z": 0,
		} {
			q, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			if got := list(q); len(got) != want {
				t.Errorf("%s: %d events, want %d", query, len(got), want)
			}
		}
	})
}

// After the deletion of a staff member, the events of other users keep that staff member's ID.
// After the deletion of a user, the events that staff members caused are kept. None of them
// contains a name.
func TestEventsDoNotNameDeletedUser(t *testing.T) {
	t.Attr("control", "200")
	withStaff(t, func(t *testing.T, s staffed) {
		edit(s.asSam, s.una, object{"first_name": "Una", "username": newName()}).Want(t, http.StatusOK, "")
		patch(s.asUna, object{"last_name": "Own"}).Want(t, http.StatusOK, "")
		deleteAccount(s.asSam).Want(t, http.StatusNoContent, "")
		for _, e := range eventsOf(t, s.Server, s.asUna)[1:3] {
			if e["actor"] != "staff" || e["actor_id"] != nil || e["actor_username"] != nil {
				t.Errorf("the user sees the actor of an event: %v", e)
			}
		}
		for _, e := range s.audit(fmt.Sprint("&actor_id=", s.sam.ID)) {
			if e["actor_username"] != nil || e["username"] == nil || len(e["changes"].([]any)) != 1 {
				t.Errorf("event caused by the deleted staff member: got %v", e)
			}
		}
		una := stored(t, s.Server, s.una.Email)
		deleteAccount(s.asUna).Want(t, http.StatusNoContent, "")
		events := s.audit(fmt.Sprint("&user_id=", s.una.ID))
		if len(events) != 2 { // those that the staff member caused
			t.Errorf("events: got %v, want the two that the staff member caused", kindsOf(events))
		}
		for _, e := range events {
			if e["actor_username"] != nil || e["username"] != nil || len(e["changes"].([]any)) != 0 || e["detail"] != nil {
				t.Errorf("event about the deleted user: got %v, want no names, changes or detail", e)
			}
		}
		settle(t, s.Server)
		for _, name := range []string{una.Username, s.una.Username, s.sam.Username, "Una", `"Own"`} {
			if strings.Contains(s.Database.Dump(t), name) {
				t.Errorf("the database still contains %s", name)
			}
		}
	})
}
