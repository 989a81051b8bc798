package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// wantNoSecrets fails the test if the error contains data that must not be logged.
func wantNoSecrets(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{"s3cr3t", "p@ss", "p%40ss", "token", "Zm9v", "hong", "example.org", "Gil-dong", username} {
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), secret) {
				t.Errorf("%q is in %q", secret, e)
			}
		}
	}
}

func TestSMTPDelivers(t *testing.T) {
	user := url.UserPassword(username, password)
	for name, test := range map[string]struct {
		mode   int
		login  string
		scheme string
		query  string
		user   *url.Userinfo
	}{
		"starttls":           {starttls, "", "smtp", "", nil},
		"starttls, PLAIN":    {starttls, sasl.Plain, "smtp", "", user},
		"starttls, LOGIN":    {starttls, sasl.Login, "smtp", "", user},
		"tls":                {implicit, "", "smtps", "", nil},
		"tls, PLAIN":         {implicit, sasl.Plain, "smtps", "", user},
		"clear":              {clear, "", "smtp", "starttls=off", nil},
		"clear, PLAIN":       {clear, sasl.Plain, "smtp", "starttls=off", user},
		"clear, LOGIN":       {clear, sasl.Login, "smtp", "starttls=off", user},
		"off though offered": {starttls, "", "smtp", "starttls=off", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := (&smtpServer{login: test.login}).start(t, test.mode)
			m := sample(Verify)
			if err := server.client(t, test.scheme, test.query, test.user).Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			mails := server.received()
			if len(mails) != 1 {
				t.Fatalf("%d mails", len(mails))
			}
			got := mails[0]
			l := readLetter(t, got.data)
			r := mustRender(t, m)
			if diff := cmp.Diff(r.text, l.text); diff != "" || l.html != r.html || l.headers() != allHeaders {
				t.Errorf("headers %s (-want +got):\n%s", l.headers(), diff)
			}
			got.data = nil
			want := received{from: "no-reply@example.com", rcpts: []string{m.To}, tls: test.query == "", login: test.login != ""}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(received{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Any input where an address is expected reaches the server as one recipient and one To, or not at
// all.
func TestSMTPSendsToOneRecipient(t *testing.T) {
	t.Attr("control", "67")
	server := (&smtpServer{}).start(t, clear)
	client := server.client(t, "smtp", "starttls=off", nil)
	sent := 0
	for address, valid := range addresses {
		m := sample(Reset)
		m.To, m.Name = address, address
		err := client.Send(t.Context(), m)
		if !valid {
			if !errors.Is(err, ErrPermanent) || address != "" && len(address) > 1 && strings.Contains(err.Error(), address) {
				t.Errorf("%q: %v", address, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", address, err)
			continue
		}
		sent++
		got := server.received()[sent-1]
		l := readLetter(t, got.data)
		if to := l.header.Get("To"); len(got.rcpts) != 1 || got.rcpts[0] != address || to != "<"+address+">" || l.headers() != allHeaders {
			t.Errorf("%q: recipients %q, To %q, headers %s", address, got.rcpts, to, l.headers())
		}
	}
	if server.attempts != sent || len(server.received()) != sent {
		t.Errorf("%d transactions for %d addresses", server.attempts, sent)
	}
}

func TestSMTPClassifiesRejections(t *testing.T) {
	says := func(code int, enhanced ...int) error {
		e := &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.NoEnhancedCode, Message: "<hong@example.org> " + link + " " + password}
		if enhanced != nil {
			e.EnhancedCode = gosmtp.EnhancedCode(enhanced)
		}
		return e
	}
	for name, test := range map[string]struct {
		server *smtpServer
		want   string
		final  bool
	}{
		"recipient for now":   {&smtpServer{onRcpt: says(450, 4, 2, 1)}, "mail: RCPT: the server answered 450 4.2.1", false},
		"greylisted":          {&smtpServer{onRcpt: says(451)}, "mail: RCPT: the server answered 451", false},
		"recipient for good":  {&smtpServer{onRcpt: says(550, 5, 1, 1)}, "mail: RCPT: the server answered 550 5.1.1", true},
		"login asked of RCPT": {&smtpServer{onRcpt: says(530, 5, 7, 0)}, "mail: RCPT: the server answered 530 5.7.0", false},
		"message for now":     {&smtpServer{onData: says(452, 4, 3, 1)}, "mail: DATA: the server answered 452 4.3.1", false},
		"message for good":    {&smtpServer{onData: says(554, 5, 6, 0)}, "mail: DATA: the server answered 554 5.6.0", true},
		"sender for now":      {&smtpServer{onMail: says(421, 4, 7, 0)}, "mail: MAIL: the server answered 421 4.7.0", false},
		"sender for good":     {&smtpServer{onMail: says(553, 5, 7, 1)}, "mail: MAIL: the server answered 553 5.7.1", false},
		"no login":            {&smtpServer{login: sasl.Plain}, "mail: MAIL: the server answered 502 5.7.0", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := test.server.start(t, clear)
			err := server.client(t, "smtp", "starttls=off", nil).Send(t.Context(), sample(Reset))
			if err == nil || err.Error() != test.want || errors.Is(err, ErrPermanent) != test.final {
				t.Errorf("%v, permanent %v", err, errors.Is(err, ErrPermanent))
			}
			wantNoSecrets(t, err)
			if len(server.received()) != 0 {
				t.Error("the message was delivered")
			}
		})
	}
}

func TestSMTPReportsRejectedLogin(t *testing.T) {
	for name, test := range map[string]struct {
		login string
		user  *url.Userinfo
		want  string
	}{
		"wrong password": {sasl.Plain, url.UserPassword(username, "s3cr3t"), "mail: AUTH: the server answered 535 5.7.8"},
		"LOGIN":          {sasl.Login, url.UserPassword(username, "s3cr3t"), "mail: AUTH: the server answered 535 5.7.8"},
		"not offered":    {"", url.UserPassword(username, password), "mail: AUTH: the server offers neither PLAIN nor LOGIN"},
		"other":          {sasl.Anonymous, url.UserPassword(username, password), "mail: AUTH: the server offers neither PLAIN nor LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			server := (&smtpServer{login: test.login}).start(t, starttls)
			err := server.client(t, "smtp", "", test.user).Send(t.Context(), sample(Reset))
			if err == nil || err.Error() != test.want || errors.Is(err, ErrPermanent) {
				t.Error(err)
			}
			wantNoSecrets(t, err)
			if server.attempts != 0 {
				t.Error("the client continued without a login")
			}
		})
	}
}

// A server whose identity is not verified gets neither the password nor the message.
func TestSMTPSendsNothingToUnverifiedServer(t *testing.T) {
	user := url.UserPassword(username, password)
	t.Run("STARTTLS not offered", func(t *testing.T) {
		server := (&smtpServer{login: sasl.Plain}).start(t, clear)
		err := server.client(t, "smtp", "", user).Send(t.Context(), sample(Reset))
		if err == nil || err.Error() != "mail: STARTTLS: the server does not offer it" || server.attempts != 0 {
			t.Errorf("%v, %d attempts", err, server.attempts)
		}
	})
	t.Run("STARTTLS rejected", func(t *testing.T) {
		address, heard := script(t, "220 hi\r\n", "250-hi\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", "454 "+password+"\r\n")
		server := smtpServer{address: address}
		err := server.client(t, "smtp", "", user).Send(t.Context(), sample(Reset))
		if err == nil || err.Error() != "mail: STARTTLS: the server answered 454" || strings.Contains(heard(), "AUTH") {
			t.Errorf("%v after %q", err, heard())
		}
		wantNoSecrets(t, err)
	})
	t.Run("response before the handshake", func(t *testing.T) {
		// An attacker has injected the text in the clear after STARTTLS (CVE-2021-33515 and
		// similar).
		address, heard := script(t, "220 hi\r\n", "250-hi\r\n250 STARTTLS\r\n", "220 go\r\n250-hi\r\n250 AUTH PLAIN\r\n", "235 ok\r\n")
		server := smtpServer{address: address}
		err := server.client(t, "smtp", "", user).Send(t.Context(), sample(Reset))
		if err == nil || strings.Contains(heard(), "AUTH") {
			t.Errorf("%v after %q", err, heard())
		}
	})
	for name, test := range map[string]struct {
		mode   int
		scheme string
	}{"starttls": {starttls, "smtp"}, "tls": {implicit, "smtps"}} {
		t.Run("self-signed, "+name, func(t *testing.T) {
			server := (&smtpServer{login: sasl.Plain}).start(t, test.mode)
			client := server.client(t, test.scheme, "", user)
			client.tls.RootCAs = x509.NewCertPool()
			err := client.Send(t.Context(), sample(Reset))
			if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) || errors.Is(err, ErrPermanent) || server.attempts != 0 {
				t.Errorf("%v, %d attempts", err, server.attempts)
			}
			wantNoSecrets(t, err)
		})
		t.Run("certificate of another host, "+name, func(t *testing.T) {
			server := (&smtpServer{login: sasl.Plain}).start(t, test.mode)
			_, port, _ := net.SplitHostPort(server.address)
			server.address = net.JoinHostPort("localhost", port) // the certificate is for 127.0.0.1
			err := server.client(t, test.scheme, "", user).Send(t.Context(), sample(Reset))
			if hostname := (x509.HostnameError{}); !errors.As(err, &hostname) || server.attempts != 0 {
				t.Errorf("%v, %d attempts", err, server.attempts)
			}
		})
	}
	t.Run("no TLS on the port", func(t *testing.T) {
		server := (&smtpServer{}).start(t, clear)
		err := server.client(t, "smtps", "", user).Send(t.Context(), sample(Reset))
		if err == nil || err.Error() != "mail: connecting: the server does not use TLS on this port" {
			t.Error(err)
		}
	})
}

// A server that is down, silent, slow or sends invalid answers delays Send for a bounded time, and
// the mail can be sent again.
func TestSMTPFailsInTimeAndIsRepeatable(t *testing.T) {
	const ready, hello = "220 hi\r\n", "250 hi\r\n"
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"silent":              {nil, "mail: greeting: context deadline exceeded"},
		"unfinished greeting": {[]string{"220-hi\r\n"}, "mail: greeting: context deadline exceeded"},
		"busy":                {[]string{"421 4.3.2 hong@example.org\r\n"}, "mail: greeting: the server answered 421 4.3.2"},
		"closed for good":     {[]string{"554 5.3.2 no\r\n"}, "mail: greeting: the server answered 554 5.3.2"},
		"not SMTP":            {[]string{"HTTP/1.1 400 hong@example.org\r\n"}, "mail: greeting failed"},
		"silent at EHLO":      {[]string{ready}, "mail: EHLO: context deadline exceeded"},
		"silent at MAIL":      {[]string{ready, hello}, "mail: MAIL: context deadline exceeded"},
		"silent at RCPT":      {[]string{ready, hello, hello}, "mail: RCPT: context deadline exceeded"},
		"silent at DATA":      {[]string{ready, hello, hello, hello}, "mail: DATA: context deadline exceeded"},
		"silent at the end":   {[]string{ready, hello, hello, hello, "354 go\r\n"}, "mail: DATA: context deadline exceeded"},
		"nonsense at RCPT":    {[]string{ready, hello, hello, "550x hong@example.org\r\n"}, "mail: RCPT failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := script(t, test.lines...)
			server := smtpServer{address: address}
			client := server.client(t, "smtp", "starttls=off", nil)
			client.step, client.greeting, client.total = 300*time.Millisecond, 300*time.Millisecond, 2*time.Second
			start := time.Now()
			err := client.Send(t.Context(), sample(Reset))
			if err == nil || err.Error() != test.want || errors.Is(err, ErrPermanent) {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			// only the response after the message may take longer than a step
			if took := time.Since(start); took > 1800*time.Millisecond != (name == "silent at the end") || took > 3*time.Second {
				t.Errorf("after %v", took)
			}
			wantNoSecrets(t, err)
		})
	}
}

func TestSMTPReportsUnreachableServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtpServer{address: listener.Addr().String()}
	listener.Close()
	for _, scheme := range []string{"smtp", "smtps"} {
		err := server.client(t, scheme, "", url.UserPassword(username, password)).Send(t.Context(), sample(Reset))
		if err == nil || !strings.Contains(err.Error(), "mail: connecting: ") || !strings.Contains(err.Error(), "refused") || errors.Is(err, ErrPermanent) {
			t.Error(err)
		}
		wantNoSecrets(t, err)
	}
}

func TestSMTPStopsWhenContextIsCanceled(t *testing.T) {
	address, _ := script(t)
	server := smtpServer{address: address}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	err := server.client(t, "smtp", "starttls=off", nil).Send(ctx, sample(Reset))
	if !errors.Is(err, context.Canceled) || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// Some servers delay the greeting by more than the time for other answers.
func TestSMTPWaitsForSlowGreeting(t *testing.T) {
	const ok = "250 ok\r\n"
	address, _ := slowScript(t, 600*time.Millisecond, "220 hi\r\n", ok, ok, ok, "354 go\r\n", ok)
	server := smtpServer{address: address}
	client := server.client(t, "smtp", "tls=off", nil)
	if client.greeting < time.Minute || client.total < client.greeting+6*client.step {
		t.Errorf("greeting %v, step %v, total %v", client.greeting, client.step, client.total)
	}
	client.step = 200 * time.Millisecond
	if err := client.Send(t.Context(), sample(Reset)); err != nil {
		t.Error(err)
	}
}

// Check ends without a message, with the error that Send would have.
func TestSMTPCheckLogsInWithoutMessage(t *testing.T) {
	for name, test := range map[string]struct {
		user *url.Userinfo
		want string
	}{
		"login":          {url.UserPassword(username, password), ""},
		"wrong password": {url.UserPassword(username, "s3cr3t"), "mail: AUTH: the server answered 535 5.7.8"},
	} {
		t.Run(name, func(t *testing.T) {
			server := (&smtpServer{login: sasl.Plain}).start(t, starttls)
			err := server.client(t, "smtp", "", test.user).Check(t.Context())
			if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want {
				t.Error(err)
			}
			if server.attempts != 0 || len(server.received()) != 0 {
				t.Error("a message was sent")
			}
		})
	}
	server := (&smtpServer{}).start(t, clear)
	if err := server.client(t, "smtp", "", nil).Check(t.Context()); err == nil || err.Error() != "mail: STARTTLS: the server does not offer it" {
		t.Error(err)
	}
}

// After the message the server gets more time: it has the mail, and a client that disconnects would
// send it twice.
func TestSMTPWaitsForResponseToMessage(t *testing.T) {
	server := (&smtpServer{slowData: 800 * time.Millisecond}).start(t, clear)
	client := server.client(t, "smtp", "starttls=off", nil)
	client.step, client.total = 500*time.Millisecond, 5*time.Second
	if err := client.Send(t.Context(), sample(Reset)); err != nil || len(server.received()) != 1 {
		t.Errorf("%v, %d mails", err, len(server.received()))
	}
}

// An accepted mail counts as sent, even if QUIT fails.
func TestSMTPIgnoresFailedQuit(t *testing.T) {
	const ok = "250 ok\r\n"
	address, heard := script(t, "220 hi\r\n", ok, ok, ok, "354 go\r\n", ok)
	server := smtpServer{address: address}
	client := server.client(t, "smtp", "starttls=off", nil)
	client.step = 500 * time.Millisecond
	start := time.Now()
	if err := client.Send(t.Context(), sample(Reset)); err != nil {
		t.Error(err)
	}
	if client.Close(); time.Since(start) > 2*time.Second {
		t.Errorf("closed after %v", time.Since(start))
	}
	if !strings.HasPrefix(heard(), "EHLO example.com\r\nMAIL FROM:<no-reply@example.com>\r\nRCPT TO:<hong@example.org>\r\nDATA\r\n") || !strings.HasSuffix(heard(), "\r\n.\r\nQUIT\r\n") {
		t.Errorf("%q", heard())
	}
}

func TestSMTPIsSafeForConcurrentUse(t *testing.T) {
	server := (&smtpServer{login: sasl.Plain}).start(t, starttls)
	client := server.client(t, "smtp", "", url.UserPassword(username, password))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if err := client.Send(t.Context(), sample(Reset)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := len(server.received()); n != 8 {
		t.Errorf("%d mails", n)
	}
}

func TestNewSMTPRejectsInvalidURLs(t *testing.T) {
	type parsed struct {
		Host, Port, Username, Password string
		Implicit, Plain                bool
	}
	for text, want := range map[string]parsed{
		"smtp://mail.example.com":                              {"mail.example.com", "587", "", "", false, false},
		"smtp://mail.example.com:25/":                          {"mail.example.com", "25", "", "", false, false},
		"smtps://mail.example.com":                             {"mail.example.com", "465", "", "", true, false},
		"smtps://[2001:db8::1]:4650":                           {"2001:db8::1", "4650", "", "", true, false},
		"smtp://mailer%40example.com:p%40ss%3Aw%2Frd@b.co:587": {"b.co", "587", "mailer@example.com", "p@ss:w/rd", false, false},
		"smtp://localhost:25?starttls=off":                     {"localhost", "25", "", "", false, true},
		"smtp://127.0.0.2?starttls=off":                        {"127.0.0.2", "587", "", "", false, true},
		"smtp://LOCALHOST?starttls=off":                        {"localhost", "587", "", "", false, true},
		"smtp://a:b@[::1]:25?starttls=off":                     {"::1", "25", "a", "b", false, true},
		"smtp://a:b@127.0.0.1?tls=off":                         {"127.0.0.1", "587", "a", "b", false, true},
		"smtp://mailpit:1025?tls=off":                          {"mailpit", "1025", "", "", false, true},
		"smtp://b.co:465?tls=off":                              {"b.co", "465", "", "", false, true},
	} {
		s, err := NewSMTP(text, sender)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, parsed{s.host, s.port, s.username, s.password, s.implicit, s.plain}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if s.tls.InsecureSkipVerify || s.tls.ServerName != want.Host {
			t.Errorf("%s: certificates are not verified", text)
		}
	}
	for _, text := range []string{
		"", "mail.example.com:587", "http://b.co", "SMTP//b.co", "smtp:b.co", "smtp://", "smtp://:587", "smtp://b.co/s3cr3t", "smtp://b.co#s3cr3t", "smtp://b.co:s3cr3t",
		"smtp://user@b.co", "smtp://user:@b.co", "smtp://:s3cr3t@b.co", "smtp://user:s3cr3t%zz@b.co", "smtp://user:12/s3cr3t@b.co", "smtp://user:12#s3cr3t@b.co",
		"smtp://user:12?s3cr3t@b.co", "smtp://user:s3cr3t /@b.co", "smtp://b.co?starttls=off", "smtp://b.co?starttls=on", "smtp://localhost?starttls=no", "smtps://localhost?starttls=off",
		"smtp://localhost.evil.co?starttls=off", "smtp://127.0.0.1.evil.co?starttls=off", "smtp://localhost?starttls=off&s3cr3t=1", "smtp://b.co?insecure=s3cr3t", "smtp://b.co\n",
		"smtp://[::ffff:127.0.0.1]?starttls=off", "smtp://[::1%25lo]?starttls=off", "smtp://localhost.?starttls=off", "smtp://localho\u017ft?starttls=off", "smtp://127.1?starttls=off",
		"smtp://a:s3cr3t@b.co?tls=off", "smtps://b.co?tls=off", "smtp://b.co?tls=no", "smtp://b.co?tls=", "smtp://b.co?tls=off&tls=off", "smtp://b.co?TLS=off", "smtp://b.co:465",
		"smtp://b.co:", "smtp://b.co:0", "smtp://b_c.co", "smtp://@b.co",
	} {
		if _, err := NewSMTP(text, sender); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewSMTP("smtp://b.co", "nobody"); err == nil {
		t.Error("the sender is not checked")
	}
}
