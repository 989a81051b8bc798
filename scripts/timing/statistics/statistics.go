// Package statistics decides whether two samples of durations differ.
package statistics

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Bounds of the verdict: the noise of any network hides a difference of medians below msBound or
// below percentBound. A p-value above pBound means that both samples can be from one distribution.
const (
	msBound      = 2.0
	percentBound = 5.0
	pBound       = 0.01
)

// Comparison compares two samples. Difference is B's median minus A's.
type Comparison struct {
	A, B       float64 // medians, in ms
	Difference float64 // ms
	Percent    float64 // of A
	P          float64 // probability that two samples of one distribution differ at least this much
}

// Compare compares two samples of at least one duration each.
func Compare(a, b []time.Duration) Comparison {
	c := Comparison{A: median(a), B: median(b), P: mannWhitney(a, b)}
	c.Difference = c.B - c.A
	c.Percent = 100 * c.Difference / c.A
	return c
}

// IsSame reports whether an attacker cannot distinguish the samples.
func (c Comparison) IsSame() bool {
	return (math.Abs(c.Difference) < msBound || math.Abs(c.Percent) < percentBound) && c.P > pBound
}

func (c Comparison) String() string {
	return fmt.Sprintf("%6.2f ms %6.2f ms %+6.2f ms %+6.1f %% %7.3f", c.A, c.B, c.Difference, c.Percent, c.P)
}

// median returns the median in milliseconds.
func median(sample []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(sample))
	middle := len(sorted) / 2
	m := float64(sorted[middle])
	if len(sorted)%2 == 0 {
		m = (m + float64(sorted[middle-1])) / 2
	}
	return m / float64(time.Millisecond)
}

// mannWhitney returns the two-sided p-value of the U test by its normal approximation, with the
// corrections for ties and for continuity: the probability that two samples of one distribution
// differ at least this much. It is not reliable below about 20 values each.
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
