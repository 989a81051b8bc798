// Command bench compares the server ("the product") with minimal servers that do the same work and
// nothing else ("the counterparts", in bare.go).
//
//	scripts/with-mysql.sh --durable -- scripts/run.sh bench
//
// With -capacity it measures the capacity of a machine instead (see capacity.go):
//
//	scripts/with-mysql.sh --durable -- scripts/run.sh bench -capacity 10000,100000,1000000 [-engine sqlite]
//
// With -compare it measures this tree's server against that of another revision (see compare.go),
// and with -profile it writes profiles of the server under load (see profile.go):
//
//	scripts/with-mysql.sh --durable -- scripts/run.sh bench -compare HEAD~1
//	scripts/with-mysql.sh --durable -- scripts/run.sh bench -profile DIR
//
// The product, the database and this program share one machine, so absolute numbers mean nothing.
// For this reason the product and its counterpart take turns for several rounds. Each round gives
// the ratio of the two, and the result is the median of the ratios.
//
// The exit status is 1 if a request failed or, with -capacity, if a verdict of the report is
// "missed"; otherwise it is 0, regardless of the measurements.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are the command-line flags.
type settings struct {
	rounds    int
	round     time.Duration
	transport string
	only      string
	log       string
	bare      string
	engine    string
	sizes     string
	compare   string
	profile   string
	binary    string // path of the product; built if empty
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "number of rounds per pair")
	flag.DurationVar(&s.round, "round", 3*time.Second, "duration of a turn")
	flag.StringVar(&s.transport, "transport", "hybrid", "transport of the refreshed sessions: hybrid, cookies, server_held or body")
	flag.StringVar(&s.only, "only", "", "measure only pairs that begin with: profile, refresh or login")
	flag.StringVar(&s.log, "log", os.DevNull, "file for the log of the product")
	flag.StringVar(&s.engine, "engine", "mysql", "with -capacity: mysql or sqlite")
	flag.StringVar(&s.sizes, "capacity", "", "measure only the product, with these numbers of sessions in its database: 10000,100000,1000000")
	flag.StringVar(&s.compare, "compare", "", "measure this tree's server against that of this git revision, which must have the same columns of users")
	flag.StringVar(&s.profile, "profile", "", "write profiles of CPU and allocations under load to this folder")
	flag.StringVar(&s.bare, "bare", "", "internal: run the minimal baseline at this address")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case s.bare != "":
		err = serveBare(ctx, s.bare)
	case s.sizes != "":
		err = capacity(ctx, s)
	case s.compare != "":
		err = compare(ctx, s)
	case s.profile != "":
		err = profile(ctx, s)
	default:
		err = measure(ctx, s)
	}
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func measure(ctx context.Context, s settings) (err error) {
	began := time.Now()
	p, err := prepare(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	fmt.Print(p.environment(ctx))
	start, err := p.timeToReady(ctx)
	if err != nil {
		return err
	}
	if err := p.start(ctx); err != nil {
		return err
	}
	time.Sleep(time.Second) // let background work settle
	idle := p.product.PID().RSS()
	pairs, err := p.pairs(ctx, s)
	if err != nil {
		return err
	}
	if err := runPairs(ctx, s, pairs); err != nil {
		return err
	}
	report(os.Stdout, pairs)
	fmt.Printf("\nproduct: ready %.0f ms after start (schema current, median of %d), idle RSS %.1f MiB\n", milliseconds(start), starts, mebibytes(idle))
	verdicts(os.Stdout, pairs)
	fmt.Printf("took %.0f s\n", time.Since(began).Seconds())
	return refusals(pairs)
}
