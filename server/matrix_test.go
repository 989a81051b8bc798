package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// The security matrix tries every operation of the contract with every way of presenting a
// credential. The model below computes the expected result from the contract's `security` and
// shares no code with the server. A new operation is in the matrix as soon as it is in the
// contract.

func TestPublicOperationsEqualReviewedList(t *testing.T) {
	t.Attr("control", "87")
	var public []string
	for _, op := range servertest.Operations() {
		if len(op.Security) == 0 {
			public = append(public, op.ID)
		}
	}
	golden, err := os.ReadFile("testdata/public_operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(public)
	if diff := cmp.Diff(strings.Fields(string(golden)), public); diff != "" {
		t.Errorf("public operations differ from testdata/public_operations.txt; review them (-file +contract):\n%s", diff)
	}
}

// The matrix trusts the contract. A role that is missing from the contract would open an operation
// to every user, so the list of roles is checked separately.
func TestStaffOperationsEqualReviewedList(t *testing.T) {
	t.Attr("control", "73")
	var staff []string
	for _, op := range servertest.Operations() {
		role, recent := op.Operation.Extensions["x-required-role"], op.Operation.Extensions["x-recent-authentication"]
		if role != nil || recent != nil || slices.Contains(op.Operation.Tags, "admin") || strings.HasPrefix(op.Path, "/admin") {
			staff = append(staff, fmt.Sprintf("%s role=%v recent_authentication=%t", op.ID, role, recent == true))
		}
	}
	golden, err := os.ReadFile("testdata/staff_operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(staff)
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(golden)), "\n"), staff); diff != "" {
		t.Errorf("operations of staff differ from testdata/staff_operations.txt; review them (-file +contract):\n%s", diff)
	}
}

func TestEveryOperationMatchesSecurityMatrix(t *testing.T) {
	t.Attr("control", "87")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		t.Parallel() // the longest test, and half of it waits for the database
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true, Settings: []string{"ACCOUNTS_CORS_ORIGINS=http://localhost:3000"}})
		w := newWorld(t, s)
		for _, op := range servertest.Operations() {
			t.Run(op.ID, func(t *testing.T) {
				w.renew()
				accepted, refused := 0, 0
				for _, sc := range scenarios {
					if len(sc.body) > 0 && !acceptsTokenInBody(op) {
						continue
					}
					if w.try(t, op, sc) == "" {
						accepted++
					} else {
						refused++
					}
				}
				if accepted == 0 || refused == 0 && len(op.Security) > 0 {
					t.Errorf("%d requests were accepted and %d rejected, want both", accepted, refused)
				}
			})
		}
	})
}

// credential is the model's view of a token: its properties, as the test set them up.
type credential struct {
	raw       string
	refresh   bool // a refresh token, not an access token
	authentic bool
	transport accounts.Transport
	expired   bool
	ended     bool // its session is revoked, its user's epoch has changed, or its user is inactive
	csrf      string
	role      string // role of its user: staff, superuser or none
	aged      bool   // the last authentication is not recent
}

// place is a place in a request where a credential can be presented.
type place string

const (
	atBearer  place = "bearerAuth"
	atAccess  place = "accessCookie"
	atRefresh place = "refreshCookie"
	atBody    place = "body"
)

// scenario is a way of sending a request. Credentials are keys of [world.credentials].
type scenario struct {
	name                          string
	bearer, access, refresh, body []string
	scheme                        string // instead of "Bearer "
	csrf                          string // "own": the token of the first cookie's session; otherwise the name of a credential, or any text
	query                         string
	headers                       map[string]string
	foreign                       bool // sent by a page of a foreign origin
}

// credentialsAt returns the names of the credentials at a place.
func (sc scenario) credentialsAt(p place) []string {
	return map[place][]string{atBearer: sc.bearer, atAccess: sc.access, atRefresh: sc.refresh, atBody: sc.body}[p]
}

// ------------------------------------------------------------------ the model

// verdict returns the code with which the contract requires the request to be rejected, or an empty
// string if it is accepted. It returns signedOut if the contract accepts the request but not its
// credential.
func (w *world) verdict(op servertest.Operation, sc scenario) string {
	code := w.code(op, sc)
	switch {
	case sc.query != "" && (code == "" || isOptional(op)): // no operation has these parameters
		return "request_malformed"
	case code != "" && isOptional(op):
		return signedOut
	}
	return code
}

