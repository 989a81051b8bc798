package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// serversOwn lists members that a user might try to set, named as in the contract, the database and
// other products.
var serversOwn = []string{
	"id", "user_id", "pk", "is_active", "is_staff", "is_superuser", "is_admin", "admin", "role", "roles", "groups", "permissions", "email_verified", "email_verified_at", "verified",
	"username_norm", "email_norm", "date_joined", "created_at", "last_login", "session_epoch", "expires_at", "used_at", "purpose", "hash",
}

// A member that only the server may set is rejected as unknown, in any letter case. Another
// spelling of a member that may be set is rejected too: a tolerant decoder would accept it as that
// member.
func TestMembersSetByServerAreRejectedInRequests(t *testing.T) {
	t.Attr("control", "5")
	s := servertest.Start(t, servertest.Options{HoldMail: true})
	u := newUser(t, s, "ada")
	c := s.Login(u, accounts.Hybrid)
	profile := profileOf(t, c.Profile())
	before := s.Database.Dump(t)
	for what, send := range map[string]func(body any) *servertest.Response{
		"register": func(body any) *servertest.Response { return post(s, "/accounts/register", body) },
		"profile":  func(body any) *servertest.Response { return c.Do(http.MethodPatch, "/accounts/profile", body) },
	} {
		good := map[string]string{"register": `"email":"grace@example.com","password":"` + password + `"`, "profile": `"first_name":"Grace"`}[what]
		names := append(slices.Clone(serversOwn),
			"EMAIL", "Email", "PASSWORD", "Username", "firstName", "FIRST_NAME", "first-name", "first_name ", "\\u017fast_name")
		if what == "profile" {
			names = append(names, "email", "password", "new_password")
		}
		for _, name := range names {
			for _, spelled := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
				if strings.HasPrefix(name, `\`) && spelled != name {
					continue // letter case would change the escape
				}
				for _, value := range []string{"true", "1", "null", `"grace@example.org"`} {
					r := send(`{` + good + `,"` + spelled + `":` + value + `}`)
					wantField(t, r, "/"+strings.Replace(spelled, `\u017f`, "\u017f", 1), "field_unknown")
				}
			}
		}
		for _, twice := range []string{`"first_name":"a","first_name":"b"`, `"first_name":"a","first_\u006eame":"b"`, `"is_staff":false,"is_staff":true`} {
			send(`{"last_name":"c",`+twice+`}`).Want(t, http.StatusBadRequest, "request_malformed")
		}
		for _, nested := range []string{`"user":{"is_staff":true}`, `"__proto__":{"is_staff":true}`, `"is_staff[]":1`, `"user.is_staff":true`} {
			send(`{`+good+`,`+nested+`}`).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
	}
	wantUnchanged(t, s, before)
	if diff := cmp.Diff(profile, profileOf(t, c.Profile())); diff != "" {
		t.Errorf("the requests changed the profile:\n%s", diff)
	}
}
