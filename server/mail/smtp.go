package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// MaxSend bounds one Send of [SMTP]. Within it, each answer must arrive within 10 seconds, with two
// exceptions. The greeting may take a minute, because servers delay it to deter spammers (RFC 5321,
// 4.5.3.2.1). The answer after the message may take the remaining time: giving up there would send a
// mail twice.
const MaxSend = 2 * time.Minute

const (
	maxStep     = 10 * time.Second
	maxGreeting = time.Minute
	maxProbe    = 2 * time.Second // for each answer on a connection that may be closed
)

// SMTP is a [Sender] to one SMTP server (RFC 5321). It keeps connections open for a few seconds and
// sends further messages on them, because setting one up (TCP, TLS, AUTH) takes longer than a
// message. It is safe for concurrent use.
type SMTP struct {
	server
	from        *netmail.Address
	tls         *tls.Config
	step, total time.Duration
	greeting    time.Duration
	maxIdle     time.Duration
	maxMessages int
	idle        idleConnections
}

// NewSMTP returns a sender to the server in smtpURL. smtps://[user:password@]host[:465] uses TLS
// from the start. smtp://[user:password@]host[:587] requires STARTTLS: a server that does not offer
// it gets neither the password nor the message. Certificates are verified. smtp://…?tls=off disables
// TLS; a URL with a password may do so only for a host on loopback. The argument from has the form that [CheckFrom]
// accepts. No error contains any part of smtpURL.
func NewSMTP(smtpURL string, from string) (*SMTP, error) {
	sender, err := parseFrom(from)
	if err != nil {
		return nil, fmt.Errorf("mail: the sender %w", err)
	}
	server, err := parseURL(smtpURL)
	if err != nil {
		return nil, fmt.Errorf("mail: the SMTP URL %w", err)
	}
	return &SMTP{
		server: server, from: sender, tls: &tls.Config{ServerName: server.host, MinVersion: tls.VersionTLS12},
		step: maxStep, greeting: maxGreeting, total: MaxSend, maxIdle: maxIdle, maxMessages: maxMessages,
	}, nil
}

// Send makes one attempt, which takes at most [MaxSend]. Its errors contain the step that failed
// and the codes of the answer, but never the server's text: servers repeat the recipient, and may
// repeat other data. A 5xx to the recipient or the message is [ErrPermanent]. A 5xx to the
// greeting, the login or the sender is not, because the operator can fix its cause.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	data, err := m.build(s.from, gomail.EncodingQP)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.total)
	defer cancel()
	d := s.begin(ctx)
	if d.err == nil {
		s.deliver(d, m.To, data)
	}
	s.end(d)
	return d.err
}

// Close closes the idle connections. A Send that is in progress, or starts later, closes its own.
func (s *SMTP) Close() error {
	for _, c := range s.idle.close() {
		s.quit(c)
	}
	return nil
}

func (s *SMTP) quit(c *connection) { c.quit(min(s.step, time.Second)) }

// begin returns a dialogue in which the server has accepted the sender (MAIL), or one that has
// failed.
//
// The server may have closed an idle connection since its last message. Nothing is sent on it
// before MAIL is accepted, so an earlier failure is not a failure of the attempt: begin opens a new
// connection instead. It tries only one idle connection, because the others were probably closed
// too.
func (s *SMTP) begin(ctx context.Context) *dialogue {
	if c := s.idle.takeLast(); c != nil {
		d := newDialogue(ctx, c, min(s.step, maxProbe))
		d.do("RSET", c.client.Reset)
		s.mailFrom(d)
		if d.err == nil {
			d.step = s.step
			return d
		}
		s.end(d)
	}
	conn, err := s.dial(ctx)
	if err != nil {
		return &dialogue{err: describeFailure(ctx, "connecting", err)}
	}
	d := newDialogue(ctx, &connection{net: conn}, s.step)
	s.login(d)
	s.mailFrom(d)
	return d
}

// Check connects to the server and logs in, and sends no message. Its errors are like those of
// Send.
func (s *SMTP) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.total)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return describeFailure(ctx, "connecting", err)
	}
	d := newDialogue(ctx, &connection{net: conn}, s.step)
	s.login(d)
	if d.stop() && d.err == nil {
		s.quit(d.connection)
		return nil
	}
	d.close()
	return d.err
}

// Server returns the URL of the server without user and password, for people.
func (s *SMTP) Server() string { return s.String() }

// end keeps the connection of a successful dialogue for another message, and closes any other.
func (s *SMTP) end(d *dialogue) {
	if d.connection == nil {
		return
	}
	if !d.stop() || d.err != nil {
		d.close()
		return
	}
	d.sent++
	if d.sent >= s.maxMessages || !s.idle.add(d.connection, s.maxIdle, s.quit) {
		s.quit(d.connection)
	}
}

func (s *SMTP) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.step)
	defer cancel()
	if s.implicit {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.address())
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", s.address())
}

// login performs the steps from the greeting until the server accepts mail.
func (s *SMTP) login(d *dialogue) {
	d.step = s.greeting
	d.do("greeting", func() (err error) { d.client, err = smtp.NewClient(d.net, s.host); return err })
	d.step = s.step
	d.do("EHLO", func() error {
		d.client.SkipSMTPUTF8(true) // addresses are ASCII
		return d.client.Hello(domainOf(s.from.Address))
	})
	if !s.implicit && !s.plain {
		d.do("STARTTLS", func() error {
			// An attacker on the network can remove the offer, so Send does not continue in the
			// clear.
			if offered, _ := d.client.Extension("STARTTLS"); !offered {
				return ownError("the server does not offer it")
			}
			return d.client.StartTLS(s.tls)
		})
	}
	if s.username != "" {
		d.do("AUTH", func() error { return s.auth(d.client) })
	}
}

// auth uses PLAIN or LOGIN, inside TLS or on loopback.
func (s *SMTP) auth(client *smtp.Client) error {
	_, offered := client.Extension("AUTH")
	for mechanism := range strings.FieldsSeq(offered) {
		switch strings.ToUpper(mechanism) {
		case "PLAIN":
			return client.Auth(smtp.PlainAuth("", s.username, s.password, s.host, s.plain))
		case "LOGIN":
			return client.Auth(smtp.LoginAuth(s.username, s.password, s.host, s.plain))
		}
	}
	return ownError("the server offers neither PLAIN nor LOGIN")
}

func (s *SMTP) mailFrom(d *dialogue) {
	d.do("MAIL", func() error { return d.client.Mail("<" + s.from.Address + ">") })
}

func (s *SMTP) deliver(d *dialogue, to string, data []byte) {
	d.final = true
	d.do("RCPT", func() error { return d.client.Rcpt("<" + to + ">") })
	d.do("DATA", func() error {
		w, err := d.client.Data()
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		d.removeDeadline()
		return w.Close()
	})
}
