package token

import (
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Transport is how a session's tokens are delivered.
type Transport string

// The four transports.
const (
	Hybrid     Transport = "hybrid"      // refresh token in a cookie, access token in the body
	Cookies    Transport = "cookies"     // both in cookies
	ServerHeld Transport = "server_held" // the access cookie is the handle; there is no refresh token
	Body       Transport = "body"        // both in the body
)

// MaxAccessTTL is the maximum life of an access token. Longer ones are neither minted nor accepted.
const MaxAccessTTL = 15 * time.Minute

const (
	maxInteger = 1 << 53      // larger JSON numbers lose digits in other languages (RFC 8259 section 6)
	maxTime    = 253402300800 // the year 10000, the end of RFC 3339
)

// claims is the body of both kinds of token. Its members are written in this order. Every member
// has one JSON type: an array as aud or a string as exp does not decode.
type claims struct {
	// MapClaims implements the interface that the library requires. It is always empty, so that the
	// library's own validation, if it were ever enabled, would find no issuer and reject the token.
	jwt.MapClaims `json:"-"`

	Issuer     string    `json:"iss"`
	Audience   string    `json:"aud"`
	Subject    string    `json:"sub"`           // user id, decimal
	Session    string    `json:"sid"`           // UUID, lower case
	Generation int64     `json:"gen"`           // 0 at login
	Transport  Transport `json:"tr,omitempty"`  // refresh only
	SessionEnd int64     `json:"sxp,omitempty"` // refresh only: absolute end, Unix seconds
	IssuedAt   int64     `json:"iat"`           // start of the generation, Unix seconds
	ExpiresAt  int64     `json:"exp"`           // Unix seconds
	ID         string    `json:"jti"`           // session and generation
}

// tokenID returns the jti. It identifies the generation, so both tokens of a generation have the
// same jti; they differ in typ, key and aud.
func tokenID(sid string, generation int64) string {
	return sid + "." + strconv.FormatInt(generation, 10)
}

// fault returns the name of an invalid claim among those of both kinds of token, or "". Minting
// also checks it, so that no token is minted that would be rejected.
func (c *claims) fault() string {
	switch {
	case c.subject() <= 0:
		return "sub"
	case c.session() == uuid.Nil:
		return "sid"
	case c.Generation < 0 || c.Generation > maxInteger:
		return "gen"
	case c.ID != tokenID(c.Session, c.Generation):
		return "jti"
	case !isTime(c.IssuedAt):
		return "iat"
	case !isTime(c.ExpiresAt):
		return "exp"
	}
	return ""
}

// accessFault returns the name of an invalid claim of an access token, or "". It bounds the life by
// the token itself, independently of the settings, so that neither a leaked key nor a bug can
// produce a long-lived token.
func (c *claims) accessFault() string {
	switch {
	case c.Transport != "":
		return "tr"
	case c.SessionEnd != 0:
		return "sxp"
	case c.ExpiresAt <= c.IssuedAt || c.ExpiresAt > c.IssuedAt+int64(MaxAccessTTL/time.Second):
		return "exp"
	}
	return ""
}

// refreshFault returns the name of an invalid claim of a refresh token, or "". It does not check
// iat, because the session's row has the age of a generation.
func (c *claims) refreshFault() string {
	switch {
	case c.Transport != Hybrid && c.Transport != Cookies && c.Transport != Body:
		return "tr"
	case !isTime(c.SessionEnd):
		return "sxp"
	case c.ExpiresAt > c.SessionEnd:
		return "exp"
	}
	return ""
}

// subject returns the user id, or 0 if it is not in canonical form: "1", never "01", "+1" or "1 ".
// With two spellings a cache would treat one user as two.
func (c *claims) subject() int64 {
	id, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil || strconv.FormatInt(id, 10) != c.Subject {
		return 0
	}
	return id
}

// session returns the session id, or [uuid.Nil] if it is not in canonical form. uuid.Parse also
// accepts upper case, braces, a urn: prefix and a form without dashes.
func (c *claims) session() uuid.UUID {
	id, err := uuid.Parse(c.Session)
	if err != nil || id.String() != c.Session {
		return uuid.Nil
	}
	return id
}

func isTime(seconds int64) bool { return seconds > 0 && seconds < maxTime }
