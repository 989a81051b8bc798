package server_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// Secrets are not revealed by any event in the life of an account or by any fault of the server: no
// credential is in a log, a metric, a security event or the database. No email address is in data
// for operators.

// secretSet holds the strings that must not be found.
type secretSet struct{ secrets, addresses []string }

func (k *secretSet) secret(list ...string) { k.secrets = append(k.secrets, list...) }

// tokens adds all tokens of the clients.
func (k *secretSet) tokens(list ...*servertest.Client) {
	for _, c := range list {
		k.secret(accessOf(c), refreshOf(c), c.CSRF)
	}
}

// wantAbsent checks that text contains no secret, neither as text nor decoded from base64. If
// addresses is true, it must not contain an address either.
func (k *secretSet) wantAbsent(t *testing.T, where, text string, addresses bool) {
	t.Helper()
	for i, secret := range k.secrets {
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		if len(secret) > 0 && (strings.Contains(text, secret) || err == nil && len(raw) > 15 && strings.Contains(text, string(raw))) {
			t.Errorf("secret %d of %d is in %s: %.12s…", i, len(k.secrets), where, secret)
		}
	}
	for _, each := range k.addresses {
		if addresses && strings.Contains(strings.ToLower(text), each) {
			t.Errorf("the address %s is in %s", each, where)
		}
	}
}

// tellTale starts a mail server that rejects every mail and repeats its content, and returns a
// sender for it.
func tellTale(t *testing.T) *mail.SMTP {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go repeat(conn)
		}
	}()
	sender, err := mail.NewSMTP("smtp://"+listener.Addr().String()+"?starttls=off", "no-reply@accounts.test")
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// repeat serves one connection. It accepts recipients whose name begins with u and rejects the
// message with its content. It rejects other recipients with their address.
func repeat(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 here")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch verb := strings.ToUpper(line[:min(4, len(line))]); {
		case verb == "RCPT" && !strings.Contains(line, "<u"):
			say("550 nobody is called %s", line)
		case verb == "DATA":
			say("354 go on")
			var content strings.Builder
			for lines.Scan() && lines.Text() != "." {
				content.WriteString(lines.Text())
			}
			say("554 not wanted: %.400s %s", content.String(), content.String()[max(0, content.Len()-400):])
		default:
			say("250 well")
		}
	}
}

// both stores a mail for the test and then has the mail server reject it.
type both struct {
	*servertest.Mails
	refuses *mail.SMTP
}

func (b both) Send(ctx context.Context, m mail.Message) error {
	if err := b.Mails.Send(ctx, m); err != nil {
		return err
	}
	return b.refuses.Send(ctx, m)
}

func TestSecretsAppearInNoLogMailOrResponse(t *testing.T) {
	t.Attr("control", "89")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		mails := &servertest.Mails{}
		s := servertest.Start(t, servertest.Options{Engine: engine, Mail: both{mails, tellTale(t)}, Settings: []string{"ACCOUNTS_LOG_LEVEL=debug"}})
		s.Mails = mails
		k := &secretSet{}
		for _, each := range s.Config.SecretKeys {
			k.secret(string(each))
		}
		useAccount(t, s, k)
		u := s.NewUser()
		k.addresses = append(k.addresses, u.Email)
		k.secret(u.Password)
		clients := sessionsInEach(s, u)
		k.tokens(clients...)
		breakThings(t, s, k, u, clients)

		counted := tableText(t, s, "rate_limits")
		events := tableText(t, s, "events")
		figures := httptest.NewRecorder()
		s.Metrics.Handler().ServeHTTP(figures, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		k.wantAbsent(t, "the database", s.Database.Dump(t)+counted, false)
		k.wantAbsent(t, "the limits", counted, true)
		k.wantAbsent(t, "the events", events, true)
		k.wantAbsent(t, "the metrics", figures.Body.String(), true)
		k.wantAbsent(t, "the log", s.Log.String(), true)
		for what, words := range map[string]string{"log": `"msg":"request"`, "panic": `"msg":"panic"`, "faults": `"request failed"`, "mails given up": "will not be retried"} {
			if !strings.Contains(s.Log.String(), words) {
				t.Errorf("the log must contain %s for this test to be meaningful", what)
			}
		}
	})
}

