package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// mailServer is a real mail server without TLS, whose users have the password hunter2. It keeps the
// mails that it receives.
type testMailServer struct {
	addr  string
	mu    sync.Mutex
	mails []string
}

func startMailServer(t *testing.T) *testMailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &testMailServer{addr: l.Addr().String()}
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return mailSession{m}, nil }))
	server.AllowInsecureAuth = true
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return m
}

func (m *testMailServer) received() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails
}

type mailSession struct{ server *testMailServer }

func (mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != "hunter2" {
			return gosmtp.ErrAuthFailed
		}
		return nil
	}), nil
}
func (mailSession) Reset()                                 {}
func (mailSession) Logout() error                          { return nil }
func (mailSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (mailSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (s mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, string(text))
	return err
}

func TestMailTestSendsOneMailAndNamesFailedStep(t *testing.T) {
	m := startMailServer(t)
	s := newShell(t, "ACCOUNTS_SMTP_URL=smtp://app:hunter2@"+m.addr+"?tls=off", "ACCOUNTS_MAIL_FROM=Acme, Inc. (Support) <no-reply@example.com>")
	out := s.mustRun("", "mail", "test", "--to", "me@example.com")
	if !strings.HasPrefix(out, "smtp://"+m.addr+" accepted the test mail from Acme, Inc. (Support) <no-reply@example.com> after ") || strings.Count(out, "\n") != 1 {
		t.Error(out)
	}
	mails := m.received()
	if len(mails) != 1 || !strings.Contains(mails[0], "Subject: Test message\r\n") || !strings.Contains(mails[0], `From: "Acme, Inc. (Support)" <no-reply@example.com>`) {
		t.Fatalf("%q", mails)
	}
	notSent := "the test mail was not sent by smtp://" + m.addr
	s.wantRefused(s.run("", "mail", "test", "--to", "nobody@example.com"), notSent, "mail: RCPT: the server answered 550 5.1.1")
	s.wantRefused(s.run("", "mail", "test", "--to", "me"), notSent, "mail: the recipient is not a bare e-mail address")
	wrong := newShell(t, "ACCOUNTS_SMTP_URL=smtp://app:secret7@"+m.addr+"?tls=off", "ACCOUNTS_MAIL_FROM=a@example.com")
	r := wrong.run("", "mail", "test", "--to", "me@example.com")
	wrong.wantRefused(r, notSent, "mail: AUTH: the server answered 535 5.7.8")
	if len(m.received()) != 1 {
		t.Error("a mail was sent in spite of the error")
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the command has created a data folder")
	}
}

func TestMailTestWritesFileWithoutMailServer(t *testing.T) {
	s := newShell(t)
	folder := filepath.Join(s.dir, "mail")
	if out := s.mustRun("", "mail", "test", "--to", "me@example.com", "--locale", "ko"); out != "wrote the test mail to a file in "+folder+"; no mail was sent, because ACCOUNTS_MAIL is files\n" {
		t.Error(out)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 || !strings.HasSuffix(files[0].Name(), ".eml") {
		t.Errorf("%v %v", files, err)
	}
}
