package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

func TestNewKeyRingRejectsInvalidSecrets(t *testing.T) {
	a, _ := token.ParseSecret(secretA)
	again, _ := token.ParseSecret(secretA)
	b, _ := token.ParseSecret(secretB)
	for name, secrets := range map[string][]token.Secret{
		"none": nil, "a zero secret": {a, {}}, "one twice": {a, a}, "one read twice": {a, b, again},
	} {
		if _, err := token.NewKeyRing(secrets); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The values are from RFC 8037, appendix A.2 and A.3.
func TestThumbprintEqualsExampleOfRFC(t *testing.T) {
	key, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := token.Thumbprint(ed25519.PublicKey(key)), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; got != want {
		t.Errorf("thumbprint %s, want %s", got, want)
	}
}

func TestJWKSContainsPublicKeysOnly(t *testing.T) {
	t.Attr("control", "93")
	r := ring(t, secretA, secretB)
	text, err := json.Marshal(r.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	for i, secret := range []string{secretA, secretB} {
		forger := tokentest.NewForger(secret)
		key, ok := r.PublicKey(forger.Kid)
		if !ok {
			t.Fatalf("key %d is not found under its kid", i)
		}
		want := map[string]string{
			"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": forger.Kid, "x": base64.RawURLEncoding.EncodeToString(key),
		}
		if diff := cmp.Diff(want, set.Keys[i]); diff != "" {
			t.Errorf("key %d (-want +got):\n%s", i, diff)
		}
	}
	if len(set.Keys) != 2 {
		t.Errorf("%d keys, want 2", len(set.Keys))
	}
}

func TestSecretRotationAcceptsBothSecrets(t *testing.T) {
	t.Attr("control", "93")
	c := &clock{start}
	oldAccess, oldRefresh := mint(t, ring(t, secretA), grant())
	newAccess, newRefresh := mint(t, ring(t, secretB), grant())
	for _, tt := range []struct {
		name     string
		secrets  []string
		old, new error
	}{
		{"before", []string{secretA}, nil, token.ErrInvalid},
		{"published", []string{secretA, secretB}, nil, nil},
		{"signing", []string{secretB, secretA}, nil, nil},
		{"retired", []string{secretB}, token.ErrInvalid, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ring(t, tt.secrets...)
			v, rv := token.NewVerifier(r.PublicKey, origin, c.now), token.NewRefreshVerifier(r, origin, c.now)
			for _, try := range []struct {
				access, refresh string
				want            error
			}{{oldAccess, oldRefresh, tt.old}, {newAccess, newRefresh, tt.new}} {
				if _, err := v.Access(try.access); !errors.Is(err, try.want) {
					t.Errorf("access: %v, want %v", err, try.want)
				}
				if _, err := rv.Refresh(try.refresh); !errors.Is(err, try.want) {
					t.Errorf("refresh: %v, want %v", err, try.want)
				}
			}
			access, refresh := mint(t, r, grant())
			if signedOld := tt.secrets[0] == secretA; signedOld != (access == oldAccess) || signedOld != (refresh == oldRefresh) {
				t.Error("not signed with the first secret")
			}
		})
	}
}

func TestCSRFTokenIsBoundToSessionAndSecret(t *testing.T) {
	before, during, after := ring(t, secretA), ring(t, secretB, secretA), ring(t, secretB)
	value := before.CSRF(sid)
	if len(value) != 43 || value != before.CSRF(sid) {
		t.Fatalf("%q is not a stable value of 43 characters", value)
	}
	for name, valid := range map[string]bool{
		"own ring": before.ValidCSRF(sid, value), "older key of the ring": during.ValidCSRF(sid, value), "own value, new key": during.ValidCSRF(sid, during.CSRF(sid)),
	} {
		if !valid {
			t.Errorf("%s: rejected", name)
		}
	}
	other := uuid.MustParse("0195944a-7b60-7c3e-9f10-2b4d6a8c0e20")
	for name, valid := range map[string]bool{
		"retired key": after.ValidCSRF(sid, value), "another session's": before.ValidCSRF(other, value), "empty": before.ValidCSRF(sid, ""),
		"longer": before.ValidCSRF(sid, value+"A"), "shorter": before.ValidCSRF(sid, value[:42]), "padded": before.ValidCSRF(sid, value+"="),
		"other case": before.ValidCSRF(sid, strings.ToLower(value)), "self-made": before.ValidCSRF(sid, "AAAA"), "the session id": before.ValidCSRF(sid, sid.String()),
		"last letter": before.ValidCSRF(sid, value[:42]+flip(value[42])),
	} {
		if valid {
			t.Errorf("%s: accepted", name)
		}
	}
}
