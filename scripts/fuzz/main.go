// Command fuzz sends requests drawn from the contract to a server in this process, and checks every
// response: it must be documented in the contract, an error must be a problem and not a 5xx, a
// rejected request must not change a row, and a request must neither show nor change data of other
// users.
//
//	scripts/run.sh fuzz -n 1000000 -seed 1
//	scripts/with-mysql.sh --fast -- scripts/run.sh fuzz -n 100000 -engine mysql
//
// A run consists of 30 requests. Each run starts with the same users, sessions in every state and
// open links. A failing run is shrunk to the fewest requests that still fail, and printed as shell
// commands. The exit status is 1 if a run fails.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/accounts/server/servertest"
)

// settings are the command-line flags.
type settings struct {
	n      int
	seed   uint64
	engine string
}

var errFailed = errors.New("there are failures")

func main() {
	var s settings
	flags := flag.NewFlagSet("fuzz", flag.ExitOnError)
	flags.IntVar(&s.n, "n", 100_000, "requests")
	flags.Uint64Var(&s.seed, "seed", uint64(time.Now().UnixNano()%1e9), "seed of the random requests; the same seed repeats them")
	flags.StringVar(&s.engine, "engine", string(servertest.SQLite), "sqlite, or mysql with TEST_MYSQL_URL set")
	_ = flags.Parse(os.Args[1:]) // exits on an error
	debug.SetGCPercent(400)      // most garbage is short-lived
	testing.Init()               // rapid calls testing.Short, which needs the test flags
	_ = flag.CommandLine.Parse(nil)
	if _, err := search(s, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fuzz: "+err.Error())
		os.Exit(1)
	}
}

// search sends at least n requests and prints a report. It returns the documented responses that no
// request has produced.
func search(s settings, out io.Writer) (missing []string, err error) {
	err = runInScope(func(t scope) error {
		f, err := newFuzzer(t, servertest.Engine(s.engine))
		if err != nil {
			return err
		}
		p := &progress{out: out, seed: s.seed, begin: time.Now(), last: time.Now()}
		var failures []failure
		for seed := s.seed; f.tally.requests < s.n; seed += stride {
			if failed := f.round(seed); failed != nil {
				failures = append(failures, *failed)
			}
			p.line(f, len(failures), false)
		}
		p.line(f, len(failures), true)
		f.tally.report(out, f.generator.operations)
		missing = f.tally.listMissing(f.generator.operations)
		return conclude(out, missing, failures)
	})
	return missing, err
}

func conclude(out io.Writer, missing []string, failures []failure) error {
	if len(missing) > 0 {
		_, _ = fmt.Fprintf(out, "  not reached: %s\n", strings.Join(missing, ", "))
	}
	for i, failed := range failures {
		_, _ = fmt.Fprintf(out, "\nFAILURE %d: %s (seed %d)\n", i+1, failed.key, failed.seed)
		for _, step := range failed.steps {
			_, _ = fmt.Fprintf(out, "  %s\n", step)
		}
		_, _ = fmt.Fprintf(out, "%s\n", failed.said)
	}
	if len(failures) > 0 {
		return errFailed
	}
	return nil
}

const (
	runsOfRound = 10
	stride      = 1000 // more seeds than rapid derives from one in a round
)

// round lets rapid try some runs, and shrink one that fails.
func (f *fuzzer) round(seed uint64) (failed *failure) {
	for name, value := range map[string]string{"seed": strconv.FormatUint(max(seed, 1), 10), "checks": strconv.Itoa(runsOfRound), "nofailfile": "true", "shrinktime": "3s"} {
		if err := flag.Set("rapid."+name, value); err != nil {
			panic(err) // the library has changed its flags
		}
	}
	f.shrinking, f.last = false, nil
	f.search()
	if failed = f.last; failed != nil {
		failed = f.minimize(failed)
		failed.seed, f.known[failed.key] = seed, true
	}
	return failed
}

// search returns when a run has failed and has been shrunk.
func (f *fuzzer) search() {
	defer func() {
		if v := recover(); v != nil && v != (stopped{}) {
			panic(v)
		}
	}()
	rapid.Check(&check{}, f.run)
}

// progress prints a line every few seconds.
type progress struct {
	out         io.Writer
	seed        uint64
	begin, last time.Time
}

func (p *progress) line(f *fuzzer, failures int, end bool) {
	if now := time.Now(); now.Sub(p.last) > 5*time.Second || end {
		p.last = now
		n, took := &f.tally, now.Sub(p.begin)
		_, _ = fmt.Fprintf(p.out, "%7d requests, %5.0f/s; 2xx %d, 3xx %d, 4xx %d, 5xx %d; failures %d; RSS %d MB; seed %d\n",
			n.requests, float64(n.requests)/took.Seconds(), n.classes[2], n.classes[3], n.classes[4], n.classes[5], failures, residentMemory(), p.seed)
	}
}

// residentMemory returns the resident memory of this process in megabytes, or 0 where the system
// does not report it.
func residentMemory() int {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize() >> 20
}
