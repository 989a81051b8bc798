package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// Every kind of token is rejected wherever another kind is expected.
func TestTokenOfAnotherKindIsRejected(t *testing.T) {
	t.Attr("control", "20")
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	c, cookies := s.Login(u, accounts.BodyTokens), s.Login(u, accounts.Cookies)
	tokens := map[string]string{
		"access": c.Access, "refresh": c.Refresh, "access cookie": accessOf(cookies), "refresh cookie": refreshOf(cookies), "csrf": cookies.CSRF,
		"verify": register(t, s, 1, object{"email": address(newName()), "password": password}),
		"change": requestEmailChange(t, s, c, address(newName()), 1), "reset": requestReset(t, s, u.Email, 2),
	}
	csrf := servertest.Header("X-CSRFToken", cookies.CSRF)
	link := verdict{422, ""} // link_invalid, or validation_failed if it is longer than the token of a link
	credential, forgery := verdict{401, ""}, verdict{403, "csrf_failed"}
	doors := map[string]struct {
		own  []string // the kinds that work; another test covers tokens presented through another transport
		want verdict
		show func(token string) *servertest.Response
	}{
		"Bearer": {[]string{"access", "access cookie"}, credential, func(v string) *servertest.Response {
			return s.Anonymous().Profile(servertest.Header("Authorization", "Bearer "+v))
		}},
		"access cookie": {[]string{"access", "access cookie"}, credential, func(v string) *servertest.Response { return s.Anonymous().Profile(servertest.Cookie("access", v)) }},
		"refresh cookie": {[]string{"refresh cookie"}, credential, func(v string) *servertest.Response {
			return s.Anonymous().RefreshTokens(servertest.Cookie("refreshtoken", v), csrf)
		}},
		"body": {[]string{"refresh"}, credential, func(v string) *servertest.Response {
			return post(s, "/accounts/refresh_token", object{"refresh_token": v})
		}},
		"logout": {[]string{"refresh"}, credential, func(v string) *servertest.Response { return post(s, "/accounts/logout", object{"refresh_token": v}) }},
		"verify": {[]string{"verify"}, link, func(v string) *servertest.Response { return verify(s, v, password) }},
		"reset":  {[]string{"reset"}, link, func(v string) *servertest.Response { return confirmReset(s, v, otherPassword) }},
		"change": {[]string{"change"}, link, func(v string) *servertest.Response { return confirmEmail(s, v, u.Password) }},
		"CSRF header": {[]string{"csrf"}, forgery, func(v string) *servertest.Response {
			return cookies.Copy().RefreshTokens(servertest.Header("X-CSRFToken", v))
		}},
	}
	settle(t, s)
	before := s.Database.Dump(t)
	for name, door := range doors {
		for kind, value := range tokens {
			if slices.Contains(door.own, kind) {
				continue
			}
			if r := door.show(value); r.Status != door.want.status || door.want.code != "" && r.Code() != door.want.code {
				t.Errorf("%s presented as %s: got %d %s", kind, name, r.Status, r.Code())
			}
		}
	}
	wantUnchanged(t, s, before)
	for _, name := range []string{"refresh cookie", "body", "CSRF header", "reset"} { // the tokens were valid
		door := doors[name]
		if r := door.show(tokens[door.own[0]]); r.Status >= 300 {
			t.Errorf("the valid %s: got %d %s, want it accepted", name, r.Status, r.Code())
		}
	}
}

type verdict struct {
	status int
	code   string
}

