package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// object is a JSON object.
type object = map[string]any

// object runs a command with --json, which prints one object.
func (s *shell) object(stdin string, args ...string) object {
	s.t.Helper()
	text := s.mustRun(stdin, append(args, "--json")...)
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil || strings.Count(text, "\n") != 1 {
		s.t.Fatalf("%v: %v\n%s", args, err, text)
	}
	return o
}

// lastEvents returns the kinds of the newest events of a user, newest first. All must be the
// operator's.
func (s *shell) lastEvents(name string, n int) (kinds []string) {
	s.t.Helper()
	for _, each := range s.object("", "user", "export", name)["events"].([]any)[:n] {
		e := each.(object)
		kinds = append(kinds, e["kind"].(string))
		if e["actor"] != "operator" || e["actor_id"] != nil {
			s.t.Errorf("the actor of %v is %v %v, want the operator", e["kind"], e["actor"], e["actor_id"])
		}
	}
	return kinds
}

// unverify makes the address of a user look like one from a sign-up that was not confirmed.
func (s *shell) unverify(name string) {
	s.t.Helper()
	if _, err := s.db.SQL.Exec("UPDATE users SET email_verified_at = NULL WHERE username = ?", name); err != nil {
		s.t.Fatal(err)
	}
}

func TestUserListFiltersUsers(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada", "--superuser", "--first-name", "Augusta")
		s.create("bob", "--staff")
		s.create("cy")
		s.create("dan")
		s.mustRun("", "user", "deactivate", "cy")
		s.unverify("dan")
		for flags, want := range map[string]string{
			"":                                        "ada bob cy dan",
			"--search gust":                           "ada",
			"--search nobody":                         "",
			"--search example.com --active":           "ada bob dan",
			"--active=false":                          "cy",
			"--verified=false":                        "dan",
			"--verified --active":                     "ada bob",
			"--role superuser":                        "ada",
			"--role staff --role superuser":           "ada bob",
			"--role none,staff --sort=-username":      "dan cy bob",
			"--username BOB":                          "bob",
			"--username no@body":                      "",
			"--email ADA@example.com":                 "ada",
			"--email ada":                             "",
			"--sort email --role none --active=false": "cy",
		} {
			args := append([]string{"user", "list", "--json"}, strings.Fields(flags)...)
			var got []string
			for line := range strings.Lines(s.mustRun("", args...)) {
				var u object
				if err := json.Unmarshal([]byte(line), &u); err != nil {
					t.Fatal(err)
				}
				got = append(got, u["username"].(string))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("user list %s: %v, want %s", flags, got, want)
			}
		}
		if got := s.mustRun("", "user", "list", "--role", "staff"); !strings.Contains(got, "bob") || strings.Count(got, "\n") != 2 {
			t.Errorf("%s", got)
		}
	})
}

// The list is read in pages, and each user appears once.
func TestUserListShowsMoreUsersThanOnePage(t *testing.T) {
	s := onDatabase(t, servertest.SQLite, "ACCOUNTS_AUTO_MIGRATE=true")
	var rows []map[string]any
	for id := 1; id <= 1001; id++ {
		rows = append(rows, djangoUser("auth.user", id, fmt.Sprint("user", id), fmt.Sprintf("user%d@example.com", id)))
	}
	s.mustRun("", "import-django", "--from", dump(t, rows...))
	for _, order := range []string{"id", "-email"} {
		var names []string
		for line := range strings.Lines(s.mustRun("", "user", "list", "--sort", order)) {
			names = append(names, strings.Fields(line)[1])
		}
		names = names[1:] // the header
		slices.Sort(names)
		if n := len(slices.Compact(names)); n != 1001 || len(names) != 1001 {
			t.Errorf("by %s: %d users, %d of them different, want 1001", order, len(names), n)
		}
	}
}

func TestUserShowPrintsOneUser(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada", "--first-name", "Ada")
		u := s.object("", "user", "show", "ADA@example.com")
		want := object{
			"username": "ada", "email": "ada@example.com", "first_name": "Ada", "is_active": true, "is_staff": false, "is_superuser": false,
			"has_password": true, "pending_email": "", "throttled": false, "last_login": nil,
		}
		for member, value := range want {
			if u[member] != value {
				t.Errorf("%s is %v, want %v", member, u[member], value)
			}
		}
		text := s.mustRun("", "user", "show", "ada")
		if !strings.Contains(text, "\nusername       ada\n") || !strings.Contains(text, "\nverified       true\n") {
			t.Errorf("%s", text)
		}
		if all := text + fmt.Sprint(u); strings.Contains(all, "argon2") || strings.Contains(all, "epoch") {
			t.Errorf("the command tells too much:\n%s", all)
		}
		s.wantRefused(s.run("", "user", "show", "bob"), "there is no user with this username")
	})
}

