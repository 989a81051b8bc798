package server_test

import (
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// Every response of a deprecated operation has the headers, including errors and responses to HEAD.
// Responses of other operations do not.
func TestDeprecatedOperationsHaveDeprecationHeaders(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	if err := s.Deprecate("GET /accounts/sessions", map[string]any{
		"x-deprecated-at": "2026-11-22T00:00:00Z", "x-sunset": "2027-12-01T00:00:00+01:00", "x-deprecation-link": "https://accounts.example/docs/v2",
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Deprecation": "@1795305600", "Sunset": "Tue, 30 Nov 2027 23:00:00 GMT", "Link": `<https://accounts.example/docs/v2>; rel="deprecation"`,
	}
	headers := func(c *servertest.Client, method, path string) map[string]string {
		request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+c.Access)
		answer, err := c.HTTP.Do(request) // bypasses the contract check, because the contract deprecates no operation
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		got := map[string]string{}
		for name := range want {
			if value := answer.Header.Get(name); value != "" {
				got[name] = value
			}
		}
		return got
	}
	c := s.Login(s.NewUser(), accounts.BodyTokens)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, each := range []*servertest.Client{c, s.Anonymous()} {
			if diff := cmp.Diff(want, headers(each, method, "/accounts/sessions")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", method, diff)
			}
		}
	}
	for _, path := range []string{"/accounts/profile", "/accounts/sessions/x"} {
		if got := headers(c, http.MethodGet, path); len(got) > 0 {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestServerRejectsInconsistentDeprecation(t *testing.T) {
	const at = "2026-11-22T00:00:00Z"
	for name, c := range map[string]struct {
		ok, deprecated bool
		marks          map[string]any
	}{
		"nothing":               {true, false, nil},
		"since":                 {true, true, map[string]any{"x-deprecated-at": at}},
		"without since":         {false, true, nil},
		"since alone":           {false, false, map[string]any{"x-deprecated-at": at}},
		"sunset alone":          {false, false, map[string]any{"x-sunset": at}},
		"link alone":            {false, false, map[string]any{"x-deprecation-link": "https://a.example/"}},
		"sunset without since":  {false, true, map[string]any{"x-sunset": at}},
		"a date":                {false, true, map[string]any{"x-deprecated-at": "2026-11-22"}},
		"a number":              {false, true, map[string]any{"x-deprecated-at": 5.}},
		"another sunset":        {false, true, map[string]any{"x-deprecated-at": at, "x-sunset": "soon"}},
		"a relative link":       {false, true, map[string]any{"x-deprecated-at": at, "x-deprecation-link": "/docs"}},
		"a sunset of a number":  {false, true, map[string]any{"x-deprecated-at": at, "x-sunset": 5.}},
		"a link that is a list": {false, true, map[string]any{"x-deprecated-at": at, "x-deprecation-link": []any{}}},
	} {
		if err := server.ReadDeprecation(&openapi3.Operation{Deprecated: c.deprecated, Extensions: c.marks}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
