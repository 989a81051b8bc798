package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/remote"
	"example.com/accounts/server/token/tokentest"
)

var ctx = context.Background()

func encoded(set token.JWKS) []byte {
	text, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return text
}

// The corpus of server/token is rejected with the keys of a real server, by the function and by the
// middleware.
func TestHostileTokensAreRejectedByRemoteVerifier(t *testing.T) {
	t.Attr("control", "18")
	t.Attr("control", "19")
	t.Attr("control", "20")
	t.Attr("control", "21")
	t.Attr("control", "22")
	t.Attr("control", "23")
	s := servertest.Start(t, servertest.Options{})
	client := s.Login(s.NewUser(), accounts.BodyTokens)
	v, err := remote.NewVerifier(remote.Options{Issuer: s.URL})
	must(t, err)
	want, err := v.Access(ctx, client.Access)
	must(t, err)
	if want.Session.String() != client.SessionID {
		t.Fatalf("claims %+v", want)
	}
	cases := tokentest.Hostile(tokentest.Access, servertest.SecretKey, client.Access, client.Refresh, time.Now())
	if len(cases) < 400 {
		t.Fatalf("only %d cases", len(cases))
	}
	for _, c := range cases {
		wanted, code := token.ErrInvalid, "access_invalid"
		if c.Expired {
			wanted, code = token.ErrExpired, "access_expired"
		}
		if _, err := v.Access(ctx, c.Raw); !errors.Is(err, wanted) {
			t.Errorf("%s: %v, want %v", c.Name, err, wanted)
		}
		w := send(v, "Bearer "+c.Raw)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"code":"`+code+`"`) {
			t.Errorf("%s: %d %s", c.Name, w.Code, w.Body)
		}
		wantContains(t, w.Header().Get("WWW-Authenticate"), `error="invalid_token"`)
	}
	if _, err := v.Access(ctx, client.Refresh); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a refresh token: %v", err)
	}
	if got, err := v.Access(ctx, client.Access); err != nil || got != want {
		t.Errorf("the valid token afterward: %v", err)
	}
}

func TestMiddlewareAcceptsOneBearerToken(t *testing.T) {
	t.Attr("control", "25")
	t.Attr("control", "26")
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	v := i.verifier(t, c)
	good := i.mint(t, ring, c)
	for _, tc := range []struct {
		name   string
		values []string
		code   string
		says   string
	}{
		{"nothing", nil, "credentials_missing", `Bearer realm="accounts"`},
		{"another scheme", []string{"Basic " + good}, "access_invalid", `Bearer realm="accounts", error="invalid_token"`},
		{"no scheme", []string{good}, "access_invalid", `Bearer realm="accounts", error="invalid_token"`},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, "access_invalid", `Bearer realm="accounts", error="invalid_token"`},
		{"two tokens", []string{"Bearer " + good + " " + good}, "access_invalid", `Bearer realm="accounts", error="invalid_token"`},
	} {
		w := send(v, tc.values...)
		var problem struct {
			Type, Title, Detail, Code string
			Status                    int
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &problem))
		if w.Code != 401 || problem.Status != 401 || problem.Code != tc.code || problem.Type != i.URL+"/problems/"+tc.code || problem.Title == "" || problem.Detail == "" {
			t.Errorf("%s: %d %+v", tc.name, w.Code, problem)
		}
		if got := w.Header().Get("WWW-Authenticate"); got != tc.says {
			t.Errorf("%s: WWW-Authenticate %q, want %q", tc.name, got, tc.says)
		}
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", tc.name, got)
		}
	}
	if w := send(v, "bearer "+good); w.Code != 200 {
		t.Errorf("a valid token: %d %s", w.Code, w.Body)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?access_token="+good, nil)
	if _, ok := v.Check(w, r); ok || w.Code != 401 {
		t.Error("a token in the query was accepted")
	}
	c.advance(token.MaxAccessTTL)
	if w := send(v, "Bearer "+good); w.Code != 401 || !strings.Contains(w.Body.String(), "access_expired") {
		t.Errorf("at its exp: %d %s", w.Code, w.Body)
	}
	if _, ok := remote.Claims(ctx); ok {
		t.Error("claims without a token")
	}
}

// For a hundred concurrent requests the keys are fetched once, and again after the five minutes of
// the server's Cache-Control.
func TestKeysAreFetchedOnceAndWhenDue(t *testing.T) {
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	v := i.verifier(t, c)
	if i.fetchCount() != 0 {
		t.Error("the keys were fetched without a token")
	}
	raw := i.mint(t, ring, c)
	all := func() {
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				if _, err := v.Access(ctx, raw); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	for round, wait := range []time.Duration{0, 5*time.Minute - time.Second, time.Second, 5*time.Minute - time.Second} {
		c.advance(wait)
		all()
		if want := []int{1, 1, 2, 2}[round]; i.fetchCount() != want {
			t.Errorf("round %d: %d fetches, want %d", round, i.fetchCount(), want)
		}
	}
}

func TestLifetimeOfKeysFollowsCacheControl(t *testing.T) {
	for _, tc := range []struct {
		control, age string
		want         time.Duration
	}{
		{"", "", remote.UsualLife}, {"public, max-age=300", "", 5 * time.Minute}, {"Public,MAX-AGE=300", "200", 100 * time.Second},
		{"max-age=300", "9999", remote.MinLife}, {"max-age=0", "", remote.MinLife}, {"max-age=-1", "", remote.MinLife},
		{"max-age=99999999999999999999", "", remote.MinLife}, {"max-age=86400", "", remote.MaxLife}, {"max-age=600", "rubbish", 10 * time.Minute},
		{"no-store", "", remote.MinLife}, {"max-age=600, no-cache", "", remote.MinLife}, {"private", "", remote.UsualLife},
	} {
		if got := remote.LifeOf(http.Header{"Cache-Control": {tc.control}, "Age": {tc.age}}); got != tc.want {
			t.Errorf("%q, Age %q: %v, want %v", tc.control, tc.age, got, tc.want)
		}
	}
}

// An unknown key is fetched at once, and a flood of forged ones causes one fetch in ten seconds.
func TestUnknownKeysCauseBoundedFetches(t *testing.T) {
	t.Attr("control", "19")
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	v := i.verifier(t, c)
	_, err := v.Access(ctx, i.mint(t, ring, c))
	must(t, err)
	c.advance(time.Minute)
	flood := func() {
		for n := range 300 {
			forged := i.mint(t, ringOf(t, fmt.Sprint("forged ", n)), c)
			if _, err := v.Access(ctx, forged); !errors.Is(err, token.ErrInvalid) {
				t.Fatalf("a forged token: %v", err)
			}
		}
	}
	flood()
	if got := i.fetchCount(); got != 2 {
		t.Errorf("%d fetches, want the first and one", got)
	}
	next := ringOf(t, "b", "a")
	i.publish(next)
	raw := i.mint(t, next, c)
	if _, err := v.Access(ctx, raw); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("within the ten seconds: %v", err)
	}
	c.advance(remote.MinInterval)
	if _, err := v.Access(ctx, raw); err != nil {
		t.Errorf("the new key after them: %v", err)
	}
	flood()
	if got := i.fetchCount(); got != 3 {
		t.Errorf("%d fetches, want 3", got)
	}
}

// If the server is down, the current keys are used for an hour, and no request waits. After that,
// verification fails.
func TestKeysAreUsedForAnHourWithoutServer(t *testing.T) {
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	v := i.verifier(t, c)
	_, err := v.Access(ctx, i.mint(t, ring, c))
	must(t, err)
	stuck, hung := make(chan struct{}), make(chan struct{}, 100)
	t.Cleanup(func() { close(stuck) })
	i.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c.advance(5 * time.Minute)
	if _, err := v.Access(ctx, i.mint(t, ring, c)); err != nil {
		t.Fatalf("the first request during the outage: %v", err)
	}
	i.answer(func(http.ResponseWriter, *http.Request) { hung <- struct{}{}; <-stuck })
	c.advance(remote.MinInterval)
	began := time.Now()
	for range 20 {
		if _, err := v.Access(ctx, i.mint(t, ring, c)); err != nil {
			t.Fatalf("during the outage: %v", err)
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("requests waited %v for an unresponsive server", took)
	}
	<-hung
	c.advance(remote.MaxStale - 5*time.Minute - remote.MinInterval)
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := v.Access(soon, i.mint(t, ring, c)); !errors.Is(err, remote.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after an hour: %v", err)
	}
}

func TestInvalidKeyResponsesAreReported(t *testing.T) {
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	other := newIssuer(t, ring)
	v := i.verifier(t, c)
	raw := i.mint(t, ring, c)
	for _, tc := range []struct {
		name, says string
		handler    http.HandlerFunc
	}{
		{"an error", "502", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }},
		{"a redirect to another host", "redirects are not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/.well-known/jwks.json", http.StatusFound)
		}},
		{"a page", "is not a JSON Web Key Set", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }},
		{"a body without end", "is not a JSON Web Key Set", func(w http.ResponseWriter, _ *http.Request) {
			set := string(encoded(ring.JWKS()))
			_, _ = w.Write([]byte(set + strings.Repeat(" ", remote.MaxBody)))
		}},
		{"no keys", "has no Ed25519 key", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }},
		{"keys of another kind, a secret one among them", "has no Ed25519 key", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RS256","use":"sig","kid":"1"},{"kty":"oct","k":"c2VjcmV0","alg":"HS256","use":"sig","kid":"2"}]}`))
		}},
		{"a key with the kid of another key", "has no Ed25519 key", func(w http.ResponseWriter, _ *http.Request) {
			set := ringOf(t, "a", "b").JWKS()
			set.Keys[0].KeyID, set.Keys[1].KeyID = set.Keys[1].KeyID, set.Keys[0].KeyID
			_, _ = w.Write(encoded(set))
		}},
	} {
		i.answer(tc.handler)
		c.advance(remote.MinInterval)
		before := i.fetchCount()
		for range 5 {
			_, err := v.Access(ctx, raw)
			if !errors.Is(err, remote.ErrUnavailable) || errors.Is(err, token.ErrInvalid) {
				t.Fatalf("%s: %v", tc.name, err)
			}
			wantContains(t, err.Error(), tc.says)
		}
		w := send(v, "Bearer "+raw)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d", tc.name, w.Code)
		}
		wantContains(t, w.Body.String(), `"code":"service_unavailable"`)
		if got := i.fetchCount() - before; got != 1 {
			t.Errorf("%s: %d fetches for six requests", tc.name, got)
		}
	}
	if other.fetchCount() != 0 {
		t.Error("the redirect was followed")
	}
	i.publish(ring)
	c.advance(remote.MinInterval)
	if _, err := v.Access(ctx, raw); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// A canceled request does not cancel the fetch that other requests wait for.
