package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
	lineOption  = "ACCOUNTS_SMTP_URL must have no option except ?tls=off, which is allowed with smtp:// only"
	lineOff     = "ACCOUNTS_SMTP_URL must not have ?starttls=off unless its host is on loopback. For a mail server without TLS on a private network, use ?tls=off"
	lineClear   = "ACCOUNTS_SMTP_URL must not have both ?tls=off and a password unless its host is on loopback, because the password could be read on the network"
	line465     = "ACCOUNTS_SMTP_URL must begin with smtps:// if the port is 465, because mail servers use TLS from the start there. For STARTTLS, use smtp:// and port 587"
	lineInstant = "ACCOUNTS_LEGACY_JWT_UNTIL must be an instant such as 2027-01-31T12:00:00Z, or a day such as 2027-01-31"
	lineSender  = "ACCOUNTS_MAIL_FROM must be one address, such as Accounts <no-reply@example.com>"
	linePage    = " must be the URL of a page, scheme://host[:port]/path with http or https, in ASCII without spaces"
	lineHash    = " must not have a fragment, because the link adds the token there"
	lineBudget  = "ACCOUNTS_MAILS_PER_RECIPIENT must be 0 or N/duration such as 5/1h, with N at most 1000000 and a duration from 1s to 24h in whole seconds"
	lineLink    = " must be from 1s to 7d in whole seconds"
	lineStar    = " must be one origin. * and null are rejected because they match every site"
)

// wantFaults checks that Load reports the fault of each of these settings in exactly one line, and
// no further faults.
func wantFaults(t *testing.T, faults map[string]string) {
	t.Helper()
	for settings, want := range faults {
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

func TestLoadReportsUnknownSettings(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
		"ADR=x":                   "ACCOUNTS_ADR is not a setting. Did you mean ACCOUNTS_ADDR?",
		"ACCESS_TLL=s3cr3t":       "ACCOUNTS_ACCESS_TLL is not a setting. Did you mean ACCOUNTS_ACCESS_TTL?",
		"SECRET_KEY=s3cr3t":       "ACCOUNTS_SECRET_KEY is not a setting. Did you mean ACCOUNTS_SECRET_KEYS?",
		"SMTP_PASSWORD=s3cr3t":    "ACCOUNTS_SMTP_PASSWORD is not a setting. Run `accountsd settings` to list all settings",
		"=x":                      "ACCOUNTS_ is not a setting. Run `accountsd settings` to list all settings",
		"PORTS=x":                 "ACCOUNTS_PORTS is not a setting. Run `accountsd settings` to list all settings",
		"ADDR_FILE=/x":            "ACCOUNTS_ADDR_FILE is not a setting. Only settings that contain secrets can be read from a file",
		"BAD\x1b[31m\u202eNAME=x": `ACCOUNTS_BAD\x1b[31m\u202eNAME is not a setting. Run ` + "`accountsd settings` to list all settings",
		"UNKNOWN_BUT_EMPTY=":      "ACCOUNTS_UNKNOWN_BUT_EMPTY is not a setting. Run `accountsd settings` to list all settings",
	})
}

func TestLoadReportsInvalidAddresses(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
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

		"PUBLIC_URL=accounts.example.com":            "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=localhost:8080":                  "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=ftp://localhost":                 "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://":                        "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://:443":                    "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example:":              "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example:0":             "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example:65536":         "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a..example":              "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://a.example.":              "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://*.example":               "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://b\u00fccher.example":     "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://127.1":                    "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://::1":                      "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://[::ffff:127.0.0.1]":       "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=http://[fe80::1%25eth0]":         "ACCOUNTS_PUBLIC_URL" + lineOrigin,
		"PUBLIC_URL=https://s3cr3t:s3cr3t@a.example": "ACCOUNTS_PUBLIC_URL must not contain a user or password",
		"PUBLIC_URL=https://a.example/accounts":      "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=https://a.example//":             "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=https://a.example?":              "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=https://a.example/#":             "ACCOUNTS_PUBLIC_URL" + linePath,
		"PUBLIC_URL=http://a.example":                "ACCOUNTS_PUBLIC_URL" + lineHTTPS,
		"PUBLIC_URL=http://localhost.example":        "ACCOUNTS_PUBLIC_URL" + lineHTTPS,
		"PUBLIC_URL=http://10.0.0.1":                 "ACCOUNTS_PUBLIC_URL" + lineHTTPS,
	})
}

