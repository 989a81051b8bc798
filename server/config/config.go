package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"example.com/accounts/server/hosts"
)

// Prefix starts the name of every setting in the environment.
const Prefix = "ACCOUNTS_"

// Values of Config.ProxyHeader.
const (
	XForwardedFor = "X-Forwarded-For"
	Forwarded     = "Forwarded" // RFC 7239
)

// Config holds all settings, checked and with their defaults filled in. Its secrets are of type
// [Secret], so it can be printed, logged or encoded safely.
//
// The env package reads the tags env and envDefault. The tag shown is the default that [Settings]
// describes, if it depends on other settings. A tag cannot contain a back quote, so it uses '
// instead.
type Config struct {
	Addr              string        `env:"ADDR" envDefault:"localhost:8080"`
	PublicURL         string        `env:"PUBLIC_URL" shown:"'http://localhost:PORT' if 'ADDR' is on loopback, else required"` // scheme://host[:port], in lower case
	DataDir           string        `env:"DATA_DIR" envDefault:"./data"`
	Database          Database      `env:"DATABASE_URL" shown:"'sqlite:DATA_DIR/accounts.db'"`
	SecretKeys        []Secret      `env:"SECRET_KEYS" shown:"generated in 'DATA_DIR' on loopback with SQLite, otherwise required"` // nil if none is set
	LegacyJWTSecrets  Lines         `env:"LEGACY_JWT_SECRETS" shown:"none: legacy tokens are rejected"`
	LegacyJWTUntil    Instant       `env:"LEGACY_JWT_UNTIL" shown:"required with 'LEGACY_JWT_SECRETS'"`
	AccessTTL         time.Duration `env:"ACCESS_TTL" envDefault:"5m"`
	RefreshIdleTTL    time.Duration `env:"REFRESH_IDLE_TTL" envDefault:"7d"`
	ServerHeldIdleTTL time.Duration `env:"SERVER_HELD_IDLE_TTL" envDefault:"30m"`
	SessionMaxAge     time.Duration `env:"SESSION_MAX_AGE" envDefault:"30d"`
	RotationInterval  time.Duration `env:"ROTATION_INTERVAL" envDefault:"30s"`
	Registration      string        `env:"REGISTRATION" envDefault:"open"`                    // open or closed
	EmailVerification string        `env:"EMAIL_VERIFICATION" envDefault:"required"`          // required or optional
	PasswordMinLength int           `env:"PASSWORD_MIN_LENGTH" envDefault:"12"`               // code points
	BreachedPasswords string        `env:"BREACHED_PASSWORDS" shown:"'none'"`                 // a file; "" is none
	VerifyURL         string        `env:"VERIFY_URL" shown:"'PUBLIC_URL' + '/pages/verify'"` // of a page, without a fragment
	ResetURL          string        `env:"RESET_URL" shown:"'PUBLIC_URL' + '/pages/reset'"`
	EmailChangeURL    string        `env:"EMAIL_CHANGE_URL" shown:"'PUBLIC_URL' + '/pages/email-change'"`
	HomeURL           string        `env:"HOME_URL" shown:"none; on loopback, '/demo/'"` // "" is none
	VerifyTTL         time.Duration `env:"VERIFY_TTL" envDefault:"24h"`
	ResetTTL          time.Duration `env:"RESET_TTL" envDefault:"1h"`
	EmailChangeTTL    time.Duration `env:"EMAIL_CHANGE_TTL" envDefault:"24h"`
	Mail              string        `env:"MAIL" shown:"'smtp' with 'SMTP_URL', else 'files' on loopback"`     // MailSMTP or MailFiles
	SMTPURL           Secret        `env:"SMTP_URL" shown:"required unless on loopback or 'MAIL' is 'files'"` // "" is none
	MailFrom          string        `env:"MAIL_FROM" shown:"required with 'SMTP_URL', else 'Accounts <no-reply@HOST>' with the host of 'PUBLIC_URL'"`
	MailSenders       int           `env:"MAIL_SENDERS" envDefault:"6"`
	MailsPerRecipient Limit         `env:"MAILS_PER_RECIPIENT" envDefault:"5/1h"`

	LoginFailuresPerAccount Limit `env:"LOGIN_FAILURES_PER_ACCOUNT" envDefault:"10/15m"`
	LoginFailuresPerClient  Limit `env:"LOGIN_FAILURES_PER_CLIENT" envDefault:"100/15m"`
	PasswordsPerClient      Limit `env:"PASSWORDS_PER_CLIENT" envDefault:"600/15m"`
	PasswordsPerUser        Limit `env:"PASSWORDS_PER_USER" envDefault:"60/1h"`
	RegistrationsPerClient  Limit `env:"REGISTRATIONS_PER_CLIENT" envDefault:"20/1h"`
	ConfirmationsPerClient  Limit `env:"CONFIRMATIONS_PER_CLIENT" envDefault:"10/1m"`
	RareActionsPerUser      Limit `env:"RARE_ACTIONS_PER_USER" envDefault:"10/1h"`
	MailsPerStaff           Limit `env:"MAILS_PER_STAFF" envDefault:"100/1h"`

	EventRetention time.Duration `env:"EVENT_RETENTION" envDefault:"90d"`

	CORSOrigins     []string       `env:"CORS_ORIGINS" shown:"all 'http' origins on loopback, if PUBLIC_URL is one, else 'none'"`
	TrustedProxies  []netip.Prefix `env:"TRUSTED_PROXIES" shown:"'none'"`
	ProxyHeader     string         `env:"PROXY_HEADER" envDefault:"X-Forwarded-For"` // XForwardedFor or Forwarded
	MetricsAddr     string         `env:"METRICS_ADDR" shown:"'off'"`                // "" is off
	Profiling       bool           `env:"PROFILING" envDefault:"false"`
	Docs            bool           `env:"DOCS" envDefault:"true"`
	Console         bool           `env:"CONSOLE" envDefault:"true"`
	AutoMigrate     bool           `env:"AUTO_MIGRATE" shown:"'true' for SQLite, 'false' for MySQL"`
	DBMaxConns      int            `env:"DB_MAX_CONNS" envDefault:"32"`
	LogLevel        string         `env:"LOG_LEVEL" envDefault:"info"` // debug, info, warn or error
	ShutdownDelay   time.Duration  `env:"SHUTDOWN_DELAY" shown:"'0' on loopback, else '5s'"`
	ShutdownTimeout time.Duration  `env:"SHUTDOWN_TIMEOUT" envDefault:"15s"`
}

