package tokentest

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// algorithms returns tokens with another algorithm than the right one, or none.
func (w world) algorithms() []Case {
	var cases []Case
	payload := b64([]byte(w.claim.String()))
	for _, alg := range []string{
		`"none"`, `"None"`, `"nOnE"`, `"NONE"`, `""`, `null`, `[]`, `{}`, `0`, `["EdDSA"]`, `"HS256 "`, `"hs256"`, `"eddsa"`, `"Ed25519"`,
		`"HS384"`, `"HS512"`, `"RS256"`, `"RS384"`, `"PS256"`, `"ES256"`, `"ES256K"`, `"dir"`, `"A256GCM"`, otherAlg(w.use),
	} {
		header := w.header.set("alg", alg)
		unsigned := b64([]byte(header.String())) + "." + payload + "."
		cases = append(cases,
			Case{Name: "alg " + alg + ", no signature", Raw: unsigned},
			Case{Name: "alg " + alg + ", signature of zeros", Raw: unsigned + b64(make([]byte, 64))},
			w.withHeader("alg "+alg+", signed", header),
			Case{Name: "alg " + alg + ", signed with the other key", Raw: w.sign(w.otherUse(), unsigned[:len(unsigned)-1])})
	}
	cases = append(cases, w.withHeader("alg missing", w.header.without("alg")))
	for name, key := range w.publicForms() {
		parts := b64([]byte(w.header.set("alg", `"HS256"`).String())) + "." + payload
		cases = append(cases, Case{Name: "HS256 with the public key as " + name, Raw: parts + "." + b64(hs256(key, parts))})
	}
	return cases
}

func otherAlg(use Use) string {
	if use == Access {
		return `"HS256"`
	}
	return `"EdDSA"`
}

func (w world) otherUse() Use {
	if w.use == Access {
		return Refresh
	}
	return Access
}

// publicForms returns the texts that an attacker can derive from the published key.
func (w world) publicForms() map[string][]byte {
	public := w.public()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return map[string][]byte{
		"raw bytes": public, "DER": der, "PEM": block, "PEM without newline": []byte(strings.TrimSpace(string(block))),
		"base64url": []byte(b64(public)), "base64": []byte(base64.StdEncoding.EncodeToString(public)),
		"JWK": []byte(w.jwk()), "JWK as published": []byte(`{"alg":"EdDSA","crv":"Ed25519","kid":"` + w.Kid + `","kty":"OKP","use":"sig","x":"` + b64(public) + `"}`), "JWK with newline": []byte(w.jwk() + "\n"), "kid": []byte(w.Kid), "nothing": {},
	}
}

func (f Forger) jwk() string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"}`, b64(f.public()))
}

// signatures returns tokens whose signature does not fit their text.
func (w world) signatures() []Case {
	h, p, s := w.parts()
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic("tokentest: not a token")
	}
	var cases []Case
	with := func(name string, sig []byte) {
		cases = append(cases, Case{Name: name, Raw: h + "." + p + "." + b64(sig)})
	}
	flipped := slices.Clone(raw)
	flipped[0] ^= 1
	with("one bit of the signature flipped", flipped)
	with("signature of zeros", make([]byte, len(raw)))
	with("signature cut", raw[:len(raw)-1])
	with("signature and a byte", append(slices.Clone(raw), 0))
	with("signature twice", append(slices.Clone(raw), raw...))
	if w.use == Access {
		with("signature with s + L", malleate(raw))
	}
	claims := w.claim.set("sub", `"999"`)
	return append(cases,
		Case{Name: "payload changed, signature kept", Raw: h + "." + b64([]byte(claims.String())) + "." + s},
		Case{Name: "header changed, signature kept", Raw: b64([]byte(w.header.set("typ", `"JWT"`).String())) + "." + p + "." + s},
		Case{Name: "signature of the other token", Raw: h + "." + p + "." + strings.Split(w.other, ".")[2]},
		Case{Name: "header and payload swapped, signed", Raw: w.sign(w.use, p+"."+h)})
}

// malleate adds the group order to s. The result is a valid signature for a verifier that does not
// require the smallest s (RFC 8032 section 5.1.7).
func malleate(sig []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	return append(slices.Clone(sig[:32]), sum...)
}

// foreign returns good tokens of another key or of another purpose.
func (w world) foreign() []Case {
	stranger := NewForger(Secret("another environment"))
	strangers := func(name string, header object) Case {
		return Case{Name: name, Raw: stranger.sign(w.use, b64([]byte(header.String()))+"."+b64([]byte(w.claim.String())))}
	}
	other, otherClaims := part(w.other, 0), part(w.other, 1)
	return []Case{
		strangers("key of another environment or a retired one", w.header.set("kid", quote(stranger.Kid))),
		strangers("another key under our kid", w.header),
		strangers("another key sent along", w.header.set("jwk", stranger.jwk())),
		w.withHeader("our key under another kid", w.header.set("kid", quote(stranger.Kid))),
		{Name: "token of the other door", Raw: w.other},
		w.text("claims of the other door under our key", w.header.String(), otherClaims.String()),
		w.text("header of the other door under our key", other.String(), w.claim.String()),
		{Name: "our claims under the other key", Raw: w.sign(w.otherUse(), b64([]byte(w.header.String()))+"."+b64([]byte(w.claim.String())))},
		{Name: "our claims under the other header and key", Raw: w.sign(w.otherUse(), b64([]byte(other.String()))+"."+b64([]byte(w.claim.String())))},
		{Name: "43 letters, as a CSRF value or a link's token", Raw: b64(make([]byte, ed25519.SeedSize))},
	}
}
