package server_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// After the exchange the browser can refresh and log out as usual.
func TestLegacyCookieIsReplacedInTheBrowser(t *testing.T) {
	eachSite(t, func(t *testing.T, plain site) {
		s := plain
		settings := []string{}
		if s.secure {
			settings = append(settings, httpsSettings)
		}
		s.Server = servertest.Start(t, servertest.Options{Settings: legacySettings(time.Now().Add(day), settings...)})
		u := newImported(t, s.Server)
		j := jar{oldCookie: simpleToken(u), "csrftoken": "of Django"}
		j.take(s.post("/accounts/refresh_token", j)).Want(t, http.StatusOK, "")
		if _, still := j[oldCookie]; still == s.secure || j[s.refresh] == "" {
			t.Errorf("cookies in the jar: %v", slices.Sorted(maps.Keys(j)))
		}
		s.Database.Age(t, rotation)
		j.take(s.post("/accounts/refresh_token", j)).Want(t, http.StatusOK, "")
		j.take(s.post("/accounts/logout", j)).Want(t, http.StatusNoContent, "")
		if len(j) != 0 {
			t.Errorf("cookies in the jar after logout: got %v, want none", slices.Sorted(maps.Keys(j)))
		}

		// A login by password clears an old token, which would otherwise sign the user in again
		// after the logout.
		j = jar{oldCookie: simpleToken(u)}
		j.take(s.login(t, u, accounts.Cookies))
		if s.secure && j[oldCookie] != "" {
			t.Error("the login did not clear the old cookie")
		}
		if s.secure {
			j[oldCookie] = simpleToken(u) // planted by a subdomain
		}
		j.take(s.post("/accounts/logout", j)).Want(t, http.StatusNoContent, "")
		if len(j) != 0 {
			t.Errorf("cookies in the jar after logout: got %v, want none", slices.Sorted(maps.Keys(j)))
		}

		// Without the feature, no response on https sets or clears a cookie of that name.
		if plain.secure {
			for _, c := range plain.login(t, plain.NewUser(), accounts.Hybrid).Cookies() {
				if c.Name == oldCookie {
					t.Errorf("%v", c)
				}
			}
		}
	})
}

// If the request has a cookie of this server, the old cookie is ignored, even if the other one is
// rejected.
func TestLegacyCookieIsIgnoredWithOwnCookie(t *testing.T) {
	s := startLegacy(t, servertest.SQLite, httpsSettings)
	u := newImported(t, s)
	raw := simpleToken(u)
	own := jar{}
	own.take(s.Anonymous().Do(http.MethodPost, "/accounts/login", object{"username": u.Username, "password": u.Password}).Want(t, http.StatusOK, ""))
	for name, tt := range map[string]struct {
		cookies jar
		code    string
	}{
		"ours":             {jar{"__Host-refreshtoken": own["__Host-refreshtoken"], "csrftoken": own["csrftoken"], oldCookie: raw}, ""},
		"rubbish":          {jar{"__Host-refreshtoken": "x", "csrftoken": "x", oldCookie: raw}, "refresh_invalid"},
		"an access cookie": {jar{"__Host-access": "x", "csrftoken": "x", oldCookie: raw}, "refresh_invalid"},
	} {
		c := s.Anonymous()
		c.HTTP.Jar = nil
		r := c.Do(http.MethodPost, "/accounts/refresh_token", nil, tt.cookies.cookies)
		if r.Code() != tt.code || tt.code == "" && r.Status != http.StatusOK {
			t.Errorf("%s: %d %s", name, r.Status, r.Code())
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens"); n != 0 {
			t.Fatalf("%s: the old token was used up", name)
		}
	}
	byOldCookie(s, raw, servertest.Cookie(oldCookie, raw)).Want(t, http.StatusUnauthorized, "refresh_invalid") // twice in one request
	for _, op := range servertest.Operations() {                                                               // other operations do not accept it as a credential
		if len(op.Security) == 0 || op.ID == "refreshToken" {
			continue
		}
		r := send(s.Anonymous(), exampleOf(t, op), servertest.Cookie(oldCookie, raw), servertest.Header("X-CSRFToken", "of Django"))
		if op.ID == "getSession" { // always responds with 200
			if r.Want(t, http.StatusOK, ""); r.JSON["session"] != nil {
				t.Errorf("the legacy token was accepted as a session: %s", r.Raw)
			}
			continue
		}
		r.Want(t, http.StatusUnauthorized, "credentials_missing")
	}
	byOldCookie(s, raw).Want(t, http.StatusOK, "")
}

// A page of another origin cannot use the cookie, and neither can a page that does not send the
// CSRF header.
func TestLegacyCookieRequiresCSRFHeader(t *testing.T) {
	for scheme, more := range map[string][]string{"http": nil, "https": {httpsSettings}} {
		t.Run(scheme, func(t *testing.T) {
			s := startLegacy(t, servertest.SQLite, more...)
			u := newImported(t, s)
			raw := simpleToken(u)
			before := s.Database.Dump(t)
			byOldCookie(s, raw, servertest.Header("X-CSRFToken", "")).Want(t, http.StatusForbidden, "csrf_failed")
			byOldCookie(s, raw, func(r *http.Request) { r.Header["X-Csrftoken"] = []string{""} }).Want(t, http.StatusForbidden, "csrf_failed")
			byOldCookie(s, raw, servertest.Header("Origin", "https://evil.example")).Want(t, http.StatusForbidden, "csrf_failed")
			byOldCookie(s, raw, servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusForbidden, "csrf_failed")
			byOldCookie(s, raw+"x", servertest.Header("X-CSRFToken", "")).Want(t, http.StatusUnauthorized, "refresh_invalid")
			wantUnchanged(t, s, before)
			byOldCookie(s, raw, servertest.Header("Origin", s.Config.PublicURL)).Want(t, http.StatusOK, "")
		})
	}
}
