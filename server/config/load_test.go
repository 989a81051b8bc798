package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// production is a valid set of settings off loopback. The entries of the tables are put before it,
// because the first of two equal names counts.
var production = []string{
	"ACCOUNTS_TRUSTED_PROXIES=10.0.0.1",
	"ACCOUNTS_ADDR=:8080",
	"ACCOUNTS_PUBLIC_URL=https://accounts.example.com",
	"ACCOUNTS_DATABASE_URL=mysql://acc:s3cr3t@db.example.com/accounts?tls=true",
	"ACCOUNTS_SECRET_KEYS=s3cr3t-new,s3cr3t-old",
	"ACCOUNTS_SMTP_URL=smtp://acc:s3cr3t@mail.example.com",
	"ACCOUNTS_MAIL_FROM=Example <no-reply@example.com>",
}

// environ returns an environment with settings, which are given without their prefix.
func environ(settings string, rest ...string) []string {
	var list []string
	for _, setting := range strings.Fields(settings) {
		list = append(list, Prefix+setting)
	}
	return append(list, rest...)
}

func mustLoad(t *testing.T, environ []string) (Config, []string) {
	t.Helper()
	c, warnings, err := Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

// plain lets cmp compare values that print as redacted.
var plain = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func defaults() Config {
	return Config{
		Addr: "localhost:8080", PublicURL: "http://localhost:8080", DataDir: "./data",
		Database:  Database{Engine: SQLite, Path: "data/accounts.db"},
		AccessTTL: 5 * time.Minute, RefreshIdleTTL: 7 * day, ServerHeldIdleTTL: 30 * time.Minute,
		SessionMaxAge: 30 * day, RotationInterval: 30 * time.Second,
		Registration: "open", EmailVerification: "required", PasswordMinLength: 12,
		VerifyURL: "http://localhost:8080/pages/verify", ResetURL: "http://localhost:8080/pages/reset",
		EmailChangeURL: "http://localhost:8080/pages/email-change",
		VerifyTTL:      24 * time.Hour, ResetTTL: time.Hour, EmailChangeTTL: 24 * time.Hour,
		Mail: MailFiles, MailFrom: "Accounts <no-reply@localhost.localdomain>", MailSenders: 6, MailsPerRecipient: Limit{5, time.Hour},
		LoginFailuresPerAccount: Limit{10, 15 * time.Minute}, LoginFailuresPerClient: Limit{100, 15 * time.Minute},
		RegistrationsPerClient: Limit{20, time.Hour}, ConfirmationsPerClient: Limit{10, time.Minute}, RareActionsPerUser: Limit{10, time.Hour},
		PasswordsPerClient: Limit{600, 15 * time.Minute}, PasswordsPerUser: Limit{60, time.Hour}, MailsPerStaff: Limit{100, time.Hour},
		EventRetention: 90 * day, CORSOrigins: []string{"http://localhost:3000", "http://localhost:5173"},
		ProxyHeader: XForwardedFor,
		Docs:        true, Console: true, AutoMigrate: true, DBMaxConns: 32, LogLevel: "info",
		ShutdownTimeout: 15 * time.Second,
	}
}

func TestDefaults(t *testing.T) {
	for name, environ := range map[string][]string{
		"nothing set": {"PATH=/bin", "ACCOUNTSD=x", "accounts_addr=x", "XACCOUNTS_ADDR=x"},
		"empty is absent": {"ACCOUNTS_ADDR=", "ACCOUNTS_PUBLIC_URL=", "ACCOUNTS_SECRET_KEYS=", "ACCOUNTS_SECRET_KEYS_FILE=",
			"ACCOUNTS_METRICS_ADDR=", "ACCOUNTS_CORS_ORIGINS=", "ACCOUNTS_DOCS=", "ACCOUNTS_CONSOLE=", "ACCOUNTS_ROTATION_INTERVAL="},
		"the links of Kubernetes": {"ACCOUNTS_SERVICE_HOST=10.0.0.1", "ACCOUNTS_SERVICE_PORT=80", "ACCOUNTS_SERVICE_PORT_HTTP=80",
			"ACCOUNTS_PORT=tcp://10.0.0.1:80", "ACCOUNTS_PORT_80_TCP=tcp://10.0.0.1:80", "ACCOUNTS_PORT_80_TCP_ADDR=10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, warnings := mustLoad(t, environ)
			if diff := cmp.Diff(defaults(), c, plain); diff != "" || len(warnings) != 0 {
				t.Fatalf("warnings %q, difference (-want +got):\n%s", warnings, diff)
			}
			if !c.IsLoopback() || c.IsSecure() || !c.UsesSQLite() || c.Margin() != 5*time.Second || c.MailPause() != time.Minute {
				t.Fatal("a method disagrees")
			}
		})
	}
}

func TestProduction(t *testing.T) {
	c, warnings := mustLoad(t, production)
	want := defaults()
	want.Addr, want.PublicURL = ":8080", "https://accounts.example.com"
	want.Database = Database{Engine: MySQL, Host: "db.example.com:3306", User: "acc", Password: "s3cr3t", Name: "accounts", TLS: "true"}
	want.SecretKeys = []Secret{"s3cr3t-new", "s3cr3t-old"}
	want.CORSOrigins, want.AutoMigrate, want.ShutdownDelay = nil, false, 5*time.Second
	want.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}
	want.VerifyURL, want.ResetURL = "https://accounts.example.com/pages/verify", "https://accounts.example.com/pages/reset"
	want.EmailChangeURL = "https://accounts.example.com/pages/email-change"
	want.Mail, want.SMTPURL, want.MailFrom = MailSMTP, "smtp://acc:s3cr3t@mail.example.com", "Example <no-reply@example.com>"
	if diff := cmp.Diff(want, c, plain); diff != "" || len(warnings) != 0 {
		t.Fatalf("warnings %q, difference (-want +got):\n%s", warnings, diff)
	}
	if c.IsLoopback() || !c.IsSecure() || c.UsesSQLite() {
		t.Fatal("a method disagrees")
	}
}

