package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// ErrInvalid means the token is not one this server wrote for this purpose. The
// text says which rule refused it and holds nothing of the token.
var ErrInvalid = errors.New("token invalid")

// ErrUnknownKey is the [ErrInvalid] of a token whose header is one of ours and
// names a key that the source does not have. Anybody can make such a token.
var ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrInvalid)

// ErrExpired means the token is authentic and its exp has passed. The claims
// come with it: a few operations still act on them.
var ErrExpired = errors.New("token expired")

// errForm is made once, so that rubbish is refused without an allocation.
var errForm = refuse("form")

// maxBytes bounds what is looked at; a token of ours has some 600 bytes.
const maxBytes = 4096

// form is everything that tells one kind of token from the other: one algorithm,
// one typ, one audience. Issuer and verifiers use the same two.
type form struct {
	method   jwt.SigningMethod
	typ      string
	issuer   string
	audience string
	parser   *jwt.Parser
}

func accessForm(publicURL string) form {
	return newForm(jwt.SigningMethodEdDSA, "at+jwt", publicURL, publicURL)
}

func refreshForm(publicURL string) form {
	return newForm(jwt.SigningMethodHS256, "rt+jwt", publicURL, publicURL+"/accounts/refresh_token")
}

// newForm sets up the library as far as it goes: exactly one algorithm (RFC 8725
// section 3.1; without the list a public key can be used as an HMAC secret), and
// base64 that refuses a changed last character.
//
// Its validation of claims is off, and [form.authenticate] does it: the library's
// does not tell "only expired" from "expired and for somebody else", one leeway
// stretches exp as well as iat, and it takes aud as an array and times as floats.
func newForm(method jwt.SigningMethod, typ, issuer, audience string) form {
	return form{method: method, typ: typ, issuer: issuer, audience: audience, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{method.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation(),
	)}
}

// header is the only header a token of this form has. RFC 8725 section 3.11.
func (f form) header(kid string) map[string]any {
	return map[string]any{"alg": f.method.Alg(), "kid": kid, "typ": f.typ}
}

func (f form) mint(kid string, key any, c *claims) (string, error) {
	t := &jwt.Token{Method: f.method, Header: f.header(kid), Claims: c}
	raw, err := t.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	if len(raw) > maxBytes {
		return "", errors.New("token: sign: longer than a verifier would read")
	}
	return raw, nil
}

// authenticate returns the claims of a token that somebody with the key wrote,
// exactly as we write it, for this issuer and audience. Times are not judged.
// find gives the key for a kid; it is asked with whatever stands in the header.
func (f form) authenticate(raw string, find func(kid string) (any, bool)) (*claims, error) {
	if !wellFormed(raw) {
		return nil, errForm
	}
	c, known := &claims{}, true
	_, err := f.parser.ParseWithClaims(raw, c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if !f.headed(raw, kid) {
			return nil, ErrInvalid
		}
		var key any
		if key, known = find(kid); !known {
			return nil, ErrUnknownKey
		}
		return key, nil
	})
	if !known {
		return nil, ErrUnknownKey
	}
	if err != nil {
		// The library's text quotes the token; it stays here.
		return nil, refuse("signature or header")
	}
	switch {
	case !c.spelled(raw):
		return nil, refuse("claims")
	case c.Issuer != f.issuer:
		return nil, refuse("iss")
	case c.Audience != f.audience:
		return nil, refuse("aud")
	}
	if fault := c.fault(); fault != "" {
		return nil, refuse(fault)
	}
	return c, nil
}

// wellFormed is the cheap refusal: no allocation, whatever comes. It asks for
// three parts of base64url without padding and at most 4 KiB.
//
// The threats: a megabyte of dots that makes a parser split (CVE-2025-30204),
// and the second spelling of one token: Go's decoder skips line breaks even when
// strict, so a token with one inside would be accepted and yet be another string.
func wellFormed(raw string) bool {
	if len(raw) > maxBytes {
		return false
	}
	dots := 0
	for i := range len(raw) {
		switch b := raw[i]; {
		case b == '.':
			dots++
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_':
		default:
			return false
		}
	}
	return dots == 2
}

// headed says whether the first part is, to the byte, the header we write.
//
// The threat: the library reads the header into a map, where the last duplicate
// wins, and does not act on members it does not know, so a crit that demands
// something (RFC 7515 section 4.1.11), b64, zip, or a key sent along (jwk, jku,
// x5u, x5c) would pass unseen, and typ is not looked at. There is nothing to
// list: any other header is another string.
func (f form) headed(raw, kid string) bool {
	part, _, _ := strings.Cut(raw, ".")
	return encodes(part, f.header(kid))
}

// spelled says whether the second part is, to the byte, how we write the claims
// that were read from it.
//
// The threat: the decoder takes "SUB" for "sub", the last of two duplicates, a
// null for a zero, and passes over names it does not know; another reader of the
// same token would take the other value. Written again, each of these differs.
func (c *claims) spelled(raw string) bool {
	_, rest, _ := strings.Cut(raw, ".")
	part, _, _ := strings.Cut(rest, ".")
	return encodes(part, c)
}

func encodes(part string, value any) bool {
	text, err := json.Marshal(value)
	return err == nil && part == base64.RawURLEncoding.EncodeToString(text)
}

func refuse(rule string) error {
	return fmt.Errorf("%w: %s", ErrInvalid, rule)
}
