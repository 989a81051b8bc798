package server_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// jar holds cookies by name, as a browser at the server's public URL would. It writes the Cookie
// header itself, because the tests use plain http even if the public URL is https.
type jar map[string]string

func (j jar) take(r *servertest.Response) *servertest.Response {
	for _, c := range r.Cookies() {
		if c.MaxAge < 0 {
			delete(j, c.Name)
		} else {
			j[c.Name] = c.Value
		}
	}
	return r
}

func (j jar) cookies(r *http.Request) {
	for name, value := range j {
		r.Header.Add("Cookie", name+"="+value)
	}
	if j["csrftoken"] != "" {
		r.Header.Set("X-CSRFToken", j["csrftoken"])
	}
}

// without returns a copy of the jar that lacks one cookie.
func (j jar) without(name string) jar {
	c := jar{}
	for k, v := range j {
		if k != name {
			c[k] = v
		}
	}
	return c
}

// site is a server with the cookie names that its public URL requires.
type site struct {
	*servertest.Server
	access, refresh string
	secure          bool
	now             time.Time
}

// eachSite runs a test on plain http with a loopback host and on https. The clock stands still at a
// whole second, so that each Max-Age is exact.
func eachSite(t *testing.T, f func(t *testing.T, s site)) {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	for _, s := range []site{
		{access: "access", refresh: "refreshtoken", now: now},
		{access: "__Host-access", refresh: "__Host-refreshtoken", secure: true, now: now},
	} {
		scheme, settings := "http", []string{"ACCOUNTS_SESSION_MAX_AGE=8d"}
		if s.secure {
			scheme, settings = "https", append(settings, "ACCOUNTS_PUBLIC_URL=https://accounts.example")
		}
		t.Run(scheme, func(t *testing.T) {
			s.Server = servertest.Start(t, servertest.Options{Settings: settings, Now: func() time.Time { return now }})
			f(t, s)
		})
	}
}

// bare returns a client without its own jar.
func (s site) bare() *servertest.Client {
	c := s.Anonymous()
	c.HTTP.Jar = nil
	return c
}

func (s site) login(t *testing.T, u servertest.User, transport accounts.Transport, options ...servertest.Option) *servertest.Response {
	t.Helper()
	return s.bare().Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": transport}, options...).
		Want(t, http.StatusOK, "")
}

func (s site) post(path string, j jar) *servertest.Response {
	return s.bare().Do(http.MethodPost, path, nil, j.cookies)
}

// set returns the exact Set-Cookie line that sets a cookie, with TOKEN in place of the token, and
// gone the line that deletes it.
func (s site) set(name string, life time.Duration) string {
	return s.line(name, "TOKEN", int(life/time.Second))
}

func (s site) gone(name string) string { return s.line(name, "", 0) }

func (s site) line(name, value string, maxAge int) string {
	line := fmt.Sprintf("%s=%s; Path=/; Max-Age=%d", name, value, maxAge)
	if name != "csrftoken" {
		line += "; HttpOnly"
	}
	if s.secure {
		line += "; Secure"
	}
	return line + "; SameSite=Lax"
}

