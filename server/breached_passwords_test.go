package server_test

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/servertest"
)

const breachedPassword = "seven purple walruses"

// breachedFile builds a list of breached passwords and returns its path.
func breachedFile(t *testing.T, passwords ...string) string {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for _, p := range passwords {
		fmt.Fprintf(&lines, "%X:3\n", sha1.Sum([]byte(p)))
	}
	from, to := filepath.Join(dir, "list.txt"), filepath.Join(dir, "breached.bin")
	if err := os.WriteFile(from, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := credentials.FindBreached(from)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(int64) error { return nil }
	if _, err := (credentials.Build{MinCount: 1, Chunk: 100, Reading: nothing, Merging: nothing}).Run(t.Context(), source, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// Every operation that sets a password rejects one from the list. Passwords already in use keep
// working (ASVS 6.2.12).
func TestEveryOperationRejectsBreachedNewPassword(t *testing.T) {
	t.Attr("control", "201")
	file := breachedFile(t, breachedPassword, "another one of the list")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, Settings: []string{"ACCOUNTS_BREACHED_PASSWORDS=" + file}})
		for way, d := range doors() {
			t.Run(way, func(t *testing.T) {
				name := newName()
				set := d.open(t, s, name)
				wantField(t, set(breachedPassword), d.member, "password_breached")
				wantField(t, set("passwordpassword"), d.member, "password_common")
				if r := set(breachedPassword + "!"); r.Status != d.status {
					t.Errorf("a password that is not in the list: got %d %s", r.Status, r.Raw)
				}
			})
		}
	})
}

// A password that was accepted before it appeared in the list still logs in: only new passwords are
// checked.
func TestBreachedPasswordInUseStillLogsIn(t *testing.T) {
	t.Attr("control", "201")
	before := servertest.Start(t, servertest.Options{})
	u := newUser(t, before, newName())
	s := servertest.Start(t, servertest.Options{Database: before.Database, Settings: []string{"ACCOUNTS_BREACHED_PASSWORDS=" + breachedFile(t, password)}})
	signIn(s, u.Username, password).Want(t, http.StatusOK, "")
}

// The password is checked before the address is looked up, so the response does not reveal whether
// the address has an account.
func TestBreachedPasswordResponseDoesNotRevealAccount(t *testing.T) {
	t.Attr("control", "201")
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_BREACHED_PASSWORDS=" + breachedFile(t, breachedPassword)}})
	for _, email := range []string{newUser(t, s, newName()).Email, address(newName())} {
		wantField(t, post(s, "/accounts/register", object{"email": email, "password": breachedPassword}), "/password", "password_breached")
	}
}

// While the list cannot be read, the server accepts no new password, because a full or broken disk
// must not disable the check. Existing passwords keep working.
func TestUnreadableBreachedListRejectsNewPasswords(t *testing.T) {
	t.Attr("control", "201")
	file := breachedFile(t, breachedPassword, "another one of the list")
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_BREACHED_PASSWORDS=" + file}})
	u := newUser(t, s, newName())
	c := s.Login(u, accounts.BodyTokens)
	if err := os.Truncate(file, 32); err != nil {
		t.Fatal(err)
	}
	post(s, "/accounts/register", object{"email": address(newName()), "password": "five green lanterns"}).Want(t, http.StatusServiceUnavailable, "service_unavailable")
	c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": password, "new_password": "five green lanterns"}).
		Want(t, http.StatusServiceUnavailable, "service_unavailable")
	signIn(s, u.Username, password).Want(t, http.StatusOK, "")
	if log := s.Log.String(); !strings.Contains(log, "the list of breached passwords cannot be read") || strings.Contains(log, "five green lanterns") {
		t.Error("the log lacks the cause or contains the password")
	}
}
