// Command demo shows the life of a session in each of the four transports. It builds the real
// program, starts it on a temporary SQLite database, sends it HTTP requests, and prints requests
// and responses.
//
//	scripts/run.sh demo
//
// The exit status is 1 if a response differs from the one that the transcript is meant to show.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "demo: "+err.Error())
		os.Exit(1)
	}
}

// run starts the server, runs the four transports at the same time, because each mostly waits, and
// prints them one after the other.
func run(ctx context.Context, out io.Writer) (err error) {
	s, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()

	texts, faults := make([]bytes.Buffer, len(transports)), make([]error, len(transports))
	var all sync.WaitGroup
	for i, t := range transports {
		all.Go(func() { faults[i] = tell(ctx, &texts[i], s.url, t) })
	}
	all.Wait()

	write(out, "The life of a session in each of the four transports")
	paragraph(out, "", fmt.Sprintf(intro, inSeconds(accessTTL), inSeconds(rotation), inSeconds(margin), inSeconds(rotation+margin)))
	for i := range texts {
		if _, err := texts[i].WriteTo(out); err != nil {
			return err
		}
		if faults[i] != nil {
			return fmt.Errorf("%s: %w", transports[i].name, faults[i])
		}
	}
	write(out, "")
	return nil
}

const intro = `This demo runs "accountsd serve" on a temporary SQLite database with short lifetimes: access tokens expire after %s, and
the rotation interval W is %s (default 30 s) with a margin M of %s. A refresh token rotates once it is W+M = %s old. The
superseded token is accepted for another W. The transcript shows the last characters of each token, the credentials of
each request, and the relevant part of each response. The four transports run at the same time.`

// tell plays the story of one transport. If the machine is so busy that the second of two requests
// arrives more than W after the first, the server's response differs from the story, so tell plays
// it again.
func tell(ctx context.Context, out *bytes.Buffer, url string, t transport) error {
	for try := 1; ; try++ {
		out.Reset()
		err := (&story{transport: t, out: out, url: url}).play(ctx)
		if !errors.Is(err, errTooSlow) || try == 3 {
			return err
		}
	}
}
