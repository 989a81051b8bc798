package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/accounts/scripts/torture/history"
)

// figures are the counters of a run.
type figures struct {
	startedAt   time.Time
	counting    sync.Mutex
	requests    int
	refreshes   int
	rotations   int
	thefts      int
	statuses    map[int]int
	codes       map[string]int
	faultCounts map[string]int
	violations  []string // violations found outside of the history
}

func (f *figures) start() {
	f.startedAt, f.statuses, f.codes, f.faultCounts = time.Now(), map[int]int{}, map[string]int{}, map[string]int{}
}

func (f *figures) count(a apiRequest, r result) {
	f.counting.Lock()
	defer f.counting.Unlock()
	f.requests++
	f.statuses[r.status]++
	if a.op == history.Refresh {
		f.refreshes++
		if r.code != "" {
			f.codes[r.code]++
		}
		if r.tokens.generation > a.as.generation {
			f.rotations++
		}
	}
	if a.role == history.Thief {
		f.thefts++
	}
}

func (f *figures) countFault(name string) {
	f.counting.Lock()
	defer f.counting.Unlock()
	f.faultCounts[name]++
}

func (f *figures) addViolation(text string) {
	f.counting.Lock()
	defer f.counting.Unlock()
	f.violations = append(f.violations, text)
}

const progressEvery = 5 * time.Second

// progress prints a line every few seconds.
func (t *torture) progress(ctx context.Context) {
	for {
		pause(ctx, progressEvery)
		if ctx.Err() != nil {
			return
		}
		t.counting.Lock()
		fmt.Printf("%4.0f s  %d requests, %d refreshes, %d rotated, by status %v; killed: %d servers, %d databases\n",
			time.Since(t.startedAt).Seconds(), t.requests, t.refreshes, t.rotations, t.statuses, t.site.Kills.Load(), t.site.DBKills.Load())
		t.counting.Unlock()
	}
}

const breaksShown = 20

// report prints the results, and reports whether every invariant was kept.
func (t *torture) report(v history.Verdict) bool {
	t.counting.Lock()
	defer t.counting.Unlock()
	fmt.Printf("engine       %s, %d replicas, %d jars of %d tabs, W %v, M %v, %.0f s\n", t.engine, len(t.site.Replicas), len(t.jars), t.tabs, t.site.Config.RotationInterval, t.site.Config.Margin(), time.Since(t.startedAt).Seconds())
	fmt.Printf("requests     %d, including %d refreshes; %d by thieves\n", t.requests, t.refreshes, t.thefts)
	fmt.Printf("sessions     %d, with %d rotations\n", v.Sessions, v.Rotations)
	fmt.Printf("by status    %s (0: no response)\n", list(t.statuses))
	fmt.Printf("rejected     refreshes, by code: %s\n", list(t.codes))
	fmt.Printf("killed       %d servers, %d databases\n", t.site.Kills.Load(), t.site.DBKills.Load())
	fmt.Printf("faults       %s\n", list(t.faultCounts))
	fmt.Printf("reuse        %d sessions revoked for token reuse, %d of them outside the bounds of invariant 6\n", v.Alarms, v.Excused)
	honest := map[string]bool{}
	for _, b := range v.Breaks {
		if b.Invariant == 5 || b.Invariant == 6 {
			honest[b.Session] = true
		}
	}
	fmt.Printf("honest clients logged out  %d\n", len(honest))
	return t.verdict(v)
}

func (t *torture) verdict(v history.Verdict) bool {
	fmt.Printf("invariant violations  %d\n", len(v.Breaks)+len(t.violations))
	var texts []string
	shown := map[int]int{}
	for _, b := range v.Breaks {
		if shown[b.Invariant]++; shown[b.Invariant] <= 5 {
			texts = append(texts, b.String())
		}
	}
	texts = append(texts, t.violations...)
	for _, text := range texts[:min(len(texts), breaksShown)] {
		fmt.Printf("  %s\n", text)
	}
	word := "all invariants hold"
	if len(texts) > 0 {
		word = "VIOLATED"
		t.faultLines()
	}
	fmt.Printf("verdict      %s; seed %d\n", word, t.seed)
	return len(texts) == 0
}

// faultLines prints the server errors in the logs, because the logs are deleted at the end.
func (t *torture) faultLines() {
	shown := 0
	for _, r := range t.site.Replicas {
		text, err := os.ReadFile(r.LogFile())
		if err != nil {
			fmt.Printf("  the log of server %d: %v\n", r.Number, err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"level":"ERROR"`) && strings.Contains(line, `"code":"server_failed"`) && shown < breaksShown {
				fmt.Printf("  server %d: %s", r.Number, line)
				shown++
			}
		}
	}
}

func list[K int | string](counts map[K]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%v: %d", key, counts[key]))
	}
	return strings.Join(parts, ", ")
}
