package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// ErrInvalid means that this server did not write the token for this purpose. The text names the
// rule that rejected the token and contains nothing of the token.
var ErrInvalid = errors.New("token invalid")

// ErrUnknownKey is the [ErrInvalid] of a token whose header has the form of this server and names a
// key that the source does not have. Anyone can make such a token.
var ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrInvalid)

// ErrExpired means that the token is authentic and its exp has passed. The claims are returned with
// it, because a few operations still use them.
var ErrExpired = errors.New("token expired")

// errForm is created once, so that malformed tokens are rejected without an allocation.
var errForm = reject("form")

// maxBytes is the maximum length of a token. A token of this server has about 600 bytes.
const maxBytes = 4096

// form holds the properties that distinguish the two kinds of token: one algorithm, one typ and one
// audience. The issuer and the verifiers use the same two forms.
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

// newForm configures the library for exactly one algorithm (RFC 8725 section 3.1) and strict
// base64. Without the list of algorithms, a public key could be used as an HMAC secret. Strict
// base64 rejects a changed last character.
//
// The library's validation of claims is disabled; [form.authenticate] does it. The library does not
// distinguish "only expired" from "expired and for another audience", applies one leeway to both
// exp and iat, and accepts an array as aud and floats as times.
func newForm(method jwt.SigningMethod, typ, issuer, audience string) form {
	return form{method: method, typ: typ, issuer: issuer, audience: audience, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{method.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation(),
	)}
}

// header returns the only header that a token of this form has (RFC 8725 section 3.11).
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
		return "", errors.New("token: sign: the token is longer than verifiers accept")
	}
	return raw, nil
}

// authenticate returns the claims of a token that is signed with a known key, is byte for byte in
// the form that the issuer writes, and has this issuer and audience. It does not check times. find
// returns the key for a kid; the kid is not authenticated yet.
func (f form) authenticate(raw string, find func(kid string) (any, bool)) (*claims, error) {
	if !isWellFormed(raw) {
		return nil, errForm
	}
	c, known := &claims{}, true
	_, err := f.parser.ParseWithClaims(raw, c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if !f.hasHeader(raw, kid) {
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
		// The library's error quotes the token and is not passed on.
		return nil, reject("signature or header")
	}
	switch {
	case !c.hasPayload(raw):
		return nil, reject("claims")
	case c.Issuer != f.issuer:
		return nil, reject("iss")
	case c.Audience != f.audience:
		return nil, reject("aud")
	}
	if fault := c.fault(); fault != "" {
		return nil, reject(fault)
	}
	return c, nil
}

// isWellFormed reports whether raw consists of three parts of unpadded base64url in at most 4 KiB.
// It never allocates, so that rejecting a malformed token is cheap.
//
// Threats: a megabyte of dots that makes a parser split (CVE-2025-30204), and a second spelling of
// a token. Go's decoder skips line breaks even when strict, so a token with a line break inside
// would be accepted and yet be a different string.
func isWellFormed(raw string) bool {
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

// hasHeader reports whether the first part is, byte for byte, the header that the issuer writes.
//
// Threat: the library reads the header into a map, where the last duplicate wins, and ignores
// members that it does not know. So it would accept a crit that demands something (RFC 7515 section
// 4.1.11), b64, zip, or a key in the header (jwk, jku, x5u, x5c), and it does not check typ. A
// comparison with the only valid header needs no list of such members.
func (f form) hasHeader(raw, kid string) bool {
	part, _, _ := strings.Cut(raw, ".")
	return isEncodingOf(part, f.header(kid))
}

// hasPayload reports whether the second part is, byte for byte, what the issuer writes for the
// claims that were read from it.
//
// Threat: the decoder accepts "SUB" for "sub", the last of two duplicates and null for zero, and
// ignores unknown names. Another reader of the same token could use the other value. Each of these
// differs when the claims are encoded again.
func (c *claims) hasPayload(raw string) bool {
	_, rest, _ := strings.Cut(raw, ".")
	part, _, _ := strings.Cut(rest, ".")
	return isEncodingOf(part, c)
}

func isEncodingOf(part string, value any) bool {
	text, err := json.Marshal(value)
	return err == nil && part == base64.RawURLEncoding.EncodeToString(text)
}

func reject(rule string) error {
	return fmt.Errorf("%w: %s", ErrInvalid, rule)
}
