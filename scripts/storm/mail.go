package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// The mail storm: clients request mails to addresses without an account as fast as they can, and a
// user requests a reset from time to time. The mail server takes sinkTime for each message.
const (
	mailClients = 50
	sinkTime    = 300 * time.Millisecond
	resetEvery  = 3 * time.Second
	resetBound  = 10 * time.Second
	resetWait   = 60 * time.Second // after which the mail counts as lost
)

// sink is a mail server that records when a mail to each address arrived.
type sink struct {
	server   *gosmtp.Server
	address  string
	mu       sync.Mutex
	arrivals map[string]time.Time
}

func newSink(ctx context.Context) (*sink, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{address: listener.Addr().String(), arrivals: map[string]time.Time{}}
	s.server = gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) {
		return &sinkSession{sink: s}, nil
	}))
	s.server.Domain = "127.0.0.1"
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// environment returns the settings that make the server send its mails to the sink, without limits.
func (s *sink) environment() []string {
	return []string{"ACCOUNTS_SMTP_URL=smtp://" + s.address + "?starttls=off", "ACCOUNTS_MAIL_FROM=Accounts <no-reply@example.com>",
		"ACCOUNTS_REGISTRATIONS_PER_CLIENT=0", "ACCOUNTS_MAILS_PER_RECIPIENT=0"}
}

func (s *sink) arrival(to string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.arrivals[to]
	return at, ok
}

type sinkSession struct {
	sink *sink
	to   string
}

func (*sinkSession) Reset()                                 {}
func (*sinkSession) Logout() error                          { return nil }
func (*sinkSession) Mail(string, *gosmtp.MailOptions) error { return nil }

func (s *sinkSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	time.Sleep(sinkTime)
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.arrivals[s.to] = time.Now()
	return nil
}

// mailStorm has the statuses of the flood, and how long each reset of a user took to arrive.
type mailStorm struct {
	statuses map[int]int
	asked    int
	delays   []time.Duration
}

func (s *storms) mailStorm(ctx context.Context, d time.Duration) mailStorm {
	s.reset(ctx, userName(0), resetWait) // from now on the server knows how long a mail takes
	flooding, end := context.WithTimeout(ctx, d)
	defer end()
	flood := make(chan map[int]int, 1)
	go func() { flood <- s.floodMails(flooding) }()
	m := mailStorm{}
	delays := make(chan time.Duration)
	tick := time.NewTicker(resetEvery)
	defer tick.Stop()
	for i := 1; i < 2*regularUsers && flooding.Err() == nil; i++ {
		select {
		case <-tick.C:
			m.asked++
			go func() { delays <- s.reset(ctx, userName(i), resetWait) }()
		case <-flooding.Done():
		}
	}
	for range m.asked {
		if delay := <-delays; delay > 0 {
			m.delays = append(m.delays, delay)
		}
	}
	m.statuses = <-flood
	return m
}

// reset requests a reset until the answer is 202. It returns how long the mail took to arrive, or 0
// if it did not.
func (s *storms) reset(ctx context.Context, name string, patience time.Duration) time.Duration {
	began, email, c := time.Now(), name+"@example.com", newClient()
	for ctx.Err() == nil && time.Since(began) < patience {
		a := send(ctx, c, http.MethodPost, s.url+"/accounts/password/reset", map[string]string{"email": email}, "")
		if a.status == http.StatusAccepted {
			break
		}
		time.Sleep(max(a.retryAfter, time.Second))
	}
	for ; ctx.Err() == nil && time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		if at, ok := s.sink.arrival(email); ok {
			return at.Sub(began)
		}
	}
	return 0
}

// floodMails requests resets, verification mails and registrations for addresses without an
// account. Its clients ignore Retry-After.
func (s *storms) floodMails(ctx context.Context) map[int]int {
	counts := make([]map[int]int, mailClients)
	var all sync.WaitGroup
	for i := range mailClients {
		all.Go(func() {
			counts[i] = map[int]int{}
			c, paths := newClient(), []string{"/accounts/password/reset", "/accounts/password/reset", "/accounts/email/resend", "/accounts/register"}
			path := paths[i%len(paths)]
			for n := 0; ctx.Err() == nil; n++ {
				body := map[string]string{"email": fmt.Sprintf("unknown-%d-%d@example.com", i, n)}
				if i%4 == 3 {
					body["password"] = password
				}
				if a := send(ctx, c, http.MethodPost, s.url+path, body, ""); ctx.Err() == nil {
					counts[i][a.status]++
				}
			}
		})
	}
	all.Wait()
	sum := map[int]int{}
	for _, each := range counts {
		for status, n := range each {
			sum[status] += n
		}
	}
	return sum
}

// print prints the measurements; verdict records whether every bound holds.
func (m mailStorm) print(verdict func(good bool) string) {
	fmt.Printf("mails     %d clients request emails to unknown addresses, by status %v\n", mailClients, m.statuses)
	fmt.Printf("resets    %d requested, %d emails arrived, p50 %v, max %v, bound %v  %s\n", m.asked, len(m.delays), quantile(m.delays, 0.5),
		quantile(m.delays, 1), resetBound, verdict(m.asked > 0 && len(m.delays) == m.asked && quantile(m.delays, 1) <= resetBound))
}
