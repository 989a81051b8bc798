package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// One client network sends correct passwords as fast as it can, which no rate limit of failed logins
// counts. The flood measures the effect on the logins of others.
const (
	floodLoops  = 36
	floodTime   = 20 * time.Second
	honestPace  = 200 * time.Millisecond
	honestShare = 0.95
	flooder     = "192.0.2.1"
)

// share counts the responses to both sides.
type share struct {
	flood, honest map[int]int // by status
	took          []time.Duration
}

// floodOneNetwork floods from one address. At the same time it logs in from other addresses, each
// time as another user.
func (s *storms) floodOneNetwork(ctx context.Context) share {
	ctx, end := context.WithTimeout(ctx, floodTime)
	defer end()
	sum := share{flood: map[int]int{}, honest: map[int]int{}}
	var mu sync.Mutex
	note := func(into map[int]int, a answer, took *[]time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil { // the request was canceled at the end of the flood
			return
		}
		into[a.status]++
		if took != nil && a.status == http.StatusOK {
			*took = append(*took, a.took)
		}
	}
	var all sync.WaitGroup
	for range floodLoops {
		all.Go(func() {
			for c := newClient(); ctx.Err() == nil; {
				note(sum.flood, s.loginFrom(ctx, c, flooder, userName(regularUsers), password), nil)
			}
		})
	}
	tick := time.NewTicker(honestPace)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		all.Go(func() {
			name := userName(regularUsers + 1 + i%(regularUsers-1))
			note(sum.honest, s.loginFrom(ctx, s.http, fmt.Sprintf("198.51.100.%d", 1+i%200), name, password), &sum.took)
		})
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	all.Wait()
	return sum
}

// print prints the measurements, and whether enough honest logins succeeded.
func (f share) print(verdict func(bool) string) {
	total := 0
	for _, n := range f.honest {
		total += n
	}
	part := float64(f.honest[http.StatusOK]) / float64(max(1, total))
	fmt.Printf("flood     one network with correct passwords (%v): honest logins %v, %.0f %% with status 200, p50 %v, p99 %v, bound %.0f %%  %s\n",
		f.flood, f.honest, 100*part, quantile(f.took, 0.5), quantile(f.took, 0.99), 100*honestShare, verdict(total > 0 && part >= honestShare))
}
