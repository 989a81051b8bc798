package token

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Grant is the state of a session row for its current generation. Times are in whole seconds,
// rounded down.
type Grant struct {
	Subject    int64     // user id, > 0
	Session    uuid.UUID // never the zero UUID
	Generation int64     // 0 at login
	Transport  Transport

	RotatedAt     time.Time // start of the generation
	IdleExpiresAt time.Time // end if the session is not used
	ExpiresAt     time.Time // absolute end; it never changes
}

// Issuer mints tokens as a pure function of the grant and the first key, without a clock or
// randomness. So a retry gets the same token.
type Issuer struct {
	ring      *KeyRing
	accessTTL time.Duration
	access    form
	refresh   form
}

// NewIssuer returns an issuer that signs with the first key of the ring. publicURL is the origin of
// the server without a trailing slash. It is the iss, the aud of access tokens and the beginning of
// the aud of refresh tokens. accessTTL is at most [MaxAccessTTL].
func NewIssuer(ring *KeyRing, publicURL string, accessTTL time.Duration) *Issuer {
	return &Issuer{ring: ring, accessTTL: accessTTL, access: accessForm(publicURL), refresh: refreshForm(publicURL)}
}

// Access mints the access token of the grant: EdDSA (RFC 8037), typ at+jwt. An error means that no
// live session has such a grant, or that the access TTL is out of bounds.
func (i *Issuer) Access(g Grant) (string, error) {
	c := i.access.claims(g)
	c.ExpiresAt = i.AccessExpiry(g).Unix()
	if fault := cmp.Or(c.fault(), c.accessFault()); fault != "" {
		return "", fmt.Errorf("token: no access token for this grant: %s", fault)
	}
	set := i.ring.signing()
	return i.access.mint(set.kid, set.access, c)
}

// AccessExpiry returns the exp of the access token of the grant, in UTC: RotatedAt plus the access
// TTL, but never after ExpiresAt.
func (i *Issuer) AccessExpiry(g Grant) time.Time {
	exp := g.RotatedAt.Unix() + int64(i.accessTTL/time.Second)
	return time.Unix(min(exp, g.ExpiresAt.Unix()), 0).UTC()
}

// Refresh mints the refresh token of the grant: HS256, typ rt+jwt. An error means that no live
// session has such a grant; a [ServerHeld] session has no refresh token.
func (i *Issuer) Refresh(g Grant) (string, error) {
	c := i.refresh.claims(g)
	c.Transport = g.Transport
	c.SessionEnd = g.ExpiresAt.Unix()
	c.ExpiresAt = min(g.IdleExpiresAt.Unix(), c.SessionEnd)
	if fault := cmp.Or(c.fault(), c.refreshFault()); fault != "" {
		return "", fmt.Errorf("token: no refresh token for this grant: %s", fault)
	}
	set := i.ring.signing()
	return i.refresh.mint(set.kid, set.refresh, c)
}

// claims returns the claims that both tokens of a grant have in common. The caller sets exp.
func (f form) claims(g Grant) *claims {
	sid := g.Session.String()
	return &claims{
		Issuer:     f.issuer,
		Audience:   f.audience,
		Subject:    strconv.FormatInt(g.Subject, 10),
		Session:    sid,
		Generation: g.Generation,
		IssuedAt:   g.RotatedAt.Unix(),
		ID:         tokenID(sid, g.Generation),
	}
}
