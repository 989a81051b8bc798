package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Setting describes a setting for people.
type Setting struct {
	Name    string // with its prefix
	Default string // Markdown: a value, or a short text if it depends on other settings
	Doc     string // Markdown
}

// docs holds the texts of the guide to the settings. Each describes the unit and the cost of a weaker value.
var docs = map[string]string{
	"ADDR":                       "The address the server listens on, as `host:port`. The server speaks plain HTTP; a proxy in front of it terminates TLS. If the host is not on loopback, or is missing as in `:8080`, `PUBLIC_URL` is required.",
	"PUBLIC_URL":                 "The public origin of the server: `scheme://host[:port]`, without path, query or fragment. It is the issuer of all tokens. With `https`, cookies are `Secure` and have `__Host-` names. `http` is accepted on loopback only. Changing it ends every session. \"On loopback\" always means that the host of `PUBLIC_URL` is `localhost`, in `127.0.0.0/8` or `::1`.",
	"DATA_DIR":                   "The folder for files that the server creates: the SQLite database, the mails of `MAIL=files` and, on loopback, the generated secret. Anyone who can read that secret can impersonate any user.",
	"DATABASE_URL":               "`sqlite:PATH`, or `mysql://user:password@host:port/name?tls=…` for MySQL and MariaDB. Percent-encode special characters in user and password. If the host is not on loopback, `tls` is required: `true` verifies the server's certificate; `skip-verify` encrypts, but an attacker on the network can impersonate the database; `preferred` lets an attacker on the network turn encryption off; `false` sends everything unencrypted. With `true`, `SSL_CERT_FILE` names the certificates to trust instead of the system's. For a Unix socket, use `mysql://user:password@localhost/name?socket=/run/mysqld/mysqld.sock`. To read the value from a file, set `ACCOUNTS_DATABASE_URL_FILE` to its path.",
	"SECRET_KEYS":                "Secrets printed by `accountsd secret new`, separated by commas. The server signs tokens with the first one and accepts tokens of all of them. Anyone who has one can impersonate any user. To read the value from a file, set `ACCOUNTS_SECRET_KEYS_FILE` to its path. Other users of the machine must not be able to read or write the file (mode 0600 or 0640).",
	"LEGACY_JWT_SECRETS":         "The secrets with which a Django service signed its refresh tokens (HS256), one per line. For simplejwt this is `SIGNING_KEY`, which defaults to `SECRET_KEY`; for PyJWT it is the key passed to it. Users imported by `accountsd import-django` stay logged in: `POST /accounts/refresh_token` exchanges each legacy token once. Anyone who has or guesses one of the secrets can impersonate any imported user until `LEGACY_JWT_UNTIL`. If a secret is shorter than 32 bytes, the server warns at startup. To read the value from a file, set `ACCOUNTS_LEGACY_JWT_SECRETS_FILE` to its path. The file needs mode 0600 or 0640, as for `SECRET_KEYS`.",
	"LEGACY_JWT_UNTIL":           "The time from which legacy tokens are rejected: an instant such as `2027-01-31T12:00:00Z`, or a day, which means 00:00 UTC. At most 400d ahead. Allow for the lifetime of the legacy refresh tokens. The metric `accounts_legacy_exchanges_total{outcome=\"exchanged\"}` shows whether clients still exchange them. When none do, remove both settings.",
	"ACCESS_TTL":                 "The lifetime of an access token: at most 15m, and at least twice the sum of `ROTATION_INTERVAL` and its margin. The margin is 5s, or a fifth of an interval under 15s, so the minimum is 70s by default. In the strict profile it is 5s. Tokens of a session that has ended are rejected at once, even if their lifetime is not over. With a longer lifetime, a stolen token can be used for longer while its session is active.",
	"REFRESH_IDLE_TTL":           "How long a session lasts without a refresh, in every transport except `server_held`. Longer than `ACCESS_TTL`, at most `SESSION_MAX_AGE`. With a longer time, a forgotten browser stays logged in for longer.",
	"SERVER_HELD_IDLE_TTL":       "The same for the transport `server_held`, where the access cookie is the only credential. Longer than `ACCESS_TTL`, at most `SESSION_MAX_AGE`.",
	"SESSION_MAX_AGE":            "The maximum age of a session, counted from login and never extended. At most 400d, because browsers delete every cookie after that time.",
	"ROTATION_INTERVAL":          "How long a superseded refresh token still returns the current tokens: 1s to 60s. A second tab, or a retry after a lost response, therefore does not end the session. A stolen token is detected at its first use after that time. Under 15s clients have little time to retry, and the server warns at startup. `0` is the strict profile with one-time use (RFC 9700): any second use of a refresh token counts as theft and ends the session. Two tabs without a lock between them, or one response lost on the network, then log the user out by design.",
	"REGISTRATION":               "Whether users can register themselves: `open` or `closed`. With `closed`, only staff members and the operator create users, and `POST /accounts/register` is rejected. Front ends read the value from `GET /accounts/settings`.",
	"EMAIL_VERIFICATION":         "Whether users must verify their email address before the account is created: `required` or `optional`. `optional` creates the account at once and has two costs. A stranger can register an address and keep it until its owner resets the password by mail. By logging in, anyone can find out whether a username or address is taken. The server warns at startup.",
	"PASSWORD_MIN_LENGTH":        "The minimum length of a new password in characters (code points): 8 to 128. Front ends read it from `GET /accounts/settings` or from the contract that the server serves. Existing passwords stay valid. Passwords under 12 characters are cracked sooner from a copy of the database, and the server warns at startup.",
	"BREACHED_PASSWORDS":         "The file of breached passwords, or `none`. Build it from a downloaded list with `accountsd breached-passwords build`. The server rejects these passwords as new passwords. It searches the file on disk, with a few reads per new password. A new file takes effect after a restart. If the file cannot be read, requests that set a password are rejected with 503; logins are not affected.",
	"VERIFY_URL":                 "The page that the link in a verification mail opens: an absolute URL without user or fragment, `https` unless on loopback. The link adds `#token=…&lang=…`, and the page posts the token to the server. Anyone who controls the page can therefore use the token. The default is a page of the server itself.",
	"RESET_URL":                  "The same for the link in a password reset mail. Password managers find the page through `/.well-known/change-password`.",
	"EMAIL_CHANGE_URL":           "The same for the link that confirms a new address.",
	"HOME_URL":                   "The page of your own front end where users continue after they have verified an address or set a password: an absolute URL without user or fragment, `https` unless on loopback. The built-in pages link to it with the button \"Continue\". Without it, they have no way on, and users have to find the way back themselves.",
	"VERIFY_TTL":                 "How long an unverified registration and its link are valid: 1s to 7d. Anyone who can read the mailbox can use the link until it expires.",
	"RESET_TTL":                  "How long a password reset link is valid: 1s to 7d. Anyone who can read the mailbox can take over the account until the link expires. Over 1h the server warns at startup.",
	"EMAIL_CHANGE_TTL":           "How long the link that confirms a new address is valid: 1s to 7d.",
	"MAIL":                       "How mails are delivered: `smtp`, or `files`, which writes them to `DATA_DIR/mail/*.eml` and sends none. Anyone who can read that folder can use the links in the mails. If `PUBLIC_URL` is not on loopback, `files` must be set explicitly, and the server warns at startup.",
	"SMTP_URL":                   "The mail server: `smtp://user:password@host:port`, which uses STARTTLS (port 587 by default), or `smtps://…`, which uses TLS from the start (port 465 by default). Percent-encode special characters in user and password. The certificate is verified; `SSL_CERT_FILE` names the certificates to trust instead of the system's. If the mail server does not offer STARTTLS, no mail is sent. For a mail server without TLS, such as Mailpit, use `smtp://host:1025?tls=off`. On any network, everyone there can then read the links in mails; unless the host is on loopback, the server warns at startup, and a user and password are rejected. `accountsd mail test` sends a mail with these settings. To read the value from a file, set `ACCOUNTS_SMTP_URL_FILE` to its path.",
	"MAIL_FROM":                  "The sender of all mails, as `Name <address>` or an address alone. The name needs no quotation marks. The mail server must accept it. Publish SPF and DKIM records for the domain, or mails are likely to be classified as spam.",
	"MAIL_SENDERS":               "The maximum number of mails that one server sends at once, each on its own connection to the mail server: 3 to 64. The mail server must allow the connections of all replicas together. In a flood, mails requested for addresses without an account use at most a third of the senders. Mails caused by signed-in users and staff members are sent first. These mails and retried ones use at most two thirds. While 1000 requested resets are due, further reset requests are rejected with 503 and `Retry-After`. The same applies to registrations and resends while 1000 of their mails are due. 1000 mails for unknown addresses are finished within 10s; real mails take as long as the mail server needs.",
	"MAILS_PER_RECIPIENT":        "How many mails one address receives because anyone can request them, as `N/duration`: N up to 1000000, the duration from 1s to 24h. The limit applies separately to resets, to resends, and to registrations with changes of address. Mails under one limit are also at least 1 minute apart. A request over the limit still returns 202, but no mail is sent. The same number also limits the mails of staff members to one address and the changes of address by one user; further requests are rejected with 429. `0` turns all of these off, so that anyone can flood any mailbox, and the server warns at startup.",
	"LOGIN_FAILURES_PER_ACCOUNT": "How many wrong passwords are verified for one name, whether or not a user with that name exists, in a window that starts with the first failure. Until the window ends, further logins are rejected with 429, even with the right password. Existing sessions continue, and a password reset by mail lifts the limit. A network from which the user has signed in or reset the password in the last 30 days has a separate limit for that name, so that strangers cannot lock the owner out. `0` turns the limit off, with a warning.",
	"LOGIN_FAILURES_PER_CLIENT":  "The same for one client, across all names. A login that is rejected with 429 because of its name counts too. A client is an IPv4 address or an IPv6 /64. In every limit per client, an IPv6 /48 counts as eight clients. Behind a proxy, set `ACCOUNTS_TRUSTED_PROXIES`; otherwise all clients share one limit.",
	"PASSWORDS_PER_CLIENT":       "How many passwords, right or wrong, are verified for one client in all operations that require a password. Further requests are rejected with 429. Users behind one address share this limit. `0` turns the limit off, with a warning.",
	"PASSWORDS_PER_USER":         "How many right passwords of one user are accepted, at login and in all operations that require the password again. Further requests are rejected with 429. This limits the sessions and security log entries that one user can create. A password reset by mail lifts the limit. `0` turns the limit off, with a warning.",
	"REGISTRATIONS_PER_CLIENT":   "How many registrations one client can request. Resends and resets each have a limit of the same size. Further requests are rejected with 429. `0` turns these limits off, with a warning.",
	"CONFIRMATIONS_PER_CLIENT":   "How many links one client can confirm (verification, reset, change of address), valid or not. Further requests are rejected with 429. `0` turns the limit off, with a warning.",
	"RARE_ACTIONS_PER_USER":      "How often one user can change the username, change the password and export the account, each counted separately. Further requests are rejected with 429. `0` turns the limits off, with a warning.",
	"MAILS_PER_STAFF":            "How many mails to users, such as invitations and password resets, one staff member can cause. Further requests are rejected with 429. `MAILS_PER_RECIPIENT` limits the mails to one address. `0` turns the limit off, with a warning.",
	"EVENT_RETENTION":            "How long the security log keeps its entries, including addresses and user agents: 1d to 3650d. Sessions are deleted 30 days after they reach their maximum age.",
	"CORS_ORIGINS":               "Front ends on other origins that can send requests with the user's cookies (`credentials: \"include\"`): exact origins separated by commas, or `none`; `https` unless on loopback. Without the setting, a server with an `http` URL on loopback allows all `http` origins on loopback (`localhost`, names below it, and addresses). `*` and `null` are rejected. These origins are also exempt from the cross-origin check on writes, so list only origins that you run yourself.",
	"TRUSTED_PROXIES":            "The proxies whose `PROXY_HEADER` is trusted: IP addresses and CIDRs separated by commas, or `none`. If the range is too wide, callers can choose the client address that is logged and used for rate limits.",
	"PROXY_HEADER":               "The header to which trusted proxies append the address of their client: `X-Forwarded-For` or `Forwarded` (RFC 7239). The server never reads the other header. Addresses can have a port. If the server cannot read the last address in the header, it treats the proxy as the client, so that all users behind the proxy share one limit. The server logs that once.",
	"METRICS_ADDR":               "The address where Prometheus metrics are served, as `host:port`, which must differ from `ADDR`; or `off`. Metrics need no credential, so choose an address that only the operator can reach.",
	"PROFILING":                  "Whether the address of the metrics also serves profiles of CPU and memory at `/debug/pprof/`, in the format of `go tool pprof`. Requires `METRICS_ADDR`. While a profile of the CPU is taken, the server is slower, so anyone who can reach that address can slow it down: use `true` only to measure.",
	"DOCS":                       "Whether the server serves Swagger UI at `/docs/` and the guides at `/docs/guides/`. They show nothing that is specific to this server. The pages at `/problems/` are always served.",
	"CONSOLE":                    "Whether the server serves the staff console at `/console/`. The console is a front end without privileges of its own. With `false`, the operations with the tag `admin` are still available. Use `false` if staff members have another front end.",
	"AUTO_MIGRATE":               "Whether the server migrates the database schema at startup. With `true`, the server's database user must be allowed to change tables. With `false`, run `accountsd migrate up`: the server does not start on an older schema.",
	"DB_MAX_CONNS":               "The maximum number of database connections of one server: 1 to 1000. The total of all replicas must stay under the limit of the database.",
	"LOG_LEVEL":                  "The minimum level of messages that are logged: `debug`, `info`, `warn` or `error`. Passwords, tokens and cookies are never logged.",
	"SHUTDOWN_DELAY":             "How long a stopping server continues to serve requests while `/readyz` returns 503, so that load balancers can react. At most 5m.",
	"SHUTDOWN_TIMEOUT":           "How long requests in flight can take to finish after that delay before they are cut off: 1s to 5m.",
}

