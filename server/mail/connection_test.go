package mail

import (
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/wneessen/go-mail/smtp"
)

func (s *smtpServer) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

func (s *SMTP) waiting() int {
	s.idle.mu.Lock()
	defer s.idle.mu.Unlock()
	return len(s.idle.list)
}

// send sends n messages one after the other, each to a different address.
func send(t *testing.T, client *SMTP, n int) {
	t.Helper()
	for i := range n {
		m := sample(Reset)
		m.To = string(rune('a'+i)) + "@example.org"
		if err := client.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// wantEachOnce checks that each message of send arrived once, and only at its own recipient.
func wantEachOnce(t *testing.T, server *smtpServer, n int) {
	t.Helper()
	mails := server.received()
	for i, m := range mails {
		if want := string(rune('a'+i)) + "@example.org"; len(m.rcpts) != 1 || m.rcpts[0] != want {
			t.Errorf("message %d went to %q", i, m.rcpts)
		}
	}
	if len(mails) != n {
		t.Errorf("%d messages arrived, want %d", len(mails), n)
	}
}

// Connection, TLS and login are set up once for many messages.
func TestConnectionsAreReused(t *testing.T) {
	t.Attr("control", "187")
	for name, mode := range map[string]struct {
		mode          int
		scheme, query string
	}{"clear": {clear, "smtp", "starttls=off"}, "starttls": {starttls, "smtp", ""}, "tls": {implicit, "smtps", ""}} {
		t.Run(name, func(t *testing.T) {
			server := (&smtpServer{login: sasl.Plain}).start(t, mode.mode)
			client := server.client(t, mode.scheme, mode.query, url.UserPassword(username, password))
			send(t, client, 5)
			if wantEachOnce(t, server, 5); server.opened() != 1 {
				t.Errorf("%d connections for 5 messages", server.opened())
			}
			for _, m := range server.received() {
				if !m.login || m.tls != (mode.mode != clear) {
					t.Error("a message was sent on a connection without a login or TLS")
				}
			}
		})
	}
}

func TestConnectionsAreClosedAfterLimits(t *testing.T) {
	server := (&smtpServer{}).start(t, clear)
	client := server.client(t, "smtp", "starttls=off", nil)
	client.maxMessages, client.maxIdle = 3, 50*time.Millisecond
	send(t, client, 7)
	if wantEachOnce(t, server, 7); server.opened() != 3 {
		t.Errorf("%d connections for 7 messages, 3 on each", server.opened())
	}
	for end := time.Now().Add(5 * time.Second); client.waiting() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("an idle connection was not closed")
		}
	}
	if client.Close(); client.Send(t.Context(), sample(Reset)) != nil || client.waiting() != 0 {
		t.Error("a connection was kept after Close, or a message was not sent")
	}
}

// A connection that the server has closed, or on which it does not answer, does not fail the
// attempt. The message is sent once, on a new connection.
func TestDeadConnectionIsReplaced(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		server := (&smtpServer{}).start(t, clear)
		client := server.client(t, "smtp", "starttls=off", nil)
		send(t, client, 1)
		server.close()
		listener, err := net.Listen("tcp", server.address)
		if err != nil {
			t.Fatal(err)
		}
		again := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) { return &smtpSession{server: server, conn: c}, nil }))
		go again.Serve(listener)
		t.Cleanup(func() { again.Close() })
		m := sample(Reset)
		m.To = "b@example.org"
		if err := client.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
		wantEachOnce(t, server, 2)
	})
	t.Run("silent", func(t *testing.T) {
		server := (&smtpServer{}).start(t, clear)
		client := server.client(t, "smtp", "starttls=off", nil)
		client.step = 200 * time.Millisecond
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		go func() { _, _ = theirs.Write([]byte("220 hi\r\n")) }()
		d := newDialogue(t.Context(), &connection{net: ours}, client.step)
		d.do("greeting", func() (err error) { d.client, err = smtp.NewClient(d.net, "127.0.0.1"); return err })
		client.end(d)
		if client.waiting() != 1 {
			t.Fatal("there is no idle connection")
		}
		send(t, client, 1)
		wantEachOnce(t, server, 1)
	})
}

// The connection is closed after any error, because the state of the server is unknown then.
func TestConnectionIsClosedAfterError(t *testing.T) {
	server := (&smtpServer{}).start(t, clear)
	client := server.client(t, "smtp", "starttls=off", nil)
	send(t, client, 1)
	server.mu.Lock()
	server.onRcpt = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}}
	server.mu.Unlock()
	if err := client.Send(t.Context(), sample(Reset)); !errors.Is(err, ErrPermanent) {
		t.Error(err)
	}
	if server.opened() != 1 || client.waiting() != 0 {
		t.Errorf("%d connections, %d wait", server.opened(), client.waiting())
	}
}

func TestConnectionsAreSafeForConcurrentUse(t *testing.T) {
	const senders, each = 6, 10
	server := (&smtpServer{slowData: 2 * time.Millisecond}).start(t, clear)
	client := server.client(t, "smtp", "starttls=off", nil)
	var wait sync.WaitGroup
	for range senders {
		wait.Go(func() {
			for range each {
				if err := client.Send(t.Context(), sample(Reset)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if n := len(server.received()); n != senders*each || server.opened() > senders || client.waiting() > senders {
		t.Errorf("%d messages, %d connections, %d wait", n, server.opened(), client.waiting())
	}
}
