package server_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

const app = "https://app.ex"

func atApp(t *testing.T) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_CORS_ORIGINS=" + app + ",https://other.ex:8443", "ACCOUNTS_PUBLIC_URL=https://accounts.ex"}})
}

// notApp lists origins that resemble an allowed one but are not allowed (control 45).
var notApp = []string{
	"https://app.ex.evil", "https://evilapp.ex", "null", "https://app.ex:444", "https://app.ex:443", "HTTPS://APP.EX", "https://App.ex", "http://app.ex", "https://app.ex/", "https://app.ex.",
	"https://sub.app.ex", "app.ex", "https://other.ex", "https://evil.example", "https://app.ex@evil.example", "https://app.ex%00", "*", "https://app.ex, https://evil.example", "file://", "https://app.ex\\.evil",
	"https://аpp.ex", "https://accounts.ex.evil", "http://accounts.ex",
}

func corsHeaders(r *servertest.Response) map[string]string {
	got := map[string]string{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			got[strings.TrimPrefix(name, "Access-Control-")] = strings.Join(values, " | ")
		}
	}
	return got
}

func TestPreflightAllowsConfiguredOriginOnly(t *testing.T) {
	t.Attr("control", "45")
	s := atApp(t)
	before := s.Database.Dump(t)
	ask := func(origin, method, headers string) *servertest.Response {
		return s.Anonymous().Do(http.MethodOptions, "/accounts/refresh_token", nil, servertest.Header("Origin", origin),
			servertest.Header("Access-Control-Request-Method", method), servertest.Header("Access-Control-Request-Headers", headers))
	}
	r := ask(app, "POST", "content-type,x-csrftoken").Want(t, http.StatusNoContent, "")
	got := corsHeaders(r)
	for _, name := range []string{"Allow-Methods", "Allow-Headers"} {
		list := strings.Split(strings.ToLower(strings.ReplaceAll(got[name], " ", "")), ",")
		slices.Sort(list)
		got[name] = strings.Join(list, ",")
	}
	if diff := cmp.Diff(map[string]string{
		"Allow-Origin": app, "Allow-Credentials": "true", "Max-Age": "600", "Allow-Methods": "delete,get,head,patch,post",
		"Allow-Headers": "authorization,baggage,content-type,if-match,if-none-match,refresh-attempt,traceparent,tracestate,x-csrftoken,x-request-id",
	}, got); diff != "" {
		t.Errorf("preflight (-want +got):\n%s", diff)
	}
	if !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Origin") {
		t.Errorf("Vary: %q", r.Header.Values("Vary"))
	}
	for _, origin := range notApp {
		r := ask(origin, "POST", "x-csrftoken").Want(t, http.StatusForbidden, "csrf_failed")
		if len(corsHeaders(r)) > 0 || !strings.Contains(r.Text("detail"), "ACCOUNTS_CORS_ORIGINS") {
			t.Errorf("%s: got %v and the detail %q", origin, corsHeaders(r), r.Text("detail"))
		}
	}
	wantUnchanged(t, s, before)
}

