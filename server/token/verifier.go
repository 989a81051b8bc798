package token

import (
	"crypto/ed25519"
	"time"

	"github.com/google/uuid"
)

// ClockSkew is how far another replica's clock may be ahead: an access token that it has just
// minted is not rejected as one from the future. There is no such tolerance for exp.
const ClockSkew = 5 * time.Second

// AccessClaims holds the claims of an authentic access token. Times are in UTC.
type AccessClaims struct {
	Subject    int64 // user id
	Session    uuid.UUID
	Generation int64
	IssuedAt   time.Time // start of the generation
	ExpiresAt  time.Time
}

// RefreshClaims holds the claims of an authentic refresh token. Times are in UTC.
type RefreshClaims struct {
	Subject          int64 // user id
	Session          uuid.UUID
	Generation       int64
	Transport        Transport // Hybrid, Cookies or Body
	ExpiresAt        time.Time // exp: the earlier of idle and absolute end
	SessionExpiresAt time.Time // sxp: absolute end
}

// Verifier verifies access tokens. It is safe for concurrent use, does no I/O, and caches the
// tokens it has verified; see [verifiedTokens].
type Verifier struct {
	keys KeySource
	form form
	now  func() time.Time
	seen *verifiedTokens
}

// NewVerifier returns a verifier for tokens of the issuer, whose public URL is both their iss and
// their aud.
func NewVerifier(keys KeySource, issuer string, now func() time.Time) *Verifier {
	return &Verifier{keys: keys, form: accessForm(issuer), now: now, seen: newVerifiedTokens()}
}

// Access returns the claims of an access token of this issuer that has not expired. The error is
// [ErrInvalid] with zero claims, or, from the time exp on, [ErrExpired] with the claims, which are
// authentic.
func (v *Verifier) Access(raw string) (AccessClaims, error) {
	c, err := v.Authentic(raw)
	if err != nil {
		return AccessClaims{}, err
	}
	return checkTimes(c, v.now())
}

// Authentic returns the claims of an access token of this issuer, whatever its times are. The caller
// must check them. Errors: [ErrInvalid].
func (v *Verifier) Authentic(raw string) (AccessClaims, error) {
	// Checked before hashing, so that a token of a megabyte is rejected cheaply.
	if !isWellFormed(raw) {
		return AccessClaims{}, errForm
	}
	now := v.now()
	sum := digest(raw)
	if c, ok := v.seen.get(sum, v.keys, now); ok {
		return c, nil
	}
	e, err := v.verify(raw)
	if err != nil {
		return AccessClaims{}, err
	}
	if _, err := checkTimes(e.claims, now); err == nil {
		v.seen.put(sum, e)
	}
	return e.claims, nil
}

// verify makes all checks that do not depend on the time.
func (v *Verifier) verify(raw string) (entry, error) {
	var e entry
	c, err := v.form.authenticate(raw, func(kid string) (any, bool) {
		key, ok := v.keys(kid)
		e.kid, e.key = kid, key
		return key, ok
	})
	if err != nil {
		return entry{}, err
	}
	if fault := c.accessFault(); fault != "" {
		return entry{}, reject(fault)
	}
	e.key = append(ed25519.PublicKey(nil), e.key...)
	e.claims = AccessClaims{
		Subject: c.subject(), Session: c.session(), Generation: c.Generation,
		IssuedAt: unix(c.IssuedAt), ExpiresAt: unix(c.ExpiresAt),
	}
	return e, nil
}

// checkTimes checks the times, for a cached token as well as for a new one.
func checkTimes(c AccessClaims, now time.Time) (AccessClaims, error) {
	if c.IssuedAt.After(now.Add(ClockSkew)) {
		return AccessClaims{}, reject("iat")
	}
	if !now.Before(c.ExpiresAt) {
		return c, ErrExpired
	}
	return c, nil
}

// RefreshVerifier verifies refresh tokens. It is safe for concurrent use.
type RefreshVerifier struct {
	ring *KeyRing
	form form
	now  func() time.Time
}

// NewRefreshVerifier returns a verifier for tokens of the issuer, which is its public URL.
func NewRefreshVerifier(ring *KeyRing, issuer string, now func() time.Time) *RefreshVerifier {
	return &RefreshVerifier{ring: ring, form: refreshForm(issuer), now: now}
}

// Refresh returns the claims of a refresh token of this issuer that has not expired. The errors are
// those of [Verifier.Access]. It does not check iat: the session's row has the exact start of the
// generation, and another replica's clock may have written iat.
func (v *RefreshVerifier) Refresh(raw string) (RefreshClaims, error) {
	c, err := v.form.authenticate(raw, func(kid string) (any, bool) {
		set, ok := v.ring.find(kid)
		return set.refresh, ok
	})
	if err != nil {
		return RefreshClaims{}, err
	}
	if fault := c.refreshFault(); fault != "" {
		return RefreshClaims{}, reject(fault)
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
