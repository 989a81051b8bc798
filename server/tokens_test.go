package server_test

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

// Any invalid value in the place of a credential is rejected with 401, never with 400 or 500, and
// changes no row.

// way is a place where an operation accepts a token, and a session whose token belongs there.
type way struct {
	op      servertest.Operation
	place   place
	session *servertest.Client
}

func (w way) String() string { return w.op.ID + " " + string(w.place) }

func (w way) use() tokentest.Use {
	if w.place == atBearer || w.place == atAccess {
		return tokentest.Access
	}
	return tokentest.Refresh
}

func (w way) good() string {
	if w.use() == tokentest.Access {
		return accessOf(w.session)
	}
	return refreshOf(w.session)
}

// invalid returns the code for a value that is not a valid token for this place.
func (w way) invalid() string {
	if acceptsTokenInBody(w.op) || w.place == atRefresh {
		return "refresh_invalid"
	}
	return "access_invalid"
}

// expired returns the code for an authentic token that has expired, or an empty string if the
// operation accepts it.
func (w way) expired() string {
	switch {
	case w.use() == tokentest.Access && slices.Contains(codesOf(w.op, "401"), "access_expired"):
		return "access_expired"
	case w.use() == tokentest.Access:
		return w.invalid()
	case slices.Contains(codesOf(w.op, "401"), "session_expired"), isOptional(w.op):
		return "session_expired"
	}
	return ""
}

// waysIn returns the ways of all operations in the contract.
func waysIn(t *testing.T, s *servertest.Server) []way {
	u := newAda(t, s)
	sessions := map[place]*servertest.Client{
		atBearer: s.Login(u, accounts.Hybrid), atAccess: s.Login(u, accounts.Cookies), atRefresh: s.Login(u, accounts.Cookies), atBody: s.Login(u, accounts.BodyTokens),
	}
	var list []way
	for _, op := range servertest.Operations() {
		if isOptional(op) { // it rejects nothing: see TestGetSessionRejectsInvalidCredentialsAlike
			continue
		}
		for _, p := range []place{atBearer, atAccess, atRefresh, atBody} {
			if listsScheme(op, string(p)) || p == atBody && acceptsTokenInBody(op) {
				list = append(list, way{op, p, sessions[p]})
			}
		}
	}
	if len(list) < 10 {
		t.Fatalf("only %d combinations of operation and location were tested", len(list))
	}
	return list
}

