package token_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// The verifier accepts only what the issuer mints: the test mints each accepted token again from
// its claims, and the two must be equal. The fuzzer's text is used as a token, and as the header
// and payload of a token signed with the real key.

func FuzzAccess(f *testing.F) {
	r, c := ring(f, secretA), &clock{start}
	v := token.NewVerifier(r.PublicKey, origin, c.now)
	forger := tokentest.NewForger(secretA)
	seed(f, tokentest.Access, r)
	f.Fuzz(func(t *testing.T, raw, header, payload string) {
		for _, try := range []string{raw, forger.Access(header, payload)} {
			claims, err := v.Access(try)
			if isRejected(t, err, claims == token.AccessClaims{}) {
				continue
			}
			g := token.Grant{
				Subject: claims.Subject, Session: claims.Session, Generation: claims.Generation,
				RotatedAt: claims.IssuedAt, IdleExpiresAt: claims.ExpiresAt, ExpiresAt: claims.ExpiresAt,
			}
			again, mintErr := token.NewIssuer(r, origin, token.MaxAccessTTL).Access(g)
			if mintErr != nil || again != try {
				t.Errorf("accepted (%v), but the issuer mints a different token: %v\n%s\n%s", err, mintErr, try, again)
			}
		}
	})
}

func FuzzRefresh(f *testing.F) {
	r, c := ring(f, secretA), &clock{start}
	v := token.NewRefreshVerifier(r, origin, c.now)
	forger := tokentest.NewForger(secretA)
	seed(f, tokentest.Refresh, r)
	f.Fuzz(func(t *testing.T, raw, header, payload string) {
		for _, try := range []string{raw, forger.Refresh(header, payload)} {
			claims, err := v.Refresh(try)
			if isRejected(t, err, claims == token.RefreshClaims{}) {
				continue
			}
			g := token.Grant{
				Subject: claims.Subject, Session: claims.Session, Generation: claims.Generation, Transport: claims.Transport,
				RotatedAt: issuedAt(t, try), IdleExpiresAt: claims.ExpiresAt, ExpiresAt: claims.SessionExpiresAt,
			}
			again, mintErr := token.NewIssuer(r, origin, ttl).Refresh(g)
			if mintErr != nil || again != try {
				t.Errorf("accepted (%v), but the issuer mints a different token: %v\n%s\n%s", err, mintErr, try, again)
			}
		}
	})
}

// seed adds the good token and the short ones of the corpus, whole and in parts.
func seed(f *testing.F, use tokentest.Use, r *token.KeyRing) {
	access, refresh := mint(f, r, grant())
	raws := []string{access, refresh}
	for _, c := range tokentest.Hostile(use, secretA, access, refresh, start) {
		raws = append(raws, c.Raw)
	}
	for _, raw := range raws {
		if len(raw) > token.MaxBytes {
			continue
		}
		parts := append(strings.SplitN(raw, ".", 3), "", "")
		header, _ := base64.RawURLEncoding.DecodeString(parts[0])
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		f.Add(raw, string(header), string(payload))
	}
}

func isRejected(t *testing.T, err error, zero bool) bool {
	t.Helper()
	if err == nil || err == token.ErrExpired {
		return false
	}
	if !errors.Is(err, token.ErrInvalid) || !zero {
		t.Errorf("rejected with %v; claims zero: %v", err, zero)
	}
	return true
}

// issuedAt returns the iat, which the verifier does not return.
func issuedAt(t *testing.T, raw string) time.Time {
	t.Helper()
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	var claims struct{ Iat int64 }
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.Iat, 0)
}
