package sessions

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// Manager implements the session protocol over one database and one key ring. It is safe for
// concurrent use.
type Manager struct {
	store       *models.Store
	ring        *token.KeyRing
	issuer      *token.Issuer
	access      *token.Verifier
	refresh     *token.RefreshVerifier
	legacy      LegacyTokens
	policy      Policy
	now         func() time.Time
	count       metrics.Count
	mayLogGrace func(context.Context, models.User) bool
	heartbeat   heartbeat
	clockOffset atomic.Int64 // nanoseconds, as last measured
}

// Options configures a Manager. Now is the clock of every rule, in UTC and in microseconds; the
// store has the same one.
type Options struct {
	Store     *models.Store
	Ring      *token.KeyRing
	PublicURL string
	Policy    Policy
	Legacy    LegacyTokens
	Now       func() time.Time
	Count     metrics.Count
	// MayLogGrace reports whether one more event of a superseded token may be recorded for a user. A
	// client can cause as many as it likes.
	MayLogGrace func(context.Context, models.User) bool
}

// New returns a Manager. It does not query the database.
func New(o Options) *Manager {
	return &Manager{
		store: o.Store, ring: o.Ring, policy: o.Policy, legacy: o.Legacy, now: o.Now, count: o.Count, mayLogGrace: o.MayLogGrace,
		issuer:    token.NewIssuer(o.Ring, o.PublicURL, o.Policy.AccessTTL),
		access:    token.NewVerifier(o.Ring.PublicKey, o.PublicURL, o.Now),
		refresh:   token.NewRefreshVerifier(o.Ring, o.PublicURL, o.Now),
		heartbeat: heartbeat{limit: o.Policy.Margin, onNoticed: func() { o.Count(metrics.StoodStill) }},
	}
}

// CheckClock returns an error if the database's clock differs too much from this process's: every
// refresh would be answered with ServiceUnavailable. Errors: ServiceUnavailable.
func (m *Manager) CheckClock(ctx context.Context) error {
	before := m.now()
	db, ok, err := m.store.Clock(ctx)
	if err != nil {
		return problem.Unavailable(err)
	}
	if ok && m.isClockOff(before, db, m.now()) {
		return problem.Unavailable(models.ErrClock)
	}
	return nil
}

// ClockOffset returns how far the database's clock was ahead of this process's when they were last
// compared.
func (m *Manager) ClockOffset() time.Duration { return time.Duration(m.clockOffset.Load()) }

// isClockOff reports whether the database's clock is too far off. db was read between before and
// after, which are times of this process.
func (m *Manager) isClockOff(before, db, after time.Time) bool {
	if db.IsZero() {
		return false
	}
	m.clockOffset.Store(int64(db.Sub(before.Add(after.Sub(before) / 2))))
	t := m.policy.tolerance()
	off := db.Before(before.Add(-t)) || db.After(after.Add(t))
	if off {
		m.count(metrics.ClockOff)
	}
	return off
}