// present presents a value, together with the session's CSRF token but no other credential. It
// returns nil if HTTP cannot transport the value.
func (w way) present(t *testing.T, s *servertest.Server, raw string) *servertest.Response {
	t.Helper()
	e := exampleOf(t, w.op)
	if w.place == atBody {
		e.body = map[string]any{"refresh_token": raw}
		return send(s.Anonymous(), e)
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if len(raw) > 16<<10 || strings.ContainsFunc(raw, control) || strings.Trim(raw, ` "`) == w.good() {
		return nil // over the header limit, rejected by net/http, or parsed as the valid token
	}
	return send(s.Anonymous(), e, func(r *http.Request) {
		switch w.place {
		case atBearer:
			r.Header["Authorization"] = []string{"Bearer " + raw}
		case atAccess:
			r.Header["Cookie"] = []string{"access=" + raw}
		case atRefresh:
			r.Header["Cookie"] = []string{"refreshtoken=" + raw}
		case atBody: // the body has it already
		}
		r.Header.Set("X-CSRFToken", csrfOf(t, w.session))
	})
}

// wantRejected checks that a credential was rejected with 401 and the code want. In a cookie,
// credentials_missing is accepted too, because net/http drops a cookie that contains an invalid
// byte.
func (w way) wantRejected(t *testing.T, name, want string, r *servertest.Response) {
	t.Helper()
	if isOptional(w.op) {
		if outcomeOf(w.op, r) != signedOut {
			t.Errorf("%s: %s: got %d %s, want no session", w, name, r.Status, r.Raw)
		}
		return
	}
	cookie := w.place == atAccess || w.place == atRefresh
	if r.Status == http.StatusUnauthorized && (r.Code() == want || cookie && r.Code() == "credentials_missing") {
		return
	}
	t.Errorf("%s: %s: got %d %s, want 401 %s", w, name, r.Status, r.Code(), want)
}

func TestHostileTokensAreRejectedEverywhere(t *testing.T) {
	t.Attr("control", "18")
	t.Attr("control", "19")
	t.Attr("control", "20")
	t.Attr("control", "21")
	t.Attr("control", "22")
	t.Attr("control", "23")
	s := servertest.Start(t, servertest.Options{})
	ways := waysIn(t, s)
	before := s.Database.Dump(t)
	for _, w := range ways {
		sent, carried := 0, 0
		for _, c := range tokentest.Hostile(w.use(), servertest.SecretKey, accessOf(w.session), refreshOf(w.session), time.Now()) {
			want := w.invalid()
			if c.Expired {
				want = w.expired()
			}
			sent++
			if want == "" { // an expired token is accepted for logout
				continue
			}
			r := w.present(t, s, c.Raw)
			switch {
			case r == nil:
			case w.place == atBody && len(c.Raw) > 16_000:
				r.Want(t, http.StatusRequestEntityTooLarge, "body_too_large")
			default:
				carried++
				w.wantRejected(t, c.Name, want, r)
			}
		}
		if carried < sent*8/10 {
			t.Errorf("%s: only %d of %d tokens were presented", w, carried, sent)
		}
	}
	wantUnchanged(t, s, before)
	for _, w := range ways { // the valid tokens still work; operations that end the session come last
		if !unsafeMethod(w.op.Method) {
			w.wantRejected(t, "nothing", w.invalid(), w.present(t, s, ""))
			if r := send(w.session.Copy(), exampleOf(t, w.op)); r.Status != http.StatusOK || outcomeOf(w.op, r) != "" {
				t.Errorf("%s: the valid token: got %d %s, want it accepted", w, r.Status, r.Raw)
			}
		}
	}
}

// Authentic tokens that were never issued for a session of this server are rejected. Only the row
// reveals that (invariants 8 and 14).
func TestTokenWithoutIssuedSessionIsRejected(t *testing.T) {
	t.Attr("control", "21")
	t.Attr("control", "32")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		victim := s.Login(s.NewUser(), accounts.Cookies) // a session of another user, which must stay valid
		stranger := s.NewUser()
		for _, w := range waysIn(t, s) {
			before := s.Database.Dump(t)
			cases := tokentest.Unbacked(w.use(), servertest.SecretKey, accessOf(w.session), refreshOf(w.session), time.Now())
			for i, want := range w.unbacked() {
				if want == "-" {
					continue
				}
				if r := w.present(t, s, cases[i].Raw); outcomeOf(w.op, r) != want && (want != "" || r.Status >= 300) {
					t.Errorf("%s: %s: got %d %s, want %q", w, cases[i].Name, r.Status, outcomeOf(w.op, r), want)
				}
			}
			wantUnchanged(t, s, before)
			w.takesNoOther(t, s, s.Login(stranger, w.session.Transport))
		}
		victim.Profile().Want(t, http.StatusOK, "")
	})
}

// takesNoOther presents the session's token with the sid of another user's active session.
func (w way) takesNoOther(t *testing.T, s *servertest.Server, theirs *servertest.Client) {
	t.Helper()
	want := w.unbacked()[0]
	if unsafeMethod(w.op.Method) && (w.place == atAccess || w.place == atRefresh) {
		want = "csrf_failed" // the CSRF token is that of the original session
	}
	before := s.Database.Dump(t)
	r := w.present(t, s, forged(w.good(), func(header, claims string) (string, string) {
		return header, strings.ReplaceAll(claims, w.session.SessionID, theirs.SessionID)
	}))
	if outcome := outcomeOf(w.op, r); outcome != want || want == "" && r.Status >= 300 {
		t.Errorf("%s: sid of another user's session: got %d %s, want %q", w, r.Status, outcome, want)
	}
	wantUnchanged(t, s, before)
}

// unbacked returns the codes for another user's sub, another session's sid and a generation ahead
// of the row. The code "-" means not tested: only a refresh checks gen, and elsewhere the token is
// simply valid for its session.
func (w way) unbacked() [3]string {
	codes := [3]string{w.invalid(), "session_revoked", "-"}
	refreshes := slices.Contains(codesOf(w.op, "401"), "refresh_reused")
	switch {
	case isOptional(w.op):
		return [3]string{signedOut, signedOut, "-"}
	case refreshes && w.place == atAccess: // a transport whose access token is not a handle
		codes[2] = "refresh_invalid"
	case refreshes:
		codes[2] = "session_expired"
	case acceptsTokenInBody(w.op): // logout, with no session to end
		codes[1] = ""
		if w.use() == tokentest.Refresh {
			codes[0] = ""
		}
	}
	if unsafeMethod(w.op.Method) && (w.place == atAccess || w.place == atRefresh) {
		codes[1] = "csrf_failed" // the CSRF token is that of the original session
	}
	return codes
}

