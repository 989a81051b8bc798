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
	row("bytes per session, with indexes", number("%.0f", func(s *site) float64 { return s.perSess }))
	row("bytes per user, with indexes", number("%.0f", func(s *site) float64 { return s.perUser }))
	row("seconds to write", number("%.1f", func(s *site) float64 { return s.fillTime.Seconds() }))
	for _, kind := range []string{"profile", "refresh"} {
		row(kind+", p50 ms, one client", number("%.2f", func(s *site) float64 { return median(s.turns[kind], p50) }))
		row("  ratio to the smallest size", number("%.2f", func(s *site) float64 { return s.slowdown(first, kind) }))
		row("  CPU µs of the server", number("%.0f", func(s *site) float64 { return median(s.turns[kind], func(t turn) float64 { return t.perOp(t.cpu) }) }))
		row("  CPU µs of the database", number("%.0f", func(s *site) float64 { return median(s.turns[kind], func(t turn) float64 { return t.perOp(t.dbCPU) }) }))
	}
	row("RSS of the server, MiB", number("%.1f", func(s *site) float64 { return mebibytes(s.product.PID().RSS()) }))

	alone := median(largest.turns["refresh"], p50)
	say("\na commit takes %.2f ms; a refresh by one client takes %.2f ms, as long as %.1f commits", milliseconds(commit), alone, alone/milliseconds(commit))
	say("%d concurrent clients: %.0f refreshes per second, %.1f in the time of one commit; p99 %s ms", refreshers, busy.rate(), busy.rate()*commit.Seconds(), formatPercentile(latencies([]turn{busy}), 0.99))
	say("1 GB stores %.1f million sessions with their users; this machine serves %.1f million active clients that refresh every %v",
		1e3/(largest.perSess+largest.perUser/devices), busy.rate()*refreshEvery.Seconds()/1e6, refreshEvery)
	say("cleanup: %d sessions in %.1f s, %.0f per second; refreshes during cleanup: p50 %s ms, p99 %s ms, %d with status 503", c.gone, c.took.Seconds(),
		float64(c.gone)/c.took.Seconds(), formatPercentile(latencies([]turn{c.inParallel}), 0.50), formatPercentile(latencies([]turn{c.inParallel}), 0.99), c.inParallel.refused)

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
			more := s.slowdown(first, kind)
			verdict(more <= mostMore, "%s with %d sessions takes %.2f times as long as with %d, bound %.1f", kind, s.size, more, first.size, mostMore)
		}
	}
	verdict(c.gone >= c.expired && c.expired > 0 && c.left == int64(largest.size)-c.expired, "%d expired sessions are deleted and %d others are kept: %d rows remain", c.expired, int64(largest.size)-c.expired, c.left)
	verdict(busy.refused+c.inParallel.refused == 0, "no refresh has status 503")
	return missed
}

// slowdown returns the median of the rounds' ratios of latency. The two turns of a round met the
// same load on the machine.
func (s *site) slowdown(first *site, kind string) float64 {
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
