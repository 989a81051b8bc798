package server_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// holdsCredentials reports whether the body of an operation contains a password, or the token of a
// link or a session.
func holdsCredentials(op servertest.Operation) bool {
	for name := range schemaOf(op).Properties {
		if strings.Contains(name, "password") || strings.HasSuffix(name, "token") {
			return true
		}
	}
	return false
}

// Credentials are accepted in a JSON body only. A query ends up in logs and histories, and a page
// of another origin can submit a form without a preflight request.
func TestCredentialsAreAcceptedInJSONBodyOnly(t *testing.T) {
	t.Attr("control", "10")
	var tried []string
	bodyOperations(t, func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation) {
		if !holdsCredentials(op) {
			return
		}
		tried = append(tried, op.ID)
		c := s.Login(ada, accounts.Cookies)
		e := exampleOf(t, op)
		if schemaOf(op).Properties["refresh_token"] != nil {
			e.body = object{"refresh_token": "a token"}
		}
		form := url.Values{}
		for name, value := range e.body.(object) {
			text, _ := value.(string)
			form.Set(name, text)
		}
		var parts bytes.Buffer
		w := multipart.NewWriter(&parts)
		for name := range form {
			_ = w.WriteField(name, form.Get(name))
		}
		_ = w.Close()
		before := s.Database.Dump(t)
		ask := func(status int, code, method, query string, body any, options ...servertest.Option) {
			t.Helper()
			r := c.Copy().Do(method, e.path+query, body, options...).Want(t, status, code)
			if len(r.Cookies()) != 0 || status == http.StatusMethodNotAllowed && !strings.Contains(r.Header.Get("Allow"), e.method) {
				t.Errorf("cookies %v, Allow %q", r.Cookies(), r.Header.Get("Allow"))
			}
		}
		query := "?" + form.Encode()
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			ask(http.StatusMethodNotAllowed, "method_not_allowed", method, query, nil)
		}
		ask(http.StatusMethodNotAllowed, "", http.MethodHead, query, nil)
		if op.Operation.RequestBody.Value.Required {
			ask(http.StatusUnsupportedMediaType, "media_type_unsupported", e.method, query, nil)
			ask(http.StatusBadRequest, "request_malformed", e.method, query, object{})
			ask(http.StatusUnprocessableEntity, "validation_failed", e.method, "", object{})
		}
		for kind, body := range map[string]string{
			"application/x-www-form-urlencoded": form.Encode(), "text/plain": text(e.body), "text/plain;charset=UTF-8": text(e.body), w.FormDataContentType(): parts.String(), "": text(e.body),
		} {
			ask(http.StatusUnsupportedMediaType, "media_type_unsupported", e.method, "", body, servertest.Header("Content-Type", kind))
		}
		unchanged(t, s, before)
	})
	if !slices.Contains(tried, "login") || !slices.Contains(tried, "register") || !slices.Contains(tried, "changePassword") || len(tried) < 8 {
		t.Errorf("tried were %q", tried)
	}
}

// A new database has no users. Staff members and superusers log in through the same operation,
// under the same rules, as all users.
func TestAllRolesLogInThroughSameOperation(t *testing.T) {
	t.Attr("control", "17")
	life(t, func(t *testing.T, s *servertest.Server) {
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM users"); n != 0 {
			t.Errorf("%d users in a new database", n)
		}
		for _, name := range []string{"admin", "administrator", "root", "user", "test", "guest", "accounts", "accountsd", "superuser", "admin@example.com", "admin@localhost", "root@localhost"} {
			for _, p := range []string{name, "admin", "password", "changeme", "secret", "123456", "accounts", password} {
				signIn(s, name, p).Want(t, http.StatusUnauthorized, "credentials_invalid")
			}
		}
		u := s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, u.ID)
		if got, want := alike(signIn(s, u.Username, otherPassword)), alike(signIn(s, newName(), otherPassword)); got != want {
			t.Errorf("a wrong password of an administrator: %s", got)
		}
		c := s.Login(u, accounts.Hybrid)
		for next, code := range map[string]string{"elevenchars": "too_short", "password1234": "password_common"} {
			wantField(t, changePassword(c.Copy(), u.Password, next), "/new_password", code)
		}
		if n := guess(t, s, u.Email, 101); n != 10 {
			t.Errorf("%d guesses at an administrator were judged", n)
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", trusted)
}
