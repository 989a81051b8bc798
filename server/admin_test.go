package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// staffed is a server with users of every role, each with a session.
type staffed struct {
	*servertest.Server
	t                *testing.T
	root, boss       servertest.User // superusers
	sam, una         servertest.User // a staff member, an ordinary user
	asRoot, asSam    *servertest.Client
	asUna, unaMobile *servertest.Client
}

func withStaff(t *testing.T, f func(t *testing.T, s staffed), settings ...string) {
	t.Helper()
	eachEngine(t, func(t *testing.T, server *servertest.Server) {
		s := staffed{Server: server, t: t}
		s.root, s.boss, s.sam, s.una = server.NewUser(), server.NewUser(), server.NewUser(), server.NewUser()
		for _, u := range []*servertest.User{&s.root, &s.boss} {
			server.Database.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, u.ID)
		}
		server.Database.Exec(t, "UPDATE users SET is_staff = ? WHERE id = ?", true, s.sam.ID)
		s.asRoot, s.asSam = server.Login(s.root, accounts.Hybrid), server.Login(s.sam, accounts.Cookies)
		s.asUna, s.unaMobile = server.Login(s.una, accounts.ServerHeld), server.Login(s.una, accounts.BodyTokens)
		f(t, s)
	}, settings...)
}

func at(u servertest.User, rest string) string { return fmt.Sprintf("/admin/users/%d%s", u.ID, rest) }

func edit(c *servertest.Client, u servertest.User, body object) *servertest.Response {
	return c.Do(http.MethodPatch, at(u, ""), body)
}

// audit returns the security events that match query, oldest first. It returns at most the newest
// 100.
func (s staffed) audit(query string) (list []object) {
	s.t.Helper()
	flush(s.t, s.Server)
	r := s.asRoot.Do(http.MethodGet, "/admin/events?limit=100"+query, nil).Want(s.t, http.StatusOK, "")
	for _, each := range slices.Backward(r.JSON["events"].([]any)) {
		list = append(list, each.(object))
	}
	return list
}