// useAccount goes through the life of an account from registration to deletion, including typical
// wrong passwords.
func useAccount(t *testing.T, s *servertest.Server, k *secretSet) {
	t.Helper()
	name := newName()
	email, next := address(name), address("moved"+name)
	k.addresses = append(k.addresses, email, next)
	third, wrong := "twelve chars of a third", "a wrong guess at it"
	k.secret(password, otherPassword, third, wrong, "password12345678")
	token := register(t, s, 1, object{"email": email, "password": password, "username": name, "first_name": "Ada"})
	post(s, "/accounts/register", object{"email": otherSpelling(email), "password": "password12345678"}).Want(t, http.StatusUnprocessableEntity, "")
	k.secret(token, register(t, s, 2, object{"email": email, "password": otherPassword}))
	verify(s, token, wrong).Want(t, http.StatusUnprocessableEntity, "")
	verify(s, token, password).Want(t, http.StatusOK, "")
	signIn(s, email, wrong).Want(t, http.StatusUnauthorized, "")
	signIn(s, wrong, email).Want(t, http.StatusUnauthorized, "") // users may enter a password as the name
	u := servertest.User{User: stored(t, s, email), Password: password}
	for _, transport := range transports {
		c := s.Login(u, transport)
		k.tokens(c)
		s.Database.Age(t, rotation)
		c.RefreshTokens().Want(t, http.StatusOK, "")
		k.tokens(c)
		c.Do(http.MethodGet, "/accounts/profile?access_token="+accessOf(c)+"&email="+email, nil)
		c.Do(http.MethodGet, "/accounts/"+email+"/"+accessOf(c), nil).Want(t, http.StatusNotFound, "")
		c.Do(http.MethodGet, "/accounts/profile/export", nil).Want(t, http.StatusOK, "")
		c.Logout().Want(t, http.StatusNoContent, "")
	}
	c := s.Login(u, accounts.Hybrid)
	changePassword(c, wrong, otherPassword).Want(t, http.StatusUnprocessableEntity, "")
	changePassword(c, password, otherPassword).Want(t, http.StatusOK, "")
	k.tokens(c)
	change := requestEmailChange(t, s, c, next, 1)
	settle(t, s)
	reset := requestReset(t, s, email, len(s.Mails.To(email))+1)
	k.secret(change, reset)
	confirmReset(s, reset, third).Want(t, http.StatusNoContent, "")
	confirmReset(s, reset, third).Want(t, http.StatusUnprocessableEntity, "link_invalid")
	c = s.Login(servertest.User{User: stored(t, s, email), Password: third}, accounts.Cookies)
	k.tokens(c)
	flush(t, s)
	k.wantAbsent(t, "the events of an account that is left", tableText(t, s, "events"), true)
	deleteAccount(c).Want(t, http.StatusNoContent, "")
	settle(t, s)
}

// breakThings causes each kind of fault during requests with secrets: a panic in a handler, a lock
// that is held for long, missing tables, a value that the database rejects and repeats, and an
// unavailable database.
func breakThings(t *testing.T, s *servertest.Server, k *secretSet, u servertest.User, clients []*servertest.Client) {
	t.Helper()
	handler, err := s.HandlerOf(broken{})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(handler)
	t.Cleanup(front.Close)
	panicking := *s
	panicking.URL = front.URL
	all := func(at *servertest.Server) {
		signIn(at, u.Username, u.Password)
		signIn(at, u.Email, u.Password)
		post(at, "/accounts/register", object{"email": u.Email, "password": otherPassword})
		post(at, "/accounts/password/reset", object{"email": u.Email})
		for _, c := range clients {
			c.Copy().At(at).RefreshTokens()
			changePassword(c.Copy().At(at), u.Password, otherPassword+"!")
			changeEmail(c.Copy().At(at), "next"+u.Email)
		}
	}
	k.secret(otherPassword + "!")
	all(&panicking)

	lock, err := s.Database.SQL.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "UPDATE users SET first_name = first_name WHERE id = ?", u.ID); err != nil {
		t.Fatal(err)
	}
	slow := make(chan struct{})
	go func() { defer close(slow); signIn(s, u.Email, u.Password) }()
	time.Sleep(300 * time.Millisecond) // long enough to count as a slow statement in GORM
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-slow

	settle(t, s)
	s.Database.Exec(t, "DELETE FROM outbox")
	refuseAddresses(t, s, func() {
		for range 2 {
			post(s, "/accounts/password/reset", object{"email": u.Email}).Want(t, http.StatusInternalServerError, "server_failed")
		}
	})
	for _, table := range []string{"users", "sessions", "outbox", "one_time_tokens"} {
		s.Database.Exec(t, "ALTER TABLE "+table+" RENAME TO away")
		all(s)
		s.Database.Exec(t, "ALTER TABLE away RENAME TO "+table)
	}
	settle(t, s)
	flush(t, s)
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	all(s)
}

// refuseAddresses makes the database reject addresses while f runs. MySQL repeats them in its
// error.
func refuseAddresses(t *testing.T, s *servertest.Server, f func()) {
	t.Helper()
	if s.Database.Engine == servertest.MySQL {
		s.Database.Exec(t, "ALTER TABLE outbox MODIFY email INT NOT NULL")
		f()
		s.Database.Exec(t, "ALTER TABLE outbox MODIFY email VARCHAR(254) NOT NULL")
		return
	}
	s.Database.Exec(t, "CREATE TRIGGER refuse BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'not an integer'); END")
	f()
	s.Database.Exec(t, "DROP TRIGGER refuse")
}

// tableText returns all values of a table.
func tableText(t *testing.T, s *servertest.Server, table string) string {
	t.Helper()
	rows, err := s.Database.SQL.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new([]byte)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, each := range values {
			_, _ = text.Write(*each.(*[]byte))
			_ = text.WriteByte('\n')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
