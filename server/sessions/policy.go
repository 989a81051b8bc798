package sessions

import (
	"crypto/sha256"
	"time"

	"example.com/accounts/server/token"
)

// Policy holds the settings of sessions that decisions depend on. Margin is M of the decision
// table.
type Policy struct {
	AccessTTL         time.Duration
	RefreshIdleTTL    time.Duration
	ServerHeldIdleTTL time.Duration
	SessionMaxAge     time.Duration
	RotationInterval  time.Duration // W; 0 is the strict profile
	Margin            time.Duration // M
}

const (
	// maxSessions is how many live sessions a user can have; a new one displaces the oldest (ASVS
	// 7.1.2).
	maxSessions = 50
	// strictTolerance is how far a clock may be off in the strict profile, which has no margin.
	strictTolerance = 2500 * time.Millisecond
)

// Tolerance returns how far this machine's clock may be from the database's for a statement that
// decides by age. Two replicas are then at most a margin apart.
func (p Policy) Tolerance() time.Duration {
	if p.RotationInterval == 0 {
		return strictTolerance
	}
	return p.Margin / 2
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

// attemptHash returns the hash of Refresh-Attempt that a row keeps, or nil without one. nil never
// matches. The strict profile ignores the header.
func (p Policy) attemptHash(attempt string) []byte {
	if attempt == "" || p.RotationInterval == 0 {
		return nil
	}
	sum := sha256.Sum256([]byte(attempt))
	return sum[:16]
}
