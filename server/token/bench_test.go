package token_test

import (
	"testing"

	"example.com/accounts/server/token"
)

func BenchmarkAccessVerify(b *testing.B) {
	r, c := ring(b, secretA), &clock{start}
	access, _ := mint(b, r, grant())
	for name, forget := range map[string]bool{"remembered": false, "new": true} {
		b.Run(name, func(b *testing.B) {
			v := token.NewVerifier(r.PublicKey, origin, c.now)
			for b.Loop() {
				if forget {
					v.Forget()
				}
				if _, err := v.Access(access); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRefreshVerify(b *testing.B) {
	r, c := ring(b, secretA), &clock{start}
	_, refresh := mint(b, r, grant())
	v := token.NewRefreshVerifier(r, origin, c.now)
	for b.Loop() {
		if _, err := v.Refresh(refresh); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMint(b *testing.B) {
	i := token.NewIssuer(ring(b, secretA), origin, ttl)
	g := grant()
	b.Run("access", func(b *testing.B) {
		for b.Loop() {
			_, _ = i.Access(g)
		}
	})
	b.Run("refresh", func(b *testing.B) {
		for b.Loop() {
			_, _ = i.Refresh(g)
		}
	})
}
