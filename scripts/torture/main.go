// Command torture runs replicas of the server with a database of their own, and sends them requests
// of honest clients, thieves, replayers and forgers. At the same time it kills and stops the
// servers, cuts their connections and changes their clocks. It records all requests and responses.
// A checker that knows only this history decides whether every invariant of the refresh protocol
// was kept.
//
//	torture [-engine sqlite] [-minutes 1] [-seed N]
//	torture -race 10000      a hundred clients at once with one token, so many times
//	torture -broken all      servers that are broken on purpose (breaks/); each must be caught
//	torture -check FILE      checks a history that -history FILE has written
//
// MariaDB and MySQL are started by scripts/with-mysql.sh; a Galera cluster is started by
// scripts/with-galera.sh before this program. With -database, the program uses a running server and
// does not kill it. The exit status is 1 if an invariant was violated.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"example.com/accounts/scripts/torture/site"
)

func main() {
	if site.ServeIfReplica() {
		return
	}
	var o options
	flag.StringVar(&o.engine, "engine", "sqlite", "sqlite, mariadb, mysql or galera")
	minutes := flag.Float64("minutes", 1, "duration of the run in minutes")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "seed of the faults")
	database := flag.String("database", "", "ACCOUNTS_DATABASE_URL of an empty database, or one per node, separated by commas")
	flag.IntVar(&o.replicas, "replicas", 0, "number of servers (default 1 on SQLite, otherwise 3)")
	flag.IntVar(&o.sessions, "sessions", 60, "cookie jars, each with one session at a time")
	flag.IntVar(&o.tabs, "tabs", 3, "clients per jar")
	flag.DurationVar(&o.rotation, "rotation", 2*time.Second, "rotation interval W of the servers")
	flag.DurationVar(&o.pace, "pace", 300*time.Millisecond, "average pause of a tab between two requests")
	flag.StringVar(&o.keep, "history", "", "write the history to this file")
	rounds := flag.Int("race", 0, "run only this many rounds, in each of which a hundred clients refresh with one token at once")
	breaking := flag.String("broken", "", "test a deliberately broken server: a name in breaks/, or all")
	check := flag.String("check", "", "check the history in this file, and run no servers")
	flag.Parse()
	o.d = time.Duration(*minutes * float64(time.Minute))
	if o.replicas == 0 {
		o.replicas = 3
	}
	if o.engine == "sqlite" {
		o.replicas = 1
	}
	if *database != "" {
		o.urls = strings.Split(*database, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := do(ctx, o, *check, *breaking, *rounds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

func do(ctx context.Context, o options, check, breaking string, rounds int) (bool, error) {
	if check != "" {
		v, err := checkHistory(check)
		for _, b := range v.Breaks {
			fmt.Println(b)
		}
		return len(v.Breaks) == 0, err
	}
	if breaking != "" {
		return runBroken(ctx, breaking)
	}
	if rounds > 0 {
		return race(ctx, o, rounds)
	}
	return run(ctx, o)
}