// IsLoopback reports whether the host of PUBLIC_URL is localhost, in 127.0.0.0/8 or ::1. "On
// loopback" always has this meaning.
func (c Config) IsLoopback() bool {
	u, err := url.Parse(c.PublicURL)
	return err == nil && hosts.IsLoopback(u.Hostname())
}

// IsSecure reports whether PUBLIC_URL is https. It decides whether cookies are Secure and have
// their __Host- names. Requests have no influence on that.
func (c Config) IsSecure() bool { return strings.HasPrefix(c.PublicURL, "https://") }

// DefaultFile returns the path of the database file that is used if DATABASE_URL is not set.
func (c Config) DefaultFile() string { return filepath.Join(c.DataDir, "accounts.db") }

// AllowsLoopbackOrigins reports whether front ends on every loopback origin may use the API: the
// server has a plain-http URL on loopback, and CORS_ORIGINS is not set. `none` is a list of its own,
// which is empty and not nil.
func (c Config) AllowsLoopbackOrigins() bool {
	return c.CORSOrigins == nil && c.IsLoopback() && !c.IsSecure()
}

// UsesSQLite reports whether the embedded database is used.
func (c Config) UsesSQLite() bool { return c.Database.Engine == SQLite }

// Margin returns M, the tolerated difference between the clocks of two replicas within the rotation
// interval W: 5 s, W/5 for W under 15 s, and 0 in the strict profile (W = 0).
func (c Config) Margin() time.Duration {
	if c.RotationInterval < 15*time.Second {
		return c.RotationInterval / 5
	}
	return 5 * time.Second
}

// MailPause returns the minimum time between two mails to one address: 1 minute, or 0 if
// MailsPerRecipient is disabled.
func (c Config) MailPause() time.Duration {
	if c.MailsPerRecipient.N == 0 {
		return 0
	}
	return time.Minute
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// Level returns LogLevel as a level of log/slog.
func (c Config) Level() slog.Level { return levels[c.LogLevel] }