// The server accepts exactly one Authorization header with exactly one bearer token. Anything else
// is rejected with 401, even if the request also has valid cookies, and never causes a 500.
func TestOneBearerTokenInOneAuthorizationHeaderIsAccepted(t *testing.T) {
	t.Attr("control", "25")
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	c, cookies := s.Login(u, accounts.Hybrid), s.Login(u, accounts.Cookies)
	good := c.Access
	before := s.Database.Dump(t)
	send := func(sender *servertest.Client, values ...string) []*servertest.Response {
		header := func(r *http.Request) { r.Header["Authorization"] = values }
		return []*servertest.Response{sender.Copy().Profile(header), sender.Copy().Do(http.MethodDelete, "/accounts/sessions", nil, header)}
	}
	for _, values := range [][]string{
		{""}, {"Bearer"}, {"Bearer "}, {"bearer"}, {"Bearer  " + good}, {"Bearer " + good + " x"}, {"Bearer x " + good}, {"Bearer x y"}, {"Bearer  x y"}, {"Bearer " + good + "," + good}, {"Bearer " + good + ", Bearer " + good},
		{"Bearer\t" + good}, {"Bearer=" + good}, {"Bearer: " + good}, {"Bearer:" + good}, {`Bearer "` + good + `"`}, {"Bearer token=" + good}, {"Bearer " + good + ";"}, {"Bearer Bearer " + good},
		{good}, {"Basic " + good}, {"JWT " + good}, {"Token " + good}, {"Bearer_ " + good}, {"Bearer\u00a0" + good}, {"Ｂearer " + good}, {"Bearer " + good + "\xff"}, {"Bearer " + strings.Repeat("a", 64<<10)}, {strings.Repeat("Bearer ", 5000) + good},
		{"Bearer " + good, "Bearer " + good}, {"Bearer " + good, ""}, {"", "Bearer " + good}, {"Bearer " + good, "Basic eDp5"}, {"Basic eDp5", "Bearer " + good},
	} {
		for _, sender := range []*servertest.Client{s.Anonymous(), cookies} {
			for _, r := range send(sender, values...) {
				if r.Status != http.StatusUnauthorized || r.Code() != "access_invalid" || r.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%.60q: %d %s", values, r.Status, r.Code())
				}
			}
		}
	}
	wantUnchanged(t, s, before)
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "bEaReR "} {
		s.Anonymous().Profile(servertest.Header("Authorization", scheme+good)).Want(t, http.StatusOK, "")
	}
	front, _, _ := serve(t, s)
	if answer := raw(t, front, line("GET /accounts/profile HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", strings.Repeat("a", 64<<10))); answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB: %d", answer.StatusCode)
	}
}

// A URL ends up in logs and histories, so no operation accepts a credential or the CSRF token in
// the query.
func TestCredentialsInQueryAreRejected(t *testing.T) {
	t.Attr("control", "26")
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	body, cookies := s.Login(u, accounts.BodyTokens), s.Login(u, accounts.Cookies)
	var query []string
	for name, value := range map[string]string{
		"access_token": body.Access, "token": body.Access, "jwt": body.Access, "auth": body.Access, "authorization": "Bearer%20" + body.Access, "Authorization": "Bearer%20" + body.Access, "bearer": body.Access,
		"access": accessOf(cookies), "refresh_token": body.Refresh, "refreshtoken": refreshOf(cookies), "__Host-access": accessOf(cookies), "id_token": body.Access, "session_id": body.SessionID,
	} {
		query = append(query, name+"="+value)
	}
	csrf := "csrf_token=" + cookies.CSRF + "&csrftoken=" + cookies.CSRF + "&X-CSRFToken=" + cookies.CSRF + "&csrfmiddlewaretoken=" + cookies.CSRF
	before := s.Database.Dump(t)
	for _, op := range servertest.Operations() {
		if len(op.Security) == 0 {
			continue
		}
		e := exampleOf(t, op)
		path := e.path
		for _, one := range append(query, strings.Join(query, "&")+"&"+csrf) {
			e.path = path + "?" + one
			if r := send(s.Anonymous(), e); isOptional(op) {
				r.Want(t, http.StatusBadRequest, "request_malformed") // only the parameter is at fault
			} else {
				r.Want(t, http.StatusUnauthorized, "credentials_missing")
			}
		}
		if e.path = path + "?" + csrf; listsScheme(op, "csrfToken") && unsafeMethod(op.Method) {
			send(cookies.Copy(), e, servertest.Header("X-CSRFToken", "")).Want(t, http.StatusForbidden, "csrf_failed")
		}
	}
	wantUnchanged(t, s, before)
}

// An attacker who has read the database cannot log in with its contents: no value of any row is
// accepted as a credential in any place.
func TestDatabaseValuesAreRejectedAsCredentials(t *testing.T) {
	t.Attr("control", "28")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true})
		ways := map[place]way{}
		values := map[string]bool{}
		for _, w := range waysIn(t, s) {
			ways[w.place] = w
			values[w.session.SessionID], values[w.session.SessionID+".0"] = true, true
		}
		post(s, "/accounts/password/reset", object{"email": s.NewUser().Email}).Want(t, http.StatusAccepted, "")
		before := s.Database.Dump(t)
		for row := range strings.Lines(before) {
			if _, value, ok := strings.Cut(strings.TrimSuffix(row, "\n"), "="); ok && value != "" {
				values[value] = true
			}
		}
		if len(values) < 20 || len(ways) != 4 {
			t.Fatalf("got %d values and %d locations, want at least 20 values and 4 locations", len(values), len(ways))
		}
		asked := 0
		for value := range values {
			for _, w := range ways {
				if r := w.present(t, s, value); r != nil && r.Status != http.StatusBadRequest { // bytes that cannot be sent in JSON
					w.wantRejected(t, value, w.invalid(), r)
					asked++
				}
			}
		}
		if asked < len(values)*3 {
			t.Errorf("only %d of %d values were presented", asked, len(values))
		}
		wantUnchanged(t, s, before)
	})
}
