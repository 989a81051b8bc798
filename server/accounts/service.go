package accounts

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/names"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/sessions"
	"example.com/accounts/server/token"
)

// Settings holds the settings of accounts. Those of sessions are in [sessions.Policy].
type Settings struct {
	MinPassword                         int
	SiteNames                           []string // names of the service, which attackers try as passwords
	RegistrationClosed                  bool
	VerificationOptional                bool // users exist, and may log in, before their address is verified
	VerifyTTL, EmailChangeTTL, ResetTTL time.Duration
	VerifyURL, EmailChangeURL, ResetURL string // of the pages that the links in mails open
	EventRetention                      time.Duration
	MailSenders                         int // mails that are sent at once
	Limits
}

// callTime bounds the work for a request whose context has no earlier deadline.
const callTime = models.CallTime

// Service implements the operations over one database and one key ring.
type Service struct {
	*sessions.Manager

	store    *models.Store
	hasher   *credentials.Hasher
	breached *credentials.Breached // nil if no list is configured
	ring     *token.KeyRing
	settings Settings
	now      func() time.Time
	count    metrics.Count
	audit    *audit.Log
	outbox   *outbox.Outbox
	schemaOK atomic.Bool
	limiter  *ratelimit.Limiter

	written writeProof
}

// Options configures a Service. Now is the clock of every rule. Count, which may be nil, increments
// the counters of [metrics].
type Options struct {
	Store     *models.Store
	Hasher    *credentials.Hasher
	Breached  *credentials.Breached // passwords that are rejected, or nil
	Ring      *token.KeyRing
	PublicURL string
	Policy    Policy
	Settings  Settings
	Legacy    LegacySecrets
	Now       func() time.Time
	Count     metrics.Count
}

// New returns a Service. It does not query the database.
func New(o Options) *Service {
	now := func() time.Time { return o.Now().UTC().Truncate(time.Microsecond) }
	if o.Count == nil {
		o.Count = func(metrics.Counter) {}
	}
	store := o.Store.WithClock(now)
	s := &Service{
		store: store, hasher: o.Hasher, breached: o.Breached, ring: o.Ring, settings: o.Settings, now: now, count: o.Count,
		limiter: ratelimit.New(store, now),
		audit:   audit.NewLog(store, now, o.Count),
		outbox:  newOutbox(o, store, now),
		written: writeProof{row: models.ID(uuid.Must(uuid.NewV7()))},
	}
	s.Manager = sessions.New(sessions.Options{
		Store: store, Ring: o.Ring, PublicURL: o.PublicURL, Policy: o.Policy, Legacy: o.Legacy.tokens(now), Now: now,
		Count:       o.Count,
		MayLogGrace: func(ctx context.Context, u models.User) bool { return s.mayRecord(ctx, u, gracedOfUser) },
	})
	return s
}

func newOutbox(o Options, store *models.Store, now func() time.Time) *outbox.Outbox {
	return outbox.New(outbox.Options{
		Store: store, Ring: o.Ring, Now: now, Count: o.Count, Senders: o.Settings.MailSenders, Mailbox: names.Mailbox,
		Verify:      outbox.Link{Page: o.Settings.VerifyURL, Valid: o.Settings.VerifyTTL},
		EmailChange: outbox.Link{Page: o.Settings.EmailChangeURL, Valid: o.Settings.EmailChangeTTL},
		Reset:       outbox.Link{Page: o.Settings.ResetURL, Valid: o.Settings.ResetTTL},
	})
}

// Transport is how the tokens of a session are delivered; the contract explains the four.
type Transport = token.Transport

// The four transports.
const (
	Hybrid     = token.Hybrid
	Cookies    = token.Cookies
	ServerHeld = token.ServerHeld
	BodyTokens = token.Body
)

// Bounds of a new password that no setting changes, in characters and in bytes.
const (
	MaxPasswordLength = credentials.MaxLength
	MaxPasswordBytes  = credentials.MaxBytes
)

// Locales returns the languages of mails and pages, the default first.
func Locales() []string { return mail.Locales() }

// JWKS is a JSON Web Key Set (RFC 7517).
type JWKS = token.JWKS

// deadline detaches a context from the caller; see [models.Detach].
func deadline(ctx context.Context) (context.Context, context.CancelFunc) { return models.Detach(ctx) }

// ErrBusy is the cause of a ServiceUnavailable when too many passwords are being hashed.
var ErrBusy = credentials.ErrBusy
