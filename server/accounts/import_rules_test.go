package accounts_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// importCases holds irregular data of Django, one case per user.
var importCases = []accounts.DjangoUser{
	djangoRow(1, "ada", "Ada@Example.com"),
	djangoRow(2, "grace", ""),
	djangoRow(3, "alan", "no address"),
	djangoRow(4, "ADA", "ada@example.COM"), // both names are taken
	djangoRow(5, "alonzo@example.com", "alonzo@example.com"),
	djangoRow(6, "kurt@example.com", "kurt.g@example.com"),
	djangoRow(7, "haskell", "kurt@example.com"), // the username of 6
	djangoRow(8, "alonzo@example.COM", ""),      // the username of 5
	djangoRow(9, "", "nine@example.com"),
	djangoRow(10, "user-9", "ten@example.com"),
	djangoRow(11, "Emmy Noether", "emmy@example.com"),
	djangoRow(12, "p\u0430ul", "paul@example.com"), // in two scripts
	djangoRow(13, " paul ", "paul2@example.com"),   // not usable unchanged
	djangoRow(14, "a\u200bb\x00", "fourteen@example.com"),
	djangoRow(15, "maria@localhost", "maria@example.com"),
	with(djangoRow(16, "sofia", "sofia@example.com"), func(u *accounts.DjangoUser) {
		u.FirstName, u.LastName = strings.Repeat("\u00e9", 200), "Ko\u202eva\nlevskaya"
	}),
	with(djangoRow(17, "henri", "henri@example.com"), func(u *accounts.DjangoUser) {
		far := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		u.DateJoined, u.LastLogin = nil, &far
	}),
	with(djangoRow(18, "david", "david@example.com"), func(u *accounts.DjangoUser) { u.Password, u.DateJoined = "!abcdef", &time.Time{} }),
	with(djangoRow(19, "emil", ""), func(u *accounts.DjangoUser) { u.Password = "" }),
	with(djangoRow(20, "bernhard", "bernhard@example.com"), func(u *accounts.DjangoUser) { u.Password = "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3" }),
	with(djangoRow(21, "carl", "carl@example.com"), func(u *accounts.DjangoUser) {
		u.Password = strings.Replace(djangoHashes["bcrypt"], "$04$", "$20$", 1)
	}),
	with(djangoRow(22, "pierre", "pierre@example.com"), func(u *accounts.DjangoUser) { u.IsActive, u.IsStaff = false, true }),
	with(djangoRow(23, "leonhard", "leonhard@example.com"), func(u *accounts.DjangoUser) {
		at := joined.In(time.FixedZone("", 3600))
		u.IsStaff, u.IsSuperuser, u.LastLogin = true, true, &at
	}),
	djangoRow(24, strings.Repeat("x", 150), "x24@example.com"),
	djangoRow(25, strings.Repeat("X", 150), "x25@example.com"),
	with(djangoRow(26, "felix", "felix@example.com"), func(u *accounts.DjangoUser) { // this server's format, which Django never writes
		u.Password = "$argon2id$v=19$m=262144,t=16,p=16$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	}),
	djangoRow(27, "John@Example.org", ""),
	djangoRow(0, "zero", "zero@example.com"), djangoRow(-1, "minus", ""), djangoRow(1<<52+1, "far", ""), djangoRow(1<<52, "farthest", ""),
}

func with(u accounts.DjangoUser, change func(*accounts.DjangoUser)) accounts.DjangoUser {
	change(&u)
	return u
}

func TestImportReportsSkippedAndChangedUsers(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		dry := importAll(t, s, true, importCases...)
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM users") + s.Database.Count(t, "SELECT COUNT(*) FROM events"); n != 0 {
			t.Fatalf("a dry run left %d rows, want 0", n)
		}
		before := s.Clock.Now()
		r := importAll(t, s, false, importCases...)
		if diff := cmp.Diff(dry, r); diff != "" {
			t.Errorf("the report of a dry run differs (-dry +run):\n%s", diff)
		}
		want := map[string][]int64{
			"superuser in Django":               {23},
			"staff in Django":                   {22},
			"e-mail address empty or not valid": {2, 3, 8, 19, 27, 1 << 52},
			"username is an e-mail address, and the user has no address": {27},
			"e-mail address belongs to another user":                     {4},
			"username belongs to another user":                           {4, 8, 10, 25},
			"username empty or not usable":                               {9, 13, 14},
			"username is another user's e-mail address":                  {6},
			"first or last name too long or with hidden characters":      {16},
			"date_joined missing or implausible":                         {17, 18},
			"last_login implausible":                                     {17},
			"no usable password in Django":                               {18, 19},
			"password hash of an unknown kind":                           {20, 26},
			"password hash too costly to verify":                         {21},
			"neither password nor address":                               {19},
			"id is not from 1 to 2^52":                                   {0, -1, 1<<52 + 1},
		}
		if diff := cmp.Diff(want, found(r)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if r.Read != len(importCases) || r.Imported != len(importCases)-3 || r.LeftOut() != 3 {
			t.Errorf("%+v", r)
		}
		usernames := map[int64]string{1: "ada", 4: "ADA-4", 5: "alonzo@example.com", 6: "kurt@example.com", 8: "user-8", 9: "user-9", 10: "user-9-10", 11: "Emmy Noether",
			12: "p\u0430ul", 13: "user-13", 14: "user-14", 15: "maria@localhost", 25: strings.Repeat("X", 147) + "-25", 27: "John@Example.org", 1 << 52: "farthest"}
		for id, name := range usernames {
			if u := userOf(t, s, id); u.Username != name {
				t.Errorf("%d is %q, want %q", id, u.Username, name)
			}
			if id != 6 {
				wantLogin(t, s, name, oldPassword, id)
			}
		}
		wantLogin(t, s, "kurt@example.com", oldPassword, 7) // the user with that address
		wantLogin(t, s, "kurt.g@example.com", oldPassword, 6)
		wantLogin(t, s, "Alonzo@Example.com", oldPassword, 5)
		wantLogin(t, s, "ada@example.com", oldPassword, 1)
		wantLogin(t, s, "EMMY  noether", oldPassword, 11)
		wantLogin(t, s, "MARIA@LOCALHOST", oldPassword, 15)
		wantFields(t, s, before)
		maria := s.Login(servertest.User{User: userOf(t, s, 15), Password: oldPassword}, token.Body)
		for name, status := range map[string]int{"maria@localhost": http.StatusOK, "maria@elsewhere": http.StatusUnprocessableEntity, "maria gaetana": http.StatusUnprocessableEntity} {
			if r := maria.Do(http.MethodPatch, "/accounts/profile", map[string]any{"username": name, "first_name": "Maria"}); r.Status != status {
				t.Errorf("changing the username to %q: got status %d", name, r.Status)
			}
		}
	})
}

