package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
)

// JWKS is a JSON Web Key Set (RFC 7517 section 5) of public keys.
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// JWK is a public Ed25519 key (RFC 8037 section 2). The type has no field for a private member, so
// that none can be published by mistake.
type JWK struct {
	KeyType   string `json:"kty"` // OKP
	Curve     string `json:"crv"` // Ed25519
	X         string `json:"x"`   // the 32 bytes of the key, base64url
	KeyID     string `json:"kid"` // its RFC 7638 thumbprint
	Algorithm string `json:"alg"` // EdDSA
	Use       string `json:"use"` // sig
}

// JWKS returns the public keys of all secrets of the ring, the signing one first.
func (r *KeyRing) JWKS() JWKS {
	set := JWKS{Keys: make([]JWK, 0, len(r.keys()))}
	for _, k := range r.keys() {
		set.Keys = append(set.Keys, JWK{
			KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.public),
			KeyID: k.kid, Algorithm: "EdDSA", Use: "sig",
		})
	}
	return set
}

// PublicKeys returns the keys of a set from another server, by kid. It omits keys that cannot
// verify an access token: those with another type, curve, algorithm, use or length, and those whose
// kid is not their thumbprint.
func (s JWKS) PublicKeys() map[string]ed25519.PublicKey {
	keys := make(map[string]ed25519.PublicKey, len(s.Keys))
	for _, k := range s.Keys {
		key, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
		if err != nil || len(key) != ed25519.PublicKeySize || k.KeyType != "OKP" || k.Curve != "Ed25519" ||
			k.Algorithm != "EdDSA" || k.Use != "sig" || k.KeyID != thumbprint(key) {
			continue
		}
		keys[k.KeyID] = key
	}
	return keys
}

// thumbprint returns the SHA-256 of the required members of the key in alphabetical order without
// white space (RFC 7638 section 3, RFC 8037 appendix A.3).
func thumbprint(key ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(key)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
