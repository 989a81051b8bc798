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
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
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
	t.Fatalf("%s: no example of a body without a token in the contract", op.ID)
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

// takes reports whether an operation lists a security scheme.
func takes(op servertest.Operation, scheme string) bool {
	return slices.ContainsFunc(op.Security, func(r openapi3.SecurityRequirement) bool { _, ok := r[scheme]; return ok })
}

// anonymousAllowed reports whether the credential may be a token in the body. Such an operation
// lists {} and has a body.
func anonymousAllowed(op servertest.Operation) bool {
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

// unchanged fails the test if a row differs from the dump.
func unchanged(t *testing.T, s *servertest.Server, before string) {
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
		t.Fatalf("the CSRF token is %q, not %q", c.CSRF, csrf)
	}
	return csrf
}
