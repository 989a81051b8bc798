package server_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/credentials"
	"example.com/accounts/server/servertest"
)

var phc = regexp.MustCompile(`\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}`)

// costs returns the memory and the passes of a hash, which must be Argon2id.
func costs(t *testing.T, hash string) (memory, passes int) {
	t.Helper()
	m := phc.FindStringSubmatch(hash)
	if m == nil || m[0] != hash {
		t.Fatalf("unexpected form of the hash %q", hash)
	}
	memory, _ = strconv.Atoi(m[1])
	passes, _ = strconv.Atoi(m[2])
	return memory, passes
}

// Stored hashes are as strong as OWASP recommends and are upgraded to new parameters at the next
// login. A manipulated row cannot make the server compute a hash that exhausts its memory.
func TestStoredHashesAreStrongAndUpgradedAtLogin(t *testing.T) {
	t.Attr("control", "9")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		with := func(p credentials.Params, db *servertest.Database) (*servertest.Server, *credentials.Hasher) {
			h := credentials.NewHasher(p, 1, 10, time.Minute)
			return servertest.Start(t, servertest.Options{Engine: engine, Database: db, Hasher: h}), h
		}
		s, _ := with(credentials.Default, nil)
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		if dump := s.Database.Dump(t); strings.Count(dump, "$argon2id$") != 1 || len(phc.FindAllString(dump, -1)) != 1 || strings.Contains(dump, password) {
			t.Error("the registration must contain exactly one hash and no password")
		}
		verify(s, token, password).Want(t, http.StatusOK, "")
		first := stored(t, s, email).Password.Reveal()
		if memory, passes := costs(t, first); memory < 19456 || passes < 2 {
			t.Errorf("got m=%d, t=%d, want at least m=19456, t=2", memory, passes)
		}
		signIn(s, email, password).Want(t, http.StatusOK, "")
		if stored(t, s, email).Password.Reveal() != first {
			t.Error("a hash with sufficient cost was replaced")
		}

		stronger := credentials.Default
		stronger.Memory, stronger.Time = stronger.Memory+1024, stronger.Time+1
		raised, hasher := with(stronger, s.Database)
		signIn(raised, email, otherPassword).Want(t, http.StatusUnauthorized, "credentials_invalid")
		if stored(t, s, email).Password.Reveal() != first {
			t.Error("a login with a wrong password replaced the hash")
		}
		signIn(raised, email, password).Want(t, http.StatusOK, "")
		second := stored(t, s, email).Password.Reveal()
		if memory, passes := costs(t, second); memory != int(stronger.Memory) || passes != int(stronger.Time) {
			t.Errorf("after a login: got m=%d, t=%d, want the stronger parameters", memory, passes)
		}
		signIn(s, email, password).Want(t, http.StatusOK, "") // on a replica with the old parameters
		if stored(t, s, email).Password.Reveal() != second {
			t.Error("the hash was replaced by a weaker one")
		}

		want := comparableResponse(signIn(raised, newName(), password))
		for _, cost := range []string{"m=4194304,t=2,p=1", "m=19456,t=4000000000,p=1", "m=4294967295,t=4294967295,p=255"} {
			s.Database.Exec(t, "UPDATE users SET password = ? WHERE email_norm = ?", phc.ReplaceAllString(first, "$$argon2id$$v=19$$"+cost+"$$"+first[len(first)-66:]), email)
			before := hasher.Stats().Computed
			if got := comparableResponse(signIn(raised, email, password)); got != want {
				t.Errorf("%s: %s", cost, got)
			}
			if n := hasher.Stats().Computed - before; n != 1 { // the substitute hash of an unknown user, at the usual cost
				t.Errorf("%s: %d hashes were computed, want 1", cost, n)
			}
		}
	})
}
