package config

import (
	"strings"
	"testing"
	"time"
)

func TestLoadWarnsOfWeakSettings(t *testing.T) {
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
		"SMTP_URL=smtp://mailpit:1025?tls=off":                    "ACCOUNTS_SMTP_URL has tls=off for a host that is not on loopback: anyone on the network can read the links in mails and take over accounts",
		"SMTP_URL=smtp://127.0.0.1:1025?tls=off":                  "",
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