// wantFields checks the fields of single users after the import.
func wantFields(t *testing.T, s *servertest.Server, began time.Time) {
	t.Helper()
	for _, id := range []int64{2, 3, 4, 8, 19} {
		if u := userOf(t, s, id); u.Email != "" || u.EmailNorm != fmt.Sprint("#", id) || u.EmailVerifiedAt != nil {
			t.Errorf("user without an address: got %+v", u)
		}
	}
	if u := userOf(t, s, 1); u.Email != "Ada@Example.com" || u.EmailNorm != "ada@example.com" || u.EmailVerifiedAt.Before(began.Add(-time.Second)) {
		t.Errorf("%+v", u)
	}
	if u := userOf(t, s, 16); u.FirstName != strings.Repeat("\u00e9", 150) || u.LastName != "Kovalevskaya" {
		t.Errorf("%+v", u)
	}
	for _, id := range []int64{17, 18} {
		if u := userOf(t, s, id); u.LastLogin != nil || u.DateJoined.Before(began.Add(-time.Second)) {
			t.Errorf("%+v", u)
		}
	}
	for _, id := range []int64{18, 19, 20, 21, 26} {
		if u := userOf(t, s, id); u.Password != "" {
			t.Errorf("%+v", u)
		}
	}
	if u := userOf(t, s, 22); u.IsActive || !u.IsStaff || u.IsSuperuser {
		t.Errorf("%+v", u)
	}
	login(s, "pierre", oldPassword).Want(t, http.StatusUnauthorized, "credentials_invalid")
	if u := userOf(t, s, 23); !u.IsActive || !u.IsStaff || !u.IsSuperuser || !u.LastLogin.Equal(joined) {
		t.Errorf("%+v", u)
	}
	users, events := s.Database.Count(t, "SELECT COUNT(*) FROM users"), s.Database.Count(t, "SELECT COUNT(DISTINCT user_id) FROM events WHERE kind = 'registered' AND detail = 'imported'")
	if users != events || s.Database.Count(t, "SELECT COUNT(DISTINCT session_epoch) FROM users WHERE imported_epoch = session_epoch") != users {
		t.Errorf("got %d users, of which %d have an event", users, events)
	}
}