func (w *world) code(op servertest.Operation, sc scenario) string {
	switch {
	case sc.foreign && unsafeMethod(op.Method):
		return "csrf_failed"
	case len(op.Security) == 0:
		return ""
	case acceptsTokenInBody(op) && len(sc.body) > 0:
		return w.judge(op, sc, atBody, false)
	case listsScheme(op, "bearerAuth") && len(sc.bearer) > 0:
		return w.judge(op, sc, atBearer, false)
	}
	for _, alternative := range op.Security { // in the order of the contract
		for _, p := range []place{atAccess, atRefresh} {
			if _, listed := alternative[string(p)]; listed && len(sc.credentialsAt(p)) > 0 {
				_, csrf := alternative["csrfToken"]
				return w.judge(op, sc, p, csrf)
			}
		}
	}
	return "credentials_missing"
}

// judge returns the verdict on the one credential that counts.
func (w *world) judge(op servertest.Operation, sc scenario, p place, csrf bool) string {
	invalid := "access_invalid"
	if acceptsTokenInBody(op) || p == atRefresh {
		invalid = "refresh_invalid"
	}
	names := sc.credentialsAt(p)
	c := w.credentials[names[0]]
	schemeOK := sc.scheme == "" || strings.EqualFold(sc.scheme, "Bearer ")
	switch {
	case len(names) > 1, p == atBearer && !schemeOK, !c.authentic, c.refresh != (p == atRefresh || p == atBody):
		if !c.authentic || !acceptsTokenInBody(op) || p != atAccess || len(names) != 1 { // the access cookie can still be the handle of server_held
			return invalid
		}
	case c.refresh && p != refreshPlace[c.transport]:
		return invalid
	}
	if csrf && (c.csrf == "" || w.csrfValue(sc) != c.csrf) {
		return "csrf_failed"
	}
	if op.Operation.Extensions["x-refuse-cross-site"] == true && (p == atAccess || p == atRefresh) && sc.headers["Sec-Fetch-Site"] == "cross-site" {
		return "csrf_failed"
	}
	return w.judgeSession(op, c, p, invalid)
}

var (
	accessPlace = map[accounts.Transport]place{
		accounts.Hybrid: atBearer, accounts.BodyTokens: atBearer, accounts.Cookies: atAccess, accounts.ServerHeld: atAccess}
	refreshPlace = map[accounts.Transport]place{
		accounts.Hybrid: atRefresh, accounts.Cookies: atRefresh, accounts.ServerHeld: atAccess, accounts.BodyTokens: atBody}
)

// judgeSession checks the transport, the expiry and the session of an authentic credential.
// Operations about the session itself check the transport before the expiry. They ignore errors
// that the contract does not list, such as a revoked session at logout.
func (w *world) judgeSession(op servertest.Operation, c credential, p place, invalid string) string {
	codes, aboutSession := codesOf(op, "401"), listsScheme(op, "refreshCookie")
	rightPlace := accessPlace[c.transport]
	if c.refresh || slices.Contains(codes, "refresh_reused") { // an access token counts only as a session handle here
		rightPlace = refreshPlace[c.transport]
	}
	code := ""
	switch {
	case c.expired && !aboutSession:
		code = "access_expired"
	case p != rightPlace:
		return invalid
	case c.expired && c.refresh:
		code = "session_expired"
	case c.expired && c.transport != accounts.ServerHeld && acceptsTokenInBody(op):
		return invalid
	case c.expired && c.transport != accounts.ServerHeld:
		code = "access_expired"
	case c.ended:
		code = "session_revoked"
	}
	if code != "" && (slices.Contains(codes, code) || isOptional(op)) {
		return code
	}
	return judgeRole(op, c)
}

// judgeRole checks the requirements on the user, which come last.
func judgeRole(op servertest.Operation, c credential) string {
	wanted := op.Operation.Extensions["x-required-role"]
	switch {
	case wanted != nil && c.role != wanted && c.role != "superuser":
		return "role_required"
	case op.Operation.Extensions["x-recent-authentication"] == true && c.aged:
		return "reauth_required"
	}
	return ""
}

// ------------------------------------------------------------------ the world

// world is a server with users and sessions in every state.
type world struct {
	t           *testing.T
	s           *servertest.Server
	ada, bob    servertest.User
	eve         servertest.User // another user; the test revokes her superuser role
	sam         servertest.User // a staff member
	credentials map[string]credential
	mark        int64 // sequence number of the last change of a row seen so far
}

