package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// refreshEvery is the refresh interval of an active client with the default settings: 0.8 of the
// access token's lifetime.
const refreshEvery = 4 * time.Minute

var errMissed = errors.New("a verdict is \"missed\"")

// reportCapacity prints the measurements and the verdicts. Errors: errMissed if a target is missed.
func reportCapacity(out io.Writer, sites []*site, commit time.Duration, busy turn, c cleaned) error {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	row := func(what string, value func(*site) string) {
		text := fmt.Sprintf("%-34s", what)
		for _, s := range sites {
			text += fmt.Sprintf(" %11s", value(s))
		}
		say("%s", text)
	}
	number := func(format string, value func(*site) float64) func(*site) string {
		return func(s *site) string { return fmt.Sprintf(format, value(s)) }
	}
	first, largest := sites[0], sites[len(sites)-1]

	say("")
	row("sessions", number("%.0f", func(s *site) float64 { return float64(s.size) }))
	row("users", number("%.0f", func(s *site) float64 { return float64(s.size / devices) }))
	row("bytes a session, with indexes", number("%.0f", func(s *site) float64 { return s.perSess }))
	row("bytes a user, with indexes", number("%.0f", func(s *site) float64 { return s.perUser }))
	row("written in s", number("%.1f", func(s *site) float64 { return s.filled.Seconds() }))
	for _, kind := range []string{"profile", "refresh"} {
		row(kind+", p50 ms, one client", number("%.2f", func(s *site) float64 { return median(s.turns[kind], p50) }))
		row("  by that of the fewest", number("%.2f", func(s *site) float64 { return s.more(first, kind) }))
		row("  CPU µs of the server", number("%.0f", func(s *site) float64 { return median(s.turns[kind], func(t turn) float64 { return t.perOp(t.cpu) }) }))
		row("  CPU µs of the database", number("%.0f", func(s *site) float64 { return median(s.turns[kind], func(t turn) float64 { return t.perOp(t.dbCPU) }) }))
	}
	row("server's RSS MiB", number("%.1f", func(s *site) float64 { return mebibytes(s.product.PID().RSS()) }))

	alone := median(largest.turns["refresh"], p50)
	say("\na commit takes %.2f ms here; a refresh by one client %.2f ms, %.1f commits", milliseconds(commit), alone, alone/milliseconds(commit))
	say("%d clients at once: %.0f refreshes a second, %.1f in the time of a commit; p99 %s ms", refreshers, busy.rate(), busy.rate()*commit.Seconds(), at(latencies([]turn{busy}), 0.99))
	say("so 1 GB holds %.1f million sessions with their users, and this machine serves %.1f million clients in use, each of which refreshes every %v",
		1e3/(largest.perSess+largest.perUser/devices), busy.rate()*refreshEvery.Seconds()/1e6, refreshEvery)
	say("clean-up: %d sessions in %.1f s, %.0f a second; refreshes beside it: p50 %s ms, p99 %s ms, %d answered 503", c.gone, c.took.Seconds(),
		float64(c.gone)/c.took.Seconds(), at(latencies([]turn{c.beside}), 0.50), at(latencies([]turn{c.beside}), 0.99), c.beside.refused)

	say("")
	var missed error
	verdict := func(reached bool, format string, args ...any) {
		word := "reached"
		if !reached {
			word, missed = "missed", errMissed
		}
		say("%s: %s", fmt.Sprintf(format, args...), word)
	}
	for _, kind := range []string{"profile", "refresh"} {
		for _, s := range sites[1:] {
			more := s.more(first, kind)
			verdict(more <= mostMore, "%s with %d sessions costs %.2f of what it does with %d, at most %.1f", kind, s.size, more, first.size, mostMore)
		}
	}
	verdict(c.gone >= c.expired && c.expired > 0 && c.left == int64(largest.size)-c.expired, "%d sessions that are over are removed, and the %d others stay: %d are left", c.expired, int64(largest.size)-c.expired, c.left)
	verdict(busy.refused+c.beside.refused == 0, "no refresh is answered 503")
	return missed
}

// more returns the median of the rounds' ratios of latency. The two turns of a round met the same
// load on the machine.
func (s *site) more(first *site, kind string) float64 {
	var ratios []float64
	for i, t := range s.turns[kind] {
		ratios = append(ratios, p50(t)/p50(first.turns[kind][i]))
	}
	return median(ratios, func(r float64) float64 { return r })
}

// p50 returns the median latency in milliseconds.
func p50(t turn) float64 {
	l := latencies([]turn{t})
	if len(l) == 0 {
		return 0
	}
	return milliseconds(l[len(l)/2])
}
