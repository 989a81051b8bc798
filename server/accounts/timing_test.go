package accounts_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/credentials"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The time of an answer must not reveal which names have an account. `make timing` measures the
// time. This test compares the work, which is the same on a busy machine: the statements that the
// database gets, and the number of passwords hashed.
func TestSameWorkForKnownAndUnknownUsers(t *testing.T) {
	t.Attr("control", "13")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		hasher := credentials.NewHasher(servertest.FastHash, 4, 100, time.Minute)
		o := servertest.Options{Engine: e, Hasher: hasher, HoldMail: true, Settings: []string{ // the rate limits are part of the work
			"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=1000/15m",
			"ACCOUNTS_REGISTRATIONS_PER_CLIENT=1000/1h", "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h",
		}}
		statements := func() []string { return nil } // SQLite runs in this process; it gets the same statements
		if e == servertest.MySQL {
			p, db := throughProxy(t, servertest.NewDatabase(t, e))
			o.Database, statements = db, p.statements
		}
		s := servertest.Start(t, o)
		work := func(path string, body map[string]any, status int) (list []string) {
			before := hasher.Stats().Computed
			statements()
			s.Anonymous().Do(http.MethodPost, path, body).Want(t, status, "")
			list = slices.DeleteFunc(statements(), isBacklogQuery)
			slices.Sort(list) // rate limits are locked in the order of their hashes
			return append(list, fmt.Sprintf("%d hashes", hasher.Stats().Computed-before))
		}
		for name, each := range operationsOfNames() {
			t.Run(name, func(t *testing.T) {
				kinds := kindsOfNames(t, s)
				work(each.path, each.body("nobody"), each.status) // creates the client's rate limits, and connections
				want := work(each.path, each.body("nobody-either"), each.status)
				if e == servertest.MySQL && len(want) < 3 || !strings.HasPrefix(want[len(want)-1], each.hashes) {
					t.Fatalf("the measured work is incomplete: %q", want)
				}
				for kind, names := range kinds {
					if got := work(each.path, each.body(names), each.status); !slices.Equal(got, want) {
						t.Errorf("%s (-unknown +%s):\n%s", kind, kind, cmp.Diff(want, got))
					}
				}
			})
		}
	})
}

// isBacklogQuery reports whether the statement is the backlog query, which is made at most once a
// second and before the address is examined.
func isBacklogQuery(statement string) bool {
	return strings.HasPrefix(statement, "SELECT `id` FROM `outbox` WHERE done_at IS NULL AND priority")
}

type operationOfName struct {
	path   string
	status int
	hashes string
	body   func(name string) map[string]any
}

// operationsOfNames returns the operations that any client can call with any name.
func operationsOfNames() map[string]operationOfName {
	address := func(name string) string { return name + "@example.com" }
	email := func(name string) map[string]any { return map[string]any{"email": address(name)} }
	return map[string]operationOfName{
		"login": {"/accounts/login", http.StatusUnauthorized, "1 ", func(name string) map[string]any {
			return map[string]any{"username": name, "password": "a wrong password"}
		}},
		"login by address": {"/accounts/login", http.StatusUnauthorized, "1 ", func(name string) map[string]any {
			return map[string]any{"username": address(name), "password": "a wrong password"}
		}},
		"register": {"/accounts/register", http.StatusAccepted, "1 ", func(name string) map[string]any {
			return map[string]any{"email": address(name), "password": secret}
		}},
		"resend": {"/accounts/email/resend", http.StatusAccepted, "0 ", email},
		"reset":  {"/accounts/password/reset", http.StatusAccepted, "0 ", email},
	}
}

// kindsOfNames returns a name of each kind of user, each to be used once.
func kindsOfNames(t *testing.T, s *servertest.Server) map[string]string {
	t.Helper()
	active, inactive, unverified, deleted := s.NewUser(), s.NewUser(), s.NewUser(), s.NewUser()
	must(t, s.Service.SetActive(t.Context(), inactive.Username, false))
	s.Database.Exec(t, "UPDATE users SET email_verified_at = NULL WHERE id = ?", unverified.ID)
	s.Login(deleted, token.Body).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
	pending := strings.Replace(s.NewUser().Username, "user", "wait", 1)
	register(t, s, pending+"@example.com")
	imported := active.Username + "-imported"
	importAll(t, s, false, djangoRow(active.ID+1000, imported, imported+"@example.com"), djangoRow(active.ID+1001, imported+"-too@example.com", ""))
	s.Database.Exec(t, "UPDATE users SET password = ? WHERE imported_epoch IS NOT NULL", active.Password) // the replacement of the hash at the first login may show
	s.Database.Exec(t, "DELETE FROM rate_limits")                                                         // mails to one address must be a minute apart
	return map[string]string{"an active user": active.Username, "an inactive one": inactive.Username, "an unverified one": unverified.Username,
		"a deleted one": deleted.Username, "a registration that waits": pending,
		"an imported one": imported, "one imported with an address as the username": imported + "-too"}
}
