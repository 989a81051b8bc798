package outbox_test

import (
	"context"
	"io"
	"net"
	"net/http"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"example.com/accounts/server/mail"

	"example.com/accounts/server/servertest"
)

func wantUnavailable(t *testing.T, r *servertest.Response) {
	t.Helper()
	if r.Status != http.StatusServiceUnavailable || r.Code() != "service_unavailable" || r.Header.Get("Retry-After") == "" || r.Header.Get("Set-Cookie") != "" {
		t.Errorf("status %d %s, Retry-After %q, Set-Cookie %q", r.Status, r.Code(), r.Header.Get("Retry-After"), r.Header.Get("Set-Cookie"))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	longest = 15 * time.Minute // between two attempts
	lease   = 3 * time.Minute
	secret  = "correct horse battery"
)

// postOffice is a real SMTP server that can be unavailable, silent or slow, or reject mails. It
// counts the mails that it receives.
type postOffice struct {
	t       testing.TB
	address string

	mu     sync.Mutex
	end    func()
	refuse error
	data   func()         // called before a message is accepted
	mails  map[string]int // by Message-ID
}

func (o *postOffice) sender() mail.Sender {
	o.t.Helper()
	s, err := mail.NewSMTP("smtp://"+o.address+"?starttls=off", "Accounts <no-reply@example.com>")
	must(o.t, err)
	return s
}

func newPostOffice(t testing.TB) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	o := &postOffice{t: t, address: l.Addr().String(), end: func() { _ = l.Close() }, mails: map[string]int{}}
	t.Cleanup(func() { o.end() })
	o.away()
	return o
}

// away rejects connections from now on. silence accepts them without answering. open works.
func (o *postOffice) away() { o.end() }

func (o *postOffice) listen() net.Listener {
	o.t.Helper()
	o.end()
	l, err := net.Listen("tcp", o.address)
	must(o.t, err)
	return l
}

func (o *postOffice) silence() {
	o.t.Helper()
	l := o.listen()
	var mu sync.Mutex
	var held []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
		}
	}()
	o.end = func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range held {
			_ = c.Close()
		}
	}
}

func (o *postOffice) open() *postOffice {
	o.t.Helper()
	l := o.listen()
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &delivery{o}, nil }))
	server.Domain = "127.0.0.1"
	go func() { _ = server.Serve(l) }()
	o.end = func() { _ = server.Close() }
	return o
}

func (o *postOffice) answer(refuse error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse = refuse
}

// count returns how many different mails arrived. A mail that arrived more than once is an error.
func (o *postOffice) count() int {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, n := range o.mails {
		if n != 1 {
			o.t.Errorf("mail %s arrived %d times, want once", id, n)
		}
	}
	return len(o.mails)
}

type delivery struct{ office *postOffice }

func (*delivery) Reset() {}

func (*delivery) Logout() error { return nil }

func (*delivery) Mail(string, *gosmtp.MailOptions) error { return nil }

func (d *delivery) Rcpt(string, *gosmtp.RcptOptions) error {
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	return d.office.refuse
}

func (d *delivery) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, m.Body); err != nil {
		return err
	}
	if d.office.data != nil {
		d.office.data()
	}
	d.office.mu.Lock()
	defer d.office.mu.Unlock()
	d.office.mails[m.Header.Get("Message-ID")]++
	return nil
}

func refusal(code int) error {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 1, 1}, Message: "no such mailbox: somebody@example.com"}
}

// senderFunc is a sender whose result the test chooses.
type senderFunc func(ctx context.Context, m mail.Message) error

func (f senderFunc) Send(ctx context.Context, m mail.Message) error { return f(ctx, m) }

func register(t testing.TB, s *servertest.Server, email string) {
	t.Helper()
	s.Anonymous().Do(http.MethodPost, "/accounts/register", map[string]any{"email": email, "password": secret}).Want(t, http.StatusAccepted, "")
}

func requestReset(t testing.TB, s *servertest.Server, email string) {
	t.Helper()
	s.Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": email}).Want(t, http.StatusAccepted, "")
}

// pass advances the server's clock, and wakes its worker with a request that causes no mail.
func pass(t testing.TB, s *servertest.Server, by time.Duration) {
	t.Helper()
	s.Clock.Advance(by)
	requestReset(t, s, "nobody@example.com")
}

// eventually waits until a condition holds, usually the effect of a worker.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not happen in time: " + what)
		}
	}
}

// settled waits until every mail has an outcome, and returns the number of mails by outcome.
func settled(t testing.TB, db *servertest.Database) map[string]int {
	t.Helper()
	eventually(t, "every mail has an outcome", func() bool { return db.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 0 })
	outcomes := map[string]int{}
	rows, err := db.SQL.QueryContext(t.Context(), "SELECT outcome FROM outbox WHERE email_norm <> 'nobody@example.com'")
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var outcome string
		must(t, rows.Scan(&outcome))
		outcomes[outcome]++
	}
	must(t, rows.Err())
	return outcomes
}

// row waits until no worker holds the mail to an address, and returns its attempts and the time of
// the next one.
func row(t testing.TB, db *servertest.Database, email string) (attempts int, next time.Time) {
	t.Helper()
	eventually(t, "the lease is given back", func() bool {
		err := db.SQL.QueryRowContext(t.Context(), "SELECT attempts, next_at FROM outbox WHERE email_norm = ? AND lease IS NULL AND attempts > 0", email).Scan(&attempts, &next)
		return err == nil
	})
	return attempts, next
}

func errorLines(s *servertest.Server) (lines []string) {
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			lines = append(lines, line)
		}
	}
	return lines
}
