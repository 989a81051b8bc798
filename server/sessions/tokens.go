package sessions

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
	Newness    Newness
}

// Newness is how tokens relate to those that the client presented.
type Newness int

const (
	SameTokens       Newness = iota // the client presented them
	NextTokens                      // they supersede those that the client presented
	NewSessionTokens                // they are the first of a session
)

func grantOf(s models.Session) token.Grant {
	return token.Grant{
		Subject: s.UserID, Session: s.ID, Generation: s.Generation, Transport: transportOf(s),
		RotatedAt: s.RotatedAt, IdleExpiresAt: s.IdleExpiresAt, ExpiresAt: s.ExpiresAt,
	}
}

// FirstTokens returns the tokens of a session that has just begun.
func (m *Manager) FirstTokens(s models.Session) (Tokens, error) {
	return m.mint(grantOf(s), s.CreatedAt, NewSessionTokens)
}

// mint issues the tokens of a generation. It stores nothing and may be called any number of times:
// the tokens are a pure function of the row and the signing key, so a retry, a second tab and a
// second replica get the same ones.
func (m *Manager) mint(g token.Grant, now time.Time, newness Newness) (Tokens, error) {
	access, err := m.issuer.Access(g)
	if err != nil {
		return Tokens{}, err
	}
	t := Tokens{
		Access: access, CSRF: m.ring.CSRF(g.Session), Transport: g.Transport, Session: g.Session, ExpiresAt: g.ExpiresAt,
		ExpiresIn:  seconds(m.issuer.AccessExpiry(g).Sub(now)),
		RefreshIn:  seconds(m.policy.refreshAge() - now.Sub(g.RotatedAt)),
		Generation: g.Generation,
		Life:       max(0, g.IdleExpiresAt.Sub(now)),
		Newness:    newness,
	}
	if g.Transport != token.ServerHeld {
		t.Refresh, err = m.issuer.Refresh(g)
	}
	return t, err
}

// seconds returns d in whole seconds, rounded down and never negative.
func seconds(d time.Duration) int { return int(max(0, d) / time.Second) }