// wantAudit compares the events that actor caused with want. An event is written as its kind, its
// user and its changes: "username_changed 4 username ada>countess".
func (s staffed) wantAudit(actor servertest.User, want ...string) {
	s.t.Helper()
	var got []string
	for _, e := range s.audit(fmt.Sprint("&actor_id=", actor.ID)) {
		if e["actor"] != "staff" || e["actor_id"] != float64(actor.ID) {
			s.t.Errorf("the event has the actor %v with ID %v, want the staff member", e["actor"], e["actor_id"])
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%v %.0f %s", e["kind"], e["user_id"], changesOf(e))))
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		s.t.Errorf("what user %d did (-want +got):\n%s", actor.ID, diff)
	}
}

// changesOf formats the changes of an event, sorted by field. A null value is written as "null".
func changesOf(event object) string {
	var list []string
	for _, each := range event["changes"].([]any) {
		value := func(member string) any { return or(each.(object)[member], "null") }
		list = append(list, fmt.Sprintf("%v %v>%v", each.(object)["field"], value("before"), value("after")))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func or(value, otherwise any) any {
	if value == nil {
		return otherwise
	}
	return value
}

// ------------------------------------------------------------------ inviting

func TestInvitedUserSetsPasswordByLink(t *testing.T) {
	t.Attr("control", "60")
	t.Attr("control", "78")
	withStaff(t, func(t *testing.T, s staffed) {
		name := newName()
		email := address(name)
		r := s.asSam.Do(http.MethodPost, "/admin/users", object{"email": email, "username": name, "first_name": "Grace", "locale": "ko"}).Want(t, http.StatusCreated, "")
		u := servertest.User{User: stored(t, s.Server, email), Password: otherPassword}
		user := r.JSON["user"].(object)
		if user["has_password"] != false || user["locale"] != "ko" || user["last_name"] != "" || user["pending_email"] != nil || user["email_verified"] != false || user["is_active"] != true || user["is_staff"] != false || user["username"] != name {
			t.Errorf("response: got %s, want the invited user with the given data", r.Raw)
		}
		for _, guess := range []string{"", "!", u.User.Password.Reveal(), otherPassword} {
			if guess != "" {
				signIn(s.Server, name, guess).Want(t, http.StatusUnauthorized, "credentials_invalid")
			}
		}
		m := s.Mails.Wait(t, email, 1)
		if m.Kind != mail.Invitation || m.Locale != "ko" || m.Name != "" || m.ValidFor != 72*time.Hour {
			t.Errorf("invitation: got %+v, want one in Korean that is valid for 72 hours", m)
		}
		confirmReset(s.Server, servertest.Token(t, m), otherPassword).Want(t, http.StatusNoContent, "")
		profile := profileOf(t, s.Login(u, accounts.Hybrid).Profile())
		if profile["email_verified"] != true {
			t.Errorf("the address is not verified after the invited user has set the password: %v", profile)
		}
		if r := s.asSam.Do(http.MethodGet, at(u, ""), nil).Want(t, http.StatusOK, ""); r.JSON["user"].(object)["has_password"] != true {
			t.Errorf("response: got %s, want has_password to be true", r.Raw)
		}
		s.asRoot.Do(http.MethodPost, "/admin/users", object{"email": address(newName()), "is_staff": true}).Want(t, http.StatusCreated, "")
		s.wantAudit(s.sam, fmt.Sprintf("invited %d", u.ID))
		for body, code := range map[*object]string{
			{"email": otherSpelling(email)}: "email_taken", {"email": address(newName()), "username": strings.ToUpper(name)}: "username_taken", {"email": s.una.Email, "username": name}: "username_taken",
		} {
			s.asSam.Do(http.MethodPost, "/admin/users", *body).Want(t, http.StatusConflict, code)
		}
		for pointer, body := range map[string]object{"/email": {"email": "no address"}, "/username": {"email": address(newName()), "username": "a b"}, "/first_name": {"email": address(newName()), "first_name": "\u202e"}} {
			wantField(t, s.asSam.Do(http.MethodPost, "/admin/users", body), pointer, "format_invalid")
		}
		for _, name := range []string{"password", "is_active", "id", "email_verified", "date_joined"} {
			wantField(t, s.asSam.Do(http.MethodPost, "/admin/users", object{"email": address(newName()), name: "x"}), "/"+name, "field_unknown")
			wantField(t, edit(s.asRoot, s.una, object{name + "_": "x"}), "/"+name+"_", "field_unknown")
		}
		wantField(t, edit(s.asRoot, s.una, object{"password": otherPassword}), "/password", "field_unknown")
	})
}

// ------------------------------------------------------------------ changing

func TestStaffMemberUpdatesUser(t *testing.T) {
	t.Attr("control", "78")
	withStaff(t, func(t *testing.T, s staffed) {
		name := newName()
		r := edit(s.asSam, s.una, object{"username": name, "first_name": "Una", "last_name": "", "locale": "ko"}).Want(t, http.StatusOK, "")
		want := object{"id": float64(s.una.ID), "username": name, "email": s.una.Email, "first_name": "Una", "last_name": "", "is_active": true, "is_staff": false, "is_superuser": false, "email_verified": true,
			"locale": "ko", "has_password": true, "pending_email": nil, "throttled": false}
		got := r.JSON["user"].(object)
		for _, member := range []string{"date_joined", "last_login", "version"} {
			delete(got, member)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("the user (-want +got):\n%s", diff)
		}
		s.asUna.Profile().Want(t, http.StatusOK, "") // the sessions stay valid
		s.wantAudit(s.sam,
			fmt.Sprintf("username_changed %d username %s>%s", s.una.ID, s.una.Username, name),
			fmt.Sprintf("profile_changed %d first_name Ada>Una, last_name Lovelace>null, locale null>ko", s.una.ID))
		before := s.Database.Dump(t)
		edit(s.asSam, s.una, object{"username": name, "email": s.una.Email, "first_name": "Una", "is_active": true}).Want(t, http.StatusOK, "")
		edit(s.asSam, s.una, object{}).Want(t, http.StatusOK, "")
		wantUnchanged(t, s.Server, before) // setting a field to its current value changes nothing
		edit(s.asSam, s.una, object{"username": s.sam.Username}).Want(t, http.StatusConflict, "username_taken")
		edit(s.asRoot, s.una, object{"email": otherSpelling(s.sam.Email)}).Want(t, http.StatusConflict, "email_taken")
		edit(s.asRoot, s.una, object{"email": s.sam.Email, "username": "new" + name}).Want(t, http.StatusConflict, "email_taken")
		for pointer, body := range map[string]object{"/email": {"email": "x@y@z"}, "/username": {"username": "a@b"}, "/last_name": {"last_name": "\u0007"}} {
			wantField(t, edit(s.asRoot, s.una, body), pointer, "format_invalid")
		}
		wantUnchanged(t, s.Server, before)
		for _, path := range []string{"/admin/users/9007199254740991", "/admin/users/999999"} {
			s.asSam.Do(http.MethodPatch, path, object{"first_name": "x"}).Want(t, http.StatusNotFound, "resource_not_found")
		}
	})
}

// Concurrent changes of one user are serialized: each is applied to the result of the one before.
// The server retries conflicts and may answer 503 if they persist.
func TestConcurrentChangesOfOneUserAreSerialized(t *testing.T) {
	t.Attr("control", "78")
	withStaff(t, func(t *testing.T, s staffed) {
		var all sync.WaitGroup
		for i := range 4 {
			c := s.Login(s.root, accounts.BodyTokens)
			all.Go(func() {
				for j := range 10 {
					r := edit(c.Copy(), s.una, object{"is_active": (i+j)%2 == 0})
					if r.Status != http.StatusOK && r.Status != http.StatusServiceUnavailable { // 503 after repeated conflicts
						t.Errorf("%d %s", r.Status, r.Code())
					}
				}
			})
		}
		all.Wait()
		last := ""
		for _, e := range s.audit(fmt.Sprint("&actor_id=", s.root.ID)) {
			if e["kind"] == last {
				t.Errorf("the user sees two events of the kind %s", last)
			}
			last = e["kind"].(string)
		}
	})
}

// The security log of a user says that a staff member acted, but neither which one nor from which
// address.
func TestEventsDoNotTellUserWhichStaffMemberActed(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		edit(s.asSam, s.una, object{"first_name": "Una"}).Want(t, http.StatusOK, "")
		s.asSam.Do(http.MethodDelete, at(s.una, "/login_limit"), nil).Want(t, http.StatusNoContent, "")
		events := eventsOf(t, s.Server, s.asUna)
		for i, kind := range []string{"login_limit_reset", "profile_changed"} {
			e := events[i]
			if e["kind"] != kind || e["actor"] != "staff" {
				t.Errorf("event %d: got %v, want one caused by staff", i, e)
			}
			for _, member := range []string{"actor_id", "actor_username", "ip", "user_agent", "request_id", "session_id"} {
				if e[member] != nil {
					t.Errorf("the user sees the member %s of an event: %v", member, e)
				}
			}
		}
		if got := changesOf(events[1]); got != "first_name Ada>Una" {
			t.Errorf("changes that the user sees: got %s, want first_name Ada>Una", got)
		}
		if e := s.audit("&kind=login_limit_reset")[0]; e["ip"] != "127.0.0.1" || e["request_id"] == nil || e["actor_username"] != s.sam.Username || e["username"] != s.una.Username {
			t.Errorf("event that a staff member sees: got %v, want its address, request and names", e)
		}
	})
}

func TestDeactivationRevokesSessionsAndLinksOfUser(t *testing.T) {
	t.Attr("control", "76")
	withStaff(t, func(t *testing.T, s staffed) {
		reset := requestReset(t, s.Server, s.una.Email, 1)
		r := edit(s.asSam, s.una, object{"is_active": false}).Want(t, http.StatusOK, "")
		if r.JSON["user"].(object)["is_active"] != false || len(r.Cookies()) != 0 {
			t.Errorf("deactivation: got %s with the cookies %v, want an inactive user and no cookies", r.Raw, r.Cookies())
		}
		wantEnded(t, []*servertest.Client{s.asUna, s.unaMobile})
		signIn(s.Server, s.una.Username, s.una.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		confirmReset(s.Server, reset, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		if r := s.asSam.Do(http.MethodGet, at(s.una, "/sessions"), nil).Want(t, http.StatusOK, ""); len(r.JSON["sessions"].([]any)) != 0 {
			t.Errorf("sessions of the deactivated user: got %s, want none", r.Raw)
		}
		s.asSam.Do(http.MethodPost, at(s.una, "/password_reset"), nil).Want(t, http.StatusConflict, "user_unreachable")
		s.asSam.Do(http.MethodDelete, at(s.una, "/sessions"), nil).Want(t, http.StatusNoContent, "")
		edit(s.asSam, s.una, object{"is_active": false, "locale": "ko"}).Want(t, http.StatusOK, "") // is_active does not change
		edit(s.asSam, s.una, object{"is_active": true}).Want(t, http.StatusOK, "")
		wantEnded(t, []*servertest.Client{s.asUna, s.unaMobile})
		signIn(s.Server, s.una.Username, s.una.Password).Want(t, http.StatusOK, "")
		s.wantAudit(s.sam, fmt.Sprintf("deactivated %d is_active true>false", s.una.ID), fmt.Sprintf("profile_changed %d locale null>ko", s.una.ID), fmt.Sprintf("activated %d is_active false>true", s.una.ID))
	})
}

// A staff member who ends their own sessions or deactivates their own account loses the cookies
// too.
func TestStaffMemberWhoEndsOwnSessionsLosesCookies(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		for _, try := range []func(c *servertest.Client) *servertest.Response{
			func(c *servertest.Client) *servertest.Response {
				return c.Do(http.MethodDelete, at(s.root, "/sessions"), nil)
			},
			func(c *servertest.Client) *servertest.Response {
				return c.Do(http.MethodDelete, at(s.root, "/sessions/"+c.SessionID), nil)
			},
			func(c *servertest.Client) *servertest.Response { return edit(c, s.root, object{"is_active": false}) },
		} {
			c := s.Login(s.root, accounts.Cookies)
			if r := try(c); r.Status >= 300 || len(r.Cookies()) == 0 || c.CookieValue("access") != "" {
				t.Errorf("got status %d and the cookies %v, want success and cleared cookies", r.Status, r.Cookies())
			}
		}
	})
}

func TestDeleteUserRemovesSessionsAndTokens(t *testing.T) {
	t.Attr("control", "76")
	withStaff(t, func(t *testing.T, s staffed) {
		wantEmpty(t, s.asSam.Do(http.MethodDelete, at(s.una, ""), nil).Want(t, http.StatusNoContent, ""))
		wantEnded(t, []*servertest.Client{s.asUna, s.unaMobile})
		for _, table := range []string{"sessions", "one_time_tokens"} {
			if n := s.Database.Count(t, "SELECT COUNT(*) FROM "+table+" WHERE user_id = ?", s.una.ID); n != 0 {
				t.Errorf("%d rows are left in %s, want 0", n, table)
			}
		}
		wantMails(t, s.Server, s.una.Email, mail.AccountDeleted)
		s.wantAudit(s.sam, fmt.Sprintf("deleted %d", s.una.ID))
		if list := s.audit(fmt.Sprint("&user_id=", s.una.ID)); len(list) != 1 {
			t.Errorf("events about the deleted user: got %v, want 1", list)
		}
		for _, again := range []example{{http.MethodDelete, at(s.una, ""), nil}, {http.MethodGet, at(s.una, ""), nil}, {http.MethodGet, at(s.una, "/sessions"), nil}, {http.MethodDelete, at(s.una, "/sessions"), nil},
			{http.MethodPost, at(s.una, "/password_reset"), nil}, {http.MethodDelete, at(s.una, "/login_limit"), nil}, {http.MethodDelete, at(s.una, "/sessions/"+s.asSam.SessionID), nil}} {
			send(s.asSam, again).Want(t, http.StatusNotFound, "resource_not_found")
		}
		s.asRoot.Do(http.MethodDelete, at(s.boss, ""), nil).Want(t, http.StatusNoContent, "")
		settle(t, s.Server)
		before := s.Database.Dump(t)
		s.asRoot.Do(http.MethodDelete, at(s.root, ""), nil).Want(t, http.StatusConflict, "superuser_last")
		edit(s.asRoot, s.root, object{"is_superuser": false}).Want(t, http.StatusConflict, "superuser_last")
		edit(s.asRoot, s.root, object{"is_active": false, "first_name": "x"}).Want(t, http.StatusConflict, "superuser_last")
		wantUnchanged(t, s.Server, before)
		deleteAccount(s.asRoot.Copy()).Want(t, http.StatusConflict, "superuser_last")
		if err := s.Service.SetActive(t.Context(), s.root.Username, false); err == nil {
			t.Error("SetActive deactivated the last superuser")
		}
		edit(s.asRoot, s.root, object{"is_staff": false, "first_name": "Root"}).Want(t, http.StatusOK, "") // still a superuser
	})
}

// ------------------------------------------------------------------ helping

func TestStaffMemberSendsPasswordReset(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		wantAccepted(t, s.asSam.Do(http.MethodPost, at(s.una, "/password_reset"), nil))
		token := linkToken(t, s.Server, s.una.Email, 1, mail.Reset)
		s.asUna.Profile().Want(t, http.StatusOK, "") // nothing changes until the link is used
		signIn(s.Server, s.una.Username, s.una.Password).Want(t, http.StatusOK, "")
		confirmReset(s.Server, token, otherPassword).Want(t, http.StatusNoContent, "")
		s.asUna.Profile().Want(t, http.StatusUnauthorized, "session_revoked")

		email := address(newName())
		s.asSam.Do(http.MethodPost, "/admin/users", object{"email": email}).Want(t, http.StatusCreated, "")
		invited := servertest.User{User: stored(t, s.Server, email)}
		first := linkToken(t, s.Server, email, 1, mail.Invitation)
		s.asSam.Do(http.MethodPost, at(invited, "/password_reset"), nil).Want(t, http.StatusAccepted, "")
		second := linkToken(t, s.Server, email, 2, mail.Invitation)
		if life := s.Mails.To(email)[1].ValidFor; life != 72*time.Hour {
			t.Errorf("the second invitation is valid for %v, want 72 hours", life)
		}
		confirmReset(s.Server, first, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmReset(s.Server, second, otherPassword).Want(t, http.StatusNoContent, "")
		s.wantAudit(s.sam, fmt.Sprintf("password_reset_sent %d", s.una.ID), fmt.Sprintf("invited %d", invited.ID), fmt.Sprintf("password_reset_sent %d", invited.ID))

		s.Database.Exec(t, "UPDATE users SET email = '', email_norm = '#1' WHERE id = ?", s.una.ID)
		s.asSam.Do(http.MethodPost, at(s.una, "/password_reset"), nil).Want(t, http.StatusConflict, "user_unreachable")
	})
}

