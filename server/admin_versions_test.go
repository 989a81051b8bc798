package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// get reads a user and checks that the entity tag is the version.
func (s staffed) get(u servertest.User) (user object, etag string) {
	s.t.Helper()
	r := s.asSam.Do(http.MethodGet, at(u, ""), nil).Want(s.t, http.StatusOK, "")
	return r.JSON["user"].(object), wantETag(s.t, r)
}

// wantETag checks that the entity tag of a response is the version of its user.
func wantETag(t *testing.T, r *servertest.Response) string {
	t.Helper()
	etag := r.Header.Get("ETag")
	if want := fmt.Sprintf(`"%.0f"`, r.JSON["user"].(object)["version"]); etag != want {
		t.Errorf("ETag %s, want %s", etag, want)
	}
	return etag
}

// editIf changes a user if the version is the one that the entity tag names.
func editIf(c *servertest.Client, u servertest.User, etag string, body object) *servertest.Response {
	return c.Do(http.MethodPatch, at(u, ""), body, servertest.Header("If-Match", etag))
}

// Two staff members who have read the same version of a user do not overwrite each other's changes.
func TestIfMatchPreventsLostUpdatesOfUser(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		_, etag := s.get(s.una)
		r := editIf(s.asSam, s.una, etag, object{"first_name": "Una"}).Want(t, http.StatusOK, "")
		next := wantETag(t, r)
		if next == etag {
			t.Errorf("the version is still %s after a change", next)
		}
		before := s.Database.Dump(t)
		for _, body := range []object{{"first_name": "Uma"}, {"last_name": "Other"}, {"is_active": false}, {"email": address(newName())}, {}, {"username": s.sam.Username}} {
			r := editIf(s.asRoot, s.una, etag, body).Want(t, http.StatusPreconditionFailed, "precondition_failed")
			if r.Header.Get("ETag") != "" {
				t.Errorf("the response has the ETag %s, so that a client could repeat the change unchecked", r.Header.Get("ETag"))
			}
		}
		wantUnchanged(t, s.Server, before)
		if user, now := s.get(s.una); user["first_name"] != "Una" || now != next {
			t.Errorf("%v, version %s, want %s", user, now, next)
		}
		editIf(s.asRoot, s.una, next, object{"first_name": "Uma"}).Want(t, http.StatusOK, "")
		editIf(s.asRoot, s.una, "*", object{"first_name": "Una"}).Want(t, http.StatusOK, "")
		edit(s.asRoot, s.una, object{"first_name": "Uma"}).Want(t, http.StatusOK, "")
		_, etag = s.get(s.una)
		if now := wantETag(t, editIf(s.asRoot, s.una, etag, object{"first_name": "Uma"}).Want(t, http.StatusOK, "")); now != etag {
			t.Errorf("version %s after no change, want %s", now, etag)
		}
		// The precondition reveals nothing to a caller who may not change the user.
		editIf(s.asSam, s.boss, `"999"`, object{"first_name": "x"}).Want(t, http.StatusForbidden, "role_required")
		editIf(s.asUna, s.boss, `"999"`, object{"first_name": "x"}).Want(t, http.StatusForbidden, "role_required")
		editIf(s.asSam, servertest.User{}, `"1"`, object{}).Want(t, http.StatusBadRequest, "request_malformed") // no id
		s.asSam.Do(http.MethodPatch, "/admin/users/999999", object{}, servertest.Header("If-Match", `"1"`)).Want(t, http.StatusNotFound, "resource_not_found")
	})
}

// If several concurrent changes require the same version, exactly one of them succeeds.
func TestOneOfConcurrentChangesWithSameIfMatchSucceeds(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		const n = 8
		for round := range 5 {
			_, etag := s.get(s.una)
			answers := parallel(n, func(i int) *servertest.Response {
				return editIf(s.asRoot.Copy(), s.una, etag, object{"first_name": fmt.Sprintf("Una %d %d", round, i)})
			})
			got := statuses(answers)
			if got[http.StatusOK] != 1 || got[http.StatusPreconditionFailed] != n-1 {
				t.Fatalf("responses by status: got %v, want one 200 and otherwise 412", got)
			}
			won := slices.IndexFunc(answers, func(r *servertest.Response) bool { return r.Status == http.StatusOK })
			if user, now := s.get(s.una); user["first_name"] != fmt.Sprintf("Una %d %d", round, won) || now != answers[won].Header.Get("ETag") {
				t.Errorf("%v, version %s, want that of %s", user["first_name"], now, answers[won].Raw)
			}
		}
	})
}

