package accounts_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// The secret is replaced without a single 401: all replicas get old,new, then new,old, while many
// clients alternate between both kinds. The signing key was published one step before. After the
// old secret is removed, its tokens are rejected.
func TestSecretRotationCausesNoUnauthorized(t *testing.T) {
	t.Attr("control", "93")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		keys := func(list string) servertest.Options {
			return servertest.Options{Settings: []string{"ACCOUNTS_SECRET_KEYS=" + list}}
		}
		before, after := tokentest.Secret("before"), tokentest.Secret("after")
		s := &site{t: t, db: servertest.NewDatabase(t, e)}
		steps := []*servertest.Server{s.add(keys(before)), s.add(keys(before + "," + after)), s.add(keys(after + "," + before)), s.add(keys(after))}
		s.user = steps[0].NewUser()
		var olds []*servertest.Client
		t.Run("load", func(t *testing.T) { // returns when all clients have finished
			for i := range 3 * len(transports) {
				c := steps[0].Login(s.user, transports[i%len(transports)])
				olds = append(olds, c.Copy())
				t.Run(fmt.Sprintf("%s %d", c.Transport, i), func(t *testing.T) {
					t.Parallel()
					rotate(t, s.in(t), steps, c)
				})
			}
		})
		for _, old := range olds {
			old = old.At(steps[3])
			s.unchanged(func() {
				old.Copy().Profile().Want(t, http.StatusUnauthorized, "access_invalid")
				old.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "refresh_invalid")
			})
		}
	})
}

// rotate runs one client while the secret is replaced.
func rotate(t *testing.T, s *site, steps []*servertest.Server, c *servertest.Client) {
	for i := 1; i < len(steps)-1; i++ { // at each step, replicas of both kinds run
		for _, r := range []*servertest.Server{steps[i-1], steps[i], steps[i-1], steps[i]} {
			c = c.At(r)
			c.Profile().Want(t, http.StatusOK, "")
			c.RefreshTokens().Want(t, http.StatusOK, "")
			s.age(c, interval+margin)
			c.RefreshTokens().Want(t, http.StatusOK, "")
			c.Profile().Want(t, http.StatusOK, "")
			for _, each := range steps[i-1 : i+1] { // a verifier can use the published keys of either replica
				checkKeyPublished(t, each, c)
			}
		}
	}
	c = c.At(steps[3])
	c.Profile().Want(t, http.StatusOK, "")
	c.RefreshTokens().Want(t, http.StatusOK, "")
	c.Copy().RefreshTokens().Want(t, http.StatusOK, "")
}

// checkKeyPublished checks that a replica's key set contains the key of the client's access token,
// and only public keys.
func checkKeyPublished(t *testing.T, r *servertest.Server, c *servertest.Client) {
	t.Helper()
	access := c.Access
	if access == "" {
		access = c.CookieValue("access")
	}
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[0])
	must(t, err)
	var header struct{ Kid string }
	must(t, json.Unmarshal(head, &header))
	answer := r.Anonymous().Do(http.MethodGet, "/.well-known/jwks.json", nil).Want(t, http.StatusOK, "")
	var set token.JWKS
	must(t, json.Unmarshal(answer.Raw, &set))
	found := false
	for _, key := range set.Keys {
		found = found || key.KeyID == header.Kid
	}
	if !found || header.Kid == "" {
		t.Errorf("the key %q signs tokens but is not in %s", header.Kid, answer.Raw)
	}
	for _, private := range []string{`"d"`, `"k"`, `"p"`, `"q"`} {
		if strings.Contains(string(answer.Raw), private) {
			t.Errorf("the JWKS contains a private key: %s", answer.Raw)
		}
	}
}
