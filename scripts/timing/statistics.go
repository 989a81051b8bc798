package main

import (
	"math"
	"slices"
	"time"
)

// The bounds of the verdict: two medians this close together are drowned by any network, and a p-value above pBound
// says that the samples could be of one distribution.
const (
	msBound      = 2.0
	percentBound = 5.0
	pBound       = 0.01
)

// comparison is two samples beside each other. Difference is b's median minus a's.
type comparison struct {
	a, b       float64 // medians, in ms
	difference float64 // ms
	percent    float64 // of a
	p          float64
}

func compare(a, b []time.Duration) comparison {
	c := comparison{a: median(a), b: median(b), p: mannWhitney(a, b)}
	c.difference = c.b - c.a
	c.percent = 100 * c.difference / c.a
	return c
}

func (c comparison) same() bool {
	return (math.Abs(c.difference) < msBound || math.Abs(c.percent) < percentBound) && c.p > pBound
}

// median is in ms.
func median(sample []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(sample))
	middle := len(sorted) / 2
	m := float64(sorted[middle])
	if len(sorted)%2 == 0 {
		m = (m + float64(sorted[middle-1])) / 2
	}
	return m / float64(time.Millisecond)
}

// mannWhitney is the two-sided p-value of the U test by its normal approximation, with the corrections for ties and
// for continuity: how often two samples of one distribution differ at least this much. Below some 20 values each it
// means little.
func mannWhitney(a, b []time.Duration) float64 {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	rank, ties := map[time.Duration]float64{}, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		t := float64(j - i)
		rank[all[i]], ties, i = float64(i+j+1)/2, ties+t*t*t-t, j
	}
	n1, n2, n, u := float64(len(a)), float64(len(b)), float64(len(all)), 0.0
	for _, x := range a {
		u += rank[x]
	}
	u -= n1 * (n1 + 1) / 2
	sigma := math.Sqrt(n1 * n2 / 12 * (n + 1 - ties/(n*(n-1))))
	if sigma == 0 {
		return 1
	}
	return math.Min(1, math.Erfc(math.Max(0, math.Abs(u-n1*n2/2)-0.5)/sigma/math.Sqrt2))
}