// wantCookies compares the Set-Cookie lines of a response, in any order.
func wantCookies(t *testing.T, r *servertest.Response, want ...string) {
	t.Helper()
	got := slices.Clone(r.Header.Values("Set-Cookie"))
	for i, line := range got {
		pair, attributes, _ := strings.Cut(line, "; ")
		name, value, _ := strings.Cut(pair, "=")
		if len(pair) > 4096 {
			t.Errorf("cookie %s has %d bytes, want at most 4,096", name, len(pair))
		}
		if value != "" {
			got[i] = name + "=TOKEN; " + attributes
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("Set-Cookie (-want +got):\n%s", diff)
	}
}

const day = 24 * time.Hour

// Login sets the cookies listed in the table of the contract's description (control 39).
func TestLoginSetsCookiesOfContract(t *testing.T) {
	t.Attr("control", "39")
	eachSite(t, func(t *testing.T, s site) {
		u := s.NewUser()
		week, half := 7*day, 30*time.Minute
		for transport, want := range map[accounts.Transport][]string{
			accounts.Hybrid:     {s.gone(s.access), s.set(s.refresh, week), s.set("csrftoken", week)},
			accounts.Cookies:    {s.set(s.access, week), s.set(s.refresh, week), s.set("csrftoken", week)},
			accounts.ServerHeld: {s.set(s.access, half), s.gone(s.refresh), s.set("csrftoken", half)},
			accounts.BodyTokens: nil,
		} {
			t.Run(string(transport), func(t *testing.T) {
				r := s.login(t, u, transport)
				wantCookies(t, r, want...)
				for _, c := range r.Cookies() {
					if c.Name == "csrftoken" && c.MaxAge > 0 && c.Value != r.Text("csrf_token") {
						t.Error("the cookie csrftoken differs from csrf_token in the body")
					}
				}
			})
		}
		// A failed login changes no cookie.
		wantCookies(t, s.bare().Do(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": "x"}).Want(t, http.StatusUnauthorized, ""))
	})
}

func TestRefreshRenewsCookiesInBrowser(t *testing.T) {
	t.Attr("control", "39")
	t.Attr("control", "41")
	t.Attr("control", "49")
	eachSite(t, func(t *testing.T, s site) {
		u := s.NewUser()
		for transport, names := range map[accounts.Transport][]string{
			accounts.Hybrid: {s.refresh, "csrftoken"}, accounts.Cookies: {s.access, s.refresh, "csrftoken"}, accounts.ServerHeld: {s.access, "csrftoken"},
		} {
			t.Run(string(transport), func(t *testing.T) {
				j, origin := jar{}, &url.URL{Scheme: "http", Host: "localhost", Path: "/any/where"}
				browser, _ := cookiejar.New(nil) // never returns an error
				if s.secure {
					origin.Scheme = "https"
				}
				browser.SetCookies(origin, j.take(s.login(t, u, transport)).Cookies())
				if n := len(browser.Cookies(origin)); n != len(names) {
					t.Errorf("%d cookies in a real jar, want %v", n, names)
				}
				if got := len(j); got != len(names) {
					t.Errorf("%d cookies in the jar, want %v", got, names)
				}
				old := j.without("")
				wantCookies(t, s.post("/accounts/refresh_token", j).Want(t, http.StatusOK, "")) // row 4: nothing newer
				s.Database.Age(t, 40*time.Second)
				var want []string
				for _, name := range names {
					life := 7 * day
					if transport == accounts.ServerHeld {
						life = 30 * time.Minute
					}
					want = append(want, s.set(name, life))
				}
				wantCookies(t, j.take(s.post("/accounts/refresh_token", j)).Want(t, http.StatusOK, ""), want...)         // row 3
				wantCookies(t, s.post("/accounts/refresh_token", old).Want(t, http.StatusOK, ""), slices.Clone(want)...) // row 5
				wantCookies(t, s.post("/accounts/refresh_token", j.without("csrftoken")).Want(t, http.StatusForbidden, "csrf_failed"))
				bye := j.take(s.post("/accounts/logout", j)).Want(t, http.StatusNoContent, "")
				wantCookies(t, bye, s.gone(s.access), s.gone(s.refresh), s.gone("csrftoken"))
				browser.SetCookies(origin, bye.Cookies())
				if left := browser.Cookies(origin); len(j)+len(left) > 0 { // same name, path and attributes: the browser deletes them (control 41)
					t.Errorf("cookies left in the jar: got %v, and %v in a real jar, want none", j, left)
				}
				wantCookies(t, s.post("/accounts/refresh_token", old).Want(t, http.StatusUnauthorized, "session_revoked"))
			})
		}
	})
}

// Near the absolute expiry of the session, its cookies expire together with it.
func TestCookieMaxAgeEndsWithSession(t *testing.T) {
	t.Attr("control", "39")
	eachSite(t, func(t *testing.T, s site) {
		j, u := jar{}, s.NewUser()
		j.take(s.login(t, u, accounts.Cookies))
		s.Clock.Advance(6*day + time.Hour)
		life := 2*day - time.Hour
		wantCookies(t, j.take(s.post("/accounts/refresh_token", j)).Want(t, http.StatusOK, ""), s.set(s.access, life), s.set(s.refresh, life), s.set("csrftoken", life))
		s.Clock.Advance(life)
		wantCookies(t, s.post("/accounts/refresh_token", j).Want(t, http.StatusUnauthorized, "session_expired"))
	})
}

// Operations that end the caller's own session clear its cookies. No other operation does.
func TestEndingOwnSessionClearsItsCookies(t *testing.T) {
	t.Attr("control", "49")
	eachSite(t, func(t *testing.T, s site) {
		u := s.NewUser()
		cleared := []string{s.gone(s.access), s.gone(s.refresh), s.gone("csrftoken")}
		for _, transport := range []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld} {
			for _, end := range []struct {
				path string
				want []string
			}{
				{"/accounts/sessions/OTHER", nil}, {"/accounts/sessions/OWN", cleared}, {"/accounts/sessions?keep_current=true", nil},
				{"/accounts/sessions?keep_current=false", cleared}, {"/accounts/sessions", cleared},
			} {
				j, c, other := jar{}, s.bare(), s.login(t, u, accounts.BodyTokens)
				own := j.take(s.login(t, u, transport))
				if access := own.Text("access_token"); access != "" {
					c.Access = access
				}
				path := strings.NewReplacer("OTHER", idOf(other), "OWN", idOf(own)).Replace(end.path)
				wantCookies(t, c.Do(http.MethodDelete, path, nil, j.cookies).Want(t, http.StatusNoContent, ""), slices.Clone(end.want)...)
			}
		}
	})
}

func idOf(r *servertest.Response) string {
	session, _ := r.JSON["session"].(map[string]any)
	id, _ := session["id"].(string)
	return id
}

// The body transport never sets or clears a cookie, even if the request has cookies.
func TestBodyTransportSetsAndClearsNoCookie(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		u, j := s.NewUser(), jar{}
		j.take(s.login(t, u, accounts.Cookies))
		r := s.login(t, u, accounts.BodyTokens, j.cookies)
		wantCookies(t, r)
		c := s.bare()
		tokens := map[string]any{"refresh_token": r.Text("refresh_token")}
		s.Database.Age(t, 40*time.Second)
		wantCookies(t, c.Do(http.MethodPost, "/accounts/refresh_token", tokens, j.cookies).Want(t, http.StatusOK, ""))
		wantCookies(t, c.Do(http.MethodPost, "/accounts/logout", tokens, j.cookies).Want(t, http.StatusNoContent, ""))
		s.post("/accounts/refresh_token", j).Want(t, http.StatusOK, "")
	})
}

