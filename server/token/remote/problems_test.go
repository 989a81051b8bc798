package remote_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// The problems of a service have the statuses and titles of the accounts server's table. The details
// differ where another service speaks of itself: it accepts access tokens only and cannot see
// transports.
func TestProblemsAreThoseOfTheAccountsServer(t *testing.T) {
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	v := i.verifier(t, c)
	expired := i.mint(t, ring, c)
	if w := send(v, "Bearer "+expired); w.Code != http.StatusOK {
		t.Fatalf("a valid token: %d %s", w.Code, w.Body)
	}
	c.advance(token.MaxAccessTTL + time.Hour)
	away := newIssuer(t, ring)
	raw := away.mint(t, ring, c)
	away.answer(http.NotFound)
	for _, test := range []struct {
		code   problem.Code
		detail string // if it is not that of the table
		answer interface{ Bytes() []byte }
	}{
		{problem.CredentialsMissing, "The request has no access token.", send(v).Body},
		{problem.AccessInvalid, "The access token is not authentic.", send(v, "Basic YTpi").Body},
		{problem.AccessExpired, "", send(v, "Bearer "+expired).Body},
		{problem.ServiceUnavailable, "Access tokens cannot be verified right now. Try again as soon as Retry-After says.", send(away.verifier(t, c), "Bearer "+raw).Body},
	} {
		kind, known := problem.KindOf(test.code)
		if !known {
			t.Fatalf("%s is not in the table", test.code)
		}
		if test.detail == "" {
			test.detail = kind.Detail
		}
		var got struct {
			Code          problem.Code
			Status        int
			Title, Detail string
		}
		must(t, json.Unmarshal(test.answer.Bytes(), &got))
		if got.Code != test.code || got.Status != kind.Status || got.Title != kind.Title || got.Detail != test.detail {
			t.Errorf("%s: %+v, want status %d, title %q and detail %q", test.code, got, kind.Status, kind.Title, test.detail)
		}
	}
}
