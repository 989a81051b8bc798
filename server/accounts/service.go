package accounts

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/hosts"
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

// Service implements the operations over one database and one key ring. It has one part for each
// tag of the contract, in the file of that name, and one for the commands of the operator.
type Service struct {
	*core
	*sessions.Manager
	sessionOperations
	registrationOperations
	passwordOperations
	profileOperations
	adminOperations
	systemOperations
	operatorCommands
}

// core is what the parts of a [Service] share.
type core struct {
	store    *models.Store
	sessions *sessions.Manager
	hasher   *credentials.Hasher
	breached *credentials.Breached // nil if no list is configured
	ring     *token.KeyRing
	limiter  *ratelimit.Limiter
	audit    *audit.Log
	outbox   *outbox.Outbox
	settings Settings
	now      func() time.Time
	count    metrics.Count
}

// Options configures a Service. Now is the clock of every rule. Count, which may be nil, increments
// the counters of package metrics.
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
	c := &core{
		store: store, hasher: o.Hasher, breached: o.Breached, ring: o.Ring, settings: o.Settings, now: now, count: o.Count,
		limiter: ratelimit.New(store, now),
		audit:   audit.NewLog(store, now, o.Count),
		outbox:  newOutbox(o, store, now),
	}
	c.sessions = sessions.New(sessions.Options{
		Store: store, Ring: o.Ring, PublicURL: o.PublicURL, Policy: o.Policy, Legacy: o.Legacy.tokens(), Now: now,
		Count:       o.Count,
		MayLogGrace: func(ctx context.Context, u models.User) bool { return c.mayRecord(ctx, u, gracedRefreshesOfUser) },
	})
	return compose(c)
}

// compose returns the service of the parts that share c.
func compose(c *core) *Service {
	users, links := userLookup{c}, linkTokens{c}
	passwords := passwordChecks{core: c, userLookup: users}
	return &Service{
		core: c, Manager: c.sessions,
		sessionOperations:      sessionOperations{c, users, passwords},
		registrationOperations: registrationOperations{c, passwords, links},
		passwordOperations:     passwordOperations{c, users, passwords, links},
		profileOperations:      profileOperations{c, users, passwords, links},
		adminOperations:        adminOperations{c, users, links},
		systemOperations:       systemOperations{core: c, passwordChecks: passwords, state: &systemState{written: writeProof{row: uuid.Must(uuid.NewV7())}}},
		operatorCommands:       operatorCommands{c, users, passwords},
	}
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

// Client describes the sender of a request.
type Client = audit.Client

// MailFault describes a mail that was not sent.
type MailFault = outbox.Fault

// ErrBacklog is the cause of ServiceUnavailable if too many requested mails wait to be sent.
var ErrBacklog = outbox.ErrBacklog

// mayRecord reports whether the user is within the limit of events of a kind that a client can cause
// as often as it likes. Without the limit, one client could fill the security log.
func (s *core) mayRecord(ctx context.Context, u models.User, kind string) bool {
	return audit.MayRecord(s.allow(ctx, s.settings.RareActionsPerUser.ForUser(kind, u.ID)))
}

// hashPassword returns the hash of a password. Errors: those of [credentials.Hasher.Hash].
func (s *core) hashPassword(ctx context.Context, from hosts.Network, password string) (models.PasswordHash, error) {
	hash, err := s.hasher.Hash(ctx, from, password)
	return models.PasswordHash(hash), err
}

// ErrBusy is the cause of a ServiceUnavailable when too many passwords are being hashed.
var ErrBusy = credentials.ErrBusy