// If-Match with a list succeeds if any tag in it matches, including one that a proxy has made weak.
// A tag that is not the current version matches nothing.
func TestIfMatchListMatchesAnyOfItsTags(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		for value, status := range map[string]int{
			"W/%s": http.StatusOK, `"999", %s`: http.StatusOK, `%s,W/"999"`: http.StatusOK, `"x" , W/%s`: http.StatusOK,
			`"999"`: http.StatusPreconditionFailed, `""`: http.StatusPreconditionFailed, `"x"`: http.StatusPreconditionFailed, `"*"`: http.StatusPreconditionFailed,
			`"-1"`: http.StatusPreconditionFailed, `"12345678901234567890"`: http.StatusPreconditionFailed, `W/"999", "998"`: http.StatusPreconditionFailed,
		} {
			_, etag := s.get(s.una)
			if r := editIf(s.asRoot, s.una, strings.ReplaceAll(value, "%s", etag), object{"first_name": "Una"}); r.Status != status {
				t.Errorf("If-Match: %s: got status %d, want %d", value, r.Status, status)
			}
		}
	})
}

// A malformed If-Match is rejected. If it were ignored, a typing error would remove the
// precondition.
func TestMalformedIfMatchIsRejected(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		_, etag := s.get(s.una)
		bare := strings.Trim(etag, `"`)
		before := s.Database.Dump(t)
		for _, value := range []string{bare, `w/` + etag, `W/ ` + etag, etag + etag, etag + `, x`, etag + ", *", `"` + bare, bare + `"`, `'` + bare + `'`, "**", "*, *", "x"} {
			r := editIf(s.asRoot, s.una, value, object{"first_name": "Una"}).Want(t, http.StatusBadRequest, "request_malformed")
			wantParameter(t, r, "If-Match")
		}
		for _, values := range [][]string{{etag, etag}, {etag, "*"}, {""}} {
			r := s.asRoot.Do(http.MethodPatch, at(s.una, ""), object{"first_name": "Una"}, func(r *http.Request) { r.Header["If-Match"] = values })
			wantParameter(t, r.Want(t, http.StatusBadRequest, "request_malformed"), "If-Match")
		}
		wantUnchanged(t, s.Server, before)
	})
}

// wantParameter checks that the response reports an error for exactly one parameter and for no
// field.
func wantParameter(t *testing.T, r *servertest.Response, name string) {
	t.Helper()
	list, _ := r.JSON["errors"].([]any)
	if len(list) != 1 || list[0].(object)["parameter"] != name || list[0].(object)["pointer"] != nil {
		t.Errorf("errors %v, want one of the parameter %s", list, name)
	}
}