// A role is granted to users with a verified address only, ends their sessions, and is never taken
// from the last superuser.
func TestUserSetRolesKeepsRulesForRoles(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada")
		s.unverify("ada")
		s.wantRefused(s.run("", "user", "set-roles", "ada", "--superuser"),
			`the e-mail address of this user is not verified, so a stranger may have registered with it: run "accountsd user verify" first if it is the user's own`)
		if u := s.object("", "user", "verify", "ada"); u["email_verified_at"] == nil {
			t.Errorf("%v", u)
		}
		running := s.serve()
		defer running.stop()
		c := running.Anonymous()
		c.Do("POST", "/accounts/login", object{"username": "ada", "password": goodPassword, "token_transport": "body"}).Want(t, 200, "")
		if u := s.object("", "user", "set-roles", "ada", "--superuser"); u["is_superuser"] != true || u["is_staff"] != false {
			t.Errorf("%v", u)
		}
		c.Profile().Want(t, 401, "session_revoked")
		if kinds := s.lastEvents("ada", 1); kinds[0] != "roles_changed" {
			t.Errorf("%v", kinds)
		}
		const last = "this is the last active superuser: create another one first"
		s.wantRefused(s.run("", "user", "set-roles", "ada", "--superuser=false"), last)
		s.wantRefused(s.run("", "user", "delete", "ada", "--yes"), last)
		s.create("bob", "--staff")
		if out := s.mustRun("", "user", "set-roles", "bob", "--superuser", "--staff=false"); out != "" {
			t.Errorf("%q", out)
		}
		if u := s.object("", "user", "set-roles", "ada", "--superuser=false", "--staff"); u["is_superuser"] != false || u["is_staff"] != true {
			t.Errorf("%v", u)
		}
		if u := s.object("", "user", "show", "bob"); u["is_superuser"] != true || u["is_staff"] != false {
			t.Errorf("%v", u)
		}
		s.wantRefused(s.run("", "user", "set-roles", "bob", "--superuser=false"), last)
		s.wantRefused(s.run("", "user", "set-roles", "nobody", "--staff"), "there is no user with this username")
	})
}

func TestUserSetEmailTakesEffectAtOnceAndNotifiesPreviousAddress(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada")
		s.create("bob")
		s.wantRefused(s.run("", "user", "set-email", "ada", "BOB@example.com"), "this e-mail address is taken: choose another one")
		s.wantRefused(s.run("", "user", "set-email", "ada", "ada"), "the e-mail address is not valid: use an address such as name@host.example")
		s.wantRefused(s.run("", "user", "set-email", "nobody", "no@body.example"), "there is no user with this username")
		s.unverify("bob")
		if u := s.object("", "user", "set-email", "bob@example.com", "bob@new.example"); u["email"] != "bob@new.example" || u["email_verified_at"] == nil {
			t.Errorf("%v", u)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
			t.Errorf("an address that was not verified gets %d mails", n)
		}
		s.mustRun("", "user", "set-email", "ada", "ada@new.example")
		s.mustRun("", "user", "set-email", "ada", "ada@new.example") // changes nothing
		if n := s.db.Count(t, "SELECT COUNT(*) FROM outbox WHERE kind = 'email_changed' AND email = 'ada@example.com'"); n != 1 {
			t.Errorf("%d notices to the previous address, want 1", n)
		}
		if kinds := s.lastEvents("ada", 2); !slices.Equal(kinds, []string{"email_changed", "registered"}) {
			t.Errorf("%v", kinds)
		}
		if !s.canLogin("ada@new.example", goodPassword) || s.canLogin("ada@example.com", goodPassword) {
			t.Error("the user logs in with the previous address")
		}
		files, err := filepath.Glob(filepath.Join(s.dir, "mail", "*.eml")) // the server has sent the notice
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), "To: <ada@example.com>") || !strings.Contains(string(text), "to a***@new.example") {
			t.Errorf("%v\n%s", err, text)
		}
	})
}

func TestUserVerifyMarksAddressAsVerified(t *testing.T) {
	s := onDatabase(t, servertest.SQLite, "ACCOUNTS_AUTO_MIGRATE=true")
	s.create("ada")
	s.mustRun("", "user", "verify", "ada") // changes nothing
	s.unverify("ada")
	if u := s.object("", "user", "verify", "ada@example.com"); u["email_verified_at"] == nil {
		t.Errorf("%v", u)
	}
	if kinds := s.lastEvents("ada", 2); !slices.Equal(kinds, []string{"email_verified", "registered"}) {
		t.Errorf("%v", kinds)
	}
	s.mustRun("", "import-django", "--from", dump(t, djangoUser("auth.user", 7, "cy", "")))
	s.wantRefused(s.run("", "user", "verify", "cy"), `this user has no e-mail address: set one with "accountsd user set-email"`)
	s.wantRefused(s.run("", "user", "verify", "nobody"), "there is no user with this username")
}

