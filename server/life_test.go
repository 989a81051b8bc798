package server_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// Helpers shared by the tests of registration, passwords and profiles.

const otherPassword = "an entirely different one"

type object = map[string]any

// life runs a scenario on each engine, on a server with default settings except those given.
func life(t *testing.T, f func(t *testing.T, s *servertest.Server), settings ...string) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		f(t, servertest.Start(t, servertest.Options{Engine: engine, Settings: settings}))
	})
}

// newName returns an unused username, and address returns an email address for it.
func newName() string { return "u" + strings.ReplaceAll(uuid.NewString(), "-", "")[:16] }

func address(name string) string { return name + "@example.com" }

// shouted returns another spelling of the same address. A test can tell mails to it from mails to
// the original spelling.
func shouted(email string) string {
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
	t.Fatal("the outbox is not empty after 10 s")
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
		t.Errorf("%s, cookies %v", r.Raw, r.Cookies())
	}
}

// nothing checks that a response has no body and no cookies.
func nothing(t *testing.T, r *servertest.Response) {
	t.Helper()
	if len(r.Raw) != 0 || len(r.Cookies()) != 0 {
		t.Errorf("%s, cookies %v: want neither", r.Raw, r.Cookies())
	}
}

// alike returns the status, the headers and the body of a response, without the parts that differ
// between equal requests.
func alike(r *servertest.Response) string {
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
