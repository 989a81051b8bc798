package config

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"example.com/accounts/server/hosts"
	"example.com/accounts/server/mail"
)

// resolve converts addresses to their canonical form and fills in the defaults that depend on other
// settings.
func (l *loader) resolve() {
	c := &l.config
	l.resolvePublicURL()
	if c.Database.Engine == "" {
		c.Database = Database{Engine: SQLite, Path: c.DefaultFile()}
	}
	if l.given["AUTO_MIGRATE"] == "" {
		c.AutoMigrate = c.UsesSQLite()
	}
	if c.MetricsAddr == "off" {
		c.MetricsAddr = ""
	}
	if c.BreachedPasswords == "none" {
		c.BreachedPasswords = ""
	}
	l.resolvePages()
	l.resolveMail()
	if l.given["SHUTDOWN_DELAY"] == "" && !c.IsLoopback() {
		c.ShutdownDelay = 5 * time.Second
	}
}

// resolvePublicURL checks PUBLIC_URL and fills in its default. There is a default only if no other
// machine can reach the server: tokens, cookies and links depend on this setting, and the Host
// header of a request is never used.
func (l *loader) resolvePublicURL() {
	c := &l.config
	host, port, ok := splitAddr(c.Addr)
	l.require(ok, "ADDR", "must be host:port with a port from 0 to 65535, such as localhost:8080")
	if c.PublicURL != "" {
		parsed, err := parseOrigin(c.PublicURL)
		if err != nil {
			l.addFault("PUBLIC_URL", err.Error())
			return
		}
		c.PublicURL = parsed.String()
		l.require(parsed.isProtected(), "PUBLIC_URL", "must be https unless its host is on loopback")
		return
	}
	l.require(hosts.IsLoopback(host), "PUBLIC_URL", "is required if ADDR is not on loopback. Set it to the public origin of the server, such as https://accounts.example.com", "ADDR")
	l.require(port != 0, "PUBLIC_URL", "is required if ADDR has port 0", "ADDR")
	if l.hasFault("ADDR", "PUBLIC_URL") {
		l.faulty["PUBLIC_URL"] = true // unknown, so no rule can check it
		return
	}
	parsed, _ := parseOrigin("http://" + net.JoinHostPort("localhost", strconv.Itoa(int(port))))
	c.PublicURL = parsed.String()
}

// pages returns the settings of the pages that links in mails lead to and where users continue, and
// the paths of the server's own pages, which are the defaults.
func (c *Config) pages() []page {
	return []page{
		{"VERIFY_URL", "/pages/verify", &c.VerifyURL},
		{"RESET_URL", "/pages/reset", &c.ResetURL},
		{"EMAIL_CHANGE_URL", "/pages/email-change", &c.EmailChangeURL},
		{"HOME_URL", "", &c.HomeURL}, // has no default
	}
}

type page struct {
	name, path string
	url        *string
}

// resolvePages checks the pages and fills in their defaults. They must be https under the same rule
// as PUBLIC_URL, because an attacker who can change a page would get the tokens of all links.
func (l *loader) resolvePages() {
	for _, p := range l.config.pages() {
		if *p.url == "" {
			if p.path != "" {
				*p.url = l.config.PublicURL + p.path
			}
			continue
		}
		text, origin, err := parsePage(*p.url)
		if err != nil {
			l.addFault(p.name, err.Error())
			continue
		}
		*p.url = text
		l.require(origin.isProtected(), p.name, "must be https unless its host is on loopback")
	}
}

// check applies the rules that a type cannot express.
func (l *loader) check() {
	l.checkSecretKeys()
	l.checkLegacyTokens()
	l.checkRotation()
	l.checkLifetimes()
	l.checkRegistration()
	l.checkMail()
	l.checkOperation()
}

// checkSecretKeys requires SECRET_KEYS except for the first steps on a single machine, where the
// secret is generated. Several replicas, or a container that loses its disk, need a configured
// secret.
func (l *loader) checkSecretKeys() {
	c := l.config
	l.require(len(c.SecretKeys) > 0 || c.IsLoopback() && c.UsesSQLite(), "SECRET_KEYS",
		"is required unless PUBLIC_URL is on loopback and the database is SQLite. Generate one with `accountsd secret new`", "PUBLIC_URL", "DATABASE_URL")
}

// checkLegacyTokens requires an end date for the secrets of the Django service, because more people
// know them than the secrets of this service.
func (l *loader) checkLegacyTokens() {
	c := l.config
	l.require((len(c.LegacyJWTSecrets) > 0) == !c.LegacyJWTUntil.At.IsZero(), "LEGACY_JWT_SECRETS",
		"and LEGACY_JWT_UNTIL must be set together", "LEGACY_JWT_UNTIL")
	l.require(time.Until(c.LegacyJWTUntil.At) <= 400*day, "LEGACY_JWT_UNTIL", "must be at most 400d ahead")
}

