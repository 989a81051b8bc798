package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// The corpus is in tokentest, because other tests send it over HTTP.

func TestHostileAccessTokensAreRejected(t *testing.T) {
	t.Attr("control", "18")
	t.Attr("control", "19")
	t.Attr("control", "20")
	t.Attr("control", "21")
	t.Attr("control", "22")
	t.Attr("control", "23")
	r, c := ring(t, secretA), &clock{start}
	access, refresh := mint(t, r, grant())
	v := token.NewVerifier(r.PublicKey, origin, c.now)
	want, err := v.Access(access)
	if err != nil {
		t.Fatal(err)
	}
	eachHostile(t, tokentest.Access, access, refresh, func(raw string) (any, bool, error) {
		claims, err := v.Access(raw)
		return claims, claims == token.AccessClaims{}, err
	})
	// The good token is still valid, with the same claims.
	if got, err := v.Access(access); err != nil || got != want {
		t.Errorf("the valid token afterward: %v", err)
	}
	if n := v.Remembered(); n != 1 {
		t.Errorf("%d tokens cached, want only the valid one", n)
	}
	for _, u := range tokentest.Unbacked(tokentest.Access, secretA, access, refresh, start) {
		if _, err := v.Access(u.Raw); err != nil {
			t.Errorf("%s: %v, want accepted, because only the session row shows the difference", u.Name, err)
		}
	}
}

func TestHostileRefreshTokensAreRejected(t *testing.T) {
	t.Attr("control", "18")
	t.Attr("control", "19")
	t.Attr("control", "20")
	t.Attr("control", "21")
	t.Attr("control", "22")
	t.Attr("control", "23")
	r, c := ring(t, secretA), &clock{start}
	access, refresh := mint(t, r, grant())
	v := token.NewRefreshVerifier(r, origin, c.now)
	if _, err := v.Refresh(refresh); err != nil {
		t.Fatal(err)
	}
	eachHostile(t, tokentest.Refresh, access, refresh, func(raw string) (any, bool, error) {
		claims, err := v.Refresh(raw)
		return claims, claims == token.RefreshClaims{}, err
	})
	for _, u := range tokentest.Unbacked(tokentest.Refresh, secretA, access, refresh, start) {
		if _, err := v.Refresh(u.Raw); err != nil {
			t.Errorf("%s: %v, want accepted, because only the session row shows the difference", u.Name, err)
		}
	}
}

func eachHostile(t *testing.T, use tokentest.Use, access, refresh string, verify func(string) (claims any, zero bool, err error)) {
	names := map[string]bool{}
	for _, hostile := range tokentest.Hostile(use, secretA, access, refresh, start) {
		if names[hostile.Name] {
			t.Errorf("duplicate case %q", hostile.Name)
		}
		names[hostile.Name] = true
		want := token.ErrInvalid
		if hostile.Expired {
			want = token.ErrExpired
		}
		for range 2 { // the first try has no effect on the second one
			claims, zero, err := verify(hostile.Raw)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", hostile.Name, err, want)
			}
			if zero == hostile.Expired {
				t.Errorf("%s: claims %+v", hostile.Name, claims)
			}
			if err != nil && len(err.Error()) > 60 {
				t.Errorf("%s: the error is long enough to contain a token: %s", hostile.Name, err)
			}
		}
	}
	if len(names) < 400 {
		t.Errorf("only %d cases", len(names))
	}
}

// The forger and the issuer are independent implementations. They must agree on good tokens, or the
// cases signed with the real key would prove nothing.
func TestForgerAgreesWithIssuer(t *testing.T) {
	f := tokentest.NewForger(secretA)
	access, refresh := mint(t, ring(t, secretA), grant())
	claims := `"sub":"42","sid":"` + sid.String() + `","gen":7`
	got := f.Access(`{"alg":"EdDSA","kid":"`+f.Kid+`","typ":"at+jwt"}`,
		`{"iss":"https://accounts.example","aud":"https://accounts.example",`+claims+`,"iat":1773500966,"exp":1773501266,"jti":"`+sid.String()+`.7"}`)
	if diff := cmp.Diff(access, got); diff != "" {
		t.Errorf("access (-issuer +forger):\n%s", diff)
	}
	got = f.Refresh(`{"alg":"HS256","kid":"`+f.Kid+`","typ":"rt+jwt"}`,
		`{"iss":"https://accounts.example","aud":"https://accounts.example/accounts/refresh_token",`+claims+
			`,"tr":"hybrid","sxp":1776092966,"iat":1773500966,"exp":1774105766,"jti":"`+sid.String()+`.7"}`)
	if diff := cmp.Diff(refresh, got); diff != "" {
		t.Errorf("refresh (-issuer +forger):\n%s", diff)
	}
}

// A megabyte, or thousands of dots, is rejected without an allocation (CVE-2025-30204).
func TestOverlongTokenIsRejectedWithoutAllocation(t *testing.T) {
	t.Attr("control", "22")
	r, c := ring(t, secretA), &clock{start}
	v, rv := token.NewVerifier(r.PublicKey, origin, c.now), token.NewRefreshVerifier(r, origin, c.now)
	for name, raw := range map[string]string{
		"a million dots": strings.Repeat(".", 1_000_000), "4 KiB of dots": strings.Repeat(".", token.MaxBytes),
		"a megabyte": strings.Repeat("a", 1<<20), "three parts of a megabyte": strings.Repeat("a", 1<<20) + ".a.a",
	} {
		if n := testing.AllocsPerRun(10, func() { _, _ = v.Access(raw); _, _ = rv.Refresh(raw) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		best := time.Hour // the best of several, because the machine may be busy
		for range 5 {
			began := time.Now()
			_, _ = v.Access(raw)
			best = min(best, time.Since(began))
		}
		if best > 5*time.Millisecond {
			t.Errorf("%s: %v", name, best)
		}
	}
}
