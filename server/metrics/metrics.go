// Package metrics names the counters that the packages of the server increment. The server exports
// them to Prometheus.
package metrics

// Counter is the name of a counter. It is a label of a Prometheus metric, so it never contains text
// from a client.
type Counter string

// The counters of sessions.
const (
	RefreshRotated     Counter = "refresh_rotated"
	RefreshSame        Counter = "refresh_same"
	RefreshGraced      Counter = "refresh_graced"
	RefreshReused      Counter = "refresh_reused"
	RefreshExpired     Counter = "refresh_expired"
	RefreshRevoked     Counter = "refresh_revoked"
	RefreshMisdirected Counter = "refresh_misdirected" // the token came from another location than the session's transport uses
	RefreshUndecided   Counter = "refresh_undecided"
	StateRegression    Counter = "state_regression" // the token is newer than the session: a failover lost commits
	LegacyExchanged    Counter = "legacy_exchanged"
	LegacyRepeated     Counter = "legacy_repeated"
	LegacyRefused      Counter = "legacy_refused"
	ClockOff           Counter = "clock_off"
	StoodStill         Counter = "stood_still" // the process was stopped, paused or suspended
)

// The counters of passwords, rate limits and the security log.
const (
	RehashSkipped Counter = "rehash_skipped"
	HashUnusable  Counter = "hash_unusable"
	RateLimited   Counter = "rate_limited"
	EventDropped  Counter = "event_dropped" // an event of a rejected request was not recorded
)

// The counters of the outbox.
const (
	MailRetried Counter = "mail_retried"
	MailSent    Counter = "mail_sent"
	MailDropped Counter = "mail_dropped" // it had no recipient anymore
	MailExpired Counter = "mail_expired"
	MailRefused Counter = "mail_refused" // the recipient's server rejected it permanently
	MailBacklog Counter = "mail_backlog" // a request was rejected, because too many mails are due
)

// Counters returns every counter, so that each is exported from the start: an alert needs a counter
// that exists before it is incremented.
func Counters() []Counter {
	return []Counter{
		RefreshRotated,
		RefreshSame,
		RefreshGraced,
		RefreshReused,
		RefreshExpired,
		RefreshRevoked,
		RefreshMisdirected,
		RefreshUndecided,
		StateRegression,
		LegacyExchanged,
		LegacyRepeated,
		LegacyRefused,
		ClockOff,
		StoodStill,
		RehashSkipped,
		HashUnusable,
		RateLimited,
		EventDropped,
		MailRetried,
		MailSent,
		MailDropped,
		MailExpired,
		MailRefused,
		MailBacklog,
	}
}

// Count increments a counter. It is safe for concurrent use.
type Count func(c Counter)
