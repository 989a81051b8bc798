package server_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// The demo is for trying the server on a local machine. On other hosts its paths do not exist.
func TestDemoIsServedOnLoopbackOnly(t *testing.T) {
	paths := []string{"/demo", "/demo/", "/demo/demo.js", "/demo/style.css"}
	here := servertest.Start(t, servertest.Options{HoldMail: true})
	for _, path := range paths {
		want := http.StatusOK
		if path == "/demo" {
			want = http.StatusPermanentRedirect
		}
		r := here.Anonymous().Do(http.MethodGet, path, nil)
		if r.Status != want {
			t.Errorf("%s: got status %d, want %d", path, r.Status, want)
		}
		if policy := r.Header.Get("Content-Security-Policy"); want == http.StatusOK && !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: Content-Security-Policy is %q", path, policy)
		}
	}
	here.Anonymous().Do(http.MethodGet, "/demo/nothing", nil).Want(t, http.StatusNotFound, "resource_not_found")
	here.Anonymous().Do(http.MethodPost, "/demo/", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")

	away := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_PUBLIC_URL=https://accounts.example"}})
	for _, path := range paths {
		away.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
}

// The console is available on every host, unless the operator disables it.
func TestConsoleIsServedUnlessDisabled(t *testing.T) {
	paths := []string{"/console", "/console/", "/console/?view=users", "/console/console.js", "/console/style.css"}
	on := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_PUBLIC_URL=https://accounts.example"}})
	for _, path := range paths {
		want := http.StatusOK
		if path == "/console" {
			want = http.StatusPermanentRedirect
		}
		r := on.Anonymous().Do(http.MethodGet, path, nil)
		if r.Status != want {
			t.Errorf("%s: got status %d, want %d", path, r.Status, want)
		}
		if policy := r.Header.Get("Content-Security-Policy"); want == http.StatusOK && !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: Content-Security-Policy is %q", path, policy)
		}
	}
	on.Anonymous().Do(http.MethodGet, "/console/nothing", nil).Want(t, http.StatusNotFound, "resource_not_found")
	on.Anonymous().Do(http.MethodPost, "/console/", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")

	off := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_CONSOLE=false"}})
	for _, path := range paths {
		off.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
	off.Anonymous().Do(http.MethodGet, "/admin/users", nil).Want(t, http.StatusUnauthorized, "credentials_missing") // the operations remain available
}

// The guides belong to the documentation: they are served on every host, unless the operator
// disables it.
func TestGuidesAreServedUnlessDocumentationIsDisabled(t *testing.T) {
	paths := []string{"/docs/guides", "/docs/guides/", "/docs/guides/settings", "/docs/guides/style.css"}
	on := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_PUBLIC_URL=https://accounts.example.com"}})
	for _, path := range paths {
		want := http.StatusOK
		if path == "/docs/guides" {
			want = http.StatusPermanentRedirect
		}
		if r := on.Anonymous().Do(http.MethodGet, path, nil); r.Status != want {
			t.Errorf("%s: got status %d, want %d", path, r.Status, want)
		}
	}
	on.Anonymous().Do(http.MethodGet, "/docs/guides/nothing", nil).Want(t, http.StatusNotFound, "resource_not_found")
	on.Anonymous().Do(http.MethodPost, "/docs/guides/", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")

	off := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_DOCS=false"}})
	for _, path := range paths {
		off.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
}

// Password managers lead their users to the page that sets a password. It may be a page of the
// operator, and nothing in the request changes it.
func TestWellKnownURLLeadsToPageThatSetsPassword(t *testing.T) {
	own := servertest.Start(t, servertest.Options{HoldMail: true})
	other := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_RESET_URL=https://www.example.com/password"}})
	for s, want := range map[*servertest.Server]string{own: own.Config.PublicURL + "/pages/reset", other: "https://www.example.com/password"} {
		for _, target := range []string{"/.well-known/change-password", "/.well-known/change-password?to=//evil.example"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				r := s.Anonymous().Do(method, target, nil)
				if location := r.Header.Get("Location"); r.Status != http.StatusSeeOther || location != want || len(r.Raw) != 0 {
					t.Errorf("%s %s: got status %d, location %q and %d bytes, want %q", method, target, r.Status, location, len(r.Raw), want)
				}
			}
		}
		s.Anonymous().Do(http.MethodPost, "/.well-known/change-password", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
		// A password manager asks for this path first. If it existed, the answer above would mean nothing.
		s.Anonymous().Do(http.MethodGet, "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
}

// A person who opens the bare host gets to the demo on loopback, and elsewhere to the
// documentation, if it is served.
func TestRootLeadsToFirstPageServed(t *testing.T) {
	for _, test := range []struct{ settings, location string }{
		{"", "/demo/"}, {"ACCOUNTS_DOCS=false", "/demo/"}, {"ACCOUNTS_PUBLIC_URL=https://accounts.example.com", "/docs/"},
	} {
		s := servertest.Start(t, servertest.Options{HoldMail: true, Settings: strings.Fields(test.settings)})
		r := s.Anonymous().Do(http.MethodGet, "/", nil)
		if r.Status != http.StatusFound || r.Header.Get("Location") != test.location {
			t.Errorf("%q: got %d to %q, want 302 to %s", test.settings, r.Status, r.Header.Get("Location"), test.location)
		}
		if r := s.Anonymous().Do(http.MethodGet, test.location, nil); r.Status != http.StatusOK {
			t.Errorf("%q: %s is answered with %d", test.settings, test.location, r.Status)
		}
		s.Anonymous().Do(http.MethodPost, "/", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	}
	none := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{"ACCOUNTS_PUBLIC_URL=https://accounts.example.com", "ACCOUNTS_DOCS=false"}})
	none.Anonymous().Do(http.MethodGet, "/", nil).Want(t, http.StatusNotFound, "resource_not_found")
}