// The version increases with every kind of change of the user, and with nothing else.
func TestVersionOfUserIncreasesWithEachVisibleChange(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		_, last := s.get(s.una)
		step := func(what string, moves bool, do func()) {
			t.Helper()
			do()
			settle(t, s.Server)
			flush(t, s.Server)
			user, now := s.get(s.una)
			if moves != (now != last) {
				t.Errorf("%s: got version %s after %s: %v", what, now, last, user)
			}
			var a, b int64
			if _, err := fmt.Sscanf(last+now, `"%d""%d"`, &a, &b); err != nil || b < a {
				t.Errorf("%s: the version decreased to %s from %s", what, now, last)
			}
			last = now
		}
		ok := func(r *servertest.Response) {
			t.Helper()
			if r.Status >= 300 {
				t.Fatalf("%d %s", r.Status, r.Raw)
			}
		}
		u := s.una
		c := s.Login(u, accounts.Hybrid)
		step("logins", false, func() { s.Login(u, accounts.Cookies); c = s.Login(u, accounts.Hybrid) })
		step("a failed login", false, func() { signIn(s.Server, u.Username, "a wrong one").Want(t, http.StatusUnauthorized, "") })
		step("a wrong password in a session", false, func() {
			c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": "a wrong one"}).Want(t, http.StatusUnprocessableEntity, "")
		})
		step("a reauthentication", false, func() { ok(c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password})) })
		step("a refresh", false, func() { s.Database.Age(t, rotation); ok(c.RefreshTokens()) })
		step("reads", false, func() { ok(c.Profile()); ok(c.Do(http.MethodGet, "/accounts/profile/export", nil)); s.audit("") })
		step("a logout", false, func() { ok(s.Login(u, accounts.BodyTokens).Logout()) })
		step("a requested reset", false, func() { requestReset(t, s.Server, u.Email, 1) })
		step("a reset limit", false, func() { ok(s.asSam.Do(http.MethodDelete, at(u, "/login_limit"), nil)) })
		step("a change that changes nothing", false, func() { ok(edit(s.asSam, u, object{"first_name": "Ada", "is_active": true, "locale": nil})) })
		step("a change of another user", false, func() { ok(edit(s.asRoot, s.sam, object{"first_name": "Sam"})) })
		step("a change that is rejected", false, func() {
			edit(s.asSam, u, object{"username": s.sam.Username, "first_name": "x"}).Want(t, http.StatusConflict, "")
		})

		for _, body := range []object{{"first_name": "Una"}, {"last_name": ""}, {"locale": "ko"}, {"locale": nil}, {"username": newName()}} {
			step(fmt.Sprint("by staff ", body), true, func() { ok(edit(s.asSam, u, body)) })
		}
		for _, body := range []object{{"first_name": "Ida"}, {"last_name": "King"}, {"locale": "ko"}, {"username": newName()}} {
			step(fmt.Sprint("by the user ", body), true, func() { ok(patch(c, body)) })
		}
		next := address(newName())
		var link string
		step("a requested change of address", true, func() { link = requestEmailChange(t, s.Server, c, next, 1) })
		step("a confirmed change of address", true, func() { ok(confirmEmail(s.Server, link, u.Password)) })
		step("a changed password", true, func() { ok(changePassword(c, u.Password, otherPassword)) })
		step("a set password", true, func() {
			ok(confirmReset(s.Server, linkToken(t, s.Server, next, mailsTo(s.Server, next, func() {
				post(s.Server, "/accounts/password/reset", object{"email": next}).Want(t, http.StatusAccepted, "")
			}), mail.Reset), password))
		})
		for _, body := range []object{{"is_active": false}, {"is_active": true}, {"is_staff": true}, {"is_superuser": true}, {"is_staff": false, "is_superuser": false}} {
			step(fmt.Sprint("by a superuser ", body), true, func() { ok(edit(s.asRoot, u, body)) })
		}
		step("revoked sessions", false, func() { ok(s.asSam.Do(http.MethodDelete, at(u, "/sessions"), nil)) })
	})
}

// mailsTo calls f, which requests one mail to the address, and returns the number of that mail.
func mailsTo(s *servertest.Server, email string, f func()) int {
	n := len(s.Mails.To(email))
	f()
	return n + 1
}

