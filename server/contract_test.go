package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"example.com/accounts/server"
	"example.com/accounts/server/servertest"
)

// The server does not start if a route is not in the contract, an operation has no route, or a
// security requirement is not enforced (promises 1 and 2).

func TestServerRequiresRoutesToEqualOperations(t *testing.T) {
	t.Attr("control", "87")
	s := servertest.Start(t, servertest.Options{})
	for _, op := range servertest.Operations() {
		key := op.Method + " " + strings.NewReplacer("{", ":", "}", "").Replace(op.Path)
		restore := s.Forget(key)
		if _, err := s.Handler(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("the server starts although the route of %s is not in the contract: %v", op.ID, err)
		}
		restore()
	}
	if _, err := s.Handler(); err != nil {
		t.Fatal(err)
	}
	s.Promise("GET /accounts/promised")
	if _, err := s.Handler(); err == nil || !strings.Contains(err.Error(), "/accounts/promised") {
		t.Errorf("the server starts although an operation has no route: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := s.Serve(ctx, listener); err == nil {
		t.Error("the server listens although an operation has no route")
	}
}

func TestServerRejectsSecurityThatItCannotEnforce(t *testing.T) {
	t.Attr("control", "87")
	requirement := func(schemes ...string) openapi3.SecurityRequirements {
		r := openapi3.SecurityRequirement{}
		for _, scheme := range schemes {
			r[scheme] = nil
		}
		return openapi3.SecurityRequirements{r}
	}
	for _, c := range []struct {
		name string
		ok   bool
		op   openapi3.SecurityRequirements
	}{
		{"bearer", true, requirement("bearerAuth")},
		{"cookie and CSRF", true, requirement("accessCookie", "csrfToken")},
		{"refresh cookie", true, requirement("refreshCookie")},
		{"public", true, openapi3.SecurityRequirements{}},
		{"unknown scheme", false, requirement("apiKey")},
		{"unknown and a known one", false, requirement("bearerAuth", "mtls")},
		{"unknown as an alternative", false, append(requirement("bearerAuth"), requirement("oauth2")...)},
		{"two credentials at once", false, requirement("bearerAuth", "accessCookie")},
		{"CSRF alone", false, requirement("csrfToken")},
		{"an optional refresh cookie", true, append(requirement("refreshCookie"), openapi3.SecurityRequirement{})},
		{"an optional access token", false, append(requirement("bearerAuth"), openapi3.SecurityRequirement{})},
		{"another spelling", false, requirement("BearerAuth")},
	} {
		err := server.ReadSecurity(&openapi3.T{}, &openapi3.Operation{Security: &c.op})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, c := range []struct {
		name string
		ok   bool
		op   openapi3.Operation
	}{
		{"staff", true, openapi3.Operation{Extensions: map[string]any{"x-required-role": "staff"}}},
		{"superuser", true, openapi3.Operation{Extensions: map[string]any{"x-required-role": "superuser"}}},
		{"a recent password", true, openapi3.Operation{Extensions: map[string]any{"x-recent-authentication": true}}},
		{"an unknown role", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": "admin"}}},
		{"an empty role", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": ""}}},
		{"another spelling", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": "Staff"}}},
		{"a list of roles", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": []any{"staff"}}}},
		{"no password needed, it says", false, openapi3.Operation{Extensions: map[string]any{"x-recent-authentication": false}}},
		{"no cross-site navigation", true, openapi3.Operation{Extensions: map[string]any{"x-refuse-cross-site": true}, Security: ptr(requirement("accessCookie"))}},
		{"any navigation, it says", false, openapi3.Operation{Extensions: map[string]any{"x-refuse-cross-site": false}, Security: ptr(requirement("accessCookie"))}},
		{"no cross-site navigation with Bearer", false, openapi3.Operation{Extensions: map[string]any{"x-refuse-cross-site": true}}},
		{"a role of a public operation", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": "staff"}, Security: &openapi3.SecurityRequirements{}}},
		{"legacy tokens without a refresh token", false, openapi3.Operation{Extensions: map[string]any{"x-legacy-tokens": true}, Security: ptr(requirement("accessCookie"))}},
		{"no legacy tokens, it says", false, openapi3.Operation{Extensions: map[string]any{"x-legacy-tokens": false}}},
		{"a password of a public operation", false, openapi3.Operation{Extensions: map[string]any{"x-recent-authentication": true}, Security: &openapi3.SecurityRequirements{}}},
		{"a role where there may be no user", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": "staff"}, Security: ptr(requirement("refreshCookie"))}},
		{"a role where the token may be in the body", false, openapi3.Operation{Extensions: map[string]any{"x-required-role": "staff"}, Security: ptr(append(requirement("bearerAuth"), openapi3.SecurityRequirement{}))}},
	} {
		if err := server.ReadSecurity(&openapi3.T{Security: requirement("bearerAuth")}, &c.op); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// An operation without its own security has the contract's default.
	if err := server.ReadSecurity(&openapi3.T{Security: requirement("nobody")}, &openapi3.Operation{}); err == nil {
		t.Error("ReadSecurity does not check the default security of the contract")
	}
	if len(servertest.Contract().Security) == 0 {
		t.Error("the contract has no default security, so an operation without security would be public")
	}
}

func ptr[T any](v T) *T { return &v }

// The served contract is openapi.yaml with the server's URL, cookie names and minimum length of
// passwords. It is served as JSON and as YAML.
func TestServedContractHasSettingsOfServer(t *testing.T) {
	file, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for public, c := range map[string]struct {
		cookies   [2]string
		minLength int
	}{
		"http://localhost:8080":    {[2]string{"access", "refreshtoken"}, 12},
		"https://accounts.example": {[2]string{"__Host-access", "__Host-refreshtoken"}, 9},
	} {
		s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_PUBLIC_URL=" + public, fmt.Sprint("ACCOUNTS_PASSWORD_MIN_LENGTH=", c.minLength)}})
		want := decodeYAML(t, file)
		want["servers"].([]any)[0].(map[string]any)["url"] = public
		schemes := want["components"].(map[string]any)["securitySchemes"].(map[string]any)
		schemes["accessCookie"].(map[string]any)["name"] = c.cookies[0]
		schemes["refreshCookie"].(map[string]any)["name"] = c.cookies[1]
		want["components"].(map[string]any)["schemas"].(map[string]any)["NewPassword"].(map[string]any)["minLength"] = float64(c.minLength)

		r := s.Anonymous().Do(http.MethodGet, "/openapi.json", nil).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(want, r.JSON); diff != "" {
			t.Errorf("%s/openapi.json (-openapi.yaml +served):\n%s", public, diff)
		}
		r = s.Anonymous().Do(http.MethodGet, "/openapi.yaml", nil).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(want, decodeYAML(t, r.Raw)); diff != "" {
			t.Errorf("%s/openapi.yaml (-openapi.yaml +served):\n%s", public, diff)
		}
		if !strings.HasPrefix(string(r.Raw), "openapi: 3.0.3\n") {
			t.Errorf("the served YAML begins with %.40q", r.Raw)
		}
	}
}

func decodeYAML(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var tree, plain map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &plain); err != nil {
		t.Fatal(err)
	}
	dropDefaults(plain)
	return plain
}

// dropDefaults removes "required: false" and "example: null", which the OpenAPI library does not
// write.
func dropDefaults(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["required"] == false {
			delete(v, "required")
		}
		if example, has := v["example"]; has && example == nil {
			delete(v, "example")
		}
		for _, each := range v {
			dropDefaults(each)
		}
	case []any:
		for _, each := range v {
			dropDefaults(each)
		}
	}
}

// The form of the contract is correct. The clients and the tests that are derived from the contract
// rely on it (promise 4).
func TestContractHasRequiredForm(t *testing.T) {
	for _, fault := range servertest.CheckForm(servertest.Contract()) {
		t.Error(fault)
	}
}
