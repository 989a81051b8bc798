package statistics

import (
	"math"
	"testing"
	"time"
)

func sample(ms ...float64) (list []time.Duration) {
	for _, x := range ms {
		list = append(list, time.Duration(x*float64(time.Millisecond)))
	}
	return list
}

// TestMannWhitneyEqualsKnownValues compares p-values with known ones. The second case is the
// example of SciPy's manual of mannwhitneyu with the method "asymptotic". The others are calculated
// by hand: U is 0 and 8, sigma the square root of 25*11/12 and of 36/12*(13-132/132), and p follows
// from a table.
func TestMannWhitneyEqualsKnownValues(t *testing.T) {
	for name, c := range map[string]struct {
		a, b []time.Duration
		want float64
	}{
		"apart":      {sample(1, 2, 3, 4, 5), sample(6, 7, 8, 9, 10), 0.0121857803},
		"its manual": {sample(19, 22, 16, 29, 24), sample(20, 11, 17, 12), 0.1113468851},
		"ties":       {sample(1, 1, 2, 2, 3, 3), sample(2, 2, 3, 3, 4, 4), 0.1133455092},
		"equal":      {sample(1, 2, 3, 4), sample(1, 2, 3, 4), 1},
		"constant":   {sample(1, 1, 1), sample(1, 1), 1},
	} {
		for _, got := range []float64{mannWhitney(c.a, c.b), mannWhitney(c.b, c.a)} {
			if math.Abs(got-c.want) > 1e-6 {
				t.Errorf("%s: p = %.10f, want %.10f", name, got, c.want)
			}
		}
	}
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		c    Comparison
		want bool
	}{
		"close":                      {Comparison{Difference: 1.9, Percent: 90, P: 0.5}, true},
		"close in per cent":          {Comparison{Difference: -3, Percent: -4.9, P: 0.011}, true},
		"far":                        {Comparison{Difference: -3, Percent: -6, P: 0.5}, false},
		"close, but not by accident": {Comparison{Difference: 0.1, Percent: 0.1, P: 0.01}, false},
	} {
		if c.c.IsSame() != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		sample []time.Duration
		want   float64
	}{{sample(3, 1, 2), 2}, {sample(4, 1, 3, 2), 2.5}, {sample(7), 7}} {
		if got := median(c.sample); got != c.want {
			t.Errorf("%v: %v", c.sample, got)
		}
	}
}
