package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"example.com/accounts/scripts/harness"
)

// step generates one worker's requests on one connection: request returns the next request, and
// accept evaluates its response. A nil request ends the work.
type step struct {
	request func() []byte
	accept  func(header http.Header, body []byte) error // may be nil
}

// turn is the result of one turn of one side.
type turn struct {
	ops       int
	refused   int // responses 503; not counted in ops
	took      time.Duration
	cpu       time.Duration // of the database, if it runs on this machine
	dbCPU     time.Duration // of the database, if it is on this machine
	rss       int64
	latencies []time.Duration
}

func (t turn) rate() float64 { return float64(t.ops) / t.took.Seconds() }

// perOp returns d per operation, in microseconds.
func (t turn) perOp(d time.Duration) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(1, t.ops))
}

// drive runs all workers for d; each waits for its response before it sends the next request. The
// workers write requests as bytes and parse responses without an HTTP client: the CPU time that
// this program uses slows both sides, which makes their ratio look better than it is.
func drive(ctx context.Context, server *harness.Process, database harness.PID, steps []step, d time.Duration) (turn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var conns []*conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range steps {
		c, err := dial(ctx, server.Addr)
		if err != nil {
			return turn{}, err
		}
		conns = append(conns, c)
	}
	var all sync.WaitGroup
	latencies := make([][]time.Duration, len(steps))
	var refused atomic.Int64
	cpu, dbCPU, begin := server.PID().CPU(), database.CPU(), time.Now()
	for i, s := range steps {
		all.Go(func() {
			var err error
			if latencies[i], err = work(ctx, conns[i], s, begin.Add(d), &refused); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	t := turn{took: time.Since(begin), cpu: server.PID().CPU() - cpu, dbCPU: database.CPU() - dbCPU, rss: server.PID().RSS(), refused: int(refused.Load())}
	for _, l := range latencies {
		t.ops += len(l)
		t.latencies = append(t.latencies, l...)
	}
	return t, context.Cause(ctx)
}

func work(ctx context.Context, c *conn, s step, end time.Time, refused *atomic.Int64) (latencies []time.Duration, err error) {
	for ctx.Err() == nil {
		now := time.Now()
		request := s.request()
		if request == nil || now.After(end) {
			break
		}
		header, body, err := c.exchange(request)
		if errors.Is(err, errUnavailable) {
			refused.Add(1)
			continue
		}
		if err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(now))
		if s.accept != nil {
			if err := s.accept(header, body); err != nil {
				return latencies, err
			}
		}
	}
	return latencies, nil
}

// conn is a persistent connection.
type conn struct {
	net.Conn
	answers *bufio.Reader
}

func dial(ctx context.Context, addr string) (*conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, answers: bufio.NewReader(c)}, nil
}

// errUnavailable means that a request had status 503: on a busy machine, a login may not get a
// hashing slot in time.
var errUnavailable = errors.New("a request had status 503")

// exchange sends a request and reads its response. Errors: any status other than 200.
func (c *conn) exchange(request []byte) (http.Header, []byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, nil, err
	}
	answer, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, nil, err
	}
	if answer.StatusCode == http.StatusServiceUnavailable {
		return nil, nil, errUnavailable
	}
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("a request had status %s: %.300s", answer.Status, body)
	}
	return answer.Header, body, nil
}

// get and post build the bytes of a request; headers are whole lines.
func get(path string, headers ...string) []byte {
	return message("GET "+path, nil, headers)
}

func post(path string, body []byte, headers ...string) []byte {
	if len(body) > 0 {
		headers = append(headers, "Content-Type: application/json")
	}
	return message("POST "+path, body, append(headers, fmt.Sprintf("Content-Length: %d", len(body))))
}

func message(what string, body []byte, headers []string) []byte {
	text := what + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	return append([]byte(text+"\r\n"), body...)
}
