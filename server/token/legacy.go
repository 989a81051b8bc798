package token

import (
	"bytes"
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

// LegacyClaims is what an authentic refresh token of the old service says. Times
// are UTC.
type LegacyClaims struct {
	Subject   int64 // user id
	ExpiresAt time.Time
	Identity  LegacyIdentity
}

// LegacyIdentity is what is remembered of a token that has been used.
type LegacyIdentity [sha256.Size]byte

// LegacyJTI is the identity of a token of simplejwt: by its jti, as its own
// blacklist has it. The text that is kept there need not be that of the token:
// claims that were added to it later are missing.
func LegacyJTI(jti string) LegacyIdentity { return sha256.Sum256([]byte("jti:" + jti)) }

// legacyText is the identity of a token that has no other: its text, which is the
// only one that passes, since base64 is read strictly. No text is a "jti:".
func legacyText(raw string) LegacyIdentity { return sha256.Sum256([]byte(raw)) }

// LegacyVerifier judges refresh tokens that Django issued: those of simplejwt,
// and those that are made with PyJWT by hand, whose access tokens differ by their
// secret alone. It is safe for many goroutines, and prints without its secrets.
//
// What a token of ours says in its header none of theirs does, and the other way
// round, so that none is taken for the other even under one key.
type LegacyVerifier struct {
	keys   hidden[jwt.VerificationKeySet]
	parser *jwt.Parser
	now    func() time.Time
}

// NewLegacyVerifier judges tokens that were signed with any of the secrets by
// the clock now. An empty secret is left out, since anybody can sign with it; if
// none is left, every token is refused.
func NewLegacyVerifier(secrets []string, now func() time.Time) *LegacyVerifier {
	var set jwt.VerificationKeySet
	for _, secret := range secrets {
		if secret != "" {
			set.Keys = append(set.Keys, []byte(secret))
		}
	}
	return &LegacyVerifier{keys: hide(set), now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation(),
	)}
}

// Format keeps the secrets out of a log line that prints the verifier.
func (v *LegacyVerifier) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "LegacyVerifier"+redacted)
}

// Refresh returns the claims of a refresh token that has not expired. Every error
// is an [ErrInvalid], an expired token's too: nothing is done for one.
func (v *LegacyVerifier) Refresh(raw string) (LegacyClaims, error) {
	if !wellFormed(raw) {
		return LegacyClaims{}, errForm
	}
	c := &legacyClaims{}
	_, err := v.parser.ParseWithClaims(raw, c, func(*jwt.Token) (any, error) {
		if !legacyHeaded(raw) {
			return nil, ErrInvalid
		}
		return v.keys(), nil
	})
	if err != nil { // the library's text quotes the token; it stays here
		return LegacyClaims{}, refuse("signature or header")
	}
	now := v.now()
	if fault := firstOf(c.kindFault(), c.timeFault(now)); fault != "" {
		return LegacyClaims{}, refuse(fault)
	}
	claims := LegacyClaims{Subject: c.userID(), ExpiresAt: unix(c.integer("exp")), Identity: legacyText(raw)}
	if jti := c.text("jti"); jti != "" {
		claims.Identity = LegacyJTI(jti)
	}
	return claims, nil
}

// legacyHeaded asks for the header that PyJWT writes, in either order. A token that
// needs more to be understood (crit, kid, b64, a key sent along) is none of theirs.
func legacyHeaded(raw string) bool {
	part, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(part)
	header, ok := members(text)
	return err == nil && ok && len(header) == 2 && string(header["alg"]) == `"HS256"` && string(header["typ"]) == `"JWT"`
}

// legacyClaims are the claims as they are written, so that a number is not a text
// and 1e9 is not 1000000000. simplejwt lets people add their own.
type legacyClaims struct {
	jwt.MapClaims `json:"-"` // see [claims]

	is map[string]json.RawMessage
}

var errMembers = errors.New("not an object whose members all have names of their own")

// UnmarshalJSON serves the parser.
func (c *legacyClaims) UnmarshalJSON(text []byte) error {
	var ok bool
	if c.is, ok = members(text); !ok {
		return errMembers
	}
	return nil
}

// members reads an object. It refuses a name that is there twice, also in other
// letters: another reader of the token would take the other value.
func members(text []byte) (map[string]json.RawMessage, bool) {
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

// leastLegacyLife tells a refresh token that does not say what it is from an
// access token, which lives for minutes, should the secret of those be listed.
const leastLegacyLife = 24 * time.Hour

// kindFault says what keeps the claims from being those of a refresh token.
//
// A token of simplejwt names its type: an access token has the same key, and so
// have the sliding ones. One that was made by hand says who and when and nothing
// else. If it says more, such as a uid that a log-out changes, the old service
// asked for that, and here it would be good again though it had been revoked;
// hash_password is what simplejwt writes to that end (CHECK_REVOKE_TOKEN).
func (c *legacyClaims) kindFault() string {
	_, typed := c.is["token_type"]
	_, revocable := c.is["hash_password"]
	switch {
	case c.userID() <= 0:
		return "user_id"
	case typed && string(c.is["token_type"]) != `"refresh"`:
		return "token_type"
	case typed && c.text("jti") == "":
		return "jti"
	case revocable:
		return "hash_password"
	case !typed && len(c.is) != 3: // user_id, exp and iat, which are asked for elsewhere
		return "claims"
	case !typed && c.integer("exp")-c.integer("iat") < int64(leastLegacyLife/time.Second):
		return "life"
	}
	return ""
}

func (c *legacyClaims) timeFault(now time.Time) string {
	iat, exp := c.integer("iat"), c.integer("exp")
	_, hasStart := c.is["nbf"]
	nbf := c.integer("nbf")
	switch {
	case !isTime(iat), unix(iat).After(now.Add(clockSkew)):
		return "iat"
	case !isTime(exp), exp <= iat, !now.Before(unix(exp)):
		return "exp"
	case hasStart && (!isTime(nbf) || unix(nbf).After(now)):
		return "nbf"
	}
	return ""
}

// userID is a number, or a text of the same digits, as newer versions of simplejwt
// write it; 0 if it is neither.
func (c *legacyClaims) userID() int64 {
	if value := string(c.is["user_id"]); len(value) > 2 && value[0] == '"' {
		return whole(value[1 : len(value)-1])
	}
	return c.integer("user_id")
}

func (c *legacyClaims) integer(name string) int64 { return whole(string(c.is[name])) }

// whole reads an integer that is written in the one way, or 0.
func whole(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxInteger || strconv.FormatInt(n, 10) != text {
		return 0
	}
	return n
}

// text is a member that is a text, or empty.
func (c *legacyClaims) text(name string) (value string) {
	_ = json.Unmarshal(c.is[name], &value) // of any other type, nothing is read
	return value
}
