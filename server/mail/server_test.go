package mail

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

const (
	username = "mailer@example.com"
	password = "p@ss:w/rd s3cr3t"
)

// smtpServer is a real SMTP server that stores the mails it receives. It can reject commands or
// delay answers.
type smtpServer struct {
	address string
	roots   *x509.CertPool // its certificate is for 127.0.0.1

	onMail, onRcpt, onData error
	slowData               time.Duration
	login                  string // a mechanism; mail is accepted only after AUTH with it

	mu          sync.Mutex
	attempts    int // MAIL commands
	connections int
	mails       []received

	close func()
}

type received struct {
	from  string
	rcpts []string
	data  []byte
	tls   bool
	login bool
}

func (s *smtpServer) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

// The modes of TLS.
const (
	clear = iota
	starttls
	implicit
)

func (s *smtpServer) start(t *testing.T, mode int) *smtpServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		return &smtpSession{server: s, conn: c}, nil
	}))
	server.Domain, server.AllowInsecureAuth, server.ErrorLog = "127.0.0.1", true, log.New(io.Discard, "", 0)
	if mode != clear {
		https := httptest.NewTLSServer(nil) // provides a certificate
		https.Close()
		s.roots = x509.NewCertPool()
		s.roots.AddCert(https.Certificate())
		config := &tls.Config{Certificates: https.TLS.Certificates}
		if mode == implicit {
			listener = tls.NewListener(listener, config)
		} else {
			server.TLSConfig = config
		}
	}
	go server.Serve(countingListener{listener, s})
	s.close = func() { server.Close() }
	t.Cleanup(s.close)
	return s
}

// countingListener counts the connections of a listener.
type countingListener struct {
	net.Listener
	server *smtpServer
}

func (c countingListener) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.server.mu.Lock()
		c.server.connections++
		c.server.mu.Unlock()
	}
	return conn, err
}

// client returns a sender to the server that trusts its certificate.
func (s *smtpServer) client(t *testing.T, scheme, query string, user *url.Userinfo) *SMTP {
	t.Helper()
	u := url.URL{Scheme: scheme, Host: s.address, User: user, RawQuery: query}
	c, err := NewSMTP(u.String(), sender)
	if err != nil {
		t.Fatal(err)
	}
	c.tls.RootCAs = s.roots
	t.Cleanup(func() { c.Close() })
	return c
}

type smtpSession struct {
	server *smtpServer
	conn   *gosmtp.Conn
	mail   received
}

func (s *smtpSession) AuthMechanisms() []string {
	if s.server.login == "" {
		return nil
	}
	return []string{s.server.login}
}

func (s *smtpSession) Auth(string) (sasl.Server, error) {
	check := func(user, pass string) error {
		if user != username || pass != password {
			// A server must not repeat the password, but some do.
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: "wrong: " + user + " " + pass}
		}
		s.mail.login = true
		return nil
	}
	if s.server.login == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
}

// loginServer implements the server side of LOGIN. go-sasl has only the client side.
type loginServer struct {
	check func(user, pass string) error
	user  []byte
	step  int
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = response
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(string(l.user), string(response))
}

func (s *smtpSession) Reset()        { s.mail.rcpts = nil }
func (s *smtpSession) Logout() error { return nil }

func (s *smtpSession) Mail(from string, _ *gosmtp.MailOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.attempts++
	if s.server.login != "" && !s.mail.login {
		return gosmtp.ErrAuthRequired
	}
	s.mail.from = from
	return s.server.onMail
}

func (s *smtpSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.mail.rcpts = append(s.mail.rcpts, to)
	return s.server.onRcpt
}

func (s *smtpSession) Data(r io.Reader) (err error) {
	if s.server.onData != nil {
		return s.server.onData
	}
	if s.mail.data, err = io.ReadAll(r); err != nil {
		return err
	}
	time.Sleep(s.server.slowData)
	_, s.mail.tls = s.conn.TLSConnectionState()
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

// script starts a server that sends the lines, each after the first one in response to input, and
// then sends nothing more. It returns the address and a function that returns the input so far.
func script(t *testing.T, lines ...string) (string, func() string) {
	t.Helper()
	return slowScript(t, 0, lines...)
}

// slowScript is script with a pause before the first line.
func slowScript(t *testing.T, pause time.Duration, lines ...string) (string, func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		heard string
	)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				time.Sleep(pause)
				buffer := make([]byte, 64<<10)
				for n := 0; ; n++ {
					if n < len(lines) {
						io.WriteString(conn, lines[n])
					}
					k, err := conn.Read(buffer)
					mu.Lock()
					heard += string(buffer[:k])
					mu.Unlock()
					if err != nil && !errors.Is(err, net.ErrClosed) {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return heard
	}
}
