package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// report prints the table. Values are medians of the turns; latencies are percentiles over all
// requests of all turns. CPU is the time of the server and of the database per operation. The ratio
// is followed by the ratios of the single rounds.
func report(out io.Writer, pairs []*pair) {
	const line = "%-30s %7s %7s %7s %7s %7s %7s %8s\n"
	_, _ = fmt.Fprintf(out, "\n"+line, "", "ops/s", "p50 ms", "p95 ms", "p99 ms", "CPU µs", "DB µs", "RSS MiB")
	for _, p := range pairs {
		_, _ = fmt.Fprintln(out, p.name)
		for _, s := range []side{p.product, p.bare} {
			l := latencies(s.turns)
			_, _ = fmt.Fprintf(out, line, "  "+s.what, fmt.Sprintf("%.0f", s.rate()),
				formatPercentile(l, 0.50), formatPercentile(l, 0.95), formatPercentile(l, 0.99),
				fmt.Sprintf("%.0f", s.cpu()), fmt.Sprintf("%.0f", s.dbCPU()), fmt.Sprintf("%.1f", mebibytes(s.turns[len(s.turns)-1].rss)))
		}
		_, _ = fmt.Fprintf(out, "  %-28s %7.2f   (%.2f to %.2f)\n", "product / bare", p.ratio(), slices.Min(p.ratios()), slices.Max(p.ratios()))
	}
}

// refusals returns an error if a request was answered 503.
func refusals(pairs []*pair) error {
	n := 0
	for _, p := range pairs {
		for _, t := range append(slices.Clone(p.product.turns), p.bare.turns...) {
			n += t.refused
		}
	}
	if n > 0 {
		return fmt.Errorf("%d requests had status 503", n)
	}
	return nil
}

// verdicts prints a line for each target.
func verdicts(out io.Writer, pairs []*pair) {
	_, _ = fmt.Fprintln(out)
	for _, p := range pairs {
		word := "missed"
		if p.ratio() >= p.target {
			word = "reached"
		}
		_, _ = fmt.Fprintf(out, "%-38s %.2f of the minimal baseline, target %.2f: %s\n", p.name, p.ratio(), p.target, word)
	}
}

func (s side) rate() float64 { return median(s.turns, turn.rate) }

// cpu and dbCPU return microseconds per operation.
func (s side) cpu() float64 { return median(s.turns, func(t turn) float64 { return t.perOp(t.cpu) }) }
func (s side) dbCPU() float64 {
	return median(s.turns, func(t turn) float64 { return t.perOp(t.dbCPU) })
}

// ratio returns the median of the rounds' ratios. The two turns of a round met the same load on the
// machine.
func (p *pair) ratio() float64 { return median(p.ratios(), func(r float64) float64 { return r }) }

func (p *pair) ratios() []float64 {
	var ratios []float64
	for i := range p.product.turns {
		ratios = append(ratios, p.product.turns[i].rate()/p.bare.turns[i].rate())
	}
	return ratios
}

func median[T any](list []T, value func(T) float64) float64 {
	var values []float64
	for _, each := range list {
		values = append(values, value(each))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func latencies(turns []turn) []time.Duration {
	var all []time.Duration
	for _, t := range turns {
		all = append(all, t.latencies...)
	}
	slices.SortFunc(all, cmp.Compare)
	return all
}

func formatPercentile(sorted []time.Duration, quantile float64) string {
	if len(sorted) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", milliseconds(sorted[int(quantile*float64(len(sorted)-1))]))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
