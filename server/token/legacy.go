package token

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// LegacyClaims holds the claims of an authentic refresh token of the Django service. Times are in
// UTC.
type LegacyClaims struct {
	Subject   int64     // user id
	NotBefore time.Time // zero if the token has no nbf
	ExpiresAt time.Time
	Identity  LegacyIdentity
}

// ValidAt reports whether the token is valid at a time. The issuing time (iat) does not matter: only
// the Django service can have signed the token.
func (c LegacyClaims) ValidAt(now time.Time) bool {
	return !now.Before(c.NotBefore) && now.Before(c.ExpiresAt)
}

// LegacyIdentity identifies a used token.
type LegacyIdentity [sha256.Size]byte

// LegacyJTI returns the identity of a simplejwt token by its jti, as in simplejwt's own blacklist.
// The text in the blacklist can differ from the text of the token, because it lacks claims that
// were added to the token later.
func LegacyJTI(jti string) LegacyIdentity { return sha256.Sum256([]byte("jti:" + jti)) }

// hashOfToken returns the identity of a token without a jti: its text. A token has only one valid
// text, because base64 is decoded strictly. No valid text begins with "jti:".
func hashOfToken(raw string) LegacyIdentity { return sha256.Sum256([]byte(raw)) }

// LegacyVerifier verifies refresh tokens that a Django service issued, either with simplejwt or
// with code of its own that calls PyJWT. In the second case only the secret distinguishes an access
// token from a refresh token. LegacyVerifier is safe for concurrent use, and prints without its
// secrets.
//
// The headers of these tokens and of the tokens of this server always differ, so neither is
// accepted as the other, even with the same key.
type LegacyVerifier struct {
	keys   hidden[jwt.VerificationKeySet]
	parser *jwt.Parser
}

// NewLegacyVerifier returns a verifier for tokens that were signed with any of the secrets. Empty
// secrets are ignored, because anyone can sign with them. Without any other secret, every token is
// rejected.
func NewLegacyVerifier(secrets []string) *LegacyVerifier {
	var set jwt.VerificationKeySet
	for _, secret := range secrets {
		if secret != "" {
			set.Keys = append(set.Keys, []byte(secret))
		}
	}
	return &LegacyVerifier{keys: hide(set), parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation(),
	)}
}

// Format keeps the secrets out of log lines that print the verifier.
func (v *LegacyVerifier) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "LegacyVerifier"+redacted)
}

// Refresh returns the claims of an authentic refresh token. The caller must check
// [LegacyClaims.ValidAt], with a clock that it has compared with the database's. Every error is an
// [ErrInvalid].
func (v *LegacyVerifier) Refresh(raw string) (LegacyClaims, error) {
	if !isWellFormed(raw) {
		return LegacyClaims{}, errForm
	}
	c := &legacyClaims{}
	_, err := v.parser.ParseWithClaims(raw, c, func(*jwt.Token) (any, error) {
		if !hasLegacyHeader(raw) {
			return nil, ErrInvalid
		}
		return v.keys(), nil
	})
	if err != nil { // the library's error quotes the token and is not passed on
		return LegacyClaims{}, reject("signature or header")
	}
	if fault := cmp.Or(c.kindFault(), c.timeFault()); fault != "" {
		return LegacyClaims{}, reject(fault)
	}
	claims := LegacyClaims{Subject: c.userID(), ExpiresAt: unix(c.integer("exp")), Identity: hashOfToken(raw)}
	if nbf := c.integer("nbf"); nbf != 0 {
		claims.NotBefore = unix(nbf)
	}
	if jti := c.text("jti"); jti != "" {
		claims.Identity = LegacyJTI(jti)
	}
	return claims, nil
}