// Every response to an allowed origin has CORS headers, including errors. Responses to other
// origins have none.
func TestEveryResponseToAllowedOriginHasCORSHeaders(t *testing.T) {
	t.Attr("control", "45")
	s := atApp(t)
	for _, op := range servertest.Operations() {
		e := exampleOf(t, op)
		want := map[string]string{"Allow-Origin": app, "Allow-Credentials": "true", "Expose-Headers": "Retry-After,Www-Authenticate,X-Request-Id,Etag,Location,Deprecation,Sunset,Link"}
		r := send(s.Anonymous(), e, servertest.Header("Origin", app))
		if diff := cmp.Diff(want, corsHeaders(r)); diff != "" {
			t.Errorf("%s %d (-want +got):\n%s", op.ID, r.Status, diff)
		}
		for _, origin := range append([]string{""}, notApp...) {
			r := send(s.Anonymous(), e, servertest.Header("Origin", origin))
			if len(corsHeaders(r)) > 0 {
				t.Errorf("%s from %q: got CORS headers %v, want none", op.ID, origin, corsHeaders(r))
			}
			if vary := strings.Join(r.Header.Values("Vary"), ","); !strings.Contains(vary, "Origin") {
				t.Errorf("%s from %q: Vary is %q, want Origin in it", op.ID, origin, vary)
			}
		}
	}
	for _, path := range []string{"/nothing", "/accounts/nothing"} {
		if got := corsHeaders(s.Anonymous().Do(http.MethodGet, path, nil, servertest.Header("Origin", app))); got["Allow-Origin"] != app {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// A page at an allowed origin can read an internal error.
func TestAllowedOriginCanReadInternalError(t *testing.T) {
	s := atApp(t)
	handler, err := s.HandlerOf(broken{})
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil)
	r.Header.Set("Origin", app)
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || w.Header().Get("Access-Control-Allow-Origin") != app {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A write authenticated by a cookie is rejected and changes nothing for every combination of CSRF
// header and origin, except the valid ones (control 42).
func TestCookieWriteRequiresCSRFTokenAndOrigin(t *testing.T) {
	t.Attr("control", "42")
	s := site{Server: atApp(t), access: "__Host-access", refresh: "__Host-refreshtoken", secure: true}
	u := s.NewUser()
	ended := jar{}
	ended.take(s.login(t, u, accounts.Cookies))
	s.post("/accounts/logout", ended.without("")).Want(t, http.StatusNoContent, "")
	other, j := jar{}, jar{}
	other.take(s.login(t, s.NewUser(), accounts.Cookies))
	j.take(s.login(t, u, accounts.Cookies))
	before := s.Database.Dump(t)
	headers := map[string]string{"own": j["csrftoken"], "missing": "", "wrong": strings.Repeat("A", 43), "other session's": other["csrftoken"], "stale after logout": ended["csrftoken"], "doubled": j["csrftoken"] + j["csrftoken"]}
	origins := append(slices.Clone(notApp), "", app, "https://accounts.ex")
	for _, op := range servertest.Operations() {
		if !unsafeMethod(op.Method) || !listsScheme(op, "csrfToken") {
			continue
		}
		for header, value := range headers {
			for _, origin := range origins {
				good := header == "own" && !slices.Contains(notApp, origin)
				if good {
					continue
				}
				r := send(s.bare(), exampleOf(t, op), j.cookies, servertest.Header("X-CSRFToken", value), servertest.Header("Origin", origin))
				if r.Status != http.StatusForbidden || r.Code() != "csrf_failed" {
					t.Errorf("%s, header %s, origin %q: got %d %s, want 403 csrf_failed", op.ID, header, origin, r.Status, r.Code())
				}
			}
		}
	}
	for _, op := range servertest.Operations() { // the browser reports the origin in Sec-Fetch-Site
		for _, where := range []string{"cross-site", "same-site", "x"} {
			if unsafeMethod(op.Method) && listsScheme(op, "csrfToken") {
				send(s.bare(), exampleOf(t, op), j.cookies, servertest.Header("Sec-Fetch-Site", where)).Want(t, http.StatusForbidden, "csrf_failed")
			}
		}
	}
	wantUnchanged(t, s.Server, before)
	for _, origin := range []string{"", app, "https://accounts.ex"} { // the valid combinations
		j := jar{}
		j.take(s.login(t, u, accounts.Cookies, servertest.Header("Origin", origin)))
		s.bare().Do(http.MethodPost, "/accounts/refresh_token", nil, j.cookies, servertest.Header("Origin", origin)).Want(t, http.StatusOK, "")
		s.bare().Do(http.MethodPost, "/accounts/logout", nil, j.cookies, servertest.Header("Origin", origin)).Want(t, http.StatusNoContent, "")
	}
}

// An attacker on the network can serve a plain http page under the host that is served by https.
// Its Origin names the same host as the request's Host header, but it is a foreign origin and is
// rejected.
func TestPlainHTTPOriginOfSameHostIsRejected(t *testing.T) {
	t.Attr("control", "42")
	t.Attr("control", "43")
	s := site{Server: atApp(t), access: "__Host-access", refresh: "__Host-refreshtoken", secure: true}
	u, j := s.NewUser(), jar{}
	host := func(r *http.Request) { r.Host = "accounts.ex" }
	j.take(s.login(t, u, accounts.Cookies, host, servertest.Header("Origin", "https://accounts.ex")))
	before := s.Database.Dump(t)
	plain := servertest.Header("Origin", "http://accounts.ex")
	for _, op := range servertest.Operations() {
		if unsafeMethod(op.Method) {
			send(s.bare(), exampleOf(t, op), host, j.cookies, plain).Want(t, http.StatusForbidden, "csrf_failed")
		}
	}
	wantUnchanged(t, s.Server, before)
}

// The server ignores the cookie csrftoken: a header and a cookie that match prove nothing. The CSRF
// token of another session or user is rejected too, even if an attacker has planted it as a cookie.
// A page of a subdomain can do that with Domain=, in addition to the real cookie.
func TestPlantedCSRFCookieProvesNothing(t *testing.T) {
	t.Attr("control", "40")
	s := site{Server: atApp(t), access: "__Host-access", refresh: "__Host-refreshtoken", secure: true}
	u := s.NewUser()
	second, others := jar{}, jar{}
	second.take(s.login(t, u, accounts.Cookies))
	others.take(s.login(t, s.NewUser(), accounts.Cookies))
	for _, transport := range []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld} {
		j := jar{}
		j.take(s.login(t, u, transport))
		refresh := func(header string, planted ...string) *servertest.Response {
			return s.bare().Do(http.MethodPost, "/accounts/refresh_token", nil, j.without("csrftoken").cookies, func(r *http.Request) {
				r.Header.Set("X-CSRFToken", header)
				for _, value := range planted {
					r.Header.Add("Cookie", "csrftoken="+value)
				}
			})
		}
		own, before := j["csrftoken"], s.Database.Dump(t)
		for _, value := range []string{"AAAA", others["csrftoken"], second["csrftoken"], strings.ToUpper(own), own + "A", own[:42]} {
			for _, planted := range [][]string{nil, {value}, {own}, {own, value}, {value, own}} {
				refresh(value, planted...).Want(t, http.StatusForbidden, "csrf_failed")
			}
		}
		refresh("", own).Want(t, http.StatusForbidden, "csrf_failed")
		wantUnchanged(t, s.Server, before)
		for _, planted := range [][]string{nil, {"AAAA"}, {"AAAA", own}, {others["csrftoken"]}} {
			refresh(own, planted...).Want(t, http.StatusOK, "")
		}
	}
}

// Login with correct credentials is rejected from a page of a foreign origin (control 43). It is
// also rejected from an allowed origin on another site, which could never send the cookies back.
func TestLoginFromForeignOriginIsRejected(t *testing.T) {
	t.Attr("control", "43")
	s := atApp(t)
	u := s.NewUser()
	login := func(transport accounts.Transport, origin, site string) *servertest.Response {
		return s.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": transport},
			servertest.Header("Origin", origin), servertest.Header("Sec-Fetch-Site", site))
	}
	before := s.Database.Dump(t)
	for _, transport := range transports {
		for _, origin := range notApp {
			if r := login(transport, origin, "").Want(t, http.StatusForbidden, "csrf_failed"); !strings.Contains(r.Text("detail"), "ACCOUNTS_CORS_ORIGINS") {
				t.Errorf("the detail does not name ACCOUNTS_CORS_ORIGINS: %s", r.Text("detail"))
			}
			login(transport, origin, "cross-site").Want(t, http.StatusForbidden, "csrf_failed")
		}
		login(transport, "", "cross-site").Want(t, http.StatusForbidden, "csrf_failed")
		login(transport, "", "same-site").Want(t, http.StatusForbidden, "csrf_failed")
	}
	for _, transport := range []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld} {
		r := login(transport, app, "cross-site").Want(t, http.StatusForbidden, "transport_unusable")
		if !strings.Contains(r.Text("detail"), "body") {
			t.Errorf("the detail does not name the body transport: %s", r.Text("detail"))
		}
	}
	wantUnchanged(t, s, before)
	login(accounts.BodyTokens, app, "cross-site").Want(t, http.StatusOK, "")
	for _, transport := range transports {
		login(transport, app, "same-site").Want(t, http.StatusOK, "")
		login(transport, "https://accounts.ex", "same-origin").Want(t, http.StatusOK, "")
		login(transport, "", "same-origin").Want(t, http.StatusOK, "")
		login(transport, "", "none").Want(t, http.StatusOK, "")
		login(transport, "", "").Want(t, http.StatusOK, "")
	}
}

// The same holds for every operation that needs no credential, above all for the first
// verification, which starts a session like a login.
func TestAnonymousOperationsFromForeignOriginAreRejected(t *testing.T) {
	t.Attr("control", "43")
	s := atApp(t)
	email := address(newName())
	link := object{"token": register(t, s, 1, object{"email": email, "password": password}), "password": password}
	settle(t, s)
	before := s.Database.Dump(t)
	refused := func(e example) {
		for _, origin := range append(slices.Clone(notApp), "") {
			send(s.Anonymous(), e, servertest.Header("Origin", origin), servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusForbidden, "csrf_failed")
			if origin != "" {
				send(s.Anonymous(), e, servertest.Header("Origin", origin)).Want(t, http.StatusForbidden, "csrf_failed")
			}
		}
	}
	tried := 0
	for _, op := range servertest.Operations() {
		if unsafeMethod(op.Method) && len(op.Security) == 0 {
			refused(exampleOf(t, op))
			tried++
		}
	}
	if tried < 4 {
		t.Errorf("only %d operations were tested, want at least 4", tried)
	}
	verify := example{http.MethodPost, "/accounts/email/verify", link}
	refused(verify)
	send(s.Anonymous(), verify, servertest.Header("Origin", app), servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusForbidden, "transport_unusable")
	wantUnchanged(t, s, before)
	if r := send(s.Anonymous(), verify, servertest.Header("Origin", app), servertest.Header("Sec-Fetch-Site", "same-site")).Want(t, http.StatusOK, ""); len(r.Cookies()) == 0 {
		t.Error("the allowed origin got no cookies")
	}
}

// Without a configured origin, no response has CORS headers.
func TestResponsesHaveNoCORSHeadersWithoutOrigins(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_CORS_ORIGINS=none"}})
	for _, origin := range []string{"http://localhost:3000", s.URL, "null"} {
		if got := corsHeaders(s.Anonymous().Do(http.MethodGet, "/healthz", nil, servertest.Header("Origin", origin))); len(got) > 0 {
			t.Errorf("%s: %v", origin, got)
		}
	}
}

// Without the setting, a server on loopback http allows the pages of every port on loopback, and no
// page that only resembles one.
func TestLoopbackServerAllowsEveryLoopbackOrigin(t *testing.T) {
	t.Attr("control", "45")
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	login := func(origin string, more ...servertest.Option) *servertest.Response {
		body := object{"username": u.Username, "password": u.Password}
		return s.Anonymous().Do(http.MethodPost, "/accounts/login", body, append(more, servertest.Header("Origin", origin))...)
	}
	for _, origin := range []string{"http://localhost", "http://localhost:4200", "http://127.0.0.1:5173", "http://[::1]:5174", "http://127.0.0.2:1", "http://demo.localhost:3010"} {
		r := login(origin, servertest.Header("Sec-Fetch-Site", "same-site")).Want(t, http.StatusOK, "")
		if got := corsHeaders(r); got["Allow-Origin"] != origin || got["Allow-Credentials"] != "true" {
			t.Errorf("%s: got CORS headers %v", origin, got)
		}
	}
	// A page on 127.0.0.1 is on another site than localhost, and no cookie may be set for it.
	login("http://127.0.0.1:5173", servertest.Header("Sec-Fetch-Site", "cross-site")).Want(t, http.StatusForbidden, "transport_unusable")
	before := s.Database.Dump(t)
	for _, origin := range []string{
		"https://localhost:4200", "http://LOCALHOST:4200", "http://localhost:80", "http://localhost:04200", "http://localhost:4200/", "http://localhost.evil.example:4200",
		"http://evil.example", "http://evillocalhost:1", "http://.localhost", "http://localhost.:1", "http://127.1:1", "http://[::ffff:127.0.0.1]:1", "http://[0:0:0:0:0:0:0:1]:1",
		"http://a@localhost:1", "http://localhost:1, http://localhost:2", "http://192.168.0.1:3000", "capacitor://localhost", "file://", "null",
	} {
		for _, site := range []string{"", "same-origin", "same-site", "cross-site"} {
			if r := login(origin, servertest.Header("Sec-Fetch-Site", site)).Want(t, http.StatusForbidden, "csrf_failed"); len(corsHeaders(r)) > 0 {
				t.Errorf("%s: got CORS headers %v, want none", origin, corsHeaders(r))
			}
		}
	}
	wantUnchanged(t, s, before)
}

// The log names an origin that is not listed, with the setting, at most once in a minute, and
// nothing but an origin.
func TestUnlistedOriginIsLoggedOncePerMinute(t *testing.T) {
	s := atApp(t)
	origins := func() (list []string) {
		for _, record := range records(t, s.Log.Take()) {
			if text, _ := record["msg"].(string); strings.Contains(text, "ACCOUNTS_CORS_ORIGINS") {
				list = append(list, record["origin"].(string))
			}
		}
		return list
	}
	read := func(origin string) {
		s.Anonymous().Do(http.MethodGet, "/healthz", nil, servertest.Header("Origin", origin))
	}
	origins()
	read(app)
	read("https://accounts.ex")
	for _, test := range []struct{ origin, logged string }{
		{"http://localhost:4200", "http://localhost:4200"}, {"capacitor://localhost", "capacitor://localhost"}, {"null", "null"},
		{"https://user:secret@evil.example", "malformed"}, {"https://evil.example/?token=secret", "malformed"}, {"https://" + strings.Repeat("a", 400), "malformed"}, {"secret", "malformed"},
	} {
		read(test.origin)
		for range 20 {
			read("https://another.example")
		}
		if diff := cmp.Diff([]string{test.logged}, origins()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.origin, diff)
		}
		s.Clock.Advance(time.Minute)
	}
}