func TestEverythingSet(t *testing.T) {
	until := time.Now().Add(399 * day).UTC().Truncate(24 * time.Hour)
	c, warnings := mustLoad(t, environ(`ADDR=[::1]:443 PUBLIC_URL=HTTPS://Accounts.Example.COM:443/ DATA_DIR=/var/lib/accounts
		DATABASE_URL=sqlite:/srv/a.db SECRET_KEYS=one ACCESS_TTL=80s REFRESH_IDLE_TTL=1d12h SERVER_HELD_IDLE_TTL=1h30m
		SESSION_MAX_AGE=400d ROTATION_INTERVAL=15s CORS_ORIGINS=https://App.example.com:443,https://b.example:8443/
		TRUSTED_PROXIES=10.1.2.3/8,192.0.2.7,fd00::/8,2001:db8::1 PROXY_HEADER=Forwarded METRICS_ADDR=127.0.0.1:9090 DOCS=false CONSOLE=false AUTO_MIGRATE=false
		REGISTRATION=closed EMAIL_VERIFICATION=required PASSWORD_MIN_LENGTH=128 BREACHED_PASSWORDS=/srv/breached.bin VERIFY_URL=HTTPS://App.example.com:443/Verify?a=B%20c
		RESET_URL=https://app.example.com EMAIL_CHANGE_URL=https://[2001:DB8:0::1]:3000/%C3%BC/ VERIFY_TTL=7d RESET_TTL=1s EMAIL_CHANGE_TTL=90m
		MAIL=smtp SMTP_URL=smtp://u%40x:p%2F@[::1]:2525/?starttls=off MAIL_FROM=no-reply@Example.com MAIL_SENDERS=64 MAILS_PER_RECIPIENT=1000000/24h
		LOGIN_FAILURES_PER_ACCOUNT=3/1m LOGIN_FAILURES_PER_CLIENT=4/1h REGISTRATIONS_PER_CLIENT=5/1s CONFIRMATIONS_PER_CLIENT=6/1m RARE_ACTIONS_PER_USER=7/2h PASSWORDS_PER_CLIENT=8/1m PASSWORDS_PER_USER=9/3h MAILS_PER_STAFF=10/4h EVENT_RETENTION=3650d
		DB_MAX_CONNS=1000 LOG_LEVEL=debug SHUTDOWN_DELAY=0 SHUTDOWN_TIMEOUT=1m`, "ACCOUNTS_LEGACY_JWT_SECRETS=$of,32 characters, as they come  \r\n0123456789abcdef0123456789abcdef", "ACCOUNTS_LEGACY_JWT_UNTIL="+until.Format(time.DateOnly)))
	want := Config{
		Addr: "[::1]:443", PublicURL: "https://accounts.example.com", DataDir: "/var/lib/accounts",
		Database: Database{Engine: SQLite, Path: "/srv/a.db"}, SecretKeys: []Secret{"one"},
		LegacyJWTSecrets: Lines{"$of,32 characters, as they come  ", "0123456789abcdef0123456789abcdef"}, LegacyJWTUntil: Instant{until},
		AccessTTL: 80 * time.Second, RefreshIdleTTL: 36 * time.Hour, ServerHeldIdleTTL: 90 * time.Minute,
		SessionMaxAge: 400 * day, RotationInterval: 15 * time.Second,
		Registration: "closed", EmailVerification: "required", PasswordMinLength: 128, BreachedPasswords: "/srv/breached.bin",
		VerifyURL: "https://app.example.com/Verify?a=B%20c", ResetURL: "https://app.example.com", EmailChangeURL: "https://[2001:db8::1]:3000/%C3%BC/",
		VerifyTTL: 7 * day, ResetTTL: time.Second, EmailChangeTTL: 90 * time.Minute,
		Mail: MailSMTP, SMTPURL: "smtp://u%40x:p%2F@[::1]:2525/?starttls=off", MailFrom: "no-reply@Example.com", MailSenders: 64,
		MailsPerRecipient: Limit{1_000_000, 24 * time.Hour}, EventRetention: 3650 * day, LoginFailuresPerAccount: Limit{3, time.Minute}, LoginFailuresPerClient: Limit{4, time.Hour},
		RegistrationsPerClient: Limit{5, time.Second}, ConfirmationsPerClient: Limit{6, time.Minute}, RareActionsPerUser: Limit{7, 2 * time.Hour},
		PasswordsPerClient: Limit{8, time.Minute}, PasswordsPerUser: Limit{9, 3 * time.Hour}, MailsPerStaff: Limit{10, 4 * time.Hour},
		CORSOrigins: []string{"https://app.example.com", "https://b.example:8443"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"),
			netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("2001:db8::1/128")},
		ProxyHeader: Forwarded, MetricsAddr: "127.0.0.1:9090", DBMaxConns: 1000, LogLevel: "debug", ShutdownTimeout: time.Minute,
	}
	if diff := cmp.Diff(want, c, plain); diff != "" || len(warnings) != 0 {
		t.Fatalf("warnings %q, difference (-want +got):\n%s", warnings, diff)
	}
}

