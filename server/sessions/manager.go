package sessions

import (
	"context"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/token"
)

// Manager implements the session protocol over one database and one key ring. It is safe for
// concurrent use.
type Manager struct {
	*clockCheck
	*heartbeat

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
	// MayLogGrace reports whether one more use of a superseded token in its grace may be recorded
	// as an event of a user. Without this limit, a client could fill the security log.
	MayLogGrace func(context.Context, models.User) bool
}

// New returns a Manager. It does not query the database.
func New(o Options) *Manager {
	return &Manager{
		store: o.Store, ring: o.Ring, policy: o.Policy, legacy: o.Legacy, now: o.Now, count: o.Count, mayLogGrace: o.MayLogGrace,
		issuer:     token.NewIssuer(o.Ring, o.PublicURL, o.Policy.AccessTTL),
		access:     token.NewVerifier(o.Ring.PublicKey, o.PublicURL, o.Now),
		refresh:    token.NewRefreshVerifier(o.Ring, o.PublicURL, o.Now),
		clockCheck: &clockCheck{store: o.Store, now: o.Now, tolerance: o.Policy.Tolerance(), count: o.Count},
		heartbeat:  &heartbeat{limit: o.Policy.Margin, onNoticed: func() { o.Count(metrics.StoodStill) }},
	}
}
