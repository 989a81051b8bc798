package main

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

// When a server that has handled requests ends, all its goroutines have ended too. So no goroutine
// that is started for a request or a mail, or every second, can accumulate.
func TestGoroutinesEndWithServer(t *testing.T) {
	t.Attr("control", "205")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_METRICS_ADDR="+freeAddr(t))
		s.create("ada")
		before := goleak.IgnoreCurrent()
		r := s.serve()
		for _, transport := range transports {
			c := r.Login(servertest.User{User: models.User{Username: "ada"}, Password: goodPassword}, transport)
			c.RefreshTokens().Want(t, http.StatusOK, "")
			c.Profile().Want(t, http.StatusOK, "")
			c.Logout().Want(t, http.StatusNoContent, "")
		}
		r.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": "ada", "password": "a wrong one"}).Want(t, http.StatusUnauthorized, "")
		r.Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": "ada@example.com"}).Want(t, http.StatusAccepted, "")
		r.stop()
		http.DefaultClient.CloseIdleConnections() // of the test itself
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	})
}
