package remote_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/remote"
	"example.com/accounts/server/token/tokentest"
)

// clock is a clock that tests can set.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time           { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(by time.Duration) { c.offset.Add(int64(by)) }
func (c *clock) real() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func ringOf(t *testing.T, names ...string) *token.KeyRing {
	t.Helper()
	var secrets []token.Secret
	for _, name := range names {
		secret, err := token.ParseSecret(tokentest.Secret(name))
		must(t, err)
		secrets = append(secrets, secret)
	}
	ring, err := token.NewKeyRing(secrets)
	must(t, err)
	return ring
}

var start = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// issuer serves a JWKS and counts the requests.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	handler http.HandlerFunc
	fetches int
}

func newIssuer(t *testing.T, ring *token.KeyRing) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(ring)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.fetches++
		handler := i.handler
		i.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

// answer replaces the handler.
func (i *issuer) answer(handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler = handler
}

func (i *issuer) publish(ring *token.KeyRing) {
	i.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/jwks.json" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(encoded(ring.JWKS()))
	})
}

func (i *issuer) fetchCount() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) verifier(t *testing.T, c *clock) *remote.Verifier {
	t.Helper()
	v, err := remote.NewVerifier(remote.Options{Issuer: i.URL, Now: c.now})
	must(t, err)
	return v
}

// mint returns a new access token of that issuer that is not expired.
func (i *issuer) mint(t *testing.T, ring *token.KeyRing, c *clock) string {
	t.Helper()
	now := c.now()
	raw, err := token.NewIssuer(ring, i.URL, token.MaxAccessTTL).Access(token.Grant{
		Subject: 42, Session: uuid.New(), Transport: token.Body,
		RotatedAt: now, IdleExpiresAt: now.Add(time.Hour), ExpiresAt: now.Add(time.Hour),
	})
	must(t, err)
	return raw
}

// send sends a request with these Authorization headers to a handler that requires a valid token.
func send(v *remote.Verifier, authorization ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = authorization
	v.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, ok := remote.Claims(r.Context())
		if !ok || claims.Subject == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})).ServeHTTP(w, r)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantContains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q does not contain %q", text, part)
	}
}
