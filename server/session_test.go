package server_test

import (
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

func TestFirst(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		u := s.NewUser()
		for _, tr := range []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld, accounts.BodyTokens} {
			c := s.Login(u, tr)
			c.Profile().Want(t, 200, "")
			old := c.Copy()
			c.RefreshTokens().Want(t, 200, "")
			s.Database.Age(t, 40e9)
			c.RefreshTokens().Want(t, 200, "")
			old.RefreshTokens().Want(t, 200, "")
			s.Database.Age(t, 40e9)
			c.RefreshTokens().Want(t, 200, "")
			c.Do("GET", "/accounts/sessions", nil).Want(t, 200, "")
			c.Do("GET", "/accounts/csrf", nil).Want(t, 200, "")
			old.Copy().RefreshTokens()
			c.Logout().Want(t, 204, "")
			c.Profile().Want(t, 401, "")
		}
	})
}
