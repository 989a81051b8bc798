package server_test

import (
	"net/http"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A token whose session is not stored is rejected with session_revoked, whether the token has
// expired or not. An expired token whose session is stored is rejected with session_expired, except
// in server_held, where the token's own expiry does not count.
func TestTokenOfMissingSessionIsRejectedAsRevoked(t *testing.T) {
	t.Attr("control", "199")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		if transport != accounts.ServerHeld {
			withExpiredTokens(c).RefreshTokens().Want(t, http.StatusUnauthorized, "session_expired")
		}
		s.Database.Exec(t, "DELETE FROM sessions WHERE id = ?", sessionID(t, c))
		for range 2 {
			c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
			withExpiredTokens(c).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		}
		withExpiredTokens(c).Logout().Want(t, http.StatusNoContent, "")
	})
}

// Logout accepts every authentic refresh token of the session, and an access token from its cookie:
// in cookies only one that has not expired, in server_held an expired one too. Nothing else ends a
// session.
func TestLogoutAcceptsOnlyTokensOfItsTransport(t *testing.T) {
	t.Attr("control", "199")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		for age, change := range map[string]func(c, old *servertest.Client) *servertest.Client{
			"fresh":                  func(c, _ *servertest.Client) *servertest.Client { return c.Copy() },
			"superseded":             func(_, old *servertest.Client) *servertest.Client { return old.Copy() },
			"expired":                func(c, _ *servertest.Client) *servertest.Client { return withExpiredTokens(c) },
			"superseded and expired": func(_, old *servertest.Client) *servertest.Client { return withExpiredTokens(old) },
		} {
			for _, kind := range []string{"refresh", "access cookie", "access token as a cookie"} {
				c := s.Login(u, transport)
				old := c.Copy()
				s.Database.Age(t, rotation)
				c.RefreshTokens().Want(t, http.StatusOK, "")
				shown := change(c, old)
				status, code := http.StatusNoContent, ""
				var r *servertest.Response
				switch {
				case kind == "refresh" && transport != accounts.ServerHeld:
					r = shown.Logout()
				case kind == "access cookie" && shown.CookieValue("access") != "":
					r = s.Anonymous().Do(http.MethodPost, "/accounts/logout", nil, servertest.Cookie("access", shown.CookieValue("access")), servertest.Header("X-CSRFToken", c.CSRF))
					if transport == accounts.Cookies && shown.CookieValue("access") != c.CookieValue("access") && shown.CookieValue("access") != old.CookieValue("access") {
						status, code = http.StatusUnauthorized, "refresh_invalid" // expired
					}
				case kind == "access token as a cookie" && shown.Access != "":
					r = s.Anonymous().Do(http.MethodPost, "/accounts/logout", nil, servertest.Cookie("access", shown.Access), servertest.Header("X-CSRFToken", csrfOf(t, c)))
					status, code = http.StatusUnauthorized, "refresh_invalid"
				default:
					continue // the transport has no such token
				}
				if r.Status != status || r.Code() != code {
					t.Errorf("logout with a %s %s: got %d %s, want %d %s", age, kind, r.Status, r.Code(), status, code)
				}
				if ended := row(t, s, c).RevokedAt != nil; ended != (status == http.StatusNoContent) {
					t.Errorf("logout with a %s %s: the session has ended: %v", age, kind, ended)
				}
			}
		}
	})
}
