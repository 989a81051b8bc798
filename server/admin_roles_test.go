package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// ------------------------------------------------------------------ roles

// Staff members manage ordinary users. Only superusers may change staff members or grant roles.
func TestStaffMembersManageOrdinaryUsersOnly(t *testing.T) {
	t.Attr("control", "73")
	withStaff(t, func(t *testing.T, s staffed) {
		session := s.asRoot.SessionID
		s.Database.Exec(t, "UPDATE users SET is_staff = ? WHERE id = ?", false, s.boss.ID) // a superuser has the staff role too
		before := s.Database.Dump(t)
		for _, target := range []servertest.User{s.root, s.boss, s.sam} {
			for _, try := range []example{
				{http.MethodPatch, at(target, ""), object{"first_name": "Eve"}}, {http.MethodPatch, at(target, ""), object{"is_active": false}}, {http.MethodPatch, at(target, ""), object{}},
				{http.MethodDelete, at(target, ""), nil}, {http.MethodPost, at(target, "/password_reset"), nil}, {http.MethodDelete, at(target, "/login_limit"), nil},
				{http.MethodDelete, at(target, "/sessions"), nil}, {http.MethodDelete, at(target, "/sessions/"+session), nil},
			} {
				send(s.asSam.Copy(), try).Want(t, http.StatusForbidden, "role_required")
			}
		}
		for _, body := range []object{{"is_staff": true}, {"is_superuser": true}, {"is_staff": true, "is_superuser": true, "first_name": "Eve"}} {
			edit(s.asSam, s.una, body).Want(t, http.StatusForbidden, "role_required")
			body["email"] = address(newName())
			s.asSam.Do(http.MethodPost, "/admin/users", body).Want(t, http.StatusForbidden, "role_required")
		}
		wantUnchanged(t, s.Server, before)
		edit(s.asSam, s.una, object{"is_staff": false, "is_superuser": false}).Want(t, http.StatusOK, "") // no change
		edit(s.asSam, s.una, object{"first_name": "Una"}).Want(t, http.StatusOK, "")
		edit(s.asRoot, s.sam, object{"first_name": "Sam", "is_superuser": true}).Want(t, http.StatusOK, "")
		s.asSam.Profile().Want(t, http.StatusUnauthorized, "session_revoked") // the new role applies to new sessions only
		s.asSam = s.Login(s.sam, accounts.Cookies)
		edit(s.asSam, s.boss, object{"first_name": "Boss"}).Want(t, http.StatusOK, "")
		edit(s.asRoot, s.sam, object{"is_superuser": false, "is_staff": false}).Want(t, http.StatusOK, "")
		s.asSam.Do(http.MethodGet, "/admin/users", nil).Want(t, http.StatusForbidden, "role_required")
		s.asSam.Profile().Want(t, http.StatusOK, "") // allowed for every user
		s.wantAudit(s.root, fmt.Sprintf("roles_changed %d is_superuser false>true", s.sam.ID), fmt.Sprintf("profile_changed %d first_name Ada>Sam", s.sam.ID),
			fmt.Sprintf("roles_changed %d is_staff true>false, is_superuser true>false", s.sam.ID))
	})
}

// A role is granted only to a user with a verified address. An unverified address may belong to
// another person.
func TestRoleRequiresVerifiedAddress(t *testing.T) {
	t.Attr("control", "73")
	withStaff(t, func(t *testing.T, s staffed) {
		s.Database.Exec(t, "UPDATE users SET email_verified_at = NULL WHERE id IN (?, ?)", s.una.ID, s.sam.ID)
		before := s.Database.Dump(t)
		for _, body := range []object{{"is_staff": true}, {"is_superuser": true, "first_name": "x"}} {
			edit(s.asRoot, s.una, body).Want(t, http.StatusConflict, "email_unverified")
		}
		edit(s.asRoot, s.sam, object{"is_superuser": true}).Want(t, http.StatusConflict, "email_unverified")
		wantUnchanged(t, s.Server, before)
		edit(s.asRoot, s.sam, object{"is_staff": false}).Want(t, http.StatusOK, "") // removing a role needs no verified address
		email := address(newName())
		s.asRoot.Do(http.MethodPost, "/admin/users", object{"email": email}).Want(t, http.StatusCreated, "")
		invited := servertest.User{User: stored(t, s.Server, email)}
		edit(s.asRoot, invited, object{"is_staff": true, "is_superuser": true}).Want(t, http.StatusOK, "")
		// An invited superuser who has not accepted yet does not count as one who can manage users.
		s.asRoot.Do(http.MethodDelete, at(s.boss, ""), nil).Want(t, http.StatusNoContent, "")
		edit(s.asRoot, s.root, object{"is_superuser": false}).Want(t, http.StatusConflict, "superuser_last")
	})
}

func TestSensitiveOperationsOfStaffRequireRecentAuthentication(t *testing.T) {
	t.Attr("control", "72")
	t.Attr("control", "73")
	withStaff(t, func(t *testing.T, s staffed) {
		show := func(c *servertest.Client, password string) *servertest.Response {
			return c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": password})
		}
		for _, c := range []*servertest.Client{s.asRoot, s.Login(s.root, accounts.Cookies)} {
			id := sessionID(t, c)
			edit(c, s.una, object{"first_name": "U"}).Want(t, http.StatusOK, "")
			old := time.Now().Add(-10*time.Minute - time.Second).UTC()
			s.Database.Exec(t, "UPDATE sessions SET created_at = ? WHERE id = ?", old, id[:])
			edit(c, s.una, object{"first_name": "V"}).Want(t, http.StatusForbidden, "reauth_required")
			c.Do(http.MethodGet, at(s.una, ""), nil).Want(t, http.StatusOK, "") // reading and harmless operations need no recent authentication
			c.Do(http.MethodDelete, at(s.una, "/sessions"), nil).Want(t, http.StatusNoContent, "")
			c.Do(http.MethodDelete, at(s.root, "/login_limit"), nil).Want(t, http.StatusForbidden, "reauth_required") // would allow unlimited guesses
			wantField(t, show(c, "a wrong password"), "/password", "password_wrong")
			edit(c, s.una, object{"first_name": "V"}).Want(t, http.StatusForbidden, "reauth_required")
			if r := show(c, s.root.Password).Want(t, http.StatusOK, ""); r.JSON["expires_in"] != float64(600) || len(r.Cookies()) != 0 {
				t.Errorf("%s %v", r.Raw, r.Cookies())
			}
			edit(c, s.una, object{"first_name": "V"}).Want(t, http.StatusOK, "")
			s.Database.Exec(t, "UPDATE sessions SET authenticated_at = ? WHERE id = ?", old, id[:])
			edit(c, s.una, object{"first_name": "W"}).Want(t, http.StatusForbidden, "reauth_required")
			if kinds := kindsOf(eventsOf(t, s.Server, c)); !slices.Contains(kinds, "reauthenticated") || !slices.Contains(kinds, "password_wrong") {
				t.Errorf("events: got %v, want reauthenticated and password_wrong", kinds)
			}
		}
		show(s.Login(s.una, accounts.Hybrid), s.una.Password).Want(t, http.StatusOK, "") // available to every user
	})
}

func TestReauthenticationIsRateLimited(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		for _, status := range []int{http.StatusUnprocessableEntity, http.StatusUnprocessableEntity, http.StatusTooManyRequests} {
			s.asRoot.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": "a wrong one"}).Want(t, status, "")
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=2/15m")
}
