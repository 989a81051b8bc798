package token

import (
	"crypto/ed25519"
	"time"

	"github.com/google/uuid"
)

// clockSkew is how far another replica's clock may be ahead of ours: an access
// token it has just minted is not from the future. exp gets no such grace.
const clockSkew = 5 * time.Second

// AccessClaims is what an authentic access token says. Times are UTC.
type AccessClaims struct {
	Subject    int64 // user id
	Session    uuid.UUID
	Generation int64
	IssuedAt   time.Time // birth of the generation
	ExpiresAt  time.Time
}

// RefreshClaims is what an authentic refresh token says. Times are UTC.
type RefreshClaims struct {
	Subject          int64 // user id
	Session          uuid.UUID
	Generation       int64
	Transport        Transport // Hybrid, Cookies or Body
	ExpiresAt        time.Time // exp: the earlier of idle and absolute end
	SessionExpiresAt time.Time // sxp: absolute end
}

// Verifier judges access tokens. It is safe for many goroutines, does no input
// or output, and remembers the tokens it has verified; see [verified].
type Verifier struct {
	keys KeySource
	form form
	now  func() time.Time
	seen *verified
}

// NewVerifier judges tokens of the issuer (its public URL, which is their aud
// too) by the clock now.
func NewVerifier(keys KeySource, issuer string, now func() time.Time) *Verifier {
	return &Verifier{keys: keys, form: accessForm(issuer), now: now, seen: newVerified()}
}

// Access returns the claims of an access token of this issuer that has not
// expired. The error is [ErrInvalid] with zero claims, or, from the second exp
// on, [ErrExpired] together with the claims, which are authentic.
func (v *Verifier) Access(raw string) (AccessClaims, error) {
	// Before the hash, so that a megabyte costs nothing.
	if !wellFormed(raw) {
		return AccessClaims{}, errForm
	}
	now := v.now()
	sum := digest(raw)
	if c, ok := v.seen.get(sum, v.keys, now); ok {
		return judge(c, now)
	}
	e, err := v.verify(raw)
	if err != nil {
		return AccessClaims{}, err
	}
	c, err := judge(e.claims, now)
	if err == nil {
		v.seen.put(sum, e)
	}
	return c, err
}

// verify does everything that does not depend on the time.
func (v *Verifier) verify(raw string) (entry, error) {
	var e entry
	c, err := v.form.authenticate(raw, func(kid string) (any, bool) {
		key, ok := v.keys.PublicKey(kid)
		e.kid, e.key = kid, key
		return key, ok
	})
	if err != nil {
		return entry{}, err
	}
	if fault := c.accessFault(); fault != "" {
		return entry{}, refuse(fault)
	}
	e.key = append(ed25519.PublicKey(nil), e.key...)
	e.claims = AccessClaims{
		Subject: c.subject(), Session: c.session(), Generation: c.Generation,
		IssuedAt: unix(c.IssuedAt), ExpiresAt: unix(c.ExpiresAt),
	}
	return e, nil
}

// judge decides by the clock, for a remembered token as for a new one.
func judge(c AccessClaims, now time.Time) (AccessClaims, error) {
	if c.IssuedAt.After(now.Add(clockSkew)) {
		return AccessClaims{}, refuse("iat")
	}
	if !now.Before(c.ExpiresAt) {
		return c, ErrExpired
	}
	return c, nil
}

// RefreshVerifier judges refresh tokens. It is safe for many goroutines.
type RefreshVerifier struct {
	ring *KeyRing
	form form
	now  func() time.Time
}

// NewRefreshVerifier judges tokens of the issuer (its public URL) by the clock now.
func NewRefreshVerifier(ring *KeyRing, issuer string, now func() time.Time) *RefreshVerifier {
	return &RefreshVerifier{ring: ring, form: refreshForm(issuer), now: now}
}

// Refresh returns the claims of a refresh token of this issuer that has not
// expired; the errors are those of [Verifier.Access]. Its iat is not judged: the
// row knows better when the generation was born, and the clock that wrote it is
// another replica's.
func (v *RefreshVerifier) Refresh(raw string) (RefreshClaims, error) {
	c, err := v.form.authenticate(raw, func(kid string) (any, bool) {
		set, ok := v.ring.find(kid)
		return set.refresh, ok
	})
	if err != nil {
		return RefreshClaims{}, err
	}
	if fault := c.refreshFault(); fault != "" {
		return RefreshClaims{}, refuse(fault)
	}
	claims := RefreshClaims{
		Subject: c.subject(), Session: c.session(), Generation: c.Generation, Transport: c.Transport,
		ExpiresAt: unix(c.ExpiresAt), SessionExpiresAt: unix(c.SessionEnd),
	}
	if !v.now().Before(claims.ExpiresAt) {
		return claims, ErrExpired
	}
	return claims, nil
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
