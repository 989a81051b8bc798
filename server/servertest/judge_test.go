package servertest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// Every answer that a test client gets is judged by the contract (see Client.Try). A judge that lets something pass
// would make all of these tests worthless: so here true answers are spoiled, one thing at a time, and it must object.

// answer is a request that is answered well.
type answer struct {
	method, path string
	status       int
}

var (
	health   = answer{"GET", "/healthz", 200}
	profile  = answer{"GET", "/accounts/profile", 200}
	sessions = answer{"GET", "/accounts/sessions", 200}
	everyone = answer{"DELETE", "/accounts/sessions/x", 400}
	refused  = answer{"GET", "/accounts/csrf", 401} // asked without a credential
	busy     = answer{"GET", "/readyz", 503}        // asked without a database
	nothing  = answer{"GET", "/nothing", 404}
	noMethod = answer{"GET", "/accounts/login", 405}
)

func replace(from, to string) func(r *servertest.Response) {
	return func(r *servertest.Response) { r.Raw = []byte(strings.Replace(string(r.Raw), from, to, 1)) }
}

func status(n int) func(r *servertest.Response) {
	return func(r *servertest.Response) { r.Status = n }
}

func header(name, value string) func(r *servertest.Response) {
	return func(r *servertest.Response) {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
}

func TestControl88TheJudgeRefuses(t *testing.T) {
	answers := collect(t)
	for name, c := range map[string]struct {
		answer answer
		spoil  func(r *servertest.Response)
		want   string
	}{
		"an undocumented status":          {health, status(201), "status is not supported"},
		"a documented status of others":   {health, status(202), "status is not supported"},
		"a status of no operation":        {nothing, func(r *servertest.Response) { status(500)(r); replace(`"status":404`, `"status":500`)(r) }, "no operation documents"},
		"a redirect of no operation":      {nothing, status(302), "no operation documents"},
		"another value of an enumeration": {health, replace(`"ok"`, `"fine"`), "not one of the allowed values"},
		"a member too many":               {health, replace(`{`, `{"version":"1",`), `"version"`},
		"a member too many, within":       {profile, replace(`"user":{`, `"user":{"password":"x",`), `"password"`},
		"a member too many, in a list":    {sessions, replace(`[{`, `[{"refresh_token":"x",`), `"refresh_token"`},
		"a member missing":                {profile, replace(`"username"`, `"user_name"`), "username"},
		"a member of another type":        {profile, replace(`"is_staff":false`, `"is_staff":"no"`), "is_staff"},
		"null":                            {profile, replace(`"is_staff":false`, `"is_staff":null`), "is_staff"},
		"no JSON":                         {health, replace(`}`, ``), "decode"},
		"no body":                         {health, func(r *servertest.Response) { r.Raw = nil }, "EOF"},
		"another media type":              {health, header("Content-Type", "text/html"), "Content-Type"},
		"no media type":                   {health, header("Content-Type", ""), "Content-Type"},
		"a problem as plain JSON":         {refused, header("Content-Type", "application/json"), "Content-Type"},
		"a code of another operation": {refused, func(r *servertest.Response) {
			replace(`"credentials_missing"`, `"username_taken"`)(r)
			replace(`:credentials_missing`, `:username_taken`)(r)
		}, "code"},
		"a type of another problem":       {refused, replace(`:credentials_missing`, `:access_invalid`), "another type"},
		"a problem of another request":    {refused, header("X-Request-Id", "0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f"), "another request"},
		"a member too many in a problem":  {refused, replace(`{`, `{"sql":"x",`), "another member"},
		"a status that is not the body's": {everyone, replace(`"status":400`, `"status":401`), "another status"},
		"an error without its place":      {everyone, replace(`"parameter"`, `"where"`), "where"},
		"a 401 without a challenge":       {refused, header("WWW-Authenticate", ""), "WWW-Authenticate"},
		"a 503 without Retry-After":       {busy, header("Retry-After", ""), "Retry-After"},
		"a 503 that says to come at once": {busy, header("Retry-After", "0"), "Retry-After"},
		"a 503 that says soon":            {busy, header("Retry-After", "soon"), "Retry-After"},
		"no request id":                   {health, header("X-Request-Id", ""), "X-Request-Id"},
		"a cookie of a refusal":           {refused, header("Set-Cookie", "access="), "Set-Cookie"},
		"a cookie of no operation":        {nothing, header("Set-Cookie", "access="), "Set-Cookie"},
		"no operation, as plain JSON":     {nothing, header("Content-Type", "application/json"), "no problem"},
		"no method, as text":              {noMethod, header("Content-Type", "text/plain"), "no problem"},
		"no operation, no problem":        {nothing, func(r *servertest.Response) { r.Raw = []byte(`{"error":"none"}`) }, "another member"},
		"no operation, and no title":      {nothing, replace(`"title":"Not found",`, ``), "title"},
	} {
		t.Run(name, func(t *testing.T) {
			good := answers[c.answer]
			spoiled := &servertest.Response{Status: good.Status, Header: good.Header.Clone(), Raw: slices.Clone(good.Raw), JSON: good.JSON}
			request := httptest.NewRequestWithContext(t.Context(), c.answer.method, c.answer.path, nil)
			if err := servertest.Judge(request, spoiled); err != nil {
				t.Fatalf("the true answer is refused: %v", err)
			}
			c.spoil(spoiled)
			spoiled.JSON = nil
			_ = json.Unmarshal(spoiled.Raw, &spoiled.JSON) // as the client reads it
			if err := servertest.Judge(request, spoiled); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q\n%d %v %s", err, c.want, spoiled.Status, spoiled.Header, spoiled.Raw)
			}
		})
	}
}

// collect asks a server for the answers that the table spoils.
func collect(t *testing.T) map[answer]*servertest.Response {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), token.Hybrid)
	answers := map[answer]*servertest.Response{}
	for _, a := range []answer{health, profile, sessions, everyone, nothing, noMethod, refused, busy} {
		if a == busy {
			if err := s.Store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		asker := c
		if a == refused {
			asker = s.Anonymous()
		}
		answers[a] = asker.Do(a.method, a.path, nil).Want(t, a.status, "")
	}
	if len(answers[busy].Header.Get("Retry-After")) == 0 || answers[profile].Status != http.StatusOK {
		t.Fatal("the answers are not what the table takes them for")
	}
	return answers
}
