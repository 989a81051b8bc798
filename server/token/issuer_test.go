package token_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/server/token"
)

// The wire format is fixed to the byte. A change logs out all users with tokens in the old format,
// and services with an older version reject the new tokens.
func TestTokensEqualFixedWireFormat(t *testing.T) {
	golden, err := os.ReadFile("testdata/minted.golden")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // separate rings and issuers, as in replicas
		access, refresh := mint(t, ring(t, secretA, secretB), grant())
		if diff := cmp.Diff(string(golden), access+"\n"+refresh+"\n"); diff != "" {
			t.Errorf("access and refresh token (-want +got):\n%s", diff)
		}
	}
}

func TestTokensExpireWithSession(t *testing.T) {
	floor := start.Truncate(time.Second)
	for _, tt := range []struct {
		name                string
		idle, end           time.Duration // relative to the rotation, rounded down
		wantAccess, wantRef time.Duration
	}{
		{"a fresh session", time.Hour, 24 * time.Hour, ttl, time.Hour},
		{"absolute end before idle", time.Hour, 30 * time.Minute, ttl, 30 * time.Minute},
		{"absolute end before the access TTL", time.Hour, time.Minute, time.Minute, time.Minute},
		{"a fraction of a second is cut off", 90*time.Second + 900*time.Millisecond, 100*time.Second + 999*time.Millisecond, 100 * time.Second, 90 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ring(t, secretA)
			g := grant()
			g.IdleExpiresAt, g.ExpiresAt = floor.Add(tt.idle), floor.Add(tt.end)
			access, refresh := mint(t, r, g)
			c := &clock{start}
			a, err := token.NewVerifier(r.PublicKey, origin, c.now).Access(access)
			if err != nil {
				t.Fatal(err)
			}
			wantA := token.AccessClaims{Subject: 42, Session: sid, Generation: 7, IssuedAt: floor, ExpiresAt: floor.Add(tt.wantAccess)}
			if diff := cmp.Diff(wantA, a); diff != "" {
				t.Errorf("access (-want +got):\n%s", diff)
			}
			if got := token.NewIssuer(r, origin, ttl).AccessExpiry(g); !got.Equal(a.ExpiresAt) {
				t.Errorf("AccessExpiry %v, in the token %v", got, a.ExpiresAt)
			}
			got, err := token.NewRefreshVerifier(r, origin, c.now).Refresh(refresh)
			if err != nil {
				t.Fatal(err)
			}
			wantR := token.RefreshClaims{
				Subject: 42, Session: sid, Generation: 7, Transport: token.Hybrid, ExpiresAt: floor.Add(tt.wantRef), SessionExpiresAt: g.ExpiresAt.Truncate(time.Second),
			}
			if diff := cmp.Diff(wantR, got); diff != "" {
				t.Errorf("refresh (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIssuerRejectsInvalidGrants(t *testing.T) {
	for _, tt := range []struct {
		name            string
		spoil           func(*token.Grant)
		access, refresh bool // whether the token is minted anyway
	}{
		{"no subject", func(g *token.Grant) { g.Subject = 0 }, false, false},
		{"negative subject", func(g *token.Grant) { g.Subject = -1 }, false, false},
		{"no session", func(g *token.Grant) { g.Session = uuid.Nil }, false, false},
		{"negative generation", func(g *token.Grant) { g.Generation = -1 }, false, false},
		{"generation beyond 2^53", func(g *token.Grant) { g.Generation = 1<<53 + 1 }, false, false},
		{"never rotated", func(g *token.Grant) { g.RotatedAt = time.Time{} }, false, false},
		{"over before it began", func(g *token.Grant) { g.ExpiresAt = g.RotatedAt.Add(-time.Second) }, false, true},
		{"no idle end", func(g *token.Grant) { g.IdleExpiresAt = time.Time{} }, true, false},
		{"no end", func(g *token.Grant) { g.ExpiresAt = time.Time{} }, false, false},
		{"end after the year 9999", func(g *token.Grant) { g.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, true, false},
		{"no transport", func(g *token.Grant) { g.Transport = "" }, true, false},
		{"unknown transport", func(g *token.Grant) { g.Transport = "pigeon" }, true, false},
		{"server-held has no refresh token", func(g *token.Grant) { g.Transport = token.ServerHeld }, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := token.NewIssuer(ring(t, secretA), origin, ttl)
			g := grant()
			tt.spoil(&g)
			if raw, err := i.Access(g); (err == nil) != tt.access || (raw != "") != tt.access {
				t.Errorf("access: %v", err)
			}
			if raw, err := i.Refresh(g); (err == nil) != tt.refresh || (raw != "") != tt.refresh {
				t.Errorf("refresh: %v", err)
			}
		})
	}
	if _, err := token.NewIssuer(ring(t, secretA), origin, token.MaxAccessTTL+time.Second).Access(grant()); err == nil {
		t.Error("an access token of more than 15 minutes was minted")
	}
}
