package accounts_test

import (
	"net/http"
	"testing"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

// A new secret without one 401: all replicas with old,new, then all with new,old, while a client goes from one to
// the other and back. After the old one is gone, what it signed is refused.
func TestSecretRotation(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		keys := func(list string) servertest.Options {
			return servertest.Options{Settings: []string{"ACCOUNTS_SECRET_KEYS=" + list}}
		}
		before, after := tokentest.Secret("before"), tokentest.Secret("after")
		s := &site{t: t, db: servertest.NewDatabase(t, e)}
		steps := []*servertest.Server{s.add(keys(before)), s.add(keys(before + "," + after)), s.add(keys(after + "," + before)), s.add(keys(after))}
		s.user = steps[0].NewUser()
		for _, tr := range transports {
			c := steps[0].Login(s.user, tr)
			old := c.Copy()
			for i := 1; i < 3; i++ { // each step of the restart has replicas of both kinds
				for _, r := range []*servertest.Server{steps[i-1], steps[i], steps[i-1], steps[i]} {
					c = c.At(r)
					c.Profile().Want(t, http.StatusOK, "")
					c.RefreshTokens().Want(t, http.StatusOK, "")
					s.age(c, interval+margin)
					c.RefreshTokens().Want(t, http.StatusOK, "")
					c.Profile().Want(t, http.StatusOK, "")
				}
			}
			c = c.At(steps[3])
			c.Profile().Want(t, http.StatusOK, "")
			c.RefreshTokens().Want(t, http.StatusOK, "")
			s.unchanged(func() { old.Copy().At(steps[3]).RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_invalid") })
			c.Copy().RefreshTokens().Want(t, http.StatusOK, "")
		}
	})
}