// Random text of 1 byte to 8 KiB is rejected.
func TestRandomCredentialsAreRejected(t *testing.T) {
	t.Attr("control", "32")
	s := servertest.Start(t, servertest.Options{})
	ways := waysIn(t, s)
	before := s.Database.Dump(t)
	for _, w := range ways {
		for _, unit := range []string{"a", ".", "a.b.c", "-_", "=", "%00", "%", "\\", "é", "\xff", "\u200b", "{}", "<x>", "' OR 1=1 --", ",", "Bearer ", "eyJ", "null", "\\u0000", "$(id)"} {
			for _, size := range []int{1, 2, 43, 1000, 4096, 4097, 8192} {
				raw := strings.TrimSpace(strings.Repeat(unit, size/len(unit)+1)[:size])
				encoded, _ := json.Marshal(raw)
				switch r := w.present(t, s, raw); {
				case r == nil:
				case w.place == atBody && len(encoded) > 16_000:
					r.Want(t, http.StatusRequestEntityTooLarge, "body_too_large")
				default:
					w.wantRejected(t, raw[:min(len(raw), 20)], w.invalid(), r)
				}
			}
		}
	}
	wantUnchanged(t, s, before)
	for _, op := range servertest.Operations() { // the same in the CSRF header
		if !unsafeMethod(op.Method) || !listsScheme(op, "csrfToken") {
			continue
		}
		session := s.Login(s.NewUser(), accounts.Cookies)
		before = s.Database.Dump(t)
		for _, unit := range []string{"a", ".", "-_", "=", "%00", "é", "\xff", "null", session.CSRF} {
			for _, size := range []int{1, 2, 42, 43, 44, 86, 1000, 8192} {
				raw := strings.Repeat(unit, size/len(unit)+1)[:size]
				if raw == session.CSRF {
					continue
				}
				r := send(session.Copy(), exampleOf(t, op), servertest.Header("X-CSRFToken", raw))
				if r.Status != http.StatusForbidden || r.Code() != "csrf_failed" {
					t.Errorf("%s: CSRF %.20q of %d: %d %s", op.ID, raw, size, r.Status, r.Code())
				}
			}
		}
		wantUnchanged(t, s, before)
	}
}

// A token whose header names a key URL is rejected, and the server does not connect to that URL. A
// token that is too long for a header or a body is not parsed.
func TestKeyURLOfTokenIsNotFetched(t *testing.T) {
	t.Attr("control", "19")
	s := servertest.Start(t, servertest.Options{})
	there, visitors := keyServer(t)
	for _, w := range waysIn(t, s) {
		for _, member := range []string{`"jku":"` + there + `"`, `"x5u":"` + there + `"`, `"kid":"` + there + `"`, `"jku":"` + there + `","x5u":"` + there + `","crit":["jku"]`} {
			r := w.present(t, s, forged(w.good(), func(header, claims string) (string, string) { return "{" + member + "," + header[1:], claims }))
			w.wantRejected(t, member, w.invalid(), r)
		}
	}
	if n := visitors(); n != 0 {
		t.Errorf("the server opened %d connections to fetch a key, want 0", n)
	}
	front, _, _ := serve(t, s)
	huge := strings.Repeat("k", 70_000)
	for _, header := range []string{"Authorization: Bearer ", "Cookie: refreshtoken="} {
		if answer := raw(t, front, line("POST /accounts/refresh_token HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n\r\n", header, huge)); answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %d", header, answer.StatusCode)
		}
	}
	front.Anonymous().Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": huge}).Want(t, http.StatusRequestEntityTooLarge, "body_too_large")
}

// keyServer starts a listener that closes every connection. visitors stops it and returns the
// number of connections.
func keyServer(t *testing.T) (url string, visitors func() int) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	count := make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				count <- n
				return
			}
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String() + "/keys", func() int {
		_ = listener.SetDeadline(time.Now().Add(100 * time.Millisecond)) // until then, pending connections are accepted
		return <-count
	}
}