// checkRotation checks the life of access tokens. It must cover at least two rotations, so that a
// client that refreshes in time never has an expired token.
func (l *loader) checkRotation() {
	c := l.config
	w := c.RotationInterval
	l.require(w <= time.Minute && isWholeSeconds(w), "ROTATION_INTERVAL",
		"must be 0 or from 1s to 60s in whole seconds")
	if w == 0 {
		l.require(c.AccessTTL >= 5*time.Second, "ACCESS_TTL", "must be at least 5s", "ROTATION_INTERVAL")
	}
	floor := 2 * (w + c.Margin())
	l.require(c.AccessTTL >= floor, "ACCESS_TTL",
		fmt.Sprintf("must be at least %s, twice the sum of ROTATION_INTERVAL and its margin", floor), "ROTATION_INTERVAL")
	l.require(c.AccessTTL <= 15*time.Minute, "ACCESS_TTL", "must be at most 15m")
	l.require(isWholeSeconds(c.AccessTTL), "ACCESS_TTL", "must be a whole number of seconds")
}

// checkLifetimes rejects sessions that could end before their access token does, or live longer
// than their absolute end.
func (l *loader) checkLifetimes() {
	c := l.config
	// Browsers delete a cookie after at most 400 days (RFC 6265bis §5.5).
	l.require(c.SessionMaxAge > 0 && c.SessionMaxAge <= 400*day && isWholeSeconds(c.SessionMaxAge), "SESSION_MAX_AGE",
		"must be from 1s to 400d in whole seconds")
	for _, idle := range []struct {
		name string
		ttl  time.Duration
	}{{"REFRESH_IDLE_TTL", c.RefreshIdleTTL}, {"SERVER_HELD_IDLE_TTL", c.ServerHeldIdleTTL}} {
		l.require(isWholeSeconds(idle.ttl), idle.name, "must be a whole number of seconds")
		l.require(idle.ttl > c.AccessTTL, idle.name, "must be longer than ACCESS_TTL", "ACCESS_TTL")
		l.require(idle.ttl <= c.SessionMaxAge, idle.name, "must be at most SESSION_MAX_AGE", "SESSION_MAX_AGE")
	}
}

func (l *loader) checkRegistration() {
	c := l.config
	l.require(c.Registration == "open" || c.Registration == "closed", "REGISTRATION", "must be open or closed")
	l.require(c.EmailVerification == "required" || c.EmailVerification == "optional", "EMAIL_VERIFICATION", "must be required or optional")
	l.require(c.PasswordMinLength >= 8 && c.PasswordMinLength <= 128, "PASSWORD_MIN_LENGTH", "must be from 8 to 128")
	for _, link := range []struct {
		name string
		ttl  time.Duration
	}{{"VERIFY_TTL", c.VerifyTTL}, {"RESET_TTL", c.ResetTTL}, {"EMAIL_CHANGE_TTL", c.EmailChangeTTL}} {
		l.require(link.ttl >= time.Second && link.ttl <= 7*day && isWholeSeconds(link.ttl), link.name, "must be from 1s to 7d in whole seconds")
	}
}

func (l *loader) checkOperation() {
	c := l.config
	l.checkMetricsAddr()
	l.require(c.ProxyHeader == XForwardedFor || c.ProxyHeader == Forwarded, "PROXY_HEADER", "must be X-Forwarded-For or Forwarded")
	l.require(c.EventRetention >= day && c.EventRetention <= 3650*day, "EVENT_RETENTION", "must be from 1d to 3650d")
	l.require(c.MailSenders >= 3 && c.MailSenders <= 64, "MAIL_SENDERS", "must be from 3 to 64")
	l.require(c.DBMaxConns >= 1 && c.DBMaxConns <= 1000, "DB_MAX_CONNS", "must be from 1 to 1000")
	_, known := levels[c.LogLevel]
	l.require(known, "LOG_LEVEL", "must be debug, info, warn or error")
	l.require(c.ShutdownDelay <= 5*time.Minute, "SHUTDOWN_DELAY", "must be at most 5m")
	l.require(c.ShutdownTimeout >= time.Second && c.ShutdownTimeout <= 5*time.Minute, "SHUTDOWN_TIMEOUT", "must be from 1s to 5m")
}

// checkMetricsAddr rejects METRICS_ADDR on the port of ADDR, because metrics are for the operator
// and not for the public.
func (l *loader) checkMetricsAddr() {
	c := l.config
	if c.MetricsAddr == "" {
		l.require(!c.Profiling, "PROFILING", "requires METRICS_ADDR", "METRICS_ADDR")
		return
	}
	host, port, ok := splitAddr(c.MetricsAddr)
	l.require(ok, "METRICS_ADDR", "must be off or host:port with a port from 0 to 65535, such as localhost:9090")
	addrHost, addrPort, _ := splitAddr(c.Addr)
	l.require(!hasPortConflict(host, port, addrHost, addrPort), "METRICS_ADDR", "must not use the same host and port as ADDR", "ADDR")
}

func isWholeSeconds(d time.Duration) bool { return d%time.Second == 0 }

