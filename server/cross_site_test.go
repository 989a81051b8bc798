package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A link on another site, for which the browser sends Lax cookies, does not count against the
// owner's limit of exports: the request is rejected before it is counted. A request with a token in
// a header is not rejected, because a navigation cannot send one.
func TestCrossSiteNavigationCountsAgainstNoLimit(t *testing.T) {
	t.Attr("control", "194")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		export := func(c *servertest.Client, site string) *servertest.Response {
			return c.Do(http.MethodGet, "/accounts/profile/export", nil, servertest.Header("Sec-Fetch-Site", site), servertest.Header("Sec-Fetch-Mode", "navigate"), servertest.Header("Sec-Fetch-Dest", "document"))
		}
		for _, transport := range []accounts.Transport{accounts.Cookies, accounts.ServerHeld} {
			c := s.Login(s.NewUser(), transport)
			for range 5 {
				export(c, "cross-site").Want(t, http.StatusForbidden, "csrf_failed")
			}
			for _, site := range []string{"same-origin", "same-site", "none", ""} {
				export(c, site).Want(t, http.StatusOK, "")
			}
			export(c, "cross-site").Want(t, http.StatusForbidden, "csrf_failed")
			wantLimited(t, export(c, "same-origin"))
			c.Do(http.MethodGet, "/accounts/profile", nil, servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusOK, "")
		}
		for _, transport := range []accounts.Transport{accounts.Hybrid, accounts.BodyTokens} {
			export(s.Login(s.NewUser(), transport), "cross-site").Want(t, http.StatusOK, "")
		}
		export(s.Anonymous(), "cross-site").Want(t, http.StatusUnauthorized, "credentials_missing")
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=4/1h")
}

// Every read that can be answered with 429 has a limit that a cross-site navigation could exhaust,
// so it must be marked.
func TestReadsWithRateLimitRejectCrossSiteNavigation(t *testing.T) {
	t.Attr("control", "194")
	for _, op := range servertest.Operations() {
		if op.Method != http.MethodGet {
			if op.Operation.Extensions["x-refuse-cross-site"] != nil {
				t.Errorf("%s is a write, which requires a CSRF token already: remove x-refuse-cross-site", op.ID)
			}
			continue
		}
		limited := op.Operation.Responses.Value("429") != nil
		if marked := op.Operation.Extensions["x-refuse-cross-site"] == true; marked != limited {
			t.Errorf("%s: x-refuse-cross-site is %v, but it has a rate limit: %v", op.ID, marked, limited)
		}
	}
}

// A page under a name that an attacker has pointed at this server (DNS rebinding) is same-origin
// for its browser, and its Host matches its Origin. It is rejected because its origin is not
// allowed.
func TestReboundOriginIsRejected(t *testing.T) {
	t.Attr("control", "206")
	for name, s := range map[string]*servertest.Server{"loopback": servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_CORS_ORIGINS=none"}}), "https": atApp(t)} {
		u := s.NewUser()
		public, err := url.Parse(s.Config.PublicURL)
		if err != nil {
			t.Fatal(err)
		}
		sameOrigin := servertest.Header("Sec-Fetch-Site", "same-origin")
		from := func(origin string) servertest.Option {
			return func(r *http.Request) {
				r.Header.Set("Origin", origin)
				if at, err := url.Parse(origin); err == nil && at.Host != "" {
					r.Host = at.Host
				}
			}
		}
		login := object{"username": u.Username, "password": u.Password}
		before := s.Database.Dump(t)
		foreign := []string{"http://evil.example", "https://evil.example:" + public.Port(), "null", "http://localhost.evil.example:" + public.Port(), "http://127.0.0.2:" + public.Port(), "http://localhost:1",
			"https://localhost:" + public.Port(), "http://LOCALHOST:" + public.Port(), s.Config.PublicURL + "/", strings.Replace(s.Config.PublicURL, "://", "://a@", 1)}
		if name == "https" { // only the public URL's own spelling is accepted
			foreign = append(foreign, "http://localhost:"+public.Port(), "http://127.0.0.1", "https://127.0.0.1", "http://accounts.ex")
		}
		for _, origin := range foreign {
			for _, op := range servertest.Operations() {
				if unsafeMethod(op.Method) {
					send(s.Anonymous(), exampleOf(t, op), from(origin), sameOrigin).Want(t, http.StatusForbidden, "csrf_failed")
				}
			}
		}
		two := func(r *http.Request) { r.Header["Origin"] = []string{s.Config.PublicURL, s.Config.PublicURL} }
		post(s, "/accounts/login", login, two, sameOrigin).Want(t, http.StatusForbidden, "csrf_failed")
		wantUnchanged(t, s, before)

		good := []string{s.Config.PublicURL}
		if name == "loopback" {
			good = append(good, "http://localhost:"+public.Port(), "http://127.0.0.1:"+public.Port(), "http://[::1]:"+public.Port())
			post(s, "/accounts/login", login, servertest.Header("Origin", "http://127.0.0.1:"+public.Port()), servertest.Header("Sec-Fetch-Site", "same-site")).Want(t, http.StatusForbidden, "csrf_failed")
		}
		for _, origin := range good {
			post(s, "/accounts/login", login, servertest.Header("Origin", origin), sameOrigin).Want(t, http.StatusOK, "")
		}
	}
}

// If the browser does not send Sec-Fetch-Site, the Origin must equal the server's own exactly. A
// Host header that matches the Origin proves nothing (DNS rebinding).
func TestOriginEqualToHostHeaderProvesNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	body := map[string]any{"username": u.Username, "password": u.Password}
	for _, origin := range []string{"http://evil.example", "ws://" + strings.TrimPrefix(s.URL, "http://"), "http://evil@" + strings.TrimPrefix(s.URL, "http://"), "null"} {
		s.Anonymous().Do(http.MethodPost, "/accounts/login", body, servertest.Header("Origin", origin), func(r *http.Request) {
			r.Host = strings.TrimPrefix(origin, "http://")
		}).Want(t, http.StatusForbidden, "csrf_failed")
	}
	s.Anonymous().Do(http.MethodPost, "/accounts/login", body, servertest.Header("Origin", s.URL)).Want(t, http.StatusOK, "")
}
