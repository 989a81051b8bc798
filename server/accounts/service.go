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
	MailSenders                         int // mails that are sent at once; see senders
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
	mailWake chan struct{}
	backlogs backlogs
	sendTime atomic.Int64 // of the last mail, in nanoseconds
	now      func() time.Time
	observe  func(event string)
	schemaOK atomic.Bool
	spent    exceededLimits
	notes    notes
	eventIDs models.EventIDs

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
	s := &Service{
		store: o.Store.WithClock(now), hasher: o.Hasher, breached: o.Breached, ring: o.Ring, settings: o.Settings, now: now, observe: o.Observe,
		mailWake: make(chan struct{}, 1),
		written:  writeProof{row: models.ID(uuid.Must(uuid.NewV7()))},
	}
	s.Manager = sessions.New(sessions.Options{
		Store: s.store, Ring: o.Ring, PublicURL: o.PublicURL, Policy: o.Policy, Legacy: o.Legacy.tokens(now), Now: now,
		Count:       func(c metrics.Counter) { o.Observe(string(c)) },
		MayLogGrace: func(ctx context.Context, u models.User) bool { return s.mayRecord(ctx, u, gracedOfUser) },
	})
	return s
}

// The types of sessions that the operations take and return.
type (
	Policy         = sessions.Policy
	Tokens         = sessions.Tokens
	Credential     = sessions.Credential
	Principal      = sessions.Principal
	Role           = sessions.Role
	TokenLocation  = sessions.TokenLocation
	RefreshInput   = sessions.RefreshInput
	CurrentSession = sessions.CurrentSession
)

// The locations of a token in a request.
const (
	Bearer        = sessions.Bearer
	AccessCookie  = sessions.AccessCookie
	RefreshCookie = sessions.RefreshCookie
	Body          = sessions.Body
)

// RecentAuthentication is how long a verified password counts as recent.
const RecentAuthentication = sessions.RecentAuthentication

// The roles. A superuser has both.
const (
	Staff     = sessions.Staff
	Superuser = sessions.Superuser
)

// The values of [Tokens.Newness].
const (
	SameTokens       = sessions.SameTokens
	NewSessionTokens = sessions.NewSessionTokens
)

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

// Client describes the sender of a request.
type Client = audit.Client

// deadline detaches a context from the caller; see [models.Detach].
func deadline(ctx context.Context) (context.Context, context.CancelFunc) { return models.Detach(ctx) }

// ErrBusy is the cause of a ServiceUnavailable when too many passwords are being hashed.
var ErrBusy = credentials.ErrBusy