// Each of these must load. The function get returns the value to check.
func TestGood(t *testing.T) {
	publicURL := func(c Config) any { return c.PublicURL }
	loopback := func(c Config) any { return c.IsLoopback() }
	margin := func(c Config) any { return c.Margin() }
	database := func(c Config) any { return c.Database }
	cors := func(c Config) any { return len(c.CORSOrigins) }
	sender := func(c Config) any { return c.Mail + " from " + c.MailFrom }
	page := func(c Config) any { return c.VerifyURL }
	limit := func(c Config) any { return c.MailsPerRecipient }
	smtp := func(c Config) any { return string(c.SMTPURL) }
	for _, test := range []struct {
		settings string
		get      func(Config) any
		want     any
	}{
		{"ADDR=127.0.0.1:80", publicURL, "http://localhost"},
		{"ADDR=[::1]:9000", publicURL, "http://localhost:9000"},
		{"ADDR=LOCALHOST:9000", publicURL, "http://localhost:9000"},
		{"ADDR=localhost:0 PUBLIC_URL=http://localhost:1234", publicURL, "http://localhost:1234"},
		{"PUBLIC_URL=http://[0:0::1]:80", publicURL, "http://[::1]"},
		{"PUBLIC_URL=http://127.1.2.3:08080", publicURL, "http://127.1.2.3:8080"},
		{"PUBLIC_URL=http://127.1.2.3", loopback, true},
		{"PUBLIC_URL=http://[::1]", loopback, true},
		{"PUBLIC_URL=https://localhost", loopback, true},
		{"PUBLIC_URL=http://LOCALHOST", loopback, true},
		{"PUBLIC_URL=https://localhost", cors, 0},
		{"PUBLIC_URL=https://localhost.example.com SECRET_KEYS=k MAIL=files", loopback, false},
		{"PUBLIC_URL=https://128.0.0.1 SECRET_KEYS=k MAIL=files", loopback, false},
		{"PUBLIC_URL=https://xn--bcher-kva.example SECRET_KEYS=k MAIL=files", publicURL, "https://xn--bcher-kva.example"},
		{"CORS_ORIGINS=none", cors, 0},
		{"CORS_ORIGINS=http://localhost:3000,http://[::1]:3000", cors, 2},
		{"TRUSTED_PROXIES=none", func(c Config) any { return len(c.TrustedProxies) }, 0},
		{"METRICS_ADDR=off", func(c Config) any { return c.MetricsAddr }, ""},
		{"METRICS_ADDR=:9090", func(c Config) any { return c.MetricsAddr }, ":9090"},
		{"ADDR=192.0.2.1:80 PUBLIC_URL=http://localhost METRICS_ADDR=192.0.2.2:80", func(c Config) any { return c.MetricsAddr }, "192.0.2.2:80"},
		{"ACCESS_TTL=5s ROTATION_INTERVAL=2s", margin, 400 * time.Millisecond},
		{"ACCESS_TTL=3s ROTATION_INTERVAL=1s", margin, 200 * time.Millisecond},
		{"ACCESS_TTL=40s ROTATION_INTERVAL=15s", margin, 5 * time.Second},
		{"ACCESS_TTL=130s ROTATION_INTERVAL=60s", margin, 5 * time.Second},
		{"ACCESS_TTL=5s ROTATION_INTERVAL=0", margin, time.Duration(0)},
		{"ACCESS_TTL=15m SERVER_HELD_IDLE_TTL=15m1s", func(c Config) any { return c.AccessTTL }, 15 * time.Minute},
		{"REFRESH_IDLE_TTL=30d SERVER_HELD_IDLE_TTL=720h", func(c Config) any { return c.RefreshIdleTTL }, 30 * day},
		{"DATABASE_URL=sqlite:a.db", database, Database{Engine: SQLite, Path: "a.db"}},
		{"DATA_DIR=/d AUTO_MIGRATE=false", func(c Config) any { return c.Database.Path + " " + cmp.Diff(c.AutoMigrate, false) }, "/d/accounts.db "},
		{"SECRET_KEYS=k DATABASE_URL=mysql://u@localhost/n", database,
			Database{Engine: MySQL, Host: "localhost:3306", User: "u", Name: "n", TLS: "false"}},
		{"SECRET_KEYS=k DATABASE_URL=mysql://u:p%40%3A%2F%23@[::1]:3307/n?tls=true AUTO_MIGRATE=true", database,
			Database{Engine: MySQL, Host: "[::1]:3307", User: "u", Password: "p@:/#", Name: "n", TLS: "true"}},
		{"SECRET_KEYS=k DATABASE_URL=mysql://u@db/n?tls=skip-verify", database,
			Database{Engine: MySQL, Host: "db:3306", User: "u", Name: "n", TLS: "skip-verify"}},
		{"PASSWORD_MIN_LENGTH=8", func(c Config) any { return c.PasswordMinLength }, 8},
		{"", func(c Config) any { return c.BreachedPasswords }, ""},
		{"BREACHED_PASSWORDS=none", func(c Config) any { return c.BreachedPasswords }, ""},
		{"EMAIL_VERIFICATION=optional", func(c Config) any { return c.EmailVerification }, "optional"},
		{"PUBLIC_URL=https://Accounts.example.com SECRET_KEYS=k MAIL=files", sender, "files from Accounts <no-reply@accounts.example.com>"},
		{"PUBLIC_URL=https://192.0.2.1 SECRET_KEYS=k MAIL=files", sender, "files from Accounts <no-reply@localhost.localdomain>"},
		{"PUBLIC_URL=https://[2001:db8::1] SECRET_KEYS=k MAIL=files", sender, "files from Accounts <no-reply@localhost.localdomain>"},
		{"PUBLIC_URL=https://intranet SECRET_KEYS=k MAIL=files", sender, "files from Accounts <no-reply@localhost.localdomain>"},
		{"MAIL=files SMTP_URL=smtp://u:p@mail.example", sender, "files from Accounts <no-reply@localhost.localdomain>"},
		{"SMTP_URL=smtp://localhost:25?starttls=off MAIL_FROM=<a.b+c@d.example>", sender, "smtp from <a.b+c@d.example>"},
		{"SMTP_URL=smtps://u:p@mail.example MAIL_FROM=a@d.example", smtp, "smtps://u:p@mail.example"},
		{"PUBLIC_URL=http://localhost:3000", page, "http://localhost:3000/pages/verify"},
		{"VERIFY_URL=http://127.0.0.1:08080/v?", page, "http://127.0.0.1:8080/v"},
		{"VERIFY_URL=https://App.example/?next=/%23", page, "https://app.example/?next=/%23"},
		{"MAILS_PER_RECIPIENT=1/1s", limit, Limit{1, time.Second}},
		{"MAILS_PER_RECIPIENT=10/1d", limit, Limit{10, 24 * time.Hour}},
		{"MAILS_PER_RECIPIENT=0", limit, Limit{}},
		{"MAILS_PER_RECIPIENT=0/1h", limit, Limit{}},
		{"MAILS_PER_RECIPIENT=0", func(c Config) any { return c.MailPause() }, time.Duration(0)},
		{"MAILS_PER_RECIPIENT=1/24h", func(c Config) any { return c.MailPause() }, time.Minute},
	} {
		c, _, err := Load(environ(test.settings))
		if err != nil {
			t.Errorf("%s: %v", test.settings, err)
		} else if got := test.get(c); got != test.want {
			t.Errorf("%s: got %v, want %v", test.settings, got, test.want)
		}
	}
}

const (
	lineOrigin  = " must be an origin, scheme://host[:port] with http or https"
	linePath    = " must be an origin without path, query or fragment"
	lineHTTPS   = " must be https unless its host is on loopback"
	lineSpan    = " must be a duration such as 90s, 5m, 12h, 7d or 1d12h"
	lineAddr    = "ACCOUNTS_ADDR must be host:port with a port from 0 to 65535, such as localhost:8080"
	lineURL     = "ACCOUNTS_PUBLIC_URL is required if ADDR is not on loopback. Set it to the public origin of the server, such as https://accounts.example.com"
	lineKeys    = "ACCOUNTS_SECRET_KEYS is required unless PUBLIC_URL is on loopback and the database is SQLite. Generate one with `accountsd secret new`"
	lineTLS     = "ACCOUNTS_DATABASE_URL must have ?tls= if the host is not on loopback: true, skip-verify, preferred or false"
	lineMySQL   = "ACCOUNTS_DATABASE_URL must be mysql://user:password@host:port/name?tls=..., with special characters in user and password percent-encoded"
	lineEvery   = " must not match every address, because any caller could then choose its own client address"
	lineCIDR    = " must be an IP address or a CIDR such as 10.0.0.0/8"
	lineSMTP    = "ACCOUNTS_SMTP_URL is required unless PUBLIC_URL is on loopback. Set it to a URL such as smtp://user:password@mail.example.com, or set ACCOUNTS_MAIL=files to write mails to DATA_DIR without sending them"
	lineServer  = "ACCOUNTS_SMTP_URL must be smtp://user:password@host:port, with special characters in user and password percent-encoded"
	lineHost    = "ACCOUNTS_SMTP_URL must contain a host and, optionally, a port from 1 to 65535"
	linePair    = "ACCOUNTS_SMTP_URL must contain both a user and a password, or neither"
	lineOption  = "ACCOUNTS_SMTP_URL must have no option except ?starttls=off, which is allowed with smtp:// only"
	lineOff     = "ACCOUNTS_SMTP_URL must not have ?starttls=off unless its host is on loopback, because the links in mails could be read on the network"
	lineInstant = "ACCOUNTS_LEGACY_JWT_UNTIL must be an instant such as 2027-01-31T12:00:00Z, or a day such as 2027-01-31"
	lineSender  = "ACCOUNTS_MAIL_FROM must be one address, such as Accounts <no-reply@example.com>"
	linePage    = " must be the URL of a page, scheme://host[:port]/path with http or https, in ASCII without spaces"
	lineHash    = " must not have a fragment, because the link adds the token there"
	lineBudget  = "ACCOUNTS_MAILS_PER_RECIPIENT must be 0 or N/duration such as 5/1h, with N at most 1000000 and a duration from 1s to 24h in whole seconds"
	lineLink    = " must be from 1s to 7d in whole seconds"
	lineStar    = " must be one origin. * and null are rejected because they match every site"
)