// A login never adopts the session of cookies that the request already has (session fixation),
// regardless of the transports of the two sessions.
func TestLoginDoesNotAdoptSessionOfCookies(t *testing.T) {
	t.Attr("control", "11")
	eachSite(t, func(t *testing.T, s site) {
		for _, of := range []accounts.Transport{accounts.Cookies, accounts.Hybrid, accounts.ServerHeld} {
			for _, transport := range transports {
				attacker, victim, planted := s.NewUser(), s.NewUser(), jar{}
				theirs := planted.take(s.login(t, attacker, of))
				s.login(t, victim, of) // the first login changes more of the user
				before := s.Database.Dump(t)
				browser := planted.without("")
				own := browser.take(s.login(t, victim, transport, planted.cookies))
				if idOf(own) == idOf(theirs) || own.JSON["user"].(object)["username"] != victim.Username {
					t.Errorf("%s: login adopted the planted session", transport)
				}
				for _, name := range []string{s.refresh, s.access, "csrftoken"} {
					if transport != accounts.BodyTokens && browser[name] != "" && browser[name] == planted[name] {
						t.Errorf("%s: login kept the planted cookie %s", transport, name)
					}
				}
				after := s.Database.Dump(t)
				for line := range strings.Lines(before) { // there is a new session, and last_login changes
					if !strings.HasPrefix(line, "users.last_login") && !strings.Contains(after, line) {
						t.Errorf("%s: login changed a row of another session: %s", transport, line)
					}
				}
				s.post("/accounts/refresh_token", planted).Want(t, http.StatusOK, "")
			}
		}
	})
}

