package server_test

import (
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/server"
	"example.com/accounts/server/servertest"
)

// The server does not start with a rate limit that it cannot enforce.
func TestServerRejectsRateLimitThatItCannotEnforce(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		ok    bool
	}{
		"a known limit":        {[]any{"confirmations_per_client"}, true},
		"an unknown limit":     {[]any{"confirmations_per_moon"}, false},
		"another spelling":     {[]any{"CONFIRMATIONS_PER_CLIENT"}, false},
		"a limit of a user":    {[]any{"rare_actions_per_user"}, false},
		"one known, one not":   {[]any{"confirmations_per_client", "logins"}, false},
		"one twice":            {[]any{"confirmations_per_client", "confirmations_per_client"}, false},
		"no list":              {"confirmations_per_client", false},
		"an empty list":        {[]any{}, false},
		"a list of numbers":    {[]any{1.0}, false},
		"a switch":             {true, false},
		"nothing, but present": {nil, false},
	} {
		op := &openapi3.Operation{Extensions: map[string]any{"x-rate-limit": c.value}}
		if names, err := server.ReadRateLimits(op); (err == nil) != c.ok || c.ok && len(names) != 1 {
			t.Errorf("%s: %v, %v", name, names, err)
		}
	}
	if names, err := server.ReadRateLimits(&openapi3.Operation{}); err != nil || names != nil {
		t.Errorf("an operation without the extension: got %v, %v, want no limits", names, err)
	}
}

// Every valid request of an operation with x-rate-limit counts against the limits that it names. A
// request that is not valid does not count, and is answered with its error even if the limit is
// exceeded.
func TestRateLimitOfOperationCountsValidRequestsOnly(t *testing.T) {
	const none = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	const page = "https://app.other.example"
	crossSite := func(r *http.Request) {
		r.Header.Set("Origin", page)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	bodies := map[string]object{
		"verifyEmail":          {"token": none, "password": password},
		"confirmEmailChange":   {"token": none, "password": password},
		"confirmPasswordReset": {"token": none, "new_password": password},
	}
	for _, op := range servertest.Operations() {
		if op.Operation.Extensions["x-rate-limit"] == nil {
			continue
		}
		body := bodies[op.ID]
		delete(bodies, op.ID)
		t.Run(op.ID, func(t *testing.T) {
			s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_CONFIRMATIONS_PER_CLIENT=2/1m", "ACCOUNTS_CORS_ORIGINS=" + page}})
			notCounted := func() {
				t.Helper()
				post(s, op.Path, object{"token": 1}).Want(t, http.StatusUnprocessableEntity, "validation_failed")
				if op.ID == "verifyEmail" {
					post(s, op.Path, body, crossSite).Want(t, http.StatusForbidden, "transport_unusable")
				}
			}
			for range 2 {
				notCounted()
				post(s, op.Path, body).Want(t, http.StatusUnprocessableEntity, "link_invalid")
			}
			wantLimited(t, post(s, op.Path, body))
			notCounted()
		})
	}
	for id := range bodies {
		t.Errorf("operation %s has no x-rate-limit", id)
	}
}
