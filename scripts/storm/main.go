// Command storm makes a thousand clients log in at once, repeatedly, and measures the effect on
// others: the memory of the server, the time of its rejections, and the times of refreshes and
// profile reads with and without the storm. Then one client network floods with correct passwords,
// and the successful logins of others are counted. At the end clients flood the server with
// requests for mails to unknown addresses, and the delay of resets is measured.
//
//	storm [-clients 1000] [-seconds 60] [-database URL]
//
// It builds the server and starts it on a throwaway SQLite file, or on the given empty database.
// Rate limits are off, so the report describes a server that cannot tell the storm from its users.
// The exit status is 1 if a bound of the report is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	clients := flag.Int("clients", 1000, "clients that log in")
	seconds := flag.Int("seconds", 60, "duration of each load in seconds")
	database := flag.String("database", "", "ACCOUNTS_DATABASE_URL of an empty database (default SQLite)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, *clients, time.Duration(*seconds)*time.Second, *database)
	if err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, clients int, d time.Duration, database string) (ok bool, err error) {
	s, err := start(ctx, database)
	if err != nil {
		return false, err
	}
	defer func() {
		if stopped := s.stop(); err == nil {
			err = stopped
		}
	}()
	regulars, err := s.logIn(ctx, regularUsers)
	if err != nil {
		return false, err
	}
	if err := s.warmUp(ctx); err != nil {
		return false, err
	}
	fmt.Printf("%d regular clients for %v: a refresh and a profile read every %v\n", len(regulars), d, pace)
	quiet := measureEveryday(ctx, regulars, d)
	base := s.process.PID().RSS()
	fmt.Printf("the same with %d clients that log in\n", clients)
	probing, storming := make(chan probe, 1), make(chan logins, 1)
	during, end := context.WithTimeout(ctx, d)
	defer end()
	go func() { storming <- storm(during, s, clients) }()
	go func() { probing <- s.probe(during) }()
	stormy := measureEveryday(ctx, regulars, d)
	r := report{slots: s.slots, base: base, peak: s.process.PID().PeakRSS(), quiet: quiet, stormy: stormy, logins: <-storming, probe: <-probing}
	fmt.Printf("%d loops of one client network that log in for %v, and a login of another user every %v\n", floodLoops, floodTime, honestPace)
	r.share = s.floodOneNetwork(ctx)
	fmt.Printf("%d clients that request emails to unknown addresses, and a reset of a user every %v\n", mailClients, resetEvery)
	r.mails = s.mailStorm(ctx, d)
	return r.print(), ctx.Err()
}
