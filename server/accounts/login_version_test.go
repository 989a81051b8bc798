package accounts_test

import (
	"sync"
	"testing"

	"example.com/accounts/server/token"
)

// The first login of a user increments the version once, also if several logins are the first. Later
// logins and a new hash of the same password do not.
func TestFirstLoginIncrementsVersion(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		u := s.replicas[0].NewUser()
		version := func() int64 {
			return s.db.Count(t, "SELECT version FROM users WHERE id = ?", u.ID)
		}
		before := version()
		var wait sync.WaitGroup
		for i := range 4 {
			wait.Go(func() { s.replicas[i%len(s.replicas)].Login(u, token.Body) })
		}
		wait.Wait()
		if got := version(); got != before+1 {
			t.Errorf("the version after the first logins is %d, want %d", got, before+1)
		}
		u.Password = oldPassword
		s.db.Exec(t, "UPDATE users SET password = ? WHERE id = ?", djangoHashes["pbkdf2_sha256"], u.ID)
		s.replicas[0].Login(u, token.Body)
		if got := version(); got != before+1 {
			t.Errorf("the version after a later login is %d, want %d", got, before+1)
		}
	})
}
