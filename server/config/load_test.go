package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// production is a valid set of settings for a server that is not on loopback. The entries of the
// tables are put before it, because the first of two equal names counts.
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
		EventRetention: 90 * day,
		ProxyHeader:    XForwardedFor,
		Docs:           true, Console: true, AutoMigrate: true, DBMaxConns: 32, LogLevel: "info",
		ShutdownTimeout: 15 * time.Second,
	}
}

func TestLoadWithoutSettingsReturnsDefaults(t *testing.T) {
	for name, environ := range map[string][]string{
		"nothing set": {"PATH=/bin", "ACCOUNTSD=x", "accounts_addr=x", "XACCOUNTS_ADDR=x"},
		"empty is absent": {"ACCOUNTS_ADDR=", "ACCOUNTS_PUBLIC_URL=", "ACCOUNTS_SECRET_KEYS=", "ACCOUNTS_SECRET_KEYS_FILE=",
			"ACCOUNTS_METRICS_ADDR=", "ACCOUNTS_CORS_ORIGINS=", "ACCOUNTS_DOCS=", "ACCOUNTS_CONSOLE=", "ACCOUNTS_ROTATION_INTERVAL="},
		"the links of Kubernetes": {"ACCOUNTS_SERVICE_HOST=10.0.0.1", "ACCOUNTS_SERVICE_PORT=80", "ACCOUNTS_SERVICE_PORT_HTTP=80",
			"ACCOUNTS_PORT=tcp://10.0.0.1:80", "ACCOUNTS_PORT_80_TCP=tcp://10.0.0.1:80", "ACCOUNTS_PORT_80_TCP_ADDR=10.0.0.1"},
		"the links of a Service called accounts-db": {"ACCOUNTS_DB_SERVICE_HOST=10.0.0.2", "ACCOUNTS_DB_SERVICE_PORT=3306", "ACCOUNTS_DB_SERVICE_PORT_MYSQL_TLS=3307",
			"ACCOUNTS_DB_PORT=tcp://10.0.0.2:3306", "ACCOUNTS_DB_PORT_3306_TCP=tcp://10.0.0.2:3306", "ACCOUNTS_DB_PORT_3306_TCP_PROTO=tcp",
			"ACCOUNTS_DB_PORT_3306_TCP_PORT=3306", "ACCOUNTS_DB_PORT_3306_TCP_ADDR=10.0.0.2", "ACCOUNTS_DNS_PORT_53_UDP=udp://[fd00::2]:53"},
		"the links of Services named like settings": {"ACCOUNTS_ADDR_SERVICE_HOST=10.0.0.2", "ACCOUNTS_METRICS_PORT=tcp://10.0.0.2:9464", "ACCOUNTS_SECRET_KEYS_SERVICE_PORT_FILE=80"},
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

func TestLoadProductionSettings(t *testing.T) {
	c, warnings := mustLoad(t, production)
	want := defaults()
	want.Addr, want.PublicURL = ":8080", "https://accounts.example.com"
	want.Database = Database{Engine: MySQL, Host: "db.example.com:3306", User: "acc", Password: "s3cr3t", Name: "accounts", TLS: "true"}
	want.SecretKeys = []Secret{"s3cr3t-new", "s3cr3t-old"}
	want.AutoMigrate, want.ShutdownDelay = false, 5*time.Second
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

func TestLoadReadsEverySetting(t *testing.T) {
	until := time.Now().Add(399 * day).UTC().Truncate(24 * time.Hour)
	c, warnings := mustLoad(t, environ(`ADDR=[::1]:443 PUBLIC_URL=HTTPS://Accounts.Example.COM:443/ DATA_DIR=/var/lib/accounts
		DATABASE_URL=sqlite:/srv/a.db SECRET_KEYS=one ACCESS_TTL=80s REFRESH_IDLE_TTL=1d12h SERVER_HELD_IDLE_TTL=1h30m
		SESSION_MAX_AGE=400d ROTATION_INTERVAL=15s CORS_ORIGINS=https://App.example.com:443,https://b.example:8443/
		TRUSTED_PROXIES=10.1.2.3/8,192.0.2.7,fd00::/8,2001:db8::1 PROXY_HEADER=Forwarded METRICS_ADDR=127.0.0.1:9090 PROFILING=true DOCS=false CONSOLE=false AUTO_MIGRATE=false
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
		ProxyHeader: Forwarded, MetricsAddr: "127.0.0.1:9090", Profiling: true, DBMaxConns: 1000, LogLevel: "debug", ShutdownTimeout: time.Minute,
	}
	if diff := cmp.Diff(want, c, plain); diff != "" || len(warnings) != 0 {
		t.Fatalf("warnings %q, difference (-want +got):\n%s", warnings, diff)
	}
}

// Each of these must load. The function get returns the value to check.
func TestLoadAcceptsValidValues(t *testing.T) {
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
		{"SECRET_KEYS=k DATABASE_URL=mysql://u:p%2F@localhost/n?socket=/run/my%20sql/x.sock", database,
			Database{Engine: MySQL, Socket: "/run/my sql/x.sock", User: "u", Password: "p/", Name: "n", TLS: "false"}},
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

func TestFirstOfDuplicateVariablesCounts(t *testing.T) {
	c, _ := mustLoad(t, []string{"ACCOUNTS_ADDR=localhost:1", "ACCOUNTS_ADDR=localhost:2"})
	if c.Addr != "localhost:1" {
		t.Fatal(c.Addr)
	}
}