// The response to an invitation has the path of the user in Location and the version in ETag.
func TestInvitationResponseHasLocationAndETag(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		r := s.asSam.Do(http.MethodPost, "/admin/users", object{"email": address(newName())}).Want(t, http.StatusCreated, "")
		etag := wantETag(t, r)
		user := r.JSON["user"].(object)
		if want := fmt.Sprintf("/admin/users/%.0f", user["id"]); r.Header.Get("Location") != want {
			t.Errorf("Location %q, want %q", r.Header.Get("Location"), want)
		}
		if user["locale"] != nil || user["first_name"] != "" || user["last_login"] != nil || user["pending_email"] != nil {
			t.Errorf("missing values are not null: %s", r.Raw)
		}
		found := s.asSam.Do(http.MethodGet, r.Header.Get("Location"), nil).Want(t, http.StatusOK, "")
		if wantETag(t, found) != etag || string(found.Raw) != string(r.Raw) {
			t.Errorf("got the user %s, want %s", found.Raw, r.Raw)
		}
		s.asSam.Do(http.MethodPatch, r.Header.Get("Location"), object{"first_name": "Grace"}, servertest.Header("If-Match", etag)).Want(t, http.StatusOK, "")
		if r := s.asSam.Do(http.MethodPost, "/admin/users", object{"email": s.una.Email}).Want(t, http.StatusConflict, "email_taken"); r.Header.Get("Location")+r.Header.Get("ETag") != "" {
			t.Errorf("a rejected invitation has the headers %v, want neither Location nor ETag", r.Header)
		}
	})
}

// A locale that was cleared or never chosen is null in every response, and never an empty string.
func TestMissingLocaleIsNull(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		everywhere := func(want any) {
			t.Helper()
			for where, user := range map[string]any{
				"profile": s.asUna.Profile().JSON["user"],
				"export":  s.asUna.Do(http.MethodGet, "/accounts/profile/export", nil).JSON["user"],
				"login":   signIn(s.Server, s.una.Username, s.una.Password).JSON["user"],
				"getUser": s.asSam.Do(http.MethodGet, at(s.una, ""), nil).JSON["user"],
				"list":    find(s.asSam, url.Values{"username": {s.una.Username}}).JSON["users"].([]any)[0],
			} {
				if got, there := user.(object)["locale"]; !there || got != want {
					t.Errorf("%s: locale %#v, want %v", where, got, want)
				}
			}
		}
		everywhere(nil)
		edit(s.asSam, s.una, object{"locale": "ko"}).Want(t, http.StatusOK, "")
		everywhere("ko")
		for range 2 {
			if r := edit(s.asSam, s.una, object{"locale": nil}).Want(t, http.StatusOK, ""); r.JSON["user"].(object)["locale"] != nil {
				t.Errorf("%s", r.Raw)
			}
		}
		everywhere(nil)
		wantField(t, edit(s.asSam, s.una, object{"locale": ""}), "/locale", "format_invalid")
		for _, member := range []string{"username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser"} {
			wantField(t, edit(s.asRoot, s.una, object{member: nil}), "/"+member, "type_invalid")
		}
		wantField(t, s.asSam.Do(http.MethodPost, "/admin/users", object{"email": address(newName()), "locale": nil}), "/locale", "type_invalid")
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=0")
}

// The deletion of a user has no body, neither in the request nor in the response, and requires
// recent authentication.
func TestDeleteUserRequiresRecentAuthentication(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		makeOld(t, s.Server, s.asSam)
		before := s.Database.Dump(t)
		s.asSam.Do(http.MethodDelete, at(s.una, ""), nil).Want(t, http.StatusForbidden, "reauth_required")
		s.asUna.Do(http.MethodDelete, at(s.una, ""), nil).Want(t, http.StatusForbidden, "role_required")
		s.asSam.Do(http.MethodPost, at(s.una, "/delete"), nil).Want(t, http.StatusNotFound, "resource_not_found")
		wantUnchanged(t, s.Server, before)
		s.asUna.Profile().Want(t, http.StatusOK, "")
		s.asSam.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": s.sam.Password}).Want(t, http.StatusOK, "")
		wantEmpty(t, s.asSam.Do(http.MethodDelete, at(s.una, ""), nil).Want(t, http.StatusNoContent, ""))
		s.asUna.Profile().Want(t, http.StatusUnauthorized, "session_revoked")

		// A superuser who deletes their own account loses the cookies too.
		c := s.Login(s.boss, accounts.Cookies)
		r := c.Do(http.MethodDelete, at(s.boss, ""), nil).Want(t, http.StatusNoContent, "")
		if len(r.Raw) != 0 || len(r.Cookies()) == 0 || c.CookieValue("access") != "" {
			t.Errorf("got the body %q and the cookies %v, want no body and cleared cookies", r.Raw, r.Cookies())
		}
	})
}