func TestUserEndSessionsAndUnthrottleActOnRunningServer(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=2/1h")
		s.create("ada")
		running := s.serve()
		defer running.stop()
		login := func(password string, status int, code string) *servertest.Client {
			t.Helper()
			c := running.Anonymous()
			c.Do("POST", "/accounts/login", object{"username": "ada", "password": password, "token_transport": "body"}).Want(t, status, code)
			return c
		}
		c := login(goodPassword, 200, "")
		if out := s.mustRun("", "user", "end-sessions", "ada"); out != "" {
			t.Errorf("%q", out)
		}
		c.Profile().Want(t, 401, "session_revoked")
		c = login(goodPassword, 200, "")
		if u := s.object("", "user", "end-sessions", "ada"); u["username"] != "ada" {
			t.Errorf("%v", u)
		}
		c.Profile().Want(t, 401, "session_revoked")
		if kinds := s.lastEvents("ada", 1); kinds[0] != "sessions_revoked" {
			t.Errorf("%v", kinds)
		}
		s.mustRun("", "user", "deactivate", "ada")
		s.mustRun("", "user", "end-sessions", "ada") // there are none
		s.mustRun("", "user", "activate", "ada")
		for range 30 { // the client's network is known for the name, and has a limit of its own
			running.Anonymous().Do("POST", "/accounts/login", object{"username": "ada", "password": "wrong", "token_transport": "body"})
		}
		if u := s.object("", "user", "show", "ada"); u["throttled"] != true {
			t.Fatalf("%v", u)
		}
		if u := s.object("", "user", "unthrottle", "ada"); u["throttled"] != false {
			t.Errorf("%v", u)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'login_limit_reset' AND actor_id IS NULL"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		login(goodPassword, 200, "")
		for _, command := range []string{"end-sessions", "unthrottle"} {
			s.wantRefused(s.run("", "user", command, "nobody"), "there is no user with this username")
		}
	})
}

func TestUserDeleteRemovesUserAndNotifiesAddress(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada")
		s.create("bob")
		if r := s.run("", "user", "delete", "ada"); r.code != exitUsage {
			t.Errorf("exit status %d\n%s", r.code, r.err)
		}
		if u := s.object("", "user", "delete", "ada", "--yes"); u["username"] != "ada" {
			t.Errorf("%v", u)
		}
		if out := s.mustRun("", "user", "delete", "bob@example.com", "--yes"); out != "" {
			t.Errorf("%q", out)
		}
		s.wantRefused(s.run("", "user", "delete", "ada", "--yes"), "there is no user with this username")
		if n := s.db.Count(t, "SELECT COUNT(*) FROM users"); n != 0 {
			t.Errorf("%d users are left", n)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM outbox WHERE kind = 'account_deleted'"); n != 2 {
			t.Errorf("%d notices, want 2", n)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'deleted' AND actor_id IS NULL AND ip = ''"); n != 2 {
			t.Errorf("%d events of the operator, want 2", n)
		}
	})
}

// The operator answers a request for one's data with the same document as the user gets.
func TestUserExportEqualsExportOfProfile(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada")
		running := s.serve()
		defer running.stop()
		c := running.Anonymous()
		c.Do("POST", "/accounts/login", object{"username": "ada", "password": goodPassword, "token_transport": "body"}).Want(t, 200, "")
		own := c.Do("GET", "/accounts/profile/export", nil).Want(t, 200, "").JSON
		got := s.object("", "user", "export", "ada")
		for _, each := range []object{own, got} {
			delete(each, "exported_at")
			for _, session := range each["sessions"].([]any) {
				delete(session.(object), "current")
			}
		}
		if n := len(got["sessions"].([]any)); n != 1 || fmt.Sprint(got) != fmt.Sprint(own) {
			t.Errorf("the command prints\n%v\nthe user gets\n%v", got, own)
		}
		s.mustRun("", "user", "deactivate", "ada")
		if got := s.object("", "user", "export", "ada"); len(got["sessions"].([]any)) != 0 {
			t.Errorf("a deactivated user has sessions: %v", got["sessions"])
		}
		s.wantRefused(s.run("", "user", "export", "nobody"), "there is no user with this username")
	})
}

// Every command about users takes --json, and prints the user after the change.
func TestEveryUserCommandPrintsJSON(t *testing.T) {
	s := onDatabase(t, servertest.SQLite, "ACCOUNTS_AUTO_MIGRATE=true")
	create := []string{"user", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin"}
	if u := s.object(goodPassword, create...); u["username"] != "ada" || u["has_password"] != true {
		t.Errorf("%v", u)
	}
	if u := s.object(goodPassword+"!", "user", "set-password", "ada", "--password-stdin"); u["has_password"] != true {
		t.Errorf("%v", u)
	}
	if u := s.object("", "user", "deactivate", "ada"); u["is_active"] != false {
		t.Errorf("%v", u)
	}
	if u := s.object("", "user", "activate", "ada"); u["is_active"] != true {
		t.Errorf("%v", u)
	}
	for _, c := range (&userCommands{}).command().Commands() {
		if help := s.mustRun("", "user", c.Name(), "--help"); !strings.Contains(help, "--json") {
			t.Errorf("user %s has no --json:\n%s", c.Name(), help)
		}
	}
}
