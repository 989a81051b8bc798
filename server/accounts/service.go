package accounts

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/token"
)

// Policy holds the settings of sessions that decisions depend on. Margin is M of the decision
// table; see (Policy).tolerance.
type Policy struct {
	AccessTTL         time.Duration
	RefreshIdleTTL    time.Duration
	ServerHeldIdleTTL time.Duration
	SessionMaxAge     time.Duration
	RotationInterval  time.Duration // W; 0 is the strict profile
	Margin            time.Duration // M
}

// Settings holds the settings of accounts. Those of sessions are in [Policy].
type Settings struct {
	MinPassword                         int
	SiteNames                           []string // names of the service, which attackers try as passwords
	RegistrationClosed                  bool
	VerificationOptional                bool // users exist, and may log in, before their address is verified
	VerifyTTL, EmailChangeTTL, ResetTTL time.Duration
	VerifyURL, EmailChangeURL, ResetURL string // of the pages that the links in mails open
	EventRetention                      time.Duration
	MailSenders                         int // mails that are sent at once; see senders
	Limits
}

const (
	// maxSessions is how many live sessions a user can have; a new one displaces the oldest (ASVS
	// 7.1.2).
	maxSessions = 50
	// callTime bounds the work for a request whose context has no earlier deadline.
	callTime = 2500 * time.Millisecond
	// strictTolerance is how far a clock may be off in the strict profile, which has no margin.
	strictTolerance = 2500 * time.Millisecond
)

// tolerance returns how far this machine's clock may be from the database's for a statement that
// decides by age. Two replicas are then at most a margin apart.
func (p Policy) tolerance() time.Duration {
	if p.RotationInterval == 0 {
		return strictTolerance
	}
	return p.Margin / 2
}

// Service implements the operations over one database and one key ring.
type Service struct {
	store     *models.Store
	hasher    *credentials.Hasher
	breached  *credentials.Breached // nil if no list is configured
	ring      *token.KeyRing
	issuer    *token.Issuer
	access    *token.Verifier
	refresh   *token.RefreshVerifier
	legacy    *token.LegacyVerifier
	policy    Policy
	settings  Settings
	mailWake  chan struct{}
	backlogs  backlogs
	sendTime  atomic.Int64 // of the last mail, in nanoseconds
	now       func() time.Time
	observe   func(event string)
	schemaOK  atomic.Bool
	limiter   *ratelimit.Limiter
	notes     notes
	eventIDs  models.EventIDs
	heartbeat heartbeat

	legacyUntil time.Time

	clockOffset atomic.Int64 // nanoseconds, for Stats

	written writeProof
}

// Events lists the events that Observe can be called with.
var Events = []string{"refresh_rotated", "refresh_same", "refresh_graced", "refresh_reused", "refresh_expired", "refresh_revoked", "refresh_misdirected", "refresh_undecided", "state_regression", "legacy_exchanged", "legacy_repeated", "legacy_refused", "clock_off", "stood_still", "rehash_skipped", "hash_unusable", "rate_limited", "event_dropped",
	"mail_retried", "mail_sent", "mail_dropped", "mail_expired", "mail_refused", "mail_backlog"}

// Options configures a Service. Now is the clock of every rule. Observe, which may be nil, is
// called with the name of each event; see [Events].
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
	Observe   func(event string)
}

// New returns a Service. It does not query the database.
func New(o Options) *Service {
	now := func() time.Time { return o.Now().UTC().Truncate(time.Microsecond) }
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	return &Service{
		limiter: ratelimit.New(o.Store, now),
		store:   o.Store.WithClock(now), hasher: o.Hasher, breached: o.Breached, ring: o.Ring, policy: o.Policy, settings: o.Settings, now: now, observe: o.Observe,
		mailWake: make(chan struct{}, 1),
		written:  writeProof{row: models.ID(uuid.Must(uuid.NewV7()))},
		issuer:   token.NewIssuer(o.Ring, o.PublicURL, o.Policy.AccessTTL),
		access:   token.NewVerifier(o.Ring.PublicKey, o.PublicURL, now),
		refresh:  token.NewRefreshVerifier(o.Ring, o.PublicURL, now),
		legacy:   token.NewLegacyVerifier(o.Legacy.Secrets, now), legacyUntil: o.Legacy.Until,
		heartbeat: heartbeat{limit: o.Policy.Margin, onNoticed: func() { o.Observe("stood_still") }},
	}
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

// Client describes the sender of a request: the address and user agent that sessions and events
// show, and the accepted languages.
type Client struct {
	IP, UserAgent, AcceptLanguage string
	RequestID                     uuid.UUID
}

// deadline detaches a context from the caller, who may disconnect: a write that has begun is
// completed, and its outcome is known. The deadline stays; without one, it is callTime from now.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !ok {
		return context.WithTimeout(ctx, callTime)
	}
	return context.WithDeadline(ctx, end)
}

// ErrBusy is the cause of a ServiceUnavailable when too many passwords are being hashed.
var ErrBusy = credentials.ErrBusy