func newWorld(t *testing.T, s *servertest.Server) *world {
	w := &world{t: t, s: s, credentials: map[string]credential{"garbage": {raw: "garbage"}, "empty": {raw: ""}}}
	w.ada, w.bob, w.eve, w.sam = newAda(t, s), newUser(t, s, "bob"), newUser(t, s, "eve"), newUser(t, s, "sam")
	s.Database.Exec(t, "UPDATE users SET is_staff = ? WHERE id = ?", true, w.sam.ID)
	carol, dan := newUser(t, s, "carol"), newUser(t, s, "dan")
	for _, transport := range transports {
		w.note("revoked", s.Login(w.bob, transport), credential{ended: true}).Logout().Want(t, http.StatusNoContent, "")
		w.note("inactive", s.Login(carol, transport), credential{ended: true})
		w.note("stale", s.Login(dan, transport), credential{ended: true})
	}
	setActive(t, s, carol, false)
	s.Login(dan, accounts.BodyTokens).Do(http.MethodDelete, "/accounts/sessions", nil).Want(t, http.StatusNoContent, "")
	s.Database.Snapshot(t)
	s.Database.Watch(t)
	return w
}

// renew gives ada, sam and eve new sessions in their initial state.
func (w *world) renew() {
	w.restore()
	w.s.Database.Exec(w.t, "DELETE FROM sessions WHERE user_id IN (?, ?, ?)", w.ada.ID, w.eve.ID, w.sam.ID)
	w.s.Database.Exec(w.t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, w.eve.ID)
	for state, user := range map[string]struct {
		servertest.User
		credential
	}{
		"live":  {w.ada, credential{role: "superuser"}},
		"aged":  {w.ada, credential{role: "superuser", aged: true}},
		"staff": {w.sam, credential{role: "staff"}},
		"other": {w.eve, credential{}},
	} {
		for _, transport := range transports {
			c := w.note(state, w.s.Login(user.User, transport), user.credential)
			if id := sessionID(w.t, c); user.aged {
				w.s.Database.Exec(w.t, "UPDATE sessions SET authenticated_at = ? WHERE id = ?", time.Now().Add(-11*time.Minute).UTC(), id[:])
			}
		}
	}
	w.s.Database.Exec(w.t, "UPDATE users SET is_superuser = ? WHERE id = ?", false, w.eve.ID)
	for name, c := range maps.Clone(w.credentials) {
		if rest, live := strings.CutPrefix(name, "live "); live {
			c.raw, c.expired = expired(c.raw), true
			w.credentials["expired "+rest] = c
		}
	}
	w.s.Database.Snapshot(w.t)
	newChanges(w.t, w.s, &w.mark)
}

// restore undoes the changes of a request, so that every request starts from the same state.
func (w *world) restore() {
	w.s.Database.Restore(w.t)
	newChanges(w.t, w.s, &w.mark) // skips the changes made by the restore
}

// note registers both tokens of a client as "state kind transport".
func (w *world) note(state string, c *servertest.Client, like credential) *servertest.Client {
	like.authentic, like.transport, like.csrf = true, c.Transport, csrfOf(w.t, c)
	like.raw = accessOf(c)
	w.credentials[state+" access "+string(c.Transport)] = like
	if c.Transport != accounts.ServerHeld {
		like.raw, like.refresh = refreshOf(c), true
		w.credentials[state+" refresh "+string(c.Transport)] = like
	}
	return c
}

// csrfValue returns the value that the scenario sends in X-CSRFToken.
func (w *world) csrfValue(sc scenario) string {
	if sc.csrf == "own" {
		for _, p := range []place{atRefresh, atAccess} {
			if names := sc.credentialsAt(p); len(names) > 0 {
				return w.credentials[names[0]].csrf
			}
		}
		return ""
	}
	if c, ok := w.credentials[sc.csrf]; ok {
		return c.csrf
	}
	return sc.csrf
}

// try sends a scenario to an operation and compares the response with the model's verdict, which it
// returns.
func (w *world) try(t *testing.T, op servertest.Operation, sc scenario) string {
	t.Helper()
	want := w.verdict(op, sc)
	e := exampleOf(t, op)
	if len(sc.body) > 0 {
		e.body = map[string]any{"refresh_token": w.credentials[sc.body[0]].raw}
	}
	e.path += sc.query
	r := send(w.s.Anonymous(), e, w.options(sc))
	w.compare(t, op, sc, want, r)
	return want
}