// Mails sent by staff members have a rate limit of their own, so that strangers cannot block them
// by requesting resets.
func TestSendPasswordResetHasItsOwnRateLimit(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		for range 3 {
			post(s.Server, "/accounts/password/reset", object{"email": s.una.Email}).Want(t, http.StatusAccepted, "")
		}
		for _, status := range []int{http.StatusAccepted, http.StatusAccepted, http.StatusTooManyRequests} {
			s.asSam.Do(http.MethodPost, at(s.una, "/password_reset"), nil).Want(t, status, "")
		}
		s.wantAudit(s.sam, fmt.Sprintf("password_reset_sent %d", s.una.ID), fmt.Sprintf("password_reset_sent %d", s.una.ID))
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=2/1h")
}

func TestStaffMemberResetsLoginLimit(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		throttled := func() any {
			return s.asSam.Do(http.MethodGet, at(s.una, ""), nil).Want(t, http.StatusOK, "").JSON["user"].(object)["throttled"]
		}
		for what, try := range map[string]func(password string) *servertest.Response{
			"the address": func(password string) *servertest.Response { // the limit for unknown networks
				return post(s.Server, "/accounts/login", object{"username": s.una.Email, "password": password}, from("192.0.2.1"))
			},
			"the username": func(password string) *servertest.Response {
				return post(s.Server, "/accounts/login", object{"username": s.una.Username, "password": password}, from("192.0.2.2"))
			},
			"a session": func(password string) *servertest.Response {
				return s.unaMobile.Copy().Do(http.MethodPost, "/accounts/reauthenticate", object{"password": password})
			},
		} {
			for range 3 {
				if throttled() != false {
					t.Errorf("%s: throttled before the guesses", what)
				}
				try("a wrong one")
			}
			try(s.una.Password).Want(t, http.StatusTooManyRequests, "rate_limited")
			if throttled() != true {
				t.Errorf("%s: not throttled after the guesses", what)
			}
			wantEmpty(t, s.asSam.Do(http.MethodDelete, at(s.una, "/login_limit"), nil).Want(t, http.StatusNoContent, ""))
			if throttled() != false {
				t.Errorf("%s: throttled after the reset of the limit", what)
			}
			try(s.una.Password).Want(t, http.StatusOK, "")
		}
		reset := fmt.Sprintf("login_limit_reset %d", s.una.ID)
		s.wantAudit(s.sam, reset, reset, reset)
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m", trusted)
}

