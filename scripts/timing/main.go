// Command timing measures whether responses for known and for unknown addresses differ in time,
// size or headers, for login, registration, resending and password reset.
//
//	scripts/with-mysql.sh --fast -- scripts/run.sh timing
//
// It builds the server, starts it unchanged, and reaches it over one connection on loopback, so an
// attacker over a network has a less precise view. It always measures SQLite, and MySQL if
// TEST_MYSQL_URL is set. The mail worker runs as usual, at the same time as requests of both kinds.
// The exit status is 1 if an operation differs for known and unknown addresses.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/accounts/scripts/harness"
	"example.com/accounts/scripts/timing/statistics"
)

// settings are the command-line flags.
type settings struct {
	n     int
	seed  uint64
	pause time.Duration
	only  string
}

// tries is how often an operation is measured until one measurement shows no difference. A
// measurement reports a difference by chance in one of a hundred cases (pBound), and there are ten
// operations, so one failed measurement proves nothing. A real difference appears each time.
const tries = 2

var errDistinguishable = errors.New("response times distinguish known from unknown addresses")

func main() {
	var s settings
	flag.IntVar(&s.n, "n", 1000, "number of requests per operation for each kind of address")
	flag.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()), "seed for the order of the requests")
	flag.DurationVar(&s.pause, "pause", 10*time.Millisecond, "pause between two requests, for the mail worker")
	flag.StringVar(&s.only, "only", "", "measure only operations that begin with: login, register, resend or reset")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, s)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "timing: "+err.Error())
		os.Exit(1)
	}
}

func measure(ctx context.Context, s settings) (err error) {
	if s.n < 20 {
		return errors.New("-n must be at least 20 for the statistics to be meaningful")
	}
	dir, err := os.MkdirTemp("", "accounts-timing-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := harness.Build(ctx, dir)
	if err != nil {
		return err
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%s, %d cores, load average %.14s; %d requests of each kind, seed %d\n", runtime.Version(), runtime.NumCPU(), load, s.n, s.seed)
	engines := map[string]string{"SQLite": ""}
	if url := os.Getenv("TEST_MYSQL_URL"); url != "" {
		engines["MySQL"] = url
	}
	differs := false
	for _, name := range slices.Sorted(maps.Keys(engines)) {
		fmt.Printf("\n%-8s %-14s %9s %9s %18s %7s  %s\n", name, "", "unknown", "known", "difference", "p", "bytes")
		bad, err := measureEngine(ctx, s, binary, filepath.Join(dir, name), engines[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		differs = differs || bad
	}
	if differs {
		return errDistinguishable
	}
	return nil
}

func measureEngine(ctx context.Context, s settings, binary, dir, mysqlURL string) (differs bool, err error) {
	t, err := start(ctx, binary, dir, mysqlURL)
	defer func() { err = errors.Join(err, t.close()) }()
	if err != nil {
		return false, err
	}
	random := rand.New(rand.NewPCG(s.seed, 0)) // a reproducible order, not a secret
	p := &probe{ctx: ctx, base: t.base, pause: s.pause, turn: map[string]int{}, client: &http.Client{
		Transport: &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true}, Timeout: 30 * time.Second,
	}}
	for _, o := range operations() {
		if !strings.HasPrefix(o.name, s.only) {
			continue
		}
		bad := true
		for try := 0; try < tries && bad; try++ {
			r, err := p.run(o, s.n, random)
			if err != nil {
				return false, err
			}
			bad = r.print(o.name)
		}
		differs = differs || bad
	}
	return differs, nil
}

// print prints the measurements, and reports whether they differ for known and unknown addresses.
// The second line is not part of the verdict: it shows the effect of sending a mail on the next
// request.
func (r *result) print(name string) (differs bool) {
	c, echo := statistics.Compare(r.took[0], r.took[1]), statistics.Compare(r.after[0], r.after[1])
	alike := len(r.seen[0]) == 1 && maps.Equal(r.seen[0], r.seen[1]) && maps.Equal(r.bytes[0], r.bytes[1])
	verdict := "alike"
	if !alike {
		verdict = "DIFFERENT ANSWERS"
	} else if !c.IsSame() {
		verdict = "DIFFERENT TIMES"
	}
	fmt.Printf("         %-14s %s  %s  %s\n", name, c, sizes(r.bytes), verdict)
	fmt.Printf("         %-14s %s\n", "  what follows", echo)
	return verdict != "alike"
}

func sizes(bytes [2]map[int]bool) string {
	a, b := slices.Sorted(maps.Keys(bytes[0])), slices.Sorted(maps.Keys(bytes[1]))
	if slices.Equal(a, b) {
		return strings.Trim(fmt.Sprint(a), "[]")
	}
	return fmt.Sprint(a, b)
}