func (w *world) compare(t *testing.T, op servertest.Operation, sc scenario, want string, r *servertest.Response) {
	t.Helper()
	changes := newChanges(t, w.s, &w.mark)
	changed := len(changes) > 0
	if want == "" && sc.query != "" { // no operation has these parameters
		r.Want(t, http.StatusBadRequest, "request_malformed")
		if changed {
			t.Errorf("%s: the rejected request changed %v", sc.name, changes)
		}
		return
	}
	if isOptional(op) && outcomeOf(op, r) != want {
		t.Errorf("%s: %d %q, want %q", sc.name, r.Status, outcomeOf(op, r), want)
	}
	if want == "" || want == signedOut {
		if isRefusal(r.Code()) || r.Status >= 500 || r.Code() == "request_malformed" {
			t.Errorf("%s: got %d %s, want it accepted", sc.name, r.Status, r.Code())
		}
		if changed && !unsafeMethod(op.Method) {
			t.Errorf("%s: a %s request changed rows: %v", sc.name, op.Method, changes)
		}
		if changed {
			w.restore()
		}
		return
	}
	status := http.StatusUnauthorized
	switch want {
	case "csrf_failed", "role_required", "reauth_required":
		status = http.StatusForbidden
	case "request_malformed":
		status = http.StatusBadRequest
	}
	if r.Status != status || r.Code() != want {
		t.Errorf("%s: got %d %s, want %d %s", sc.name, r.Status, r.Code(), status, want)
	}
	if status == http.StatusUnauthorized && r.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("%s: the 401 has no WWW-Authenticate", sc.name)
	}
	if changed {
		t.Errorf("%s: the rejected request changed %v", sc.name, changes)
		w.restore()
	}
}

// isRefusal reports whether a code is a rejection by the security checks. It excludes
// credentials_invalid, which is login's own result.
func isRefusal(code string) bool {
	return code == "csrf_failed" || code == "role_required" || code == "reauth_required" || code == "credentials_missing" || strings.HasPrefix(code, "access_") ||
		strings.HasPrefix(code, "session_") || strings.HasPrefix(code, "refresh_")
}

func (w *world) options(sc scenario) servertest.Option {
	schemes := servertest.Contract().Components.SecuritySchemes
	return func(r *http.Request) {
		scheme := sc.scheme
		if scheme == "" {
			scheme = "Bearer "
		}
		for _, name := range sc.bearer {
			r.Header.Add("Authorization", scheme+w.credentials[name].raw)
		}
		for _, p := range []place{atAccess, atRefresh} {
			for _, name := range sc.credentialsAt(p) {
				cookie := strings.TrimPrefix(schemes[string(p)].Value.Name, "__Host-") // the names on plain http
				r.Header.Add("Cookie", cookie+"="+w.credentials[name].raw)
			}
		}
		if value := w.csrfValue(sc); value != "" {
			r.Header.Set(schemes["csrfToken"].Value.Name, value)
		}
		for name, value := range sc.headers {
			r.Header.Set(name, strings.ReplaceAll(value, "SELF", w.s.URL))
		}
	}
}

// The model returns the expected verdicts in simple cases.
func TestMatrixModelGivesExpectedVerdicts(t *testing.T) {
	w := &world{credentials: map[string]credential{
		"a": {raw: "a", authentic: true, transport: accounts.Hybrid}, "c": {raw: "c", authentic: true, transport: accounts.Cookies, csrf: "1"},
	}}
	op := servertest.Operation{Method: http.MethodPost, Operation: &openapi3.Operation{Responses: openapi3.NewResponses()}, Security: openapi3.SecurityRequirements{
		{"bearerAuth": nil}, {"accessCookie": nil, "csrfToken": nil}}}
	for _, c := range []struct {
		want string
		sc   scenario
	}{
		{"credentials_missing", scenario{}},
		{"", scenario{bearer: []string{"a"}}},
		{"access_invalid", scenario{bearer: []string{"c"}}},
		{"access_invalid", scenario{bearer: []string{"x"}}},
		{"csrf_failed", scenario{access: []string{"c"}}},
		{"", scenario{access: []string{"c"}, csrf: "own"}},
		{"csrf_failed", scenario{bearer: []string{"a"}, foreign: true}},
	} {
		if got := w.verdict(op, c.sc); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.sc, got, c.want)
		}
	}
}
