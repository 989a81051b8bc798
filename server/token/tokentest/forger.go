package tokentest

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// Forger holds the keys of a secret and signs any text with them.
type Forger struct {
	// Kid is the key id in the secret's tokens.
	Kid string
	// Secret holds the random bytes of the secret.
	Secret  []byte
	access  ed25519.PrivateKey
	refresh []byte
}

// Secret returns a well-formed secret that is always the same for the same name.
func Secret(name string) string {
	key := sha256.Sum256([]byte(name))
	sum := sha256.Sum256(append([]byte("acs1_"), key[:]...))
	return "acs1_" + b64(append(key[:], sum[:4]...))
}

// NewForger returns a forger for the text of a secret. It panics if the text is not a secret.
func NewForger(secret string) Forger {
	raw, err := base64.RawURLEncoding.DecodeString(secret[len("acs1_"):])
	if err != nil {
		panic("tokentest: not a secret")
	}
	f := Forger{Secret: raw[:32], access: ed25519.NewKeyFromSeed(derive(raw[:32], "at")), refresh: derive(raw[:32], "rt")}
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + b64(f.public()) + `"}`))
	f.Kid = b64(sum[:])
	return f
}

func derive(secret []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "accounts/v1/"+purpose, 32)
	if err != nil {
		panic(err)
	}
	return key
}

// Access signs a header and a payload, which need not be JSON, with the key of
// access tokens.
func (f Forger) Access(header, payload string) string {
	return f.sign(Access, b64([]byte(header))+"."+b64([]byte(payload)))
}

// Refresh signs a header and a payload with the key of refresh tokens.
func (f Forger) Refresh(header, payload string) string {
	return f.sign(Refresh, b64([]byte(header))+"."+b64([]byte(payload)))
}

// AccessSeed returns the seed of the key of access tokens. Neither it nor RefreshKey may occur in a
// log.
func (f Forger) AccessSeed() []byte { return f.access.Seed() }

// RefreshKey returns the HMAC key of refresh tokens.
func (f Forger) RefreshKey() []byte { return f.refresh }

// sign signs the two encoded parts of a token.
func (f Forger) sign(use Use, parts string) string {
	if use == Access {
		return parts + "." + b64(ed25519.Sign(f.access, []byte(parts)))
	}
	return parts + "." + b64(hs256(f.refresh, parts))
}

func (f Forger) public() ed25519.PublicKey { return f.access.Public().(ed25519.PublicKey) }

func hs256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