func TestCanceledRequestDoesNotCancelFetch(t *testing.T) {
	ring, c := ringOf(t, "a"), &clock{}
	i := newIssuer(t, ring)
	v := i.verifier(t, c)
	asked, goOn := make(chan struct{}), make(chan struct{})
	i.answer(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-goOn
		_, _ = w.Write(encoded(ring.JWKS()))
	})
	raw := i.mint(t, ring, c)
	first, cancel := context.WithCancel(ctx)
	gone := make(chan error)
	go func() { _, err := v.Access(first, raw); gone <- err }()
	<-asked
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second := make(chan error)
	go func() { _, err := v.Access(ctx, raw); second <- err }()
	close(goOn)
	if err := <-second; err != nil || i.fetchCount() != 1 {
		t.Errorf("%v, %d fetches", err, i.fetchCount())
	}
}

// The secret of real servers is rotated as the guide to operations describes, and no token that
// they mint is rejected. The old key is removed with its secret. Then, as after a leak, only a new
// secret is configured.
func TestSecretRotationRejectsNoToken(t *testing.T) {
	c := &clock{}
	front := newIssuer(t, ringOf(t, "unused"))
	database := servertest.NewDatabase(t, servertest.SQLite)
	var s *servertest.Server
	restart := func(names ...string) {
		var secrets []string
		for _, name := range names {
			secrets = append(secrets, tokentest.Secret(name))
		}
		s = servertest.Start(t, servertest.Options{Database: database, Now: c.real, Settings: []string{
			"ACCOUNTS_PUBLIC_URL=" + front.URL, "ACCOUNTS_SECRET_KEYS=" + strings.Join(secrets, ",")}})
		handler, err := s.Handler()
		must(t, err)
		front.answer(handler.ServeHTTP)
		s.URL = front.URL
	}
	restart("old")
	user := s.NewUser()
	v, err := remote.NewVerifier(remote.Options{Issuer: front.URL, Now: c.real})
	must(t, err)
	login := func() string { return s.Login(user, accounts.BodyTokens).Access }
	good := func(step, raw string) {
		t.Helper()
		if _, err := v.Access(ctx, raw); err != nil {
			t.Errorf("%s: %v", step, err)
		}
	}
	rejected := func(step, raw string) {
		t.Helper()
		if _, err := v.Access(ctx, raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", step, err)
		}
	}
	before := login()
	good("old", before)
	restart("old", "new")
	good("old, new", login())
	c.advance(5 * time.Minute)
	good("the keys are fetched", login())
	restart("new", "old")
	late := login()
	requests := front.fetchCount()
	good("new, old", late)
	if front.fetchCount() != requests {
		t.Error("the new key caused a fetch")
	}
	restart("new")
	good("the old key is still known", late)
	restart("leaked-and-replaced")
	c.advance(remote.MinInterval)
	good("an unknown key", login())
	rejected("a token of the leaked key", late)
}

func TestNewVerifierRejectsUnsafeOptions(t *testing.T) {
	for name, o := range map[string]remote.Options{
		"no issuer": {}, "a path": {Issuer: "https://accounts.example.com/"}, "no scheme": {Issuer: "accounts.example.com"},
		"plain http":              {Issuer: "http://accounts.example.com"},
		"plain http for the keys": {Issuer: "https://accounts.example.com", KeysURL: "http://accounts:8080/.well-known/jwks.json"},
		"IPv4 in IPv6":            {Issuer: "http://[::ffff:127.0.0.1]:8080"},
		"a zone":                  {Issuer: "https://accounts.example.com", KeysURL: "http://[::1%25lo]:8080/keys"},
		"a dot after localhost":   {Issuer: "http://localhost.:8080"},
		"a file":                  {Issuer: "https://accounts.example.com", KeysURL: "file:///etc/keys"},
	} {
		if _, err := remote.NewVerifier(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, issuer := range []string{"https://accounts.example.com", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:8080", "http://LOCALHOST:8080"} {
		if _, err := remote.NewVerifier(remote.Options{Issuer: issuer}); err != nil {
			t.Error(err)
		}
	}
}
