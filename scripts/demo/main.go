// Command demo shows the life of a session in each of the four transports. It builds the real
// program, starts it on a throwaway SQLite database, sends it HTTP requests, and prints requests
// and responses.
//
//	go run ./scripts/demo
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

// run starts the server, plays the four stories at the same time, because each mostly waits, and
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

	write(out, "The life of a session, in four transports")
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

const intro = `This is "accountsd serve" on a throwaway SQLite database, with settings that make it quick to watch: access tokens live %s,
and the rotation interval W is %s (30 s by default; the margin M goes with it and is %s). A refresh token rotates once it is
W+M = %s old, and its predecessor is honoured for W after that. Of each token only the end is shown, so that you can
follow it. Of a request you see what it carried, of an answer what matters in it. The four stories run at the same time.`

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
