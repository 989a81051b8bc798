package token_test

import (
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

func TestAccessTokenIsValidUntilExpiry(t *testing.T) {
	t.Attr("control", "24")
	floor := start.Truncate(time.Second)
	r := ring(t, secretA)
	access, _ := mint(t, r, grant())
	steps := []struct {
		name string
		at   time.Time
		want error
	}{
		{"a replica whose clock is 5 s behind", floor.Add(-5 * time.Second), nil},
		{"more than 5 s behind", floor.Add(-5*time.Second - 1), token.ErrInvalid},
		{"now", start, nil},
		{"the last instant", floor.Add(ttl - 1), nil},
		{"exp", floor.Add(ttl), token.ErrExpired},
		{"long after", floor.Add(24 * time.Hour), token.ErrExpired},
		{"the clock was put back", start, nil},
		{"and back too far", floor.Add(-time.Minute), token.ErrInvalid},
	}
	for _, cached := range []bool{false, true} {
		c := &clock{start}
		v := token.NewVerifier(r.PublicKey, origin, c.now)
		if cached {
			if _, err := v.Access(access); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range steps {
			if !cached {
				v.Forget()
			}
			c.at = step.at
			claims, err := v.Access(access)
			if !errors.Is(err, step.want) {
				t.Errorf("cached %v, %s: %v, want %v", cached, step.name, err, step.want)
			}
			if known := claims.Subject == 42 && claims.Session == sid; known != (step.want != token.ErrInvalid) {
				t.Errorf("cached %v, %s: claims %+v", cached, step.name, claims)
			}
		}
	}
}

func TestRefreshTokenIsValidUntilExpiry(t *testing.T) {
	r, c := ring(t, secretA), &clock{}
	v := token.NewRefreshVerifier(r, origin, c.now)
	g := grant()
	_, refresh := mint(t, r, g)
	for _, step := range []struct {
		name string
		at   time.Time
		want error
	}{
		{"a clock an hour behind: iat is not judged", start.Add(-time.Hour), nil},
		{"now", start, nil},
		{"the last instant", g.IdleExpiresAt.Add(-1), nil},
		{"exp", g.IdleExpiresAt, token.ErrExpired},
		{"after the absolute end", g.ExpiresAt.Add(time.Hour), token.ErrExpired},
	} {
		c.at = step.at
		claims, err := v.Refresh(refresh)
		if !errors.Is(err, step.want) || claims.Subject != 42 || claims.Generation != 7 {
			t.Errorf("%s: %v, want %v; claims %+v", step.name, err, step.want, claims)
		}
	}
}

// keyMap is a key source with keys that tests can change.
type keyMap map[string]ed25519.PublicKey

func (s keyMap) PublicKey(kid string) (ed25519.PublicKey, bool) {
	key, ok := s[kid]
	return key, ok
}

func TestCachedTokenIsRejectedWithoutItsKey(t *testing.T) {
	r, c := ring(t, secretA, secretB), &clock{start}
	kid, otherKid := tokentest.NewForger(secretA).Kid, tokentest.NewForger(secretB).Kid
	good, _ := r.PublicKey(kid)
	other, _ := r.PublicKey(otherKid)
	access, _ := mint(t, r, grant())
	for name, spoil := range map[string]func(keyMap){
		"key removed":  func(s keyMap) { delete(s, kid) },
		"key replaced": func(s keyMap) { s[kid] = other },
		"key emptied":  func(s keyMap) { s[kid] = nil },
	} {
		keys := keyMap{kid: good, otherKid: other}
		v := token.NewVerifier(keys.PublicKey, origin, c.now)
		if _, err := v.Access(access); err != nil {
			t.Fatal(err)
		}
		spoil(keys)
		if _, err := v.Access(access); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if n := v.Remembered(); n != 0 {
			t.Errorf("%s: %d tokens remembered", name, n)
		}
		keys[kid] = good
		if _, err := v.Access(access); err != nil {
			t.Errorf("%s and put back: %v", name, err)
		}
	}
}

// A poisoned cache shows when the cache is used: only for the same bytes, and only before exp.
func TestCachedTokenSkipsSignatureOnly(t *testing.T) {
	r, c := ring(t, secretA), &clock{start}
	v := token.NewVerifier(r.PublicKey, origin, c.now)
	access, _ := mint(t, r, grant())
	planted := token.AccessClaims{Subject: 99, IssuedAt: start, ExpiresAt: start.Add(time.Minute)}
	v.Poison(access, tokentest.NewForger(secretA).Kid, planted)
	if got, err := v.Access(access); err != nil || got != planted {
		t.Errorf("the memory was not used: %+v, %v", got, err)
	}
	if _, err := v.Access(access[:len(access)-4] + "AAAA"); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("another signature: %v", err)
	}
	c.at = planted.ExpiresAt
	if got, err := v.Access(access); err != nil || got.Subject != 42 {
		t.Errorf("an entry past its exp was used: %+v, %v", got, err)
	}
}

func TestTokenCacheIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("signs thousands of tokens")
	}
	r, c := ring(t, secretA), &clock{start}
	v := token.NewVerifier(r.PublicKey, origin, c.now)
	g := grant()
	for n := range token.MaxVerified + 50 {
		g.Generation = int64(n)
		access, _ := mint(t, r, g)
		if _, err := v.Access(access); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.Remembered(); n != token.MaxVerified {
		t.Errorf("%d tokens remembered, want %d", n, token.MaxVerified)
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	r, c := ring(t, secretA), &clock{start}
	v := token.NewVerifier(r.PublicKey, origin, c.now)
	access, refresh := mint(t, r, grant())
	want, err := v.Access(access)
	if err != nil {
		t.Fatal(err)
	}
	v.Forget()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := v.Access(access); err != nil || !cmp.Equal(got, want) {
					t.Errorf("%+v, %v", got, err)
				}
				if _, err := v.Access(refresh); !errors.Is(err, token.ErrInvalid) {
					t.Errorf("refresh as access: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