func TestStaffMemberListsAndRevokesSessionsOfUser(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		ids := func() (ids []string) {
			for _, each := range s.asSam.Do(http.MethodGet, at(s.una, "/sessions"), nil).Want(t, http.StatusOK, "").JSON["sessions"].([]any) {
				if each.(object)["current"] != false {
					t.Errorf("a session of another user is marked as the caller's own: %v", each)
				}
				ids = append(ids, each.(object)["id"].(string))
			}
			return ids
		}
		if got := ids(); !slices.Equal(got, []string{s.unaMobile.SessionID, s.asUna.SessionID}) {
			t.Errorf("sessions: got %v, want both", got)
		}
		s.asSam.Do(http.MethodDelete, at(s.una, "/sessions/"+s.asRoot.SessionID), nil).Want(t, http.StatusNotFound, "resource_not_found")
		s.asRoot.Profile().Want(t, http.StatusOK, "")
		wantEmpty(t, s.asSam.Do(http.MethodDelete, at(s.una, "/sessions/"+s.asUna.SessionID), nil).Want(t, http.StatusNoContent, ""))
		wantEnded(t, []*servertest.Client{s.asUna})
		s.unaMobile.Profile().Want(t, http.StatusOK, "")
		if got := ids(); !slices.Equal(got, []string{s.unaMobile.SessionID}) {
			t.Errorf("sessions: got %v, want the one that was not revoked", got)
		}
		wantEmpty(t, s.asSam.Do(http.MethodDelete, at(s.una, "/sessions"), nil).Want(t, http.StatusNoContent, ""))
		wantEnded(t, []*servertest.Client{s.unaMobile})
		if got := ids(); len(got) != 0 {
			t.Errorf("sessions: got %v, want none", got)
		}
		s.asSam.Profile().Want(t, http.StatusOK, "")
		s.wantAudit(s.sam, fmt.Sprintf("session_revoked %d", s.una.ID), fmt.Sprintf("sessions_revoked %d", s.una.ID))
		if e := s.audit("&kind=session_revoked"); e[0]["session_id"] != s.asUna.SessionID {
			t.Errorf("the events name another revoked session: %v", e)
		}
	})
}

// ------------------------------------------------------------------ security events

func TestStaffMemberListsEventsOfAllUsers(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		all := s.audit("")
		if len(all) != 8 { // four users, four logins
			t.Fatalf("got %d events, want 8", len(all))
		}
		for query, want := range map[string]int{
			fmt.Sprint("&user_id=", s.una.ID): 3, "&kind=login": 4, fmt.Sprint("&kind=login&user_id=", s.una.ID): 2, fmt.Sprint("&actor_id=", s.root.ID): 0, "&kind=deleted": 0, "&user_id=999999": 0,
		} {
			if got := s.audit(query); len(got) != want {
				t.Errorf("%s: %d events, want %d", query, len(got), want)
			}
		}
		var paged []any
		for query := "?limit=3"; ; {
			r := s.asSam.Do(http.MethodGet, "/admin/events"+query, nil).Want(t, http.StatusOK, "")
			paged = append(paged, r.JSON["events"].([]any)...)
			next, more := r.JSON["next_cursor"].(string)
			if !more {
				break
			}
			query = "?limit=3&cursor=" + next
		}
		slices.Reverse(paged)
		for i := range paged {
			if paged[i].(object)["id"] != all[i]["id"] {
				t.Fatalf("events read page by page: got %v, want the same as in one page", paged)
			}
		}
		for _, query := range []string{"limit=101", "kind=nothing", "user_id=0", "user_id=x", "actor_id=-1", "cursor=x", "before=x", "username=x"} {
			s.asSam.Copy().Do(http.MethodGet, "/admin/events?"+query, nil).Want(t, http.StatusBadRequest, "request_malformed")
		}
	})
}