func TestLoadReportsInvalidSecrets(t *testing.T) {
	t.Attr("control", "94")
	late := time.Now().Add(400*day + time.Hour).UTC().Format(time.RFC3339)
	wantFaults(t, map[string]string{
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
	})
}

func TestLoadReportsInvalidDatabases(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
		"DATABASE_URL=postgres://u:s3cr3t@db/n":                          "ACCOUNTS_DATABASE_URL must begin with sqlite: or mysql://",
		"DATABASE_URL=u:s3cr3t@tcp(db)/n":                                "ACCOUNTS_DATABASE_URL must begin with sqlite: or mysql://",
		"DATABASE_URL=sqlite:":                                           "ACCOUNTS_DATABASE_URL must contain the path of a file, as in sqlite:PATH",
		"DATABASE_URL=sqlite::memory:":                                   "ACCOUNTS_DATABASE_URL must contain the path of a file, as in sqlite:PATH",
		"DATABASE_URL=sqlite:a.db?_pragma=x":                             "ACCOUNTS_DATABASE_URL must be sqlite:PATH without options",
		"DATABASE_URL=sqlite:///var/a.db":                                "ACCOUNTS_DATABASE_URL must be sqlite:PATH without //, such as sqlite:/var/lib/accounts/accounts.db",
		"DATABASE_URL=mysql://u:s3cr3t#x@db/n?tls=true":                  lineMySQL,
		"DATABASE_URL=mysql://u:s3cr3t%zz@db/n?tls=true":                 lineMySQL,
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=true#x":                  lineMySQL,
		"DATABASE_URL=mysql://u:s3cr3t@/n?tls=true":                      "ACCOUNTS_DATABASE_URL must contain a host and, optionally, a port from 1 to 65535",
		"DATABASE_URL=mysql://u:s3cr3t@db:/n?tls=true":                   "ACCOUNTS_DATABASE_URL must contain a host and, optionally, a port from 1 to 65535",
		"DATABASE_URL=mysql://u:s3cr3t@db:99999/n?tls=true":              "ACCOUNTS_DATABASE_URL must contain a host and, optionally, a port from 1 to 65535",
		"DATABASE_URL=mysql://u:s3cr3t@db?tls=true":                      "ACCOUNTS_DATABASE_URL must contain one database name after the host",
		"DATABASE_URL=mysql://u:s3cr3t@db/n/m?tls=true":                  "ACCOUNTS_DATABASE_URL must contain one database name after the host",
		"DATABASE_URL=mysql://:s3cr3t@db/n?tls=true":                     "ACCOUNTS_DATABASE_URL must contain a user before the host",
		"DATABASE_URL=mysql://db/n?tls=true":                             "ACCOUNTS_DATABASE_URL must contain a user before the host",
		"DATABASE_URL=mysql://u:s3cr3t@db/n":                             lineTLS,
		"DATABASE_URL=mysql://u:s3cr3t@10.0.0.1/n":                       lineTLS,
		"DATABASE_URL=mysql://u:s3cr3t@localhost.example/n":              lineTLS,
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=":                        "ACCOUNTS_DATABASE_URL must have tls=true, tls=skip-verify, tls=preferred or tls=false",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=1":                       "ACCOUNTS_DATABASE_URL must have tls=true, tls=skip-verify, tls=preferred or tls=false",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=true&tls=false":          "ACCOUNTS_DATABASE_URL must have no option except a single tls= or socket=",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?tls=true&parseTime=1":        "ACCOUNTS_DATABASE_URL must have no option except a single tls= or socket=",
		"DATABASE_URL=mysql://u:s3cr3t@unix(/run/x.sock)/n":              "ACCOUNTS_DATABASE_URL must name a Unix socket as in mysql://user:password@localhost/name?socket=/run/mysqld/mysqld.sock",
		"DATABASE_URL=mysql://u:s3cr3t@localhost/n?socket=x.sock":        "ACCOUNTS_DATABASE_URL must have the absolute path of a Unix socket in socket=",
		"DATABASE_URL=mysql://u:s3cr3t@localhost/n?socket=":              "ACCOUNTS_DATABASE_URL must have the absolute path of a Unix socket in socket=",
		"DATABASE_URL=mysql://u:s3cr3t@localhost/n?socket=/x&tls=true":   "ACCOUNTS_DATABASE_URL must have no option besides a single socket=",
		"DATABASE_URL=mysql://u:s3cr3t@localhost/n?tls=true&socket=/x":   "ACCOUNTS_DATABASE_URL must have no option except a single tls= or socket=",
		"DATABASE_URL=mysql://u:s3cr3t@db/n?socket=/x":                   "ACCOUNTS_DATABASE_URL must have the host localhost, without a port, if it has socket=",
		"DATABASE_URL=mysql://u:s3cr3t@localhost:3306/n?socket=/x":       "ACCOUNTS_DATABASE_URL must have the host localhost, without a port, if it has socket=",
		"DATABASE_URL=mysql://u:s3cr3t@localhost/n?multiStatements=true": "ACCOUNTS_DATABASE_URL must have no option except a single tls= or socket=",
	})
}