// Each cookie has exactly one accepted name, and the name is case-sensitive (control 39, corpus
// 4.2).
func TestCookieIsAcceptedUnderItsExactNameOnly(t *testing.T) {
	t.Attr("control", "39")
	eachSite(t, func(t *testing.T, s site) {
		j := jar{}
		j.take(s.login(t, s.NewUser(), accounts.Cookies))
		csrf := j["csrftoken"]
		profile := func(line string) *servertest.Response {
			return s.bare().Do(http.MethodGet, "/accounts/profile", nil, servertest.Header("Cookie", line))
		}
		refresh := func(line string) *servertest.Response {
			return s.bare().Do(http.MethodPost, "/accounts/refresh_token", nil, servertest.Header("Cookie", line), servertest.Header("X-CSRFToken", csrf))
		}
		profile(s.access+"="+j[s.access]).Want(t, http.StatusOK, "")
		refresh(s.refresh+"="+j[s.refresh]).Want(t, http.StatusOK, "")
		for _, prefix := range []string{"", "__Host-", "__Secure-", "__host-", "__HOST-", "__Host_", "\u2000__Host-", "X-", "__Http-", "__Host-Http-"} {
			for name, send := range map[string]func(string) *servertest.Response{"access": profile, "refreshtoken": refresh} {
				for _, spelled := range []string{prefix + name, prefix + strings.ToUpper(name[:1]) + name[1:], prefix + strings.ToUpper(name), "$" + prefix + name} {
					if spelled != s.access && spelled != s.refresh {
						value := map[string]string{"access": j[s.access], "refreshtoken": j[s.refresh]}[name]
						send(spelled+"="+value).Want(t, http.StatusUnauthorized, "credentials_missing")
						send("$Version=1; "+spelled+"="+value).Want(t, http.StatusUnauthorized, "credentials_missing")
					}
				}
			}
		}
		refresh(s.refresh+"="+j[s.refresh]).Want(t, http.StatusOK, "") // no attempt ended the session
	})
}

// In the last second of a session its cookies are still set. A Max-Age rounded down to 0 would
// delete them in a 200 response.
func TestCookiesAreSetInLastSecondOfSession(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{
		"ACCOUNTS_ROTATION_INTERVAL=2s", "ACCOUNTS_ACCESS_TTL=5s", "ACCOUNTS_REFRESH_IDLE_TTL=20s", "ACCOUNTS_SERVER_HELD_IDLE_TTL=20s", "ACCOUNTS_SESSION_MAX_AGE=20s",
	}})
	u := s.NewUser()
	for _, transport := range []token.Transport{token.Hybrid, token.Cookies, token.ServerHeld} {
		c := s.Login(u, transport)
		list := c.Do(http.MethodGet, "/accounts/sessions", nil).Want(t, http.StatusOK, "")
		newest, _ := list.JSON["sessions"].([]any)[0].(map[string]any)
		end, err := time.Parse(time.RFC3339, newest["expires_at"].(string))
		if err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(end.Sub(s.Clock.Now()) - 500*time.Millisecond)
		r := c.RefreshTokens().Want(t, http.StatusOK, "")
		for _, cookie := range r.Cookies() {
			if cookie.Value == "" || cookie.MaxAge != 1 {
				t.Errorf("%s: cookie %s has %d bytes and Max-Age %d, want a value and Max-Age 1", transport, cookie.Name, len(cookie.Value), cookie.MaxAge)
			}
		}
		if len(r.Cookies()) == 0 {
			t.Errorf("%s: the response sets no cookies", transport)
		}
	}
}

