package token

import (
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Transport is the way a client carries its tokens.
type Transport string

// The four transports.
const (
	Hybrid     Transport = "hybrid"      // refresh token in a cookie, access token in the body
	Cookies    Transport = "cookies"     // both in cookies
	ServerHeld Transport = "server_held" // the access cookie is the handle; there is no refresh token
	Body       Transport = "body"        // both in the body
)

// MaxAccessTTL is the longest life of an access token; longer ones are neither
// minted nor accepted.
const MaxAccessTTL = 15 * time.Minute

const (
	maxInteger = 1 << 53      // beyond it JSON numbers lose digits in other languages (RFC 8259 section 6)
	maxTime    = 253402300800 // the year 10000, where RFC 3339 ends
)

// claims is the body of both kinds of token, in the order it is written. Every
// member has one JSON type: an array as aud or a string as exp does not decode.
type claims struct {
	// The library asks for its interface and gets an empty one: should its own
	// validation ever be turned on, it finds no issuer and refuses.
	jwt.MapClaims `json:"-"`

	Issuer     string    `json:"iss"`
	Audience   string    `json:"aud"`
	Subject    string    `json:"sub"`           // user id, decimal
	Session    string    `json:"sid"`           // UUID, lower case
	Generation int64     `json:"gen"`           // 0 at login
	Transport  Transport `json:"tr,omitempty"`  // refresh only
	SessionEnd int64     `json:"sxp,omitempty"` // refresh only: absolute end, Unix seconds
	IssuedAt   int64     `json:"iat"`           // birth of the generation, Unix seconds
	ExpiresAt  int64     `json:"exp"`           // Unix seconds
	ID         string    `json:"jti"`           // session and generation
}

// identity is the jti: it names the generation, so both tokens of a generation
// have the same; typ, key and aud tell them apart.
func identity(sid string, generation int64) string {
	return sid + "." + strconv.FormatInt(generation, 10)
}

// fault says in a word what is wrong with the claims both kinds have, or "".
// Minting asks it too, so nothing is minted that would be refused.
func (c *claims) fault() string {
	switch {
	case c.subject() <= 0:
		return "sub"
	case c.session() == uuid.Nil:
		return "sid"
	case c.Generation < 0 || c.Generation > maxInteger:
		return "gen"
	case c.ID != identity(c.Session, c.Generation):
		return "jti"
	case !isTime(c.IssuedAt):
		return "iat"
	case !isTime(c.ExpiresAt):
		return "exp"
	}
	return ""
}

// accessFault bounds the life of an access token by the token itself: whatever
// the settings were, a key that leaks or a bug cannot give one that lasts.
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

// refreshFault does not look at iat: how old a generation is, the row says.
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

// subject is the user id, or 0 if it is not written as we write it: "1", never
// "01", "+1" or "1 ". Two spellings of one user would be two users to a cache.
func (c *claims) subject() int64 {
	id, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil || strconv.FormatInt(id, 10) != c.Subject {
		return 0
	}
	return id
}

// session is the session id, or Nil if it is not in its one spelling; uuid.Parse
// alone also takes upper case, braces, a urn: prefix and no dashes.
func (c *claims) session() uuid.UUID {
	id, err := uuid.Parse(c.Session)
	if err != nil || id.String() != c.Session {
		return uuid.Nil
	}
	return id
}

func isTime(seconds int64) bool { return seconds > 0 && seconds < maxTime }