func TestLoadReportsInvalidSessionLifetimes(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
		"ACCESS_TTL=5":                         "ACCOUNTS_ACCESS_TTL" + lineSpan,
		"ACCESS_TTL=-5m":                       "ACCOUNTS_ACCESS_TTL" + lineSpan,
		"ACCESS_TTL=s3cr3t":                    "ACCOUNTS_ACCESS_TTL" + lineSpan,
		"ACCESS_TTL=69s":                       "ACCOUNTS_ACCESS_TTL must be at least 1m10s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=4s ROTATION_INTERVAL=2s":   "ACCOUNTS_ACCESS_TTL must be at least 4.8s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=129s ROTATION_INTERVAL=1m": "ACCOUNTS_ACCESS_TTL must be at least 2m10s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=4s ROTATION_INTERVAL=0":    "ACCOUNTS_ACCESS_TTL must be at least 5s",
		"ACCESS_TTL=0":                         "ACCOUNTS_ACCESS_TTL must be at least 1m10s, twice the sum of ROTATION_INTERVAL and its margin",
		"ACCESS_TTL=901s":                      "ACCOUNTS_ACCESS_TTL must be at most 15m",
		"ACCESS_TTL=90.5s":                     "ACCOUNTS_ACCESS_TTL must be a whole number of seconds",
		"ROTATION_INTERVAL=61s":                "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds",
		"ROTATION_INTERVAL=500ms":              "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds",
		"ROTATION_INTERVAL=1.5s":               "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds",
		"ROTATION_INTERVAL=s3cr3t":             "ACCOUNTS_ROTATION_INTERVAL" + lineSpan,
		"REFRESH_IDLE_TTL=31d":                 "ACCOUNTS_REFRESH_IDLE_TTL must be at most SESSION_MAX_AGE",
		"REFRESH_IDLE_TTL=5m":                  "ACCOUNTS_REFRESH_IDLE_TTL must be longer than ACCESS_TTL",
		"REFRESH_IDLE_TTL=0":                   "ACCOUNTS_REFRESH_IDLE_TTL must be longer than ACCESS_TTL",
		"REFRESH_IDLE_TTL=2d1.5s":              "ACCOUNTS_REFRESH_IDLE_TTL must be a whole number of seconds",
		"SERVER_HELD_IDLE_TTL=5m":              "ACCOUNTS_SERVER_HELD_IDLE_TTL must be longer than ACCESS_TTL",
		"SERVER_HELD_IDLE_TTL=721h":            "ACCOUNTS_SERVER_HELD_IDLE_TTL must be at most SESSION_MAX_AGE",
		"SESSION_MAX_AGE=401d":                 "ACCOUNTS_SESSION_MAX_AGE must be from 1s to 400d in whole seconds",
		"SESSION_MAX_AGE=0":                    "ACCOUNTS_SESSION_MAX_AGE must be from 1s to 400d in whole seconds",
		"SESSION_MAX_AGE=1d-1h":                "ACCOUNTS_SESSION_MAX_AGE" + lineSpan,
		"SESSION_MAX_AGE=999999999999d":        "ACCOUNTS_SESSION_MAX_AGE" + lineSpan,
	})
}

