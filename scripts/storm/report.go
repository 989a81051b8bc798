package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"example.com/accounts/scripts/timing/statistics"
)

type report struct {
	slots         int
	base, peak    int64 // bytes
	quiet, stormy day
	logins        logins
	probe         probe
	share         share
	mails         mailStorm
}

// hashMemory is the memory of one hash; spare is the bound for everything else in a storm: a thousand
// connections, and the garbage of hashes until the next collection.
const (
	hashMemory = 19 << 20
	spare      = 112 << 20
	refusal    = time.Second
)

// print prints the measurements, and reports whether every bound holds.
func (r report) print() bool {
	ok := true
	verdict := func(good bool) string {
		if ok = ok && good; good {
			return "ok"
		}
		return "MISSED"
	}
	bound := r.base + int64(r.slots)*hashMemory + spare
	fmt.Printf("memory    %d MiB before, at most %d MiB, bound %d MiB (%d slots)  %s\n", r.base>>20, r.peak>>20, bound>>20, r.slots, verdict(r.base > 0 && r.peak <= bound))
	fmt.Printf("logins    by status %v\n", r.logins.statuses)
	fault := 0
	for status, n := range r.logins.statuses {
		if !slices.Contains([]int{http.StatusOK, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable}, status) {
			fault += n
		}
	}
	fmt.Printf("          %d with a status other than 200, 401, 429 or 503, %d rejected without Retry-After  %s\n", fault, r.logins.withoutRetryAfter, verdict(fault+r.logins.withoutRetryAfter == 0))
	fmt.Printf("rejected  %d, p50 %v, p99 %v, max %v, bound %v for p99  %s\n", len(r.logins.rejected), quantile(r.logins.rejected, 0.5), quantile(r.logins.rejected, 0.99),
		quantile(r.logins.rejected, 1), refusal, verdict(quantile(r.logins.rejected, 0.99) <= refusal))
	for _, each := range []struct {
		name          string
		quiet, stormy []time.Duration
	}{{"refresh", r.quiet.refresh, r.stormy.refresh}, {"profile", r.quiet.profile, r.stormy.profile}} {
		q, s := quantile(each.quiet, 0.99), quantile(each.stormy, 0.99)
		fmt.Printf("%s   %d requests without and %d with the storm; p50 %v and %v, p99 %v and %v, ratio %.1f\n", each.name, len(each.quiet), len(each.stormy),
			quantile(each.quiet, 0.5), quantile(each.stormy, 0.5), q, s, float64(s)/float64(max(1, q)))
	}
	fmt.Printf("          other statuses: %v without and %v with the storm  %s\n", r.quiet.failures, r.stormy.failures, verdict(len(r.quiet.failures)+len(r.stormy.failures) == 0))
	r.share.print(verdict)
	r.mails.print(verdict)
	if min(len(r.probe.known), len(r.probe.unknown)) == 0 {
		fmt.Printf("names     no responses to compare  %s\n", verdict(false))
		return ok
	}
	c := statistics.Compare(r.probe.known, r.probe.unknown)
	fmt.Printf("names     known, unknown, difference, p-value (%d and %d requests): %s  %s\n", len(r.probe.known), len(r.probe.unknown), c, verdict(c.IsSame()))
	return ok
}

// quantile returns a quantile of the sample; part is between 0 and 1.
func quantile(sample []time.Duration, part float64) time.Duration {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sample))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))].Round(100 * time.Microsecond)
}