// warn adds warnings about settings that are allowed but reduce security or reliability.
func (l *loader) warn() {
	c := l.config
	say := func(when bool, format string, args ...any) {
		if when {
			l.warnings = append(l.warnings, Prefix+fmt.Sprintf(format, args...))
		}
	}
	w := c.RotationInterval
	say(w == 0, "ROTATION_INTERVAL is 0 (strict profile): two tabs that refresh at the same time, or one response lost on the network, end the session")
	say(w > 0 && w < 15*time.Second, "ROTATION_INTERVAL is under 15s: a client has %s to retry a lost refresh before the retry counts as theft", w-c.Margin())
	for i, secret := range c.LegacyJWTSecrets {
		say(len(secret) < 32, "LEGACY_JWT_SECRETS has a secret under 32 bytes in line %d: an attacker who guesses it from a legacy token can impersonate any imported user until LEGACY_JWT_UNTIL", i+1)
	}
	say(!c.LegacyJWTUntil.At.IsZero() && !time.Now().Before(c.LegacyJWTUntil.At), "LEGACY_JWT_UNTIL is in the past: legacy tokens are rejected. Remove LEGACY_JWT_UNTIL and LEGACY_JWT_SECRETS")
	if c.Database.isRemote() {
		say(c.Database.TLS == TLSOff, "DATABASE_URL has tls=false for a host that is not on loopback: all data is sent over the network unencrypted")
		say(c.Database.TLS == TLSPreferred, "DATABASE_URL has tls=preferred: an attacker on the network can turn encryption off")
		say(c.Database.TLS == TLSSkipVerify, "DATABASE_URL has tls=skip-verify: an attacker on the network can impersonate the database")
	}
	say(c.Mail == MailSMTP && mail.IsExposed(string(c.SMTPURL)), "SMTP_URL has tls=off for a host that is not on loopback: anyone on the network can read the links in mails and take over accounts")
	host, _, _ := splitAddr(c.Addr)
	metrics, _, _ := splitAddr(c.MetricsAddr)
	say(c.MetricsAddr != "" && isUnspecified(metrics), "METRICS_ADDR is on every interface: anyone who can reach this machine can read how many logins succeed and fail")
	say(c.IsLoopback() && !hosts.IsLoopback(host), "ADDR is reachable from other machines while PUBLIC_URL is on loopback: the loopback defaults apply to those machines too")
	say(c.EmailVerification == "optional", "EMAIL_VERIFICATION is optional: a stranger can register an address and keep it until its owner resets the password by mail, and logging in reveals whether a username or address is taken")
	say(c.PasswordMinLength < 12, "PASSWORD_MIN_LENGTH is under 12: short passwords are cracked sooner from a copy of the database")
	say(c.ResetTTL > time.Hour, "RESET_TTL is over 1h: anyone who finds an old link in a mailbox can take over the account")
	say(c.Mail == MailFiles && !c.IsLoopback(), "MAIL is files while PUBLIC_URL is not on loopback: mails are written to DATA_DIR and not sent")
	say(c.MailsPerRecipient.N == 0, "MAILS_PER_RECIPIENT is 0: anyone can cause any number of mails to any address")
	say(!c.IsLoopback() && len(c.TrustedProxies) == 0, "TRUSTED_PROXIES is none while PUBLIC_URL is not on loopback: behind a proxy all clients share one rate limit, and one client can exhaust it for all of them")
	say(c.LoginFailuresPerAccount.N == 0, "LOGIN_FAILURES_PER_ACCOUNT is 0: attackers can guess the password of an account without limit")
	say(c.LoginFailuresPerClient.N == 0, "LOGIN_FAILURES_PER_CLIENT is 0: one client can try common passwords on every account")
	say(c.PasswordsPerClient.N == 0, "PASSWORDS_PER_CLIENT is 0: one client with a right password can keep the server busy with hashing")
	say(c.PasswordsPerUser.N == 0, "PASSWORDS_PER_USER is 0: one user can fill the database with sessions and security log entries")
	say(c.MailsPerStaff.N == 0, "MAILS_PER_STAFF is 0: one staff account can cause mails to any number of addresses")
	say(c.RegistrationsPerClient.N == 0, "REGISTRATIONS_PER_CLIENT is 0: one client can fill the database with registrations and cause mails to any number of addresses")
	say(c.RareActionsPerUser.N == 0, "RARE_ACTIONS_PER_USER is 0: one user can fill the security log, and can fill the server's memory with exports")
	say(c.ConfirmationsPerClient.N == 0, "CONFIRMATIONS_PER_CLIENT is 0: one client can guess links without limit")
	for _, p := range c.pages() {
		_, origin, err := parsePage(*p.url)
		say(err == nil && !c.IsLoopback() && origin.isLoopback(), "%s is on loopback while PUBLIC_URL is not: links in mails open on the reader's own machine", p.name)
	}
	for _, text := range c.CORSOrigins {
		origin, err := parseOrigin(text)
		say(err == nil && !c.IsLoopback() && origin.isLoopback(), "CORS_ORIGINS trusts %s: any program on a user's own machine can serve that origin", text)
	}
}