func TestLoadReportsInvalidOriginsAndProxies(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
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
	})
}

func TestLoadReportsInvalidSwitchesAndNumbers(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
		"DOCS=yes":                     "ACCOUNTS_DOCS must be true or false",
		"PROFILING=true":               "ACCOUNTS_PROFILING requires METRICS_ADDR",
		"CONSOLE=yes":                  "ACCOUNTS_CONSOLE must be true or false",
		"AUTO_MIGRATE=s3cr3t":          "ACCOUNTS_AUTO_MIGRATE must be true or false",
		"MAIL_SENDERS=2":               "ACCOUNTS_MAIL_SENDERS must be from 3 to 64",
		"MAIL_SENDERS=65":              "ACCOUNTS_MAIL_SENDERS must be from 3 to 64",
		"DB_MAX_CONNS=0":               "ACCOUNTS_DB_MAX_CONNS must be from 1 to 1000",
		"DB_MAX_CONNS=1001":            "ACCOUNTS_DB_MAX_CONNS must be from 1 to 1000",
		"DB_MAX_CONNS=many":            "ACCOUNTS_DB_MAX_CONNS must be a whole number",
		"LOG_LEVEL=INFO":               "ACCOUNTS_LOG_LEVEL must be debug, info, warn or error",
		"LOG_LEVEL=info+2":             "ACCOUNTS_LOG_LEVEL must be debug, info, warn or error",
		"SHUTDOWN_DELAY=5m1s":          "ACCOUNTS_SHUTDOWN_DELAY must be at most 5m",
		"SHUTDOWN_TIMEOUT=0":           "ACCOUNTS_SHUTDOWN_TIMEOUT must be from 1s to 5m",
		"SHUTDOWN_TIMEOUT=1h":          "ACCOUNTS_SHUTDOWN_TIMEOUT must be from 1s to 5m",
		"ADDR=x METRICS_ADDR=:1":       lineAddr,
		"ADDR=x DATABASE_URL=sqlite:x": lineAddr,
	})
}