// spelling is a way to write a Cookie header. NAME and GOOD stand for the expected cookie name and
// a valid value. PLAIN stands for the name without its __Host- prefix, or with the prefix added if
// it has none.
type spelling struct {
	lines []string // one header each
	works bool
}

// spellings lists unusual ways to write or repeat a cookie. Headers that a browser could send work.
// Headers that could be read in two ways do not.
var spellings = []spelling{
	{[]string{"NAME=GOOD"}, true},
	{[]string{"NAME =GOOD"}, true}, // the server's library trims names
	{[]string{"a=b; NAME=GOOD;c=d"}, true},
	{[]string{"a=b;NAME=GOOD ; "}, true},
	{[]string{"$Version=1; NAME=GOOD; $Path=/"}, true},
	{[]string{"a=b", "NAME=GOOD"}, true},
	{[]string{"PLAIN=GOOD; NAME=GOOD"}, true}, // the server ignores the other name
	{[]string{"PLAIN=x; NAME=GOOD"}, true},
	{[]string{"=NAME=x; NAME=GOOD"}, true}, // and ignores a cookie without a name
	{[]string{"\u2000NAME=x; NAME=GOOD"}, true},
	{[]string{"csrftoken=x; csrftoken=y; NAME=GOOD"}, true},
	{[]string{strings.Repeat("a=;", 1000) + "NAME=GOOD"}, true},

	{[]string{""}, false}, {[]string{"NAME"}, false}, {[]string{"NAME="}, false}, {[]string{"NAME=x"}, false}, {[]string{"NAME=GOODx"}, false}, {[]string{"NAME=GOOD="}, false},
	{[]string{"NAME=GOOD; NAME=GOOD"}, false}, {[]string{"NAME=GOOD; NAME=x"}, false}, {[]string{"NAME=x; NAME=GOOD"}, false}, {[]string{"NAME=; NAME=GOOD"}, false}, {[]string{"NAME=GOOD; NAME="}, false},
	{[]string{"NAME=GOOD; NAME"}, false}, {[]string{`NAME=GOOD; NAME=a"b`}, false}, {[]string{`NAME=a"b; NAME=GOOD`}, false}, {[]string{"NAME=GOOD; NAME =x"}, false}, {[]string{"NAME =x; NAME=GOOD"}, false},
	{[]string{"NAME=GOOD; NAME=\xff"}, false}, {[]string{"NAME=GOOD", "NAME=x"}, false}, {[]string{"NAME=x", "NAME=GOOD"}, false}, {[]string{"NAME=GOOD", "NAME=GOOD"}, false},
	{[]string{`NAME="GOOD"`}, false}, {[]string{`NAME="GOOD`}, false}, {[]string{"NAME=%22GOOD%22"}, false}, {[]string{"NAME='GOOD'"}, false}, {[]string{`$Version=1; NAME="GOOD"; $Path="/"`}, false},
	{[]string{"NAME= GOOD"}, false}, {[]string{"NAME=GO OD"}, false}, {[]string{"NAME=GOOD, NAME=GOOD"}, false}, {[]string{"NAME=GOOD,a=b"}, false}, {[]string{"NAME: GOOD"}, false},
	{[]string{"=NAME=GOOD"}, false}, {[]string{"=GOOD"}, false}, {[]string{"GOOD"}, false}, {[]string{"PLAIN=GOOD"}, false}, {[]string{"PLAIN=GOOD; NAME=x"}, false}, {[]string{"NAME=x; PLAIN=GOOD"}, false},
	{[]string{"\u2000NAME=GOOD"}, false}, {[]string{"\u00a0NAME=GOOD"}, false}, {[]string{"NAME\u2000=GOOD"}, false}, {[]string{"NAME[]=GOOD"}, false}, {[]string{"NAME.0=GOOD"}, false}, {[]string{"NAM%45=GOOD"}, false},
	{[]string{"NAME=" + strings.Repeat("a", 4097)}, false}, {[]string{"NAME=GOOD" + strings.Repeat("a", 4097)}, false}, {[]string{strings.Repeat("a=;", 5000) + "NAME=GOOD"}, false}, // more than the library reads
	{[]string{strings.Repeat("a=;", 5000) + "NAME=x"}, false},
}

