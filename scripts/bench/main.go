// Command bench measures the server beside bare counterparts that do the same work and nothing else.
//
//	scripts/with-mysql.sh --durable -- go run ./scripts/bench
//
// With -capacity it tells what a machine carries instead (see capacity.go):
//
//	scripts/with-mysql.sh --durable -- go run ./scripts/bench -capacity 10000,100000,1000000 [-engine sqlite]
//
// Absolute figures of a shared machine mean nothing, so product and counterpart take turns, several times, and what
// counts is the median of the rounds' ratios. The counterparts are in bare.go. Server, database and this program share the
// machine. The exit status is 0 whatever is measured, and 1 if a request failed; with -capacity also if a verdict
// of its report is "missed".
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

// settings are the flags.
type settings struct {
	rounds    int
	round     time.Duration
	transport string
	only      string
	log       string
	bare      string
	engine    string
	sizes     string
	binary    string // of the product, built if empty
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "how often each pair takes turns")
	flag.DurationVar(&s.round, "round", 3*time.Second, "how long each turn is")
	flag.StringVar(&s.transport, "transport", "hybrid", "of the sessions that are refreshed: hybrid, cookies, server_held or body")
	flag.StringVar(&s.only, "only", "", "measure only what begins with this: profile, refresh or login")
	flag.StringVar(&s.log, "log", os.DevNull, "where the product's log goes")
	flag.StringVar(&s.engine, "engine", "mysql", "with -capacity: mysql or sqlite")
	flag.StringVar(&s.sizes, "capacity", "", "measure the product alone, with so many sessions in its database: 10000,100000,1000000")
	flag.StringVar(&s.bare, "bare", "", "internal: be the bare server at this address")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case s.bare != "":
		err = serveBare(ctx, s.bare)
	case s.sizes != "":
		err = capacity(ctx, s)
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
	time.Sleep(time.Second) // what is idle has settled by then
	idle := p.product.pid().rss()
	pairs, err := p.pairs(ctx, s)
	if err != nil {
		return err
	}
	for round := range s.rounds {
		for _, pair := range pairs {
			if err := pair.run(ctx, s.round, round%2 == 1); err != nil {
				return fmt.Errorf("%s: %w", pair.name, err)
			}
		}
	}
	report(os.Stdout, pairs)
	fmt.Printf("\nproduct: ready %.0f ms after its start (schema current, median of %d), RSS %.1f MiB idle\n", milliseconds(start), starts, mebibytes(idle))
	verdicts(os.Stdout, pairs)
	fmt.Printf("took %.0f s\n", time.Since(began).Seconds())
	return refusals(pairs)
}