func TestLoadReportsInvalidRegistrationAndLinks(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
		"REGISTRATION=yes":                            "ACCOUNTS_REGISTRATION must be open or closed",
		"EMAIL_VERIFICATION=Optional":                 "ACCOUNTS_EMAIL_VERIFICATION must be required or optional",
		"PASSWORD_MIN_LENGTH=7":                       "ACCOUNTS_PASSWORD_MIN_LENGTH must be from 8 to 128",
		"PASSWORD_MIN_LENGTH=129":                     "ACCOUNTS_PASSWORD_MIN_LENGTH must be from 8 to 128",
		"PASSWORD_MIN_LENGTH=s3cr3t":                  "ACCOUNTS_PASSWORD_MIN_LENGTH must be a whole number",
		"EVENT_RETENTION=0":                           "ACCOUNTS_EVENT_RETENTION must be from 1d to 3650d",
		"EVENT_RETENTION=3651d":                       "ACCOUNTS_EVENT_RETENTION must be from 1d to 3650d",
		"EVENT_RETENTION=23h":                         "ACCOUNTS_EVENT_RETENTION must be from 1d to 3650d",
		"VERIFY_TTL=0":                                "ACCOUNTS_VERIFY_TTL" + lineLink,
		"VERIFY_TTL=7d1s":                             "ACCOUNTS_VERIFY_TTL" + lineLink,
		"RESET_TTL=500ms":                             "ACCOUNTS_RESET_TTL" + lineLink,
		"EMAIL_CHANGE_TTL=1.5s":                       "ACCOUNTS_EMAIL_CHANGE_TTL" + lineLink,
		"EMAIL_CHANGE_TTL=24":                         "ACCOUNTS_EMAIL_CHANGE_TTL" + lineSpan,
		"VERIFY_URL=/pages/verify":                    "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=app.example/verify":               "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=javascript:s3cr3t":                "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https:app.example":                "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https:///verify":                  "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example:0/verify":     "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app..example/verify":      "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example/%zz":          "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example/\u00fc":       "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example/?a=\"><b>":    "ACCOUNTS_VERIFY_URL" + linePage,
		"VERIFY_URL=https://app.example\\@s3cr3t/":    "ACCOUNTS_VERIFY_URL" + linePage,
		"RESET_URL=https://s3cr3t:s3cr3t@app.example": "ACCOUNTS_RESET_URL must not contain a user or password",
		"RESET_URL=https://app.example/#/reset":       "ACCOUNTS_RESET_URL" + lineHash,
		"RESET_URL=https://app.example/#":             "ACCOUNTS_RESET_URL" + lineHash,
		"EMAIL_CHANGE_URL=http://app.example/":        "ACCOUNTS_EMAIL_CHANGE_URL" + lineHTTPS,
		"EMAIL_CHANGE_URL=http://localhost.example/":  "ACCOUNTS_EMAIL_CHANGE_URL" + lineHTTPS,
		"HOME_URL=http://app.example/":                "ACCOUNTS_HOME_URL" + lineHTTPS,
		"HOME_URL=javascript:alert(1)":                "ACCOUNTS_HOME_URL" + linePage,
	})
}

func TestLoadReportsInvalidMailSettings(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
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
		"SMTP_URL=smtp://u:s3cr3t@mail.example?tls=off":       lineClear,
		"SMTP_URL=smtp://u:s3cr3t@mail.example:465":           line465,
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
	})
}

func TestLoadReportsInvalidRateLimits(t *testing.T) {
	t.Attr("control", "94")
	wantFaults(t, map[string]string{
		"MAILS_PER_RECIPIENT=5":                       lineBudget,
		"MAILS_PER_RECIPIENT=5/":                      lineBudget,
		"MAILS_PER_RECIPIENT=/1h":                     lineBudget,
		"MAILS_PER_RECIPIENT=-5/1h":                   lineBudget,
		"MAILS_PER_RECIPIENT=+5/1h":                   lineBudget,
		"MAILS_PER_RECIPIENT=1.5/1h":                  lineBudget,
		"MAILS_PER_RECIPIENT=1000001/1h":              lineBudget,
		"MAILS_PER_RECIPIENT=99999999999999999999/1h": lineBudget,
		"MAILS_PER_RECIPIENT=5/0s":                    lineBudget,
		"MAILS_PER_RECIPIENT=0/0s":                    lineBudget,
		"MAILS_PER_RECIPIENT=5/999ms":                 lineBudget,
		"MAILS_PER_RECIPIENT=5/1.5s":                  lineBudget,
		"MAILS_PER_RECIPIENT=5/24h1s":                 lineBudget,
		"MAILS_PER_RECIPIENT=5/1h/1h":                 lineBudget,
		"MAILS_PER_RECIPIENT=s3cr3t/1h":               lineBudget,
	})
}

func TestLoadReportsAllFaultsTogether(t *testing.T) {
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
