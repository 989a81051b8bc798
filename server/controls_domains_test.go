package server_test

import (
	"net/http"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

const (
	mixedDomain    = "c\u043erp.example"   // with a Cyrillic о
	mixedASCII     = "xn--crp-sed.example" // mixedDomain in the ASCII form that mail programs write
	cyrillicDomain = "почта.example"       // a single script
	koreanDomain   = "회사.example"          // a single script
)

// Every operation that sets an address rejects a domain that mixes scripts, in Unicode and in ASCII
// form, and accepts a domain in a single script.
func TestNewAddressWithLookAlikeDomainIsRejected(t *testing.T) {
	t.Attr("control", "203")
	withStaff(t, func(t *testing.T, s staffed) {
		ways := map[string]struct {
			status int
			set    func(email string) *servertest.Response
		}{
			"register": {http.StatusAccepted, func(email string) *servertest.Response {
				return post(s.Server, "/accounts/register", object{"email": email, "password": password})
			}},
			"change": {http.StatusAccepted, func(email string) *servertest.Response {
				return s.asUna.Do(http.MethodPost, "/accounts/email/change", object{"email": email})
			}},
			"invitation": {http.StatusCreated, func(email string) *servertest.Response {
				return s.asRoot.Do(http.MethodPost, "/admin/users", object{"email": email})
			}},
		}
		for _, w := range ways {
			for _, domain := range []string{mixedDomain, mixedASCII, "mail." + mixedDomain} {
				wantField(t, w.set(newName()+"@"+domain), "/email", "format_invalid")
			}
			for _, domain := range []string{cyrillicDomain, koreanDomain} {
				w.set(newName()+"@"+domain).Want(t, w.status, "")
			}
		}
		for _, domain := range []string{mixedDomain, mixedASCII} {
			wantField(t, edit(s.asRoot, s.una, object{"email": newName() + "@" + domain}), "/email", "format_invalid")
		}
	})
}

// An existing account with such an address keeps working: its owner can log in and reset the
// password.
func TestExistingAddressWithLookAlikeDomainKeepsWorking(t *testing.T) {
	t.Attr("control", "203")
	life(t, func(t *testing.T, s *servertest.Server) {
		u := newUser(t, s, newName())
		s.Database.Exec(t, "UPDATE users SET email = ?, email_norm = ? WHERE id = ?", "cfo@"+mixedDomain, "cfo@"+mixedASCII, u.ID)
		for _, email := range []string{"cfo@" + mixedDomain, "CFO@" + mixedASCII} {
			signIn(s, email, password).Want(t, http.StatusOK, "")
		}
		token := requestReset(t, s, "cfo@"+mixedASCII, 1)
		post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": password + ", anew"}).Want(t, http.StatusNoContent, "")
		c := s.Login(servertest.User{User: u.User, Password: password + ", anew"}, accounts.BodyTokens)
		c.Do(http.MethodPatch, "/accounts/profile", object{"first_name": "Carla"}).Want(t, http.StatusOK, "")
	})
}