// hasLegacyHeader reports whether the token has the header that PyJWT writes, with its members in
// either order. A token with further members (crit, kid, b64, a key in the header) was not issued
// by Django.
func hasLegacyHeader(raw string) bool {
	part, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(part)
	header, ok := parseMembers(text)
	return err == nil && ok && len(header) == 2 && string(header["alg"]) == `"HS256"` && string(header["typ"]) == `"JWT"`
}

// legacyClaims holds the claims as JSON text, so that a number differs from a string and 1e9 from
// 1000000000. simplejwt lets services add claims of their own.
type legacyClaims struct {
	jwt.MapClaims `json:"-"` // see [claims]

	members map[string]json.RawMessage
}

var errMembers = errors.New("not an object with distinct member names")

// UnmarshalJSON implements [json.Unmarshaler].
func (c *legacyClaims) UnmarshalJSON(text []byte) error {
	var ok bool
	if c.members, ok = parseMembers(text); !ok {
		return errMembers
	}
	return nil
}

// parseMembers reads a JSON object. It rejects an object with a repeated name, also in different
// case, because another reader of the token could use the other value.
func parseMembers(text []byte) (map[string]json.RawMessage, bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	is, seen := map[string]json.RawMessage{}, map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		key, ok := name.(string)
		var value json.RawMessage
		if err != nil || !ok || seen[strings.ToLower(key)] || decoder.Decode(&value) != nil {
			return nil, false
		}
		seen[strings.ToLower(key)], is[key] = true, value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return is, errors.Is(err, io.EOF)
}

// leastLegacyLife distinguishes a refresh token without a token_type from an access token, which
// lives for minutes, in case the secret of the access tokens is configured as well.
const leastLegacyLife = 24 * time.Hour

// kindFault returns the name of a claim that a refresh token would not have, or "".
//
// A simplejwt token has its type in a claim, and access and sliding tokens use the same key. A
// token made by hand has only a user and times. If it has further claims, such as a uid that a
// logout changes, the Django service checked them. Without that check, a revoked token would be
// accepted here. simplejwt writes hash_password for the same purpose (CHECK_REVOKE_TOKEN).
func (c *legacyClaims) kindFault() string {
	_, typed := c.members["token_type"]
	_, revocable := c.members["hash_password"]
	switch {
	case c.userID() <= 0:
		return "user_id"
	case typed && string(c.members["token_type"]) != `"refresh"`:
		return "token_type"
	case typed && c.text("jti") == "":
		return "jti"
	case revocable:
		return "hash_password"
	case !typed && len(c.members) != 3: // user_id, exp and iat, which are checked elsewhere
		return "claims"
	case !typed && c.integer("exp")-c.integer("iat") < int64(leastLegacyLife/time.Second):
		return "life"
	}
	return ""
}

// timeFault returns the name of a claim that is not a time or ends the token before it begins, or "".
func (c *legacyClaims) timeFault() string {
	iat, exp := c.integer("iat"), c.integer("exp")
	_, hasStart := c.members["nbf"]
	switch {
	case !isTime(iat):
		return "iat"
	case !isTime(exp), exp <= iat:
		return "exp"
	case hasStart && !isTime(c.integer("nbf")):
		return "nbf"
	}
	return ""
}

// userID returns the user id. It is a number, or a string of the same digits in newer versions of
// simplejwt. userID returns 0 for anything else.
func (c *legacyClaims) userID() int64 {
	if value := string(c.members["user_id"]); len(value) > 2 && value[0] == '"' {
		return parseInteger(value[1 : len(value)-1])
	}
	return c.integer("user_id")
}

func (c *legacyClaims) integer(name string) int64 { return parseInteger(string(c.members[name])) }

// parseInteger returns an integer in canonical form, or 0.
func parseInteger(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxInteger || strconv.FormatInt(n, 10) != text {
		return 0
	}
	return n
}

// text returns a member that is a string, or "".
func (c *legacyClaims) text(name string) (value string) {
	_ = json.Unmarshal(c.members[name], &value) // a value of another type is ignored
	return value
}
