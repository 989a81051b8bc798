package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// wantHeaders checks the headers that every response has, regardless of its status (control 91).
func wantHeaders(t *testing.T, s *servertest.Server, path string, r *servertest.Response) {
	t.Helper()
	want := map[string]string{
		"X-Content-Type-Options":       "nosniff",
		"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Resource-Policy": "same-site",
		"Strict-Transport-Security":    "",
		"Vary":                         "Origin",
		"Server":                       "",
		"X-Powered-By":                 "",
	}
	if strings.HasPrefix(s.Config.PublicURL, "https:") {
		want["Strict-Transport-Security"] = "max-age=31536000"
	}
	if about := strings.HasPrefix(path, "/accounts/") || strings.HasPrefix(path, "/admin/"); about && (path != "/accounts/settings" || r.Status >= 400) {
		want["Cache-Control"] = "no-store"
	}
	got := map[string]string{}
	for name := range want {
		got[name] = strings.Join(r.Header.Values(name), " | ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s %d: headers (-want +got):\n%s", path, r.Status, diff)
	}
	if r.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s %d: the response has no X-Request-Id", path, r.Status)
	}
	if id := r.Text("request_id"); r.Status >= 400 && len(r.Raw) > 0 && id != r.Header.Get("X-Request-Id") {
		t.Errorf("%s %d: request_id %q differs from X-Request-Id", path, r.Status, id)
	}
}

// Every response of the server has the security headers.
func TestEveryResponseHasSecurityHeaders(t *testing.T) {
	t.Attr("control", "91")
	for _, settings := range [][]string{nil, {"ACCOUNTS_PUBLIC_URL=https://accounts.example"}} {
		s := servertest.Start(t, servertest.Options{HoldMail: true, Settings: append(settings, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=1/15m")})
		seen := map[int]bool{}
		c := s.Login(newAda(t, s), accounts.BodyTokens)
		s.Database.Snapshot(t)
		for _, op := range servertest.Operations() {
			for _, r := range []*servertest.Response{send(s.Anonymous(), exampleOf(t, op)), send(c.Copy(), exampleOf(t, op))} {
				wantHeaders(t, s, op.Path, r)
				seen[r.Status] = true
			}
			s.Database.Restore(t)
		}
		c = s.Login(servertest.User{User: s.NewUser().User, Password: "correct horse battery"}, accounts.BodyTokens)
		for _, r := range []struct {
			status       int
			method, path string
			body         any
		}{
			{http.StatusNotFound, "GET", "/nothing", nil},
			{http.StatusNotFound, "GET", "/accounts/nothing", nil},
			{http.StatusMethodNotAllowed, "GET", "/accounts/login", nil},
			{http.StatusMethodNotAllowed, "HEAD", "/accounts/login", nil},
			{http.StatusMethodNotAllowed, "OPTIONS", "/accounts/profile", nil},
			{http.StatusMethodNotAllowed, "TRACE", "/accounts/profile", nil},
			{http.StatusMethodNotAllowed, "PROPFIND", "/healthz", nil},
			{http.StatusNotFound, "POST", "/accounts/login/", "{}"},
			{http.StatusNotFound, "GET", "/accounts%2Fprofile", nil},
			{http.StatusUnauthorized, "POST", "/accounts/login", object{"username": "nobody", "password": "x"}},
			{http.StatusTooManyRequests, "POST", "/accounts/login", object{"username": "nobody", "password": "x"}},
			{http.StatusBadRequest, "POST", "/accounts/login", "{"},
			{http.StatusUnprocessableEntity, "POST", "/accounts/login", "{}"},
			{http.StatusRequestEntityTooLarge, "POST", "/accounts/login", strings.Repeat(" ", 1<<17)},
			{http.StatusBadRequest, "DELETE", "/accounts/sessions/x", nil},
		} {
			wantHeaders(t, s, r.path, c.Do(r.method, r.path, r.body).Want(t, r.status, ""))
		}
		wantHeaders(t, s, "/accounts/login", c.Do("POST", "/accounts/login", "{}", servertest.Header("Content-Type", "text/plain")).Want(t, http.StatusUnsupportedMediaType, ""))
		wantHeaders(t, s, "/accounts/login", c.Do("POST", "/accounts/login", "{}", servertest.Header("Origin", "null")).Want(t, http.StatusForbidden, "csrf_failed"))
		for _, status := range []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusUnauthorized, http.StatusNotFound, http.StatusUnprocessableEntity} {
			if !seen[status] {
				t.Errorf("no operation responded with %d", status)
			}
		}
		if err := s.Store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, op := range servertest.Operations() {
			wantHeaders(t, s, op.Path, send(c.Copy(), exampleOf(t, op)))
		}
	}
}

// Resources for operators are not available on the public port, even if metrics are enabled.
func TestOperatorResourcesAreNotOnPublicPort(t *testing.T) {
	t.Attr("control", "95")
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_METRICS_ADDR=localhost:1"}})
	for _, path := range []string{"/metrics", "/debug/pprof", "/debug/pprof/", "/debug/vars", "/.env", "/.git/HEAD", "/accounts", "/api", "/admin"} {
		s.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
}

func TestJWKSMayBeCached(t *testing.T) {
	t.Attr("control", "93")
	s := servertest.Start(t, servertest.Options{})
	r := s.Anonymous().Do(http.MethodGet, "/.well-known/jwks.json", nil).Want(t, http.StatusOK, "")
	if got := r.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control is %q, want public, max-age=300", got)
	}
	if strings.Contains(string(r.Raw), `"d"`) || strings.Contains(string(r.Raw), `"k"`) {
		t.Errorf("the JWKS contains a private key: %s", r.Raw)
	}
}