// A cookie name has exactly one accepted spelling. A second cookie of that name that the library
// cannot parse still makes the first ambiguous. None of these headers ends the session.
func TestMisspelledOrDuplicateCookieIsRejected(t *testing.T) {
	t.Attr("control", "39")
	eachSite(t, func(t *testing.T, s site) {
		j := jar{}
		j.take(s.login(t, s.NewUser(), accounts.Cookies))
		csrf := servertest.Header("X-CSRFToken", j["csrftoken"])
		for name, ask := range map[string]func(options ...servertest.Option) *servertest.Response{
			s.access:  func(o ...servertest.Option) *servertest.Response { return s.bare().Profile(o...) },
			s.refresh: func(o ...servertest.Option) *servertest.Response { return s.bare().RefreshTokens(append(o, csrf)...) },
		} {
			plain, prefixed := strings.CutPrefix(name, "__Host-")
			if !prefixed {
				plain = "__Host-" + name
			}
			fill := strings.NewReplacer("NAME", name, "GOOD", j[name], "PLAIN", plain)
			for _, sp := range spellings {
				r := ask(func(r *http.Request) {
					for _, text := range sp.lines {
						r.Header["Cookie"] = append(r.Header["Cookie"], fill.Replace(text))
					}
				})
				if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[sp.works]; r.Status != want {
					t.Errorf("%s: %.60q: %d %s, want %d", name, sp.lines, r.Status, r.Code(), want)
				}
			}
		}
		s.post("/accounts/refresh_token", j).Want(t, http.StatusOK, "")
	})
}

// A request with more cookies than the header limit allows, or than the library parses, is
// rejected, even if the valid cookies are among them.
func TestTooManyCookiesAreRejected(t *testing.T) {
	t.Attr("control", "39")
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Cookies)
	front, _, _ := serve(t, s)
	good := "access=" + accessOf(c)
	for name, bomb := range map[string]struct {
		cookies string
		want    int
	}{
		"nothing else":           {good, http.StatusOK},
		"two of 4 KiB":           {"a=" + strings.Repeat("a", 4094) + "; b=" + strings.Repeat("b", 4094) + "; " + good, http.StatusOK},
		"60 of 4 KiB":            {strings.Repeat("a="+strings.Repeat("a", 4094)+"; ", 60) + good, http.StatusRequestHeaderFieldsTooLarge},
		"60 of 4 KiB, by header": {strings.Repeat("a="+strings.Repeat("a", 4094)+"\r\nCookie: ", 60) + good, http.StatusRequestHeaderFieldsTooLarge},
		"5,000 empty ones":       {strings.Repeat("a=;", 5000) + good, http.StatusUnauthorized},
	} {
		if answer := raw(t, front, line("GET /accounts/profile HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n", bomb.cookies)); answer.StatusCode != bomb.want {
			t.Errorf("%s: %d, want %d", name, answer.StatusCode, bomb.want)
		}
	}
	c.Profile().Want(t, http.StatusOK, "")
}
