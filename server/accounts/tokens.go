package accounts

import (
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/token"
)

// Tokens is the result of a login or a refresh. The transport determines how it is delivered.
type Tokens struct {
	Access     string
	Refresh    string // empty in server_held
	CSRF       string
	ExpiresIn  int   // seconds until Access expires
	RefreshIn  int   // seconds until a refresh brings the next tokens
	Generation int64 // grows by one with each rotation
	Transport  token.Transport
	Session    uuid.UUID
	ExpiresAt  time.Time     // absolute end of the session
	Life       time.Duration // until the idle end: the Max-Age of cookies
	New        bool          // newer than the token presented: cookies are set
}

func grantOf(l models.Live) token.Grant {
	return token.Grant{
		Subject: l.UserID, Session: uuid.UUID(l.ID), Generation: l.Generation, Transport: token.Transport(l.Transport),
		RotatedAt: l.RotatedAt, IdleExpiresAt: l.IdleExpiresAt, ExpiresAt: l.ExpiresAt,
	}
}

// mint issues the tokens of a generation. It stores nothing and may be called any number of times:
// the tokens are a pure function of the row and the signing key, so a retry, a second tab and a
// second replica get the same ones.
func (s *Service) mint(g token.Grant, now time.Time, isNew bool) (Tokens, error) {
	access, err := s.issuer.Access(g)
	if err != nil {
		return Tokens{}, err
	}
	t := Tokens{
		Access: access, CSRF: s.ring.CSRF(g.Session), Transport: g.Transport, Session: g.Session, ExpiresAt: g.ExpiresAt,
		ExpiresIn:  seconds(s.issuer.AccessExpiry(g).Sub(now)),
		RefreshIn:  seconds(s.policy.refreshAge() - now.Sub(g.RotatedAt)),
		Generation: g.Generation,
		Life:       max(0, g.IdleExpiresAt.Sub(now)),
		New:        isNew,
	}
	if g.Transport != token.ServerHeld {
		t.Refresh, err = s.issuer.Refresh(g)
	}
	return t, err
}

// refreshAge returns the age of a generation from which a client should refresh.
func (p Policy) refreshAge() time.Duration {
	return max(p.AccessTTL*8/10, p.RotationInterval+p.Margin)
}

// idleEnd returns when a session expires unless it is refreshed, in whole seconds like the times in
// tokens.
func (p Policy) idleEnd(t token.Transport, now, expiresAt time.Time) time.Time {
	idle := p.RefreshIdleTTL
	if t == token.ServerHeld {
		idle = p.ServerHeldIdleTTL
	}
	if end := now.Add(idle).Truncate(time.Second); end.Before(expiresAt) {
		return end
	}
	return expiresAt
}

// seconds returns d in whole seconds, rounded down and never negative.
func seconds(d time.Duration) int { return int(max(0, d) / time.Second) }
