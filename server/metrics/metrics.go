// Package metrics names the counters that the packages of the server increment. The server exports
// them to Prometheus.
package metrics

import "slices"

// Counter is one counter of a metric. Its members never contain text from a client.
type Counter struct {
	Metric  string // the name of the metric
	Help    string // what the metric counts
	Outcome string // the value of its label outcome; empty if the metric has only one counter
}

// Count increments a counter. It is safe for concurrent use.
type Count func(c Counter)

// counters are all counters, in the order of their declaration.
var counters []Counter

// Counters returns every counter, so that each is exported from the start: an alert needs a counter
// that exists before it is incremented.
func Counters() []Counter { return slices.Clone(counters) }

func declare(metric, help, outcome string) Counter {
	c := Counter{metric, help, outcome}
	counters = append(counters, c)
	return c
}

func single(metric, help string) Counter { return declare(metric, help, "") }

func refresh(outcome string) Counter {
	return declare("accounts_refreshes_total", "Refreshes by outcome.", outcome)
}

// The outcomes of refreshes.
var (
	RefreshRotated     = refresh("rotated")
	RefreshSame        = refresh("same")
	RefreshGraced      = refresh("graced")
	RefreshReused      = refresh("reused")
	RefreshExpired     = refresh("expired")
	RefreshRevoked     = refresh("revoked")
	RefreshMisdirected = refresh("misdirected") // the token came from another location than the session's transport uses
	RefreshUndecided   = refresh("undecided")
	RefreshRegression  = refresh("regression") // the token is newer than the session: a failover lost commits
)

func legacy(outcome string) Counter {
	return declare("accounts_legacy_exchanges_total", "Refresh tokens of the Django service by outcome of their exchange.", outcome)
}

// The outcomes of exchanges of legacy tokens.
var (
	LegacyExchanged = legacy("exchanged")
	LegacyRepeated  = legacy("repeated")
	LegacyRefused   = legacy("refused")
)

// The counters of clocks, passwords, rate limits and the security log.
var (
	ClockOff      = single("accounts_clock_errors_total", "Decisions that were refused because the database's clock differs from this server's.")
	StoodStill    = single("accounts_standstills_total", "Times that the process was stopped, paused or suspended.")
	RehashSkipped = single("accounts_rehashes_skipped_total", "Old password hashes that were not replaced at a login because too many requests waited.")
	HashUnusable  = single("accounts_hashes_unusable_total", "Logins of users whose stored password hash cannot be read.")
	RateLimited   = single("accounts_rate_limited_total", "Requests that exceeded a rate limit.")
	EventDropped  = single("accounts_security_events_dropped_total", "Rejected requests that are missing in the security log.")
)

func mail(outcome string) Counter {
	return declare("accounts_mails_total", "Mails that are finished, by outcome.", outcome)
}

// The outcomes of mails.
var (
	MailSent    = mail("sent")
	MailDropped = mail("dropped") // it had no recipient anymore
	MailExpired = mail("expired")
	MailRefused = mail("refused") // the recipient's server rejected it permanently
)

// The other counters of the outbox.
var (
	MailRetried = single("accounts_mail_retries_total", "Attempts to send a mail that failed and are repeated.")
	MailBacklog = single("accounts_mail_requests_rejected_total", "Requests that were rejected because too many mails are due.")
)
