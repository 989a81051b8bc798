package token_test

import (
	"testing"
	"time"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
	"github.com/google/uuid"
)

const (
	origin = "https://accounts.example"
	ttl    = 5 * time.Minute
)

var (
	secretA = tokentest.Secret("a")
	secretB = tokentest.Secret("b")
	start   = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)
	sid     = uuid.MustParse("0195944a-7b60-7c3e-9f10-2b4d6a8c0e1f")
)

func ring(t testing.TB, secrets ...string) *token.KeyRing {
	t.Helper()
	var parsed []token.Secret
	for _, s := range secrets {
		secret, err := token.ParseSecret(s)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, secret)
	}
	r, err := token.NewKeyRing(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// grant returns a session that was rotated at start, ends after an idle week and ends absolutely
// after a month.
func grant() token.Grant {
	day := 24 * time.Hour
	return token.Grant{
		Subject: 42, Session: sid, Generation: 7, Transport: token.Hybrid,
		RotatedAt: start, IdleExpiresAt: start.Truncate(time.Second).Add(7 * day), ExpiresAt: start.Truncate(time.Second).Add(30 * day),
	}
}

func mint(t testing.TB, r *token.KeyRing, g token.Grant) (access, refresh string) {
	t.Helper()
	i := token.NewIssuer(r, origin, ttl)
	access, err := i.Access(g)
	if err != nil {
		t.Fatal(err)
	}
	if refresh, err = i.Refresh(g); err != nil {
		t.Fatal(err)
	}
	return access, refresh
}

// clock is a clock that tests can set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }
