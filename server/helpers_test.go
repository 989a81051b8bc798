package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

var transports = []accounts.Transport{accounts.Hybrid, accounts.Cookies, accounts.ServerHeld, accounts.BodyTokens}

// eachTransport runs a subtest for each transport.
func eachTransport(t *testing.T, f func(t *testing.T, transport accounts.Transport)) {
	t.Helper()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) { f(t, transport) })
	}
}

// password is the one in the contract's examples, and that of every user who logs in with them.
const password = "correct horse battery staple"

// newUser adds an active user. The contract's examples use the name ada.
func newUser(t *testing.T, s *servertest.Server, name string) servertest.User {
	t.Helper()
	u, err := s.Service.CreateUser(context.Background(), accounts.NewUser{Username: name, Email: name + "@example.com", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return servertest.User{User: u, Password: password}
}

// newAda adds ada, a superuser who may call every operation, and a second superuser, so that ada is
// not the last one. It also adds the user whom the examples manage, with the ID [managedID].
func newAda(t *testing.T, s *servertest.Server) servertest.User {
	t.Helper()
	for _, name := range []string{"ada", "root"} {
		_, err := s.Service.CreateUser(context.Background(), accounts.NewUser{Username: name, Email: name + "@example.com", Password: password, Superuser: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Database.Exec(t, "UPDATE users SET id = ? WHERE id = ?", managedID, newUser(t, s, "manageableUser").ID)
	ada, err := s.Store.UserByUsername(context.Background(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	return servertest.User{User: ada, Password: password}
}

// managedID is the user_id in the contract's examples.
const managedID = 42

// example is a valid request to an operation, made from the examples in the contract.
type example struct {
	method, path string
	body         any
}

// exampleOf returns a request with the example values of the parameters and the first example of a
// body without a token. The caller adds the token.
func exampleOf(t *testing.T, op servertest.Operation) example {
	t.Helper()
	e := example{method: op.Method, path: op.Path}
	for _, p := range op.Operation.Parameters {
		if p.Value.In == openapi3.ParameterInPath {
			if p.Value.Example == nil {
				t.Fatalf("%s: the path parameter %s has no example in the contract", op.ID, p.Value.Name)
			}
			e.path = strings.ReplaceAll(e.path, "{"+p.Value.Name+"}", fmt.Sprint(p.Value.Example))
		}
	}
	if op.Operation.RequestBody == nil {
		return e
	}
	media := op.Operation.RequestBody.Value.Content["application/json"]
	if media.Example != nil {
		e.body = media.Example
		return e
	}
	examples := media.Examples
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		value := examples[name].Value.Value.(map[string]any)
		if _, hasToken := value["refresh_token"]; !hasToken {
			e.body = value
			return e
		}
	}
	t.Fatalf("%s: the contract has no example of a body without a token", op.ID)
	return e
}

// schemaOf returns the schema of an operation's body, or nil if it has none.
func schemaOf(op servertest.Operation) *openapi3.Schema {
	if op.Operation.RequestBody == nil {
		return nil
	}
	return op.Operation.RequestBody.Value.Content["application/json"].Schema.Value
}

// send sends an example with all credentials of the client.
func send(c *servertest.Client, e example, options ...servertest.Option) *servertest.Response {
	return c.Do(e.method, e.path, e.body, options...)
}

// codesOf returns the problem codes that the contract lists for a status of an operation.
func codesOf(op servertest.Operation, status string) []string { return op.Codes(status) }

func unsafeMethod(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// listsScheme reports whether an operation lists a security scheme.
func listsScheme(op servertest.Operation, scheme string) bool {
	return slices.ContainsFunc(op.Security, func(r openapi3.SecurityRequirement) bool { _, ok := r[scheme]; return ok })
}

// acceptsTokenInBody reports whether the credential may be a token in the body. Such an operation
// lists {} and has a body.
func acceptsTokenInBody(op servertest.Operation) bool {
	return op.Operation.RequestBody != nil && listsNone(op)
}

// isOptional reports whether a caller without a valid credential is treated as signed out instead
// of rejected. Such an operation lists {} and has no body.
func isOptional(op servertest.Operation) bool {
	return op.Operation.RequestBody == nil && listsNone(op)
}

func listsNone(op servertest.Operation) bool {
	return slices.ContainsFunc(op.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 })
}

// signedOut is the outcome of an operation with an optional credential if the credential was
// missing or rejected. See [outcomeOf].
const signedOut = "signed_out"

// outcomeOf returns the problem code of a response, or signedOut if it says that the caller is
// signed out.
func outcomeOf(op servertest.Operation, r *servertest.Response) string {
	if session, ok := r.JSON["session"]; isOptional(op) && r.Status == http.StatusOK && ok && session == nil {
		return signedOut
	}
	return r.Code()
}

var timeClaim = regexp.MustCompile(`"(iat|exp)":\d+`)

// expired returns the same token as if it had been issued earlier and had expired ten seconds ago.
func expired(raw string) string {
	exp := time.Now().Add(-10 * time.Second).Unix()
	return forged(raw, func(header, claims string) (string, string) {
		return header, timeClaim.ReplaceAllStringFunc(claims, func(m string) string {
			value := exp
			if strings.HasPrefix(m, `"iat"`) {
				value -= 300
			}
			text, _ := json.Marshal(value)
			return m[:6] + string(text)
		})
	})
}

// forged returns a token with another header or other claims, signed with the real key of its kind.
func forged(raw string, change func(header, claims string) (string, string)) string {
	header, claims := partsOf(raw)
	access := !strings.Contains(header, "rt+jwt")
	header, claims = change(header, claims)
	forger := tokentest.NewForger(servertest.SecretKey)
	if access {
		return forger.Access(header, claims)
	}
	return forger.Refresh(header, claims)
}

// partsOf returns the decoded header and claims of a token.
func partsOf(raw string) (header, claims string) {
	parts := strings.Split(raw, ".")
	h, _ := base64.RawURLEncoding.DecodeString(parts[0])
	c, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(h), string(c)
}

// accessOf and refreshOf return the tokens of a client, wherever it stores them.
func accessOf(c *servertest.Client) string {
	if c.Access != "" {
		return c.Access
	}
	return c.CookieValue("access")
}

func refreshOf(c *servertest.Client) string {
	if c.Refresh != "" {
		return c.Refresh
	}
	return c.CookieValue("refreshtoken")
}

// wantUnchanged fails the test if a row differs from the dump.
func wantUnchanged(t *testing.T, s *servertest.Server, before string) {
	t.Helper()
	if after := s.Database.Dump(t); after != before {
		t.Errorf("rows were changed:\n%s", difference(before, after))
	}
}

func difference(before, after string) string {
	var list []string
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y && len(list) < 10 {
			list = append(list, "- "+x+"\n+ "+y)
		}
	}
	return strings.Join(list, "\n")
}

// setActive activates or deactivates a user.
func setActive(t *testing.T, s *servertest.Server, u servertest.User, active bool) {
	t.Helper()
	if err := s.Service.SetActive(context.Background(), u.Username, active); err != nil {
		t.Fatal(err)
	}
}

// row returns the stored session of a client.
func row(t *testing.T, s *servertest.Server, c *servertest.Client) models.Session {
	t.Helper()
	live, err := s.Store.Session(context.Background(), sessionID(t, c))
	if err != nil {
		t.Fatal(err)
	}
	return live.Session
}

func sessionID(t *testing.T, c *servertest.Client) uuid.UUID {
	t.Helper()
	id, err := uuid.Parse(c.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// csrfOf returns the CSRF token of a client's session. In the body transport no response contains
// it, but the server would accept it.
func csrfOf(t *testing.T, c *servertest.Client) string {
	t.Helper()
	secret, err := token.ParseSecret(servertest.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := token.NewKeyRing([]token.Secret{secret})
	if err != nil {
		t.Fatal(err)
	}
	csrf := ring.CSRF(sessionID(t, c))
	if c.CSRF != "" && c.CSRF != csrf {
		t.Fatalf("the CSRF token is %q, want %q", c.CSRF, csrf)
	}
	return csrf
}

// Helpers shared by the tests of registration, passwords and profiles.

const otherPassword = "an entirely different one"

type object = map[string]any

// eachEngine runs a scenario on each engine, on a server with default settings except those given.
func eachEngine(t *testing.T, f func(t *testing.T, s *servertest.Server), settings ...string) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		f(t, servertest.Start(t, servertest.Options{Engine: engine, Settings: settings}))
	})
}

// newName returns an unused username, and address returns an email address for it.
func newName() string { return "u" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16] }

func address(name string) string { return name + "@example.com" }

// otherSpelling returns another spelling of the same address. A test can tell mails to it from
// mails to the original spelling.
func otherSpelling(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	return strings.ToUpper(local) + "@" + domain
}

// post sends a request without a session.
func post(s *servertest.Server, path string, body any, options ...servertest.Option) *servertest.Response {
	return s.Anonymous().Do(http.MethodPost, path, body, options...)
}

// register registers a user and returns the token of the verification mail, the nth mail to the
// address.
func register(t *testing.T, s *servertest.Server, n int, body object) string {
	t.Helper()
	post(s, "/accounts/register", body).Want(t, http.StatusAccepted, "")
	return linkToken(t, s, body["email"].(string), n, mail.Verify)
}

// linkToken returns the token of the nth mail to an address. It checks the kind of the mail.
func linkToken(t *testing.T, s *servertest.Server, to string, n int, kind mail.Kind) string {
	t.Helper()
	m := s.Mails.Wait(t, to, n)
	if m.Kind != kind {
		t.Fatalf("mail %d to %s is a %s, want a %s", n, to, m.Kind, kind)
	}
	return servertest.Token(t, m)
}

func verify(s *servertest.Server, token, password string) *servertest.Response {
	return post(s, "/accounts/email/verify", object{"token": token, "password": password})
}

// signIn sends a login request. The name and the password may be wrong.
func signIn(s *servertest.Server, name, password string) *servertest.Response {
	return post(s, "/accounts/login", object{"username": name, "password": password})
}

// mailKinds returns the kinds of all mails to an address, after the outbox is empty.
func mailKinds(t *testing.T, s *servertest.Server, to string) []mail.Kind {
	t.Helper()
	settle(t, s)
	var kinds []mail.Kind
	for _, m := range s.Mails.To(to) {
		kinds = append(kinds, m.Kind)
	}
	return kinds
}

func wantMails(t *testing.T, s *servertest.Server, to string, want ...mail.Kind) {
	t.Helper()
	if got := mailKinds(t, s, to); !slices.Equal(got, want) {
		t.Errorf("mails to %s: %v, want %v", to, got, want)
	}
}

// settle waits until the outbox is empty.
func settle(t *testing.T, s *servertest.Server) {
	t.Helper()
	for range 2000 {
		if s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the outbox still has mails after 10 s")
}

// wantField checks that a response is a 422 with exactly one error, which has this pointer and
// code.
func wantField(t *testing.T, r *servertest.Response, pointer, code string) {
	t.Helper()
	wantFields(t, r, pointer+" "+code)
}

// wantFields checks that a response is a 422 with exactly these errors, each a pointer and a code,
// in any order.
func wantFields(t *testing.T, r *servertest.Response, want ...string) {
	t.Helper()
	var got []string
	list, _ := r.Want(t, http.StatusUnprocessableEntity, "validation_failed").JSON["errors"].([]any)
	for _, each := range list {
		got = append(got, fmt.Sprintf("%v %v", each.(object)["pointer"], each.(object)["code"]))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("errors %q, want %q", got, want)
	}
}

// wantAccepted checks that a response is a 202 with the status "accepted" and nothing else.
func wantAccepted(t *testing.T, r *servertest.Response) {
	t.Helper()
	r.Want(t, http.StatusAccepted, "")
	if len(r.JSON) != 1 || r.JSON["status"] != "accepted" || len(r.Cookies()) != 0 {
		t.Errorf("got %s and the cookies %v, want only the status accepted", r.Raw, r.Cookies())
	}
}

// wantEmpty checks that a response has no body and no cookies.
func wantEmpty(t *testing.T, r *servertest.Response) {
	t.Helper()
	if len(r.Raw) != 0 || len(r.Cookies()) != 0 {
		t.Errorf("got %s and the cookies %v, want neither", r.Raw, r.Cookies())
	}
}

// comparableResponse returns the status, the headers and the body of a response, without the parts
// that differ between equal requests.
func comparableResponse(r *servertest.Response) string {
	h := r.Header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	var text strings.Builder
	_ = h.Write(&text) // sorted
	return http.StatusText(r.Status) + "\n" + text.String() + requestID.ReplaceAllString(string(r.Raw), "")
}

// stored returns the user with an address from the database.
func stored(t *testing.T, s *servertest.Server, email string) models.User {
	t.Helper()
	u, err := s.Store.UserByEmail(context.Background(), strings.ToLower(email))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func profileOf(t *testing.T, r *servertest.Response) object {
	t.Helper()
	u, _ := r.Want(t, http.StatusOK, "").JSON["user"].(object)
	return u
}

func usersWith(t *testing.T, s *servertest.Server, email string) int64 {
	t.Helper()
	return s.Database.Count(t, "SELECT COUNT(*) FROM users WHERE email_norm = ?", strings.ToLower(email))
}

// statuses counts the responses by status.
func statuses(answers []*servertest.Response) map[int]int {
	count := map[int]int{}
	for _, r := range answers {
		if r != nil {
			count[r.Status]++
		}
	}
	return count
}

// parallel makes n requests concurrently.
func parallel(n int, request func(i int) *servertest.Response) []*servertest.Response {
	answers := make([]*servertest.Response, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			answers[i] = request(i)
		})
	}
	close(start)
	wg.Wait()
	return answers
}
