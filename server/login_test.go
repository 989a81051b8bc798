package server_test

import (
	"bytes"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
				t.Errorf("got the cookies %v and Allow %q", r.Cookies(), r.Header.Get("Allow"))
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
		wantUnchanged(t, s, before)
	})
	if !slices.Contains(tried, "login") || !slices.Contains(tried, "register") || !slices.Contains(tried, "changePassword") || len(tried) < 8 {
		t.Errorf("the tested operations are %q", tried)
	}
}

// A new database has no users. Staff members and superusers log in through the same operation,
// under the same rules, as all users.
func TestAllRolesLogInThroughSameOperation(t *testing.T) {
	t.Attr("control", "17")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM users"); n != 0 {
			t.Errorf("a new database has %d users, want 0", n)
		}
		for _, name := range []string{"admin", "administrator", "root", "user", "test", "guest", "accounts", "accountsd", "superuser", "admin@example.com", "admin@localhost", "root@localhost"} {
			for _, p := range []string{name, "admin", "password", "changeme", "secret", "123456", "accounts", password} {
				signIn(s, name, p).Want(t, http.StatusUnauthorized, "credentials_invalid")
			}
		}
		u := s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, u.ID)
		if got, want := comparableResponse(signIn(s, u.Username, otherPassword)), comparableResponse(signIn(s, newName(), otherPassword)); got != want {
			t.Errorf("a wrong password of an administrator gets another response: %s", got)
		}
		c := s.Login(u, accounts.Hybrid)
		for next, code := range map[string]string{"elevenchars": "too_short", "password1234": "password_common"} {
			wantField(t, changePassword(c.Copy(), u.Password, next), "/new_password", code)
		}
		if n := guess(t, s, u.Email, 101); n != 10 {
			t.Errorf("%d guesses at an administrator were accepted, want 10", n)
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", trusted)
}

// Each transport returns the members listed in the table of the contract's description.
func TestLoginReturnsMembersOfTransport(t *testing.T) {
	t.Attr("control", "28")
	common := []string{"expires_in", "generation", "refresh_in", "session", "token_transport"}
	members := map[accounts.Transport][]string{
		accounts.Hybrid: {"access_token", "csrf_token", "token_type"}, accounts.Cookies: {"csrf_token"}, accounts.ServerHeld: {"csrf_token"},
		accounts.BodyTokens: {"access_token", "refresh_token", "token_type"},
	}
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		want := func(r *servertest.Response, extra ...string) {
			t.Helper()
			names := slices.Concat(common, members[transport], extra)
			slices.Sort(names)
			if diff := cmp.Diff(names, slices.Sorted(maps.Keys(r.JSON))); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if r.Text("token_transport") != string(transport) || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("token_transport %q, Cache-Control %q, want no-store", r.Text("token_transport"), r.Header.Get("Cache-Control"))
			}
			for _, c := range r.Cookies() { // no token is in both
				if c.Name != "csrftoken" && c.Value != "" && bytes.Contains(r.Raw, []byte(c.Value)) {
					t.Errorf("the body contains the value of the cookie %s", c.Name)
				}
			}
		}
		c := s.Anonymous()
		r := login(c, u, transport).Want(t, http.StatusOK, "")
		want(r, "user")
		if user := r.JSON["user"].(map[string]any); user["username"] != u.Username || user["password"] != nil {
			t.Errorf("user: got %v", user)
		}
		want(c.RefreshTokens().Want(t, http.StatusOK, ""))
		s.Database.Age(t, rotation)
		want(c.RefreshTokens().Want(t, http.StatusOK, ""))
	})
}

func TestLoginDefaultsToHybridAndAcceptsAddress(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		u := s.NewUser()
		for _, name := range []string{u.Username, u.Email, strings.ToUpper(u.Username), strings.ToUpper(u.Email)} {
			r := s.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": name, "password": u.Password}).Want(t, http.StatusOK, "")
			if r.Text("token_transport") != "hybrid" {
				t.Errorf("%s: %s", name, r.Raw)
			}
		}
	})
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// The failed logins of unknown, inactive, deleted, unverified and pending users and with a wrong
// password get identical responses, including the headers, each time.
func TestLoginAnswersAlikeForUnknownUsers(t *testing.T) {
	t.Attr("control", "12")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		active, inactive, unverified, deleted := s.NewUser(), s.NewUser(), s.NewUser(), s.NewUser()
		setActive(t, s, inactive, false)
		s.Database.Exec(t, "UPDATE users SET email_verified_at = NULL WHERE id = ?", unverified.ID)
		s.Login(deleted, accounts.BodyTokens).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		pending := address(newName())
		register(t, s, 1, object{"email": pending, "password": password})
		sessions := s.Database.Count(t, "SELECT COUNT(*) FROM sessions")
		first := ""
		for _, c := range slices.Repeat([][2]string{
			{active.Username, "wrong"}, {active.Email, "wrong"}, {strings.ToUpper(active.Email), "wrong"},
			{"nobody", active.Password}, {"nobody@example.com", active.Password}, {deleted.Username, deleted.Password}, {deleted.Email, deleted.Password},
			{inactive.Username, inactive.Password}, {inactive.Email, inactive.Password}, {inactive.Username, "wrong"}, {pending, password}, {pending, "wrong"},
			{unverified.Username, unverified.Password}, {unverified.Username, "wrong"}, {active.Username + " ", active.Password}, {"\x00", "x"}, {"a\u202eb", "x"}, {strings.Repeat("😀", 254), "x"},
			{"admin", "admin"}, {"' OR 1=1 --", "x"}, {"@", "x"}, {"a@b@c", "x"}, {"ſ", "x"}, {"%", "%"}, {active.Username, active.Password + " "}, {active.Username, strings.ToUpper(active.Password)},
			{active.Username, active.Password + "\x00"}, {active.Username, strings.Repeat("é", 1024)},
		}, 20) {
			r := signIn(s, c[0], c[1]).Want(t, http.StatusUnauthorized, "credentials_invalid")
			got := comparableResponse(r)
			if first == "" {
				first = got
			}
			if diff := cmp.Diff(first, got); diff != "" || len(r.Cookies()) != 0 || r.Header.Get("WWW-Authenticate") != `Bearer realm="accounts"` {
				t.Errorf("%q: the response differs, sets a cookie or has no challenge:\n%s", c[0], diff)
			}
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM sessions"); n != sessions {
			t.Errorf("the failed logins started %d sessions", n-sessions)
		}
	})
}
