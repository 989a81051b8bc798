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

// Every response to a test client is compared with the contract (see Client.Try). If the comparison
// accepted a wrong response, these tests would prove nothing. So this test makes one change to a
// correct response at a time, and each must be rejected.

// answer is a request and the status of its correct response.
type answer struct {
	method, path string
	status       int
}

var (
	health   = answer{"GET", "/healthz", 200}
	profile  = answer{"GET", "/accounts/profile", 200}
	sessions = answer{"GET", "/accounts/sessions", 200}
	events   = answer{"GET", "/accounts/events", 200}
	everyone = answer{"DELETE", "/accounts/sessions/x", 400}
	logout   = answer{"POST", "/accounts/logout", 204}
	head     = answer{"HEAD", "/accounts/profile", 200}
	current  = answer{"GET", "/openapi.json", 304}
	refused  = answer{"GET", "/accounts/profile", 401} // requested without a credential
	busy     = answer{"GET", "/readyz", 503}           // requested without a database
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

func body(text string) func(r *servertest.Response) {
	return func(r *servertest.Response) { r.Raw = []byte(text) }
}

// all combines several changes of a response.
func all(spoilers ...func(r *servertest.Response)) func(r *servertest.Response) {
	return func(r *servertest.Response) {
		for _, spoil := range spoilers {
			spoil(r)
		}
	}
}

func TestJudgeRejectsResponsesOutsideContract(t *testing.T) {
	t.Attr("control", "88")
	answers := collect(t)
	for name, c := range map[string]struct {
		answer answer
		spoil  func(r *servertest.Response)
		want   string
	}{
		"an undocumented status":           {health, status(201), "a status that the operation"},
		"a documented status of others":    {health, status(202), "a status that the operation"},
		"a status of no operation":         {nothing, all(status(500), replace(`"status":404`, `"status":500`)), "no operation documents"},
		"a redirect of no operation":       {nothing, status(302), "no operation documents"},
		"another value of an enumeration":  {health, replace(`"ok"`, `"fine"`), "not one of the allowed values"},
		"another kind":                     {events, replace(`"kind":"login"`, `"kind":"unheard"`), "not one of the allowed values"},
		"another transport":                {sessions, replace(`"token_transport":"hybrid"`, `"token_transport":"pigeon"`), "not one of the allowed values"},
		"another code of a field":          {everyone, replace(`_invalid","detail"`, `_funny","detail"`), "not one of the allowed values"},
		"a member too many":                {health, replace(`{`, `{"version":"1",`), `"version"`},
		"a member too many, within":        {profile, replace(`"user":{`, `"user":{"password":"x",`), `"password"`},
		"a member too many, in a list":     {sessions, replace(`[{`, `[{"refresh_token":"x",`), `"refresh_token"`},
		"a member too many, in an error":   {everyone, replace(`[{`, `[{"value":"x",`), `"value"`},
		"a member missing":                 {profile, replace(`"username"`, `"user_name"`), "username"},
		"a member of another type":         {profile, replace(`"is_staff":false`, `"is_staff":"no"`), "is_staff"},
		"null":                             {profile, replace(`"is_staff":false`, `"is_staff":null`), "is_staff"},
		"an empty string for none":         {profile, replace(`"locale":null`, `"locale":""`), "locale"},
		"an empty string in a list":        {sessions, replace(`"ip":"127.0.0.1"`, `"ip":""`), "/ip"},
		"a fraction of a second":           {sessions, replace(`Z"`, `.25Z"`), "_at"},
		"a fraction of a second, nullable": {profile, replace(`Z"`, `.25Z"`), "date_joined"},
		"another zone":                     {sessions, replace(`Z"`, `+00:00"`), "_at"},
		"no JSON":                          {health, replace(`}`, ``), "decode"},
		"no body":                          {health, body(""), "EOF"},
		"a body of a 204":                  {logout, body("{}"), "a body that"},
		"a body of a 304":                  {current, body("{}"), "a body that"},
		"a body of HEAD":                   {head, body(`{}`), "with a body"},
		"an undocumented status of HEAD":   {head, status(201), "a status that the operation"},
		"another header of HEAD":           {head, header("X-Served-By", "1"), "X-Served-By"},
		"another media type":               {health, header("Content-Type", "text/html"), "Content-Type"},
		"no media type":                    {health, header("Content-Type", ""), "Content-Type"},
		"a problem as plain JSON":          {refused, header("Content-Type", "application/json"), "Content-Type"},
		"a code of another operation":      {refused, all(replace(`"credentials_missing"`, `"username_taken"`), replace(`/credentials_missing`, `/username_taken`)), "code"},
		"a code of no operation":           {refused, all(replace(`"credentials_missing"`, `"bad_luck"`), replace(`/credentials_missing`, `/bad_luck`)), "code"},
		"a type of another problem":        {refused, replace(`/credentials_missing`, `/access_invalid`), "another type"},
		"a type of another server":         {refused, replace(`http://localhost`, `http://127.0.0.1`), "another type"},
		"a problem of another request":     {refused, header("X-Request-Id", "0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f"), "another request"},
		"a member too many in a problem":   {refused, replace(`{`, `{"sql":"x",`), `"sql"`},
		"a status that is not the body's":  {everyone, replace(`"status":400`, `"status":401`), "another status"},
		"an error without its place":       {everyone, replace(`"parameter"`, `"where"`), "where"},
		"a 401 without a challenge":        {refused, header("WWW-Authenticate", ""), "Www-Authenticate"},
		"a 503 without Retry-After":        {busy, header("Retry-After", ""), "Retry-After"},
		"a 503 that says to come at once":  {busy, header("Retry-After", "0"), "Retry-After"},
		"a 503 that says soon":             {busy, header("Retry-After", "soon"), "Retry-After"},
		"no request id":                    {health, header("X-Request-Id", ""), "X-Request-Id"},
		"a request id in capitals":         {health, header("X-Request-Id", "0198F6E5-C1A7-7C3E-9D55-0B1F1C2D3E4F"), "X-Request-Id"},
		"two request ids":                  {health, func(r *servertest.Response) { r.Header.Add("X-Request-Id", r.Header.Get("X-Request-Id")) }, "X-Request-Id"},
		"no request id of no operation":    {nothing, all(header("X-Request-Id", ""), body("")), "X-Request-Id"},
		"an undocumented header":           {health, header("X-Served-By", "1"), "X-Served-By"},
		"a documented header of others":    {profile, header("ETag", `"1"`), "Etag"},
		"no Cache-Control":                 {profile, header("Cache-Control", ""), "Cache-Control"},
		"a cookie of a refusal":            {refused, header("Set-Cookie", "access="), "Set-Cookie"},
		"a cookie of no operation":         {nothing, header("Set-Cookie", "access="), "Set-Cookie"},
		"a cookie that is not documented":  {profile, header("Set-Cookie", "access="), "Set-Cookie"},
		"no operation, as plain JSON":      {nothing, header("Content-Type", "application/json"), "no problem"},
		"no method, as text":               {noMethod, header("Content-Type", "text/plain"), "no problem"},
		"no operation, no problem":         {nothing, body(`{"error":"none"}`), "another status"},
		"no operation, and a member more":  {nothing, replace(`{`, `{"sql":"x",`), `"sql"`},
		"no operation, and no title":       {nothing, replace(`"title":"Not found",`, ``), "title"},
	} {
		t.Run(name, func(t *testing.T) {
			good := answers[c.answer]
			spoiled := &servertest.Response{Status: good.Status, Header: good.Header.Clone(), Raw: slices.Clone(good.Raw), JSON: good.JSON, Public: good.Public}
			request := httptest.NewRequestWithContext(t.Context(), c.answer.method, c.answer.path, nil)
			if err := servertest.Judge(request, spoiled); err != nil {
				t.Fatalf("rejects the good answer: %v", err)
			}
			c.spoil(spoiled)
			spoiled.JSON = nil
			_ = json.Unmarshal(spoiled.Raw, &spoiled.JSON) // in the same way as the client
			if err := servertest.Judge(request, spoiled); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q\n%d %v %s", err, c.want, spoiled.Status, spoiled.Header, spoiled.Raw)
			}
		})
	}
}

// collect requests the responses that the table changes.
func collect(t *testing.T) map[answer]*servertest.Response {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	c := s.Login(u, token.Hybrid)
	answers := map[answer]*servertest.Response{}
	for _, a := range []answer{health, profile, sessions, events, everyone, nothing, noMethod, refused, logout, busy} {
		client := c
		switch a {
		case refused:
			client = s.Anonymous()
		case logout:
			client = s.Login(u, token.Body)
		case busy:
			if err := s.Store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		r := client.Do(a.method, a.path, bodyOf(client, a)).Want(t, a.status, "")
		answers[a] = r
	}
	answers[head] = &servertest.Response{Status: http.StatusOK, Header: answers[profile].Header.Clone()}
	answers[current] = &servertest.Response{Status: http.StatusNotModified, Header: answers[health].Header.Clone()}
	answers[current].Header.Set("Cache-Control", "public, max-age=60")
	answers[current].Header.Set("ETag", `"1"`)
	return answers
}

func bodyOf(c *servertest.Client, a answer) any {
	if a == logout {
		return c.RefreshBody()
	}
	return nil
}