// Every fault is reported in exactly one line, and causes no further faults.
func TestBad(t *testing.T) {
	t.Attr("control", "94")
	late := time.Now().Add(400*day + time.Hour).UTC().Format(time.RFC3339)
	for settings, want := range map[string]string{
		"ADR=x":                   "ACCOUNTS_ADR is not a setting. Did you mean ACCOUNTS_ADDR?",
		"ACCESS_TLL=s3cr3t":       "ACCOUNTS_ACCESS_TLL is not a setting. Did you mean ACCOUNTS_ACCESS_TTL?",
		"SECRET_KEY=s3cr3t":       "ACCOUNTS_SECRET_KEY is not a setting. Did you mean ACCOUNTS_SECRET_KEYS?",
		"SMTP_PASSWORD=s3cr3t":    "ACCOUNTS_SMTP_PASSWORD is not a setting. Run `accountsd settings` to list all settings",
		"=x":                      "ACCOUNTS_ is not a setting. Run `accountsd settings` to list all settings",
		"PORTS=x":                 "ACCOUNTS_PORTS is not a setting. Run `accountsd settings` to list all settings",
		"ADDR_FILE=/x":            "ACCOUNTS_ADDR_FILE is not a setting. Only settings that contain secrets can be read from a file",
		"BAD\x1b[31m\u202eNAME=x": `ACCOUNTS_BAD\x1b[31m\u202eNAME is not a setting. Run ` + "`accountsd settings` to list all settings",
		"UNKNOWN_BUT_EMPTY=":      "ACCOUNTS_UNKNOWN_BUT_EMPTY is not a setting. Run `accountsd settings` to list all settings",

		"ADDR=8080":                   lineAddr,
		"ADDR=localhost":              lineAddr,
		"ADDR=localhost:http":         lineAddr,
		"ADDR=localhost:65536":        lineAddr,
		"ADDR=http://localhost:80":    lineAddr,
		"ADDR=::1:8080":               lineAddr,
		"ADDR=:8080":                  lineURL,
		"ADDR=0.0.0.0:8080":           lineURL,
		"ADDR=[::]:8080":              lineURL,
		"ADDR=192.0.2.1:80":           lineURL,
		"ADDR=[::ffff:127.0.0.1]:80":  lineURL,
		"ADDR=localhost.example:8080": lineURL,
		"ADDR=localhost:0":            "ACCOUNTS_PUBLIC_URL is required if ADDR has port 0",

		"PUBLIC_URL=accounts.example.com":              "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=localhost:8080":                    "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=ftp://localhost":                   "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://":                          "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://:443":                      "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example:":                "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example:0":               "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example:65536":           "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a..example":                "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example.":                "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://*.example":                 "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://b\u00fccher.example":       "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://127.1":                      "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://::1":                        "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://[::ffff:127.0.0.1]":         "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://[fe80::1%25eth0]":           "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://s3cr3t:s3cr3t@a.example":   "ACCOUNTS_PUBLIC_URL must not contain a user or password",
		"PUBLIC_URL=https://a.example/accounts":        "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=https://a.example//":               "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=https://a.example?":                "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=https://a.example/#":               "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=http://a.example":                  "ACCOUNTS_PUBLIC_URL" + lineHTTPS,
		"PUBLIC_URL=http://localhost.example":          "ACCOUNTS_PUBLIC_URL" + lineHTTPS,
		"PUBLIC_URL=http://10.0.0.1":                   "ACCOUNTS_PUBLIC_URL" + lineHTTPS,
		"PUBLIC_URL=https://a.example MAIL=files":      lineKeys,
		"DATABASE_URL=mysql://u@localhost/n?tls=false": lineKeys,

		"SECRET_KEYS=s3cr3t,":                                               "ACCOUNTS_SECRET_KEYS entry 2 must not be empty",
		"SECRET_KEYS=s3cr3t,other,s3cr3t":                                   "ACCOUNTS_SECRET_KEYS entry 3 must not repeat an earlier one",
		"LEGACY_JWT_SECRETS=s3cr3t":                                         "ACCOUNTS_LEGACY_JWT_SECRETS and LEGACY_JWT_UNTIL must be set together",
		"LEGACY_JWT_UNTIL=2000-01-01":                                       "ACCOUNTS_LEGACY_JWT_SECRETS and LEGACY_JWT_UNTIL must be set together",
		"LEGACY_JWT_SECRETS=s3cr3t LEGACY_JWT_UNTIL=2000-1-1":               lineInstant,
		"LEGACY_JWT_SECRETS=s3cr3t LEGACY_JWT_UNTIL=2000-01-01T00:00:00":    lineInstant,
		"LEGACY_JWT_SECRETS=s3cr3t LEGACY_JWT_UNTIL=7d":                     lineInstant,
		"LEGACY_JWT_SECRETS=s3cr3t LEGACY_JWT_UNTIL=" + late:                "ACCOUNTS_LEGACY_JWT_UNTIL must be at most 400d ahead",
		"LEGACY_JWT_SECRETS_FILE=/no/such LEGACY_JWT_UNTIL=2000-01-01":      "ACCOUNTS_LEGACY_JWT_SECRETS_FILE cannot be read: no such file or directory",
		"SECRET_KEYS_FILE=/no/such/s3cr3t":                                  "ACCOUNTS_SECRET_KEYS_FILE cannot be read: no such file or directory",
		"PUBLIC_URL=https://a.example SECRET_KEYS_FILE=/no/such MAIL=files": "ACCOUNTS_SECRET_KEYS_FILE cannot be read: no such file or directory",
		"SECRET_KEYS_FILE=/":                                                "ACCOUNTS_SECRET_KEYS_FILE must name a regular file",
		"SECRET_KEYS_FILE=/dev/null":                                        "ACCOUNTS_SECRET_KEYS_FILE must name a regular file",
		"SECRET_KEYS_FILE=/x SECRET_KEYS=s3cr3t":                            "ACCOUNTS_SECRET_KEYS and ACCOUNTS_SECRET_KEYS_FILE must not both be set",
		"SECRET_KEYS=k DATABASE_URL_FILE=/x DATABASE_URL=s3cr3t":            "ACCOUNTS_DATABASE_URL and ACCOUNTS_DATABASE_URL_FILE must not both be set",
		"SECRET_KEYS=k DATABASE_URL_FILE=/no/such ADDR=localhost:7":         "ACCOUNTS_DATABASE_URL_FILE cannot be read: no such file or directory",
		"DATABASE_URL=postgres://u:s3cr3t@db/n":                             "ACCOUNTS_DATABASE_URL must begin with sqlite: or mysql://",
		"DATABASE_URL=u:s3cr3t@tcp(db)/n":                                   "ACCOUNTS_DATABASE_URL must begin with sqlite: or mysql://",
		"DATABASE_URL=sqlite:":                                              "ACCOUNTS_DATABASE_URL must contain the path of a file, as in sqlite:PATH",
		"DATABASE_URL=sqlite::memory:":                                      "ACCOUNTS_DATABASE_URL must contain the path of a file, as in sqlite:PATH",
		"DATABASE_URL=sqlite:a.db?_pragma=x":                                "ACCOUNTS_DATABASE_URL must be sqlite:PATH without options",
		"DATABASE_URL=sqlite:///var/a.db":                                   "ACCOUNTS_DATABASE_URL must be sqlite:PATH without //, such as sqlite:/var/lib/accounts/accounts.db",
		"DATABASE_URL=mysql://u:s3cr3t#x@db/n?tls=true":                     lineMySQL,
		"DATABASE_URL=mysql://u:s3cr3t%zz@db/n?tls=true":                    lineMySQL,
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=true#x":                     lineMySQL,
		"DATABASE_URL=mysql://u:s3cr3t@/n?tls=true":                         "ACCOUNTS_DATABASE_URL must contain a host and, optionally, a port from 1 to 65535",
		"DATABASE_URL=mysql://u:s3cr3t@db:/n?tls=true":                      "ACCOUNTS_DATABASE_URL must contain a host and, optionally, a port from 1 to 65535",
		"DATABASE_URL=mysql://u:s3cr3t@db:99999/n?tls=true":                 "ACCOUNTS_DATABASE_URL must contain a host and, optionally, a port from 1 to 65535",
		"DATABASE_URL=mysql://u:s3cr3t@db?tls=true":                         "ACCOUNTS_DATABASE_URL must contain one database name after the host",
		"DATABASE_URL=mysql://u:s3cr3t@db/n/m?tls=true":                     "ACCOUNTS_DATABASE_URL must contain one database name after the host",
		"DATABASE_URL=mysql://:s3cr3t@db/n?tls=true":                        "ACCOUNTS_DATABASE_URL must contain a user before the host",
		"DATABASE_URL=mysql://db/n?tls=true":                                "ACCOUNTS_DATABASE_URL must contain a user before the host",
		"DATABASE_URL=mysql://u:s3cr3t@db/n":                                lineTLS,
		"DATABASE_URL=mysql://u:s3cr3t@10.0.0.1/n":                          lineTLS,
		"DATABASE_URL=mysql://u:s3cr3t@localhost.example/n":                 lineTLS,
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=":                           "ACCOUNTS_DATABASE_URL must have tls=true, tls=skip-verify, tls=preferred or tls=false",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=1":                          "ACCOUNTS_DATABASE_URL must have tls=true, tls=skip-verify, tls=preferred or tls=false",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=true&tls=false":             "ACCOUNTS_DATABASE_URL must have no option except a single tls=",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=true&parseTime=1":           "ACCOUNTS_DATABASE_URL must have no option except a single tls=",
		"DATABASE_URL=mysql://u:s3cr3t@localhost/n?multiStatements=true":    "ACCOUNTS_DATABASE_URL must have no option except a single tls=",

		"ACCESS_TTL=5":                                    "ACCOUNTS_ACCESS_TTL" + lineSpan,
		"ACCESS_TTL=-5m":                                  "ACCOUNTS_ACCESS_TTL" + lineSpan,
		"ACCESS_TTL=s3cr3t":                               "ACCOUNTS_ACCESS_TTL" + lineSpan,
		"ACCESS_TTL=69s":                                  "ACCOUNTS_ACCESS_TTL must be at least 1m10s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=4s ROTATION_INTERVAL=2s":              "ACCOUNTS_ACCESS_TTL must be at least 4.8s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=129s ROTATION_INTERVAL=1m":            "ACCOUNTS_ACCESS_TTL must be at least 2m10s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=4s ROTATION_INTERVAL=0":               "ACCOUNTS_ACCESS_TTL must be at least 5s",
		"ACCESS_TTL=0":                                    "ACCOUNTS_ACCESS_TTL must be at least 1m10s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=901s":                                 "ACCOUNTS_ACCESS_TTL must be at most 15m",
		"ACCESS_TTL=90.5s":                                "ACCOUNTS_ACCESS_TTL must be a whole number of seconds",
		"ROTATION_INTERVAL=61s":                           "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds",
		"ROTATION_INTERVAL=500ms":                         "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds",
		"ROTATION_INTERVAL=1.5s":                          "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds",
		"ROTATION_INTERVAL=s3cr3t":                        "ACCOUNTS_ROTATION_INTERVAL" + lineSpan,
		"REFRESH_IDLE_TTL=31d":                            "ACCOUNTS_REFRESH_IDLE_TTL must be at most SESSION_MAX_AGE",
		"REFRESH_IDLE_TTL=5m":                             "ACCOUNTS_REFRESH_IDLE_TTL must be longer than ACCESS_TTL",
		"REFRESH_IDLE_TTL=0":                              "ACCOUNTS_REFRESH_IDLE_TTL must be longer than ACCESS_TTL",
		"REFRESH_IDLE_TTL=2d1.5s":                         "ACCOUNTS_REFRESH_IDLE_TTL must be a whole number of seconds",
		"SERVER_HELD_IDLE_TTL=5m":                         "ACCOUNTS_SERVER_HELD_IDLE_TTL must be longer than ACCESS_TTL",
		"SERVER_HELD_IDLE_TTL=721h":                       "ACCOUNTS_SERVER_HELD_IDLE_TTL must be at most SESSION_MAX_AGE",
		"SESSION_MAX_AGE=401d":                            "ACCOUNTS_SESSION_MAX_AGE must be from 1s to 400d in whole seconds",
		"SESSION_MAX_AGE=0":                               "ACCOUNTS_SESSION_MAX_AGE must be from 1s to 400d in whole seconds",
		"SESSION_MAX_AGE=1d-1h":                           "ACCOUNTS_SESSION_MAX_AGE" + lineSpan,
		"SESSION_MAX_AGE=999999999999d":                   "ACCOUNTS_SESSION_MAX_AGE" + lineSpan,
		"CORS_ORIGINS=*":                                  "ACCOUNTS_CORS_ORIGINS entry 1" + lineStar,
		"CORS_ORIGINS=https://a.example,null":             "ACCOUNTS_CORS_ORIGINS entry 2" + lineStar,
		"CORS_ORIGINS=https://*.example.com":              "ACCOUNTS_CORS_ORIGINS entry 1" + lineOrigin,
		"CORS_ORIGINS=https://a.example,":                 "ACCOUNTS_CORS_ORIGINS entry 2" + lineOrigin,
		"CORS_ORIGINS=https://a.example/app":              "ACCOUNTS_CORS_ORIGINS entry 1" + linePath,
		"CORS_ORIGINS=https://a.example,http://b.example": "ACCOUNTS_CORS_ORIGINS entry 2" + lineHTTPS,
		"PROXY_HEADER=X-Real-IP":                          "ACCOUNTS_PROXY_HEADER must be X-Forwarded-For or Forwarded",
		"PROXY_HEADER=x-forwarded-for":                    "ACCOUNTS_PROXY_HEADER must be X-Forwarded-For or Forwarded",
		"TRUSTED_PROXIES=0.0.0.0/0":                       "ACCOUNTS_TRUSTED_PROXIES entry 1" + lineEvery,
		"TRUSTED_PROXIES=10.0.0.1,::/0":                   "ACCOUNTS_TRUSTED_PROXIES entry 2" + lineEvery,
		"TRUSTED_PROXIES=8.8.8.8/0":                       "ACCOUNTS_TRUSTED_PROXIES entry 1" + lineEvery,
		"TRUSTED_PROXIES=proxy.example":                   "ACCOUNTS_TRUSTED_PROXIES entry 1" + lineCIDR,
		"TRUSTED_PROXIES=10.0.0.0/33":                     "ACCOUNTS_TRUSTED_PROXIES entry 1" + lineCIDR,
		"TRUSTED_PROXIES=::ffff:0.0.0.0/96":               "ACCOUNTS_TRUSTED_PROXIES entry 1" + lineCIDR,
		"TRUSTED_PROXIES=fe80::1%eth0":                    "ACCOUNTS_TRUSTED_PROXIES entry 1" + lineCIDR,
		"METRICS_ADDR=9090":                               "ACCOUNTS_METRICS_ADDR must be off or host:port with a port from 0 to 65535, such as localhost:9090",
		"METRICS_ADDR=localhost:8080":                     "ACCOUNTS_METRICS_ADDR must not use the same host and port as ADDR",
		"METRICS_ADDR=:8080":                              "ACCOUNTS_METRICS_ADDR must not use the same host and port as ADDR",
		"METRICS_ADDR=127.0.0.1:8080":                     "ACCOUNTS_METRICS_ADDR must not use the same host and port as ADDR",
		"ADDR=[::]:80 METRICS_ADDR=localhost:80":          lineURL + "\nACCOUNTS_METRICS_ADDR must not use the same host and port as ADDR",
		"DOCS=yes":                                        "ACCOUNTS_DOCS must be true or false",
		"CONSOLE=yes":                                     "ACCOUNTS_CONSOLE must be true or false",
		"AUTO_MIGRATE=s3cr3t":                             "ACCOUNTS_AUTO_MIGRATE must be true or false",
		"MAIL_SENDERS=2":                                  "ACCOUNTS_MAIL_SENDERS must be from 3 to 64",
		"MAIL_SENDERS=65":                                 "ACCOUNTS_MAIL_SENDERS must be from 3 to 64",
		"DB_MAX_CONNS=0":                                  "ACCOUNTS_DB_MAX_CONNS must be from 1 to 1000",
		"DB_MAX_CONNS=1001":                               "ACCOUNTS_DB_MAX_CONNS must be from 1 to 1000",
		"DB_MAX_CONNS=many":                               "ACCOUNTS_DB_MAX_CONNS must be a whole number",
		"LOG_LEVEL=INFO":                                  "ACCOUNTS_LOG_LEVEL must be debug, info, warn or error",
		"LOG_LEVEL=info+2":                                "ACCOUNTS_LOG_LEVEL must be debug, info, warn or error",
		"SHUTDOWN_DELAY=5m1s":                             "ACCOUNTS_SHUTDOWN_DELAY must be at most 5m",
		"SHUTDOWN_TIMEOUT=0":                              "ACCOUNTS_SHUTDOWN_TIMEOUT must be from 1s to 5m",
		"SHUTDOWN_TIMEOUT=1h":                             "ACCOUNTS_SHUTDOWN_TIMEOUT must be from 1s to 5m",
		"ADDR=x METRICS_ADDR=:1":                          lineAddr,
		"ADDR=x DATABASE_URL=sqlite:x":                    lineAddr,

		"REGISTRATION=yes":                                    "ACCOUNTS_REGISTRATION must be open or closed",
		"EMAIL_VERIFICATION=Optional":                         "ACCOUNTS_EMAIL_VERIFICATION must be required or optional",
		"PASSWORD_MIN_LENGTH=7":                               "ACCOUNTS_PASSWORD_MIN_LENGTH must be from 8 to 128",
		"PASSWORD_MIN_LENGTH=129":                             "ACCOUNTS_PASSWORD_MIN_LENGTH must be from 8 to 128",
		"PASSWORD_MIN_LENGTH=s3cr3t":                          "ACCOUNTS_PASSWORD_MIN_LENGTH must be a whole number",
		"EVENT_RETENTION=0":                                   "ACCOUNTS_EVENT_RETENTION must be from 1d to 3650d",
		"EVENT_RETENTION=3651d":                               "ACCOUNTS_EVENT_RETENTION must be from 1d to 3650d",
		"EVENT_RETENTION=23h":                                 "ACCOUNTS_EVENT_RETENTION must be from 1d to 3650d",
		"VERIFY_TTL=0":                                        "ACCOUNTS_VERIFY_TTL" + lineLink,
		"VERIFY_TTL=7d1s":                                     "ACCOUNTS_VERIFY_TTL" + lineLink,
		"RESET_TTL=500ms":                                     "ACCOUNTS_RESET_TTL" + lineLink,
		"EMAIL_CHANGE_TTL=1.5s":                               "ACCOUNTS_EMAIL_CHANGE_TTL" + lineLink,
		"EMAIL_CHANGE_TTL=24":                                 "ACCOUNTS_EMAIL_CHANGE_TTL" + lineSpan,
		"VERIFY_URL=/pages/verify":                            "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=app.example/verify":                       "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=javascript:s3cr3t":                        "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https:app.example":                        "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https:///verify":                          "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example:0/verify":             "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app..example/verify":              "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example/%zz":                  "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example/\u00fc":               "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example/?a=\"><b>":            "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example\\@s3cr3t/":            "ACCOUNTS_VERIFY_URL" + linePage,
		"RESET_URL=https://s3cr3t:s3cr3t@app.example":         "ACCOUNTS_RESET_URL must not contain a user or password",
		"RESET_URL=https://app.example/#/reset":               "ACCOUNTS_RESET_URL" + lineHash,
		"RESET_URL=https://app.example/#":                     "ACCOUNTS_RESET_URL" + lineHash,
		"EMAIL_CHANGE_URL=http://app.example/":                "ACCOUNTS_EMAIL_CHANGE_URL" + lineHTTPS,
		"EMAIL_CHANGE_URL=http://localhost.example/":          "ACCOUNTS_EMAIL_CHANGE_URL" + lineHTTPS,
		"MAIL=sendmail":                                       "ACCOUNTS_MAIL must be smtp or files",
		"MAIL=smtp MAIL_FROM=a@d.example":                     "ACCOUNTS_MAIL must not be smtp unless SMTP_URL is set",
		"MAIL=smtp":                                           "ACCOUNTS_MAIL must not be smtp unless SMTP_URL is set",
		"MAIL=smtp SMTP_URL_FILE=/no/such":                    "ACCOUNTS_SMTP_URL_FILE cannot be read: no such file or directory",
		"SMTP_URL_FILE=/x SMTP_URL=s3cr3t":                    "ACCOUNTS_SMTP_URL and ACCOUNTS_SMTP_URL_FILE must not both be set",
		"PUBLIC_URL=https://a.example SECRET_KEYS=k":          lineSMTP,
		"SMTP_URL=smtp://u:s3cr3t@mail.example":               "ACCOUNTS_MAIL_FROM is required with SMTP_URL. Set it to the sender of all mails, such as Accounts <no-reply@example.com>",
		"SMTP_URL=mail.example:587":                           "ACCOUNTS_SMTP_URL must begin with smtp:// or smtps://",
		"SMTP_URL=https://u:s3cr3t@mail.example":              "ACCOUNTS_SMTP_URL must begin with smtp:// or smtps://",
		"SMTP_URL=smtp://u:s3cr3t#x@mail.example":             lineServer,
		"SMTP_URL=smtp://u:s3cr3t%zz@mail.example":            lineServer,
		"SMTP_URL=smtp://u:s3cr3t/x@mail.example":             lineServer,
		"SMTP_URL=smtp://u:s3cr3t@mail.example/inbox":         lineServer,
		"SMTP_URL=smtp://u:s3cr3t@mail.example#x":             lineServer,
		"SMTP_URL=smtp://u:s3cr3t@":                           lineHost,
		"SMTP_URL=smtp://u:s3cr3t@mail.example:":              lineHost,
		"SMTP_URL=smtp://u:s3cr3t@mail.example:0":             lineHost,
		"SMTP_URL=smtp://u:s3cr3t@mail.example:65536":         lineHost,
		"SMTP_URL=smtp://u:s3cr3t@mail_example:25":            lineHost,
		"SMTP_URL=smtp://s3cr3t@mail.example":                 linePair,
		"SMTP_URL=smtp://s3cr3t:@mail.example":                linePair,
		"SMTP_URL=smtp://:s3cr3t@mail.example":                linePair,
		"SMTP_URL=smtp://u:s3cr3t@mail.example?starttls=off":  lineOff,
		"SMTP_URL=smtp://localhost.example?starttls=off":      lineOff,
		"SMTP_URL=smtp://[::ffff:127.0.0.1]?starttls=off":     lineHost,
		"SMTP_URL=smtp://[::1%25lo]?starttls=off":             lineHost,
		"SMTP_URL=smtp://localhost.?starttls=off":             lineHost,
		"SMTP_URL=smtp://localhost?starttls=no":               lineOption,
		"SMTP_URL=smtps://localhost?starttls=off":             lineOption,
		"SMTP_URL=smtp://mail.example?s3cr3t=1":               lineOption,
		"MAIL_FROM=Accounts":                                  lineSender,
		"MAIL_FROM=a@intranet":                                lineSender,
		"MAIL_FROM=a@[127.0.0.1]":                             lineSender,
		"MAIL_FROM=a@127.0.0.1":                               lineSender,
		"MAIL_FROM=a@b.example,c@d.example":                   lineSender,
		"MAIL_FROM=a@b.example(c)":                            lineSender,
		"MAIL_FROM=\"@\"@b.example":                           lineSender,
		"MAIL_FROM==?utf-8?q?a?=@b.example":                   lineSender,
		"MAIL_FROM==?utf-8?q?=0d=0aBcc?=<a@b.example>":        lineSender,
		"MAIL_FROM=\x7f<a@b.example>":                         lineSender,
		"MAIL_FROM=b\u00fccher@b.example":                     lineSender,
		"MAIL_FROM=" + strings.Repeat("a", 65) + "@b.example": lineSender,
		"MAILS_PER_RECIPIENT=5":                               lineBudget,
		"MAILS_PER_RECIPIENT=5/":                              lineBudget,
		"MAILS_PER_RECIPIENT=/1h":                             lineBudget,
		"MAILS_PER_RECIPIENT=-5/1h":                           lineBudget,
		"MAILS_PER_RECIPIENT=+5/1h":                           lineBudget,
		"MAILS_PER_RECIPIENT=1.5/1h":                          lineBudget,
		"MAILS_PER_RECIPIENT=1000001/1h":                      lineBudget,
		"MAILS_PER_RECIPIENT=99999999999999999999/1h":         lineBudget,
		"MAILS_PER_RECIPIENT=5/0s":                            lineBudget,
		"MAILS_PER_RECIPIENT=0/0s":                            lineBudget,
		"MAILS_PER_RECIPIENT=5/999ms":                         lineBudget,
		"MAILS_PER_RECIPIENT=5/1.5s":                          lineBudget,
		"MAILS_PER_RECIPIENT=5/24h1s":                         lineBudget,
		"MAILS_PER_RECIPIENT=5/1h/1h":                         lineBudget,
		"MAILS_PER_RECIPIENT=s3cr3t/1h":                       lineBudget,
	} {
		c, warnings, err := Load(environ(settings))
		if err == nil {
			t.Errorf("%s: accepted", settings)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", settings, diff)
		}
		if !cmp.Equal(c, Config{}, plain) || warnings != nil {
			t.Errorf("%s: a configuration was returned with the error", settings)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, _, err := Load(environ("ADR=x ACCESS_TTL=1h DOCS=maybe CORS_ORIGINS=*,https://a.example,http://b.example DB_MAX_CONNS=0"))
	want := `ACCOUNTS_ADR is not a setting. Did you mean ACCOUNTS_ADDR?
ACCOUNTS_CORS_ORIGINS entry 1` + lineStar + `
ACCOUNTS_CORS_ORIGINS entry 3` + lineHTTPS + `
ACCOUNTS_DOCS must be true or false
ACCOUNTS_ACCESS_TTL must be at most 15m
ACCOUNTS_DB_MAX_CONNS must be from 1 to 1000`
	if err == nil || err.Error() != want {
		t.Fatalf("(-want +got)\n%s", cmp.Diff(want, err.Error()))
	}
}

func TestFirstOfTwoEqualNamesCounts(t *testing.T) {
	c, _ := mustLoad(t, []string{"ACCOUNTS_ADDR=localhost:1", "ACCOUNTS_ADDR=localhost:2"})
	if c.Addr != "localhost:1" {
		t.Fatal(c.Addr)
	}
}

// No fault prints a secret, even if it is in the wrong setting.
func TestFaultsHoldNoValue(t *testing.T) {
	t.Attr("control", "94")
	for _, name := range append(settingNames(), "SECRET_KEYS_FILE", "DATABASE_URL_FILE", "SMTP_URL_FILE", "LEGACY_JWT_SECRETS_FILE", "SECRET_KEY", "TYPO") {
		for _, value := range []string{"s3cr3t", "s3cr3t,s3cr3t", "mysql://u:s3cr3t@h:x/", "mysql://u:s3cr3t@h/n?s3cr3t=1", "https://u:s3cr3t@h/%zz",
			"http://[s3cr3t", "1s3cr3t", "s3cr3t:s3cr3t:1", "\x7fs3cr3t\n",
			"smtp://u:s3cr3t@h:x", "smtp://s3cr3t@h", "smtp://u:s3cr3t@h/s3cr3t?s3cr3t=1", "s3cr3t <s3cr3t@s3cr3t>", "s3cr3t/s3cr3t"} {
			_, _, err := Load([]string{Prefix + name + "=" + value})
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
}

func TestSecretFiles(t *testing.T) {
	t.Attr("control", "94")
	write := func(content string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := write("s3cr3t-new,s3cr3t-old\r\n", 0o600)
	url := write("mysql://u:s3cr3t@db/n?tls=true\n", 0o640)
	smtp := write("smtps://u:s3cr3t@mail.example\n", 0o600)
	legacy := write("s3cr3t, with a comma\r\n0123456789abcdef0123456789abcdef\n", 0o640)
	link := filepath.Join(t.TempDir(), "link") // Kubernetes mounts secrets as symbolic links
	if err := os.Symlink(keys, link); err != nil {
		t.Fatal(err)
	}
	c, _ := mustLoad(t, environ("SECRET_KEYS_FILE="+link+" DATABASE_URL_FILE="+url+" SMTP_URL_FILE="+smtp+" MAIL_FROM=a@b.example LEGACY_JWT_UNTIL=2000-01-01 LEGACY_JWT_SECRETS_FILE="+legacy))
	if diff := cmp.Diff([]Secret{"s3cr3t-new", "s3cr3t-old"}, c.SecretKeys); diff != "" || c.Database.Password != "s3cr3t" || c.SMTPURL != "smtps://u:s3cr3t@mail.example" || c.Mail != MailSMTP {
		t.Fatal(diff, c)
	}
	if diff := cmp.Diff(Lines{"s3cr3t, with a comma", "0123456789abcdef0123456789abcdef"}, c.LegacyJWTSecrets); diff != "" {
		t.Error(diff)
	}

	const open = "ACCOUNTS_SECRET_KEYS_FILE must name a file that others can neither read nor write. Run chmod o-rw on it"
	for path, want := range map[string]string{
		write("s3cr3t", 0o644):                      open,
		write("s3cr3t", 0o602):                      open,
		write("", 0o600):                            "ACCOUNTS_SECRET_KEYS_FILE must name a file that is not empty",
		write("\n", 0o600):                          "ACCOUNTS_SECRET_KEYS_FILE must name a file that is not empty",
		write(strings.Repeat("s", 64<<10+1), 0o600): "ACCOUNTS_SECRET_KEYS_FILE must name a file of at most 64 KiB",
		write("s3cr3t,\n", 0o600):                   "ACCOUNTS_SECRET_KEYS entry 2 must not be empty",
	} {
		_, _, err := Load(environ("SECRET_KEYS_FILE=" + path))
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Attr("control", "95")
	tomorrow := time.Now().Add(day).UTC().Format(time.RFC3339)
	for settings, want := range map[string]string{
		"ROTATION_INTERVAL=0":                                     "ACCOUNTS_ROTATION_INTERVAL is 0 (strict profile): two tabs that refresh at the same time, or one response lost on the network, end the session",
		"ROTATION_INTERVAL=10s":                                   "ACCOUNTS_ROTATION_INTERVAL is under 15s: a client has 8s to retry a lost refresh before the retry counts as theft",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=false":            "ACCOUNTS_DATABASE_URL has tls=false for a host that is not on loopback: all data is sent over the network unencrypted",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=preferred":        "ACCOUNTS_DATABASE_URL has tls=preferred: an attacker on the network can turn encryption off",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=skip-verify":      "ACCOUNTS_DATABASE_URL has tls=skip-verify: an attacker on the network can impersonate the database",
		"DATABASE_URL=mysql://u:s3cr3t@127.0.0.1/n?tls=false":     "",
		"CORS_ORIGINS=https://a.example,http://localhost:1":       "ACCOUNTS_CORS_ORIGINS trusts http://localhost:1: any program on a user's own machine can serve that origin",
		"CORS_ORIGINS=http://[::1]:1":                             "ACCOUNTS_CORS_ORIGINS trusts http://[::1]:1: any program on a user's own machine can serve that origin",
		"PUBLIC_URL=http://localhost":                             "ACCOUNTS_ADDR is reachable from other machines while PUBLIC_URL is on loopback: the loopback defaults apply to those machines too",
		"ROTATION_INTERVAL=15s":                                   "",
		"EMAIL_VERIFICATION=optional":                             "ACCOUNTS_EMAIL_VERIFICATION is optional: a stranger can register an address and keep it until its owner resets the password by mail, and logging in reveals whether a username or address is taken",
		"PASSWORD_MIN_LENGTH=11":                                  "ACCOUNTS_PASSWORD_MIN_LENGTH is under 12: short passwords are cracked sooner from a copy of the database",
		"PASSWORD_MIN_LENGTH=12":                                  "",
		"RESET_TTL=1h1s":                                          "ACCOUNTS_RESET_TTL is over 1h: anyone who finds an old link in a mailbox can take over the account",
		"RESET_TTL=1h":                                            "",
		"MAIL=files":                                              "ACCOUNTS_MAIL is files while PUBLIC_URL is not on loopback: mails are written to DATA_DIR and not sent",
		"PUBLIC_URL=http://localhost ADDR=localhost:1 MAIL=files": "",
		"MAILS_PER_RECIPIENT=0":                                   "ACCOUNTS_MAILS_PER_RECIPIENT is 0: anyone can cause any number of mails to any address",
		"LOGIN_FAILURES_PER_ACCOUNT=0":                            "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT is 0: attackers can guess the password of an account without limit",
		"LOGIN_FAILURES_PER_CLIENT=0":                             "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT is 0: one client can try common passwords on every account",
		"PASSWORDS_PER_CLIENT=0":                                  "ACCOUNTS_PASSWORDS_PER_CLIENT is 0: one client with a right password can keep the server busy with hashing",
		"PASSWORDS_PER_USER=0":                                    "ACCOUNTS_PASSWORDS_PER_USER is 0: one user can fill the database with sessions and security log entries",
		"MAILS_PER_STAFF=0":                                       "ACCOUNTS_MAILS_PER_STAFF is 0: one staff account can cause mails to any number of addresses",
		"REGISTRATIONS_PER_CLIENT=0":                              "ACCOUNTS_REGISTRATIONS_PER_CLIENT is 0: one client can fill the database with registrations and cause mails to any number of addresses",
		"CONFIRMATIONS_PER_CLIENT=0":                              "ACCOUNTS_CONFIRMATIONS_PER_CLIENT is 0: one client can guess links without limit",
		"RARE_ACTIONS_PER_USER=0":                                 "ACCOUNTS_RARE_ACTIONS_PER_USER is 0: one user can fill the security log, and can fill the server's memory with exports",
		"METRICS_ADDR=:9100":                                      "ACCOUNTS_METRICS_ADDR is on every interface: anyone who can reach this machine can read how many logins succeed and fail",
		"METRICS_ADDR=[::]:9100":                                  "ACCOUNTS_METRICS_ADDR is on every interface: anyone who can reach this machine can read how many logins succeed and fail",
		"METRICS_ADDR=10.0.0.1:9100":                              "",
		"MAILS_PER_RECIPIENT=0/1h":                                "ACCOUNTS_MAILS_PER_RECIPIENT is 0: anyone can cause any number of mails to any address",
		"RESET_URL=http://localhost:3000/r":                       "ACCOUNTS_RESET_URL is on loopback while PUBLIC_URL is not: links in mails open on the reader's own machine",
		"RESET_URL=https://app.example.com/r":                     "",
		"TRUSTED_PROXIES=none":                                    "ACCOUNTS_TRUSTED_PROXIES is none while PUBLIC_URL is not on loopback: behind a proxy all clients share one rate limit, and one client can exhaust it for all of them",
		"PUBLIC_URL=http://localhost ADDR=localhost:1 MAIL=files TRUSTED_PROXIES=none":                   "",
		"LEGACY_JWT_UNTIL=" + tomorrow + " LEGACY_JWT_SECRETS=0123456789abcdef0123456789abcdef":          "",
		"LEGACY_JWT_UNTIL=" + tomorrow + " LEGACY_JWT_SECRETS=0123456789abcdef0123456789abcde":           "ACCOUNTS_LEGACY_JWT_SECRETS has a secret under 32 bytes in line 1: an attacker who guesses it from a legacy token can impersonate any imported user until LEGACY_JWT_UNTIL",
		"LEGACY_JWT_UNTIL=2026-01-01T00:00:00+01:00 LEGACY_JWT_SECRETS=0123456789abcdef0123456789abcdef": "ACCOUNTS_LEGACY_JWT_UNTIL is in the past: legacy tokens are rejected. Remove LEGACY_JWT_UNTIL and LEGACY_JWT_SECRETS",
	} {
		_, warnings := mustLoad(t, environ(settings, production...))
		if got := strings.Join(warnings, "\n"); got != want {
			t.Errorf("%s: got %q, want %q", settings, got, want)
		}
	}
}
