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

// docs holds the texts for the README. Each describes the unit and the cost of a weaker value.
var docs = map[string]string{
	"ADDR":       "Where the server listens, as `host:port`. It speaks plain HTTP: TLS is the task of the proxy in front. With a host that is not on loopback, such as `:8080`, `PUBLIC_URL` is required.",
	"PUBLIC_URL": "The origin people reach the server at, `scheme://host[:port]` and nothing more. It is the issuer of all tokens, and by its scheme cookies are `Secure` and named `__Host-`. `http` is accepted on loopback only. Changing it ends every session. \"On loopback\" means everywhere that its host is `localhost`, in `127.0.0.0/8` or `::1`.",
	"DATA_DIR":   "The folder for what the server creates by itself: the SQLite file and, on loopback, the generated secret. Whoever can read it can sign tokens.",
	"DATABASE_URL": "`sqlite:PATH`, or `mysql://user:password@host:port/name?tls=…` for MySQL and MariaDB, with special characters in user and password %-encoded. " +
		"`tls` must be stated for a host that is not on loopback: `true` verifies the server's certificate; `skip-verify` encrypts but lets anyone on the way pose as the database; `preferred` lets them turn encryption off; `false` sends everything in the clear. " +
		"`ACCOUNTS_DATABASE_URL_FILE` names a file with the value instead.",
	"SECRET_KEYS": "Secrets printed by `accountsd secret new`, separated by commas: the first signs, all verify. Whoever has one can be any user. " +
		"`ACCOUNTS_SECRET_KEYS_FILE` names a file with the value instead, which others may neither read nor write (mode 0600 or 0640).",
	"LEGACY_JWT_SECRETS": "The secrets with which a Django service signed its refresh tokens (HS256), one a line: `SIGNING_KEY` of simplejwt, which is `SECRET_KEY` unless set, or that of tokens made with PyJWT. Users who came by `accountsd import-django` stay logged in: `POST /accounts/refresh_token` exchanges each such token once. " +
		"Whoever has one of them, or guesses it, can be any imported user until `LEGACY_JWT_UNTIL`; under 32 bytes the server warns at start. " +
		"`ACCOUNTS_LEGACY_JWT_SECRETS_FILE` names a file with the value instead, like that of `SECRET_KEYS`.",
	"LEGACY_JWT_UNTIL":     "From when on no token of the old service is exchanged: an instant such as `2027-01-31T12:00:00Z`, or a day, which counts from 0:00 UTC; at most 400d ahead. The life of the old refresh tokens is enough, and `accounts_events_total{event=\"legacy_exchanged\"}` tells whether any still come. Afterwards remove both settings.",
	"ACCESS_TTL":           "How long an access token is good for: at least 2 × (`ROTATION_INTERVAL` + margin), which is 70s by default, and at most 15m. Sessions that have ended are refused at once whatever it is; a longer life only means that a stolen token can be used for longer while its session lives.",
	"REFRESH_IDLE_TTL":     "How long a session lives without a refresh, in every transport but `server_held`. Longer than `ACCESS_TTL`, at most `SESSION_MAX_AGE`. A longer time leaves a forgotten browser logged in for longer.",
	"SERVER_HELD_IDLE_TTL": "The same for the transport `server_held`, where the access cookie is the only credential: longer than `ACCESS_TTL`, at most `SESSION_MAX_AGE`.",
	"SESSION_MAX_AGE":      "The absolute end of a session, counted from login and never moved; at most 400d, after which browsers drop every cookie.",
	"ROTATION_INTERVAL": "How long a refresh token that was replaced is still answered with the current tokens, so that a second tab or a retry after a lost answer does not end the session: 1s to 60s. A stolen token is noticed at its first use after that time. " +
		"Under 15s clients have little time to retry, and the server warns at start. " +
		"`0` is the strict profile, literal one-time use (RFC 9700): any second use of a refresh token counts as theft and ends the session, so two tabs without a lock between them, or one answer lost on the network, log the user out, by design.",
	"REGISTRATION": "Whether people may register by themselves: `open` or `closed`. With `closed`, only staff members and the operator create users, and `POST /accounts/register` is rejected. `GET /accounts/settings` tells front ends.",
	"EMAIL_VERIFICATION": "Whether an address is verified before it has a user: `required` or `optional`. " +
		"`optional` makes the user at once, and gives two things away: a stranger can take an address until its owner resets the password by mail, and whether a username or an address is taken can be found out by logging in. The server warns at start.",
	"PASSWORD_MIN_LENGTH": "The fewest characters (code points) of a new password: 8 to 128. `GET /accounts/settings` tells front ends, and so does the served contract. Passwords that are in use stay valid. Under 12 a copy of the database gives them up sooner, and the server warns at start.",
	"BREACHED_PASSWORDS": "The file of breached passwords, or `none`. `accountsd breached-passwords build` builds it from a downloaded list. The server rejects these passwords as new ones. It searches the file on disk, with a few reads per new password. " +
		"A new file takes effect at the next start. While the file cannot be read, every request that sets a password is answered 503; logins are not affected.",
	"VERIFY_URL": "The page that the link in the mail of a registration leads to: an absolute URL without user or fragment, `https` unless on loopback. The link adds `#token=…&lang=…`, and the page posts the token to the server, so whoever controls the page can use the token. " +
		"The default is a page of the server itself.",
	"RESET_URL":        "The same for the link that resets a password.",
	"EMAIL_CHANGE_URL": "The same for the link that confirms a new address.",
	"VERIFY_TTL":       "How long a registration waits to be verified, and its link is good for: 1s to 7d. Whoever reads the mailbox can use a link as long as it lives.",
	"RESET_TTL":        "How long the link that resets a password is good for: 1s to 7d. Whoever reads the mailbox in that time can take the account. Over 1h the server warns at start.",
	"EMAIL_CHANGE_TTL": "How long the link that confirms a new address is good for: 1s to 7d.",
	"MAIL": "How mails leave the server: `smtp`, or `files`, which writes them to `DATA_DIR/mail/*.eml` and sends none: whoever can read that folder can use the links in them. " +
		"Off loopback `files` must be stated, and the server warns at start.",
	"SMTP_URL": "The mail server: `smtp://user:password@host:port`, which turns to TLS by STARTTLS (port 587 by default), or `smtps://…`, which begins with TLS (port 465), with special characters in user and password %-encoded. " +
		"A server that does not offer STARTTLS gets nothing; `?starttls=off` does without TLS, on loopback only. " +
		"`ACCOUNTS_SMTP_URL_FILE` names a file with the value instead.",
	"MAIL_FROM": "The sender of all mails, as `Name <address>` or an address alone. The mail server must accept it, and the domain should publish that it does (SPF, DKIM), or mails end as spam.",
	"MAIL_SENDERS": "The most mails that a server sends at once, each on its own connection to the mail server: 3 to 64. The mail server must allow the connections of all replicas together. " +
		"In a flood, mails requested for addresses without an account occupy at most a third of the senders. Mails caused by signed-in users and staff are sent first. They and mails that are sent again occupy at most two thirds. " +
		"While 1000 requested resets are due, further reset requests are answered 503 with `Retry-After`. The same holds for registrations and resends while 1000 of their mails are due. 1000 mails for unknown addresses are finished within 10 s; real mails take as long as the mail server needs.",
	"MAILS_PER_RECIPIENT": "How many mails one address gets at most because somebody typed it, resets counted for themselves, as `N/duration`: N up to 1000000, the duration from 1s to 24h; they are also at least 1 minute apart. " +
		"A registration, resend or reset over it is still answered 202, but no mail is sent. `0` switches both off, so that anyone can flood any mailbox, and the server warns at start.",
	"LOGIN_FAILURES_PER_ACCOUNT": "How many wrong passwords are verified for one name, whether a user has it or not. Further logins, also with the right password, are answered 429 until the time that began with the first failure is over. Sessions continue, and a password reset by mail opens the login again. A network from which the user has signed in or reset the password in the last 30 days has its own limit for that name, so that strangers cannot keep the owner out. `0` switches it off, with a warning.",
	"LOGIN_FAILURES_PER_CLIENT":  "The same for one client, whatever the names. A login that is answered 429 because of its name counts too. A client is an IPv4 address or an IPv6 /64. In every limit per client an IPv6 /48 counts as eight clients. Behind a proxy set `ACCOUNTS_TRUSTED_PROXIES`, or all clients share one limit.",
	"PASSWORDS_PER_CLIENT":       "How many passwords, right or wrong, are verified for one client in all operations that require a password. Further ones are answered 429. Users behind one address share this limit. `0` switches it off, with a warning.",
	"PASSWORDS_PER_USER":         "How many right passwords of one user are accepted, at login and in all operations that require the password again. Further ones are answered 429. This limits the sessions and entries of the security log that one user can create. A password reset by mail opens the login again. `0` switches it off, with a warning.",
	"REGISTRATIONS_PER_CLIENT":   "How many registrations one client address may ask for, and as many mails of each other kind that need no sign-in (resend, reset); further ones are answered 429.",
	"CONFIRMATIONS_PER_CLIENT":   "How many links one client address may confirm (verification, reset, change of address), whether good or not; further ones are answered 429.",
	"RARE_ACTIONS_PER_USER":      "How often one user may change the username, change the password, and export the account, each counted separately. Further requests are answered 429.",
	"MAILS_PER_STAFF":            "How many mails to users, such as invitations and password resets, one staff member may cause. Further ones are answered 429. One address also gets at most `MAILS_PER_RECIPIENT` of them. `0` switches it off, with a warning.",
	"EVENT_RETENTION":            "How long the security log keeps what happened to an account, with addresses and user agents: 1d to 3650d. Sessions are forgotten 30 days after their absolute end.",
	"CORS_ORIGINS":               "Front ends on other origins that may call with the user's cookies (`credentials: \"include\"`), as exact origins separated by commas, or `none`; `https` unless on loopback. `*` and `null` are refused. They are also exempt from the cross-origin check on writes, so list only what you run yourself.",
	"TRUSTED_PROXIES":            "IP addresses and CIDRs, separated by commas, of the proxies whose `PROXY_HEADER` is trusted, or `none`. Too wide a range lets callers choose the address that is logged and counted by the limits.",
	"PROXY_HEADER":               "The header to which trusted proxies append the address of their client: `X-Forwarded-For` or `Forwarded` (RFC 7239). The other header is never read. Addresses may have a port. If the server cannot read the end of the header, the proxy counts as the client and all its clients share one limit. The server logs that once.",
	"METRICS_ADDR":               "Where Prometheus metrics are served, as `host:port`, never that of `ADDR`; `off` for nowhere. They need no credential, so keep it where only the operator can reach it.",
	"DOCS":                       "Whether Swagger UI is served at `/docs/`. It shows nothing that `openapi.yaml` does not. The pages at `/problems/` are always served.",
	"CONSOLE":                    "Whether the console for members of staff is served at `/console/`. It is a front end like any other and gives nobody a right they do not have; without it the operations of the tag `admin` are there still. Switch it off where staff work with another front end.",
	"AUTO_MIGRATE":               "Whether the server brings the database's schema up to date at start. Otherwise `accountsd migrate up` does, and the server refuses to start on an older schema. Switched on, its database user must be allowed to change tables.",
	"DB_MAX_CONNS":               "Connections to the database that a server opens at most: 1 to 1000. The replicas together must stay under the limit of the database.",
	"LOG_LEVEL":                  "The least severe messages that are logged: `debug`, `info`, `warn` or `error`. No level logs passwords, tokens or cookies.",
	"SHUTDOWN_DELAY":             "How long a server that is told to stop answers as before while `/readyz` says 503, so that load balancers turn away first; at most 5m.",
	"SHUTDOWN_TIMEOUT":           "How long, after that delay, requests in flight may take to finish before they are cut off: 1s to 5m.",
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

// names returns the settings without their prefix, in the order of Config.
func names() []string {
	var list []string
	for field := range reflect.TypeFor[Config]().Fields() {
		list = append(list, field.Tag.Get("env"))
	}
	return list
}

// WriteSettings writes the Markdown table of the README.
func WriteSettings(w io.Writer) error {
	_, err := fmt.Fprint(w, "| Setting | Default | Meaning |\n|---|---|---|\n")
	for _, s := range Settings() {
		if err == nil {
			_, err = fmt.Fprintf(w, "| `%s` | %s | %s |\n", s.Name, s.Default, s.Doc)
		}
	}
	return err
}