// Settings lists every setting in the order of Config.
func Settings() []Setting {
	var list []Setting
	for field := range reflect.TypeFor[Config]().Fields() {
		name := field.Tag.Get("env")
		fallback := strings.ReplaceAll(field.Tag.Get("shown"), "'", "`")
		if value, ok := field.Tag.Lookup("envDefault"); ok {
			fallback = "`" + value + "`"
		}
		list = append(list, Setting{Prefix + name, fallback, docs[name]})
	}
	return list
}

// settingNames returns the settings without their prefix, in the order of Config.
func settingNames() []string {
	var list []string
	for field := range reflect.TypeFor[Config]().Fields() {
		list = append(list, field.Tag.Get("env"))
	}
	return list
}

// sections are the headings of the settings. A section extends from its first setting to that of
// the next section.
var sections = []struct{ first, title string }{
	{"ADDR", "Addresses, database and secrets"},
	{"LEGACY_JWT_SECRETS", "Django import"},
	{"ACCESS_TTL", "Sessions and tokens"},
	{"REGISTRATION", "Registration and passwords"},
	{"VERIFY_URL", "Links in mails"},
	{"MAIL", "Mail delivery"},
	{"LOGIN_FAILURES_PER_ACCOUNT", "Rate limits"},
	{"EVENT_RETENTION", "Security log"},
	{"CORS_ORIGINS", "Browsers and proxies"},
	{"METRICS_ADDR", "Metrics and pages"},
	{"AUTO_MIGRATE", "Running the server"},
}

// WriteSettings writes all settings as Markdown: a heading and a table for each section.
func WriteSettings(w io.Writer) error {
	var page strings.Builder
	for _, s := range Settings() {
		for _, section := range sections {
			if s.Name == Prefix+section.first {
				fmt.Fprintf(&page, "\n## %s\n\n| Setting | Default | Meaning |\n|---|---|---|\n", section.title)
			}
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", s.Name, s.Default, s.Doc)
	}
	_, err := io.WriteString(w, strings.TrimPrefix(page.String(), "\n"))
	return err
}
