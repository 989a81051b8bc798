package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql"
)

// proof is a new server and the checks for the users of the old service.
type proof struct {
	binary, dir, database string
	db                    *sql.DB
	old                   service
	emailsVerified        bool // the operator states that all addresses are verified
	url                   string
	checks                int
	faults                []error
}

// openDatabases creates empty databases.
func openDatabases(ctx context.Context, names ...string) (*sql.DB, error) {
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s:%s)/", os.Getenv("MYSQL_USER"), os.Getenv("MYSQL_PASSWORD"), os.Getenv("MYSQL_HOST"), os.Getenv("MYSQL_PORT")))
	for _, name := range names {
		if err == nil {
			_, err = db.ExecContext(ctx, "CREATE DATABASE `"+name+"` CHARACTER SET utf8mb4")
		}
	}
	return db, err
}

func databaseURL(name string) string {
	u, err := url.Parse(os.Getenv("TEST_MYSQL_URL"))
	if err != nil {
		return ""
	}
	u.Path = "/" + name
	return u.String()
}

// run imports, serves and checks.
func (p *proof) run(ctx context.Context, source string) error {
	secrets := filepath.Join(p.dir, "legacy")
	if err := errors.Join(os.Mkdir(p.dir, 0o700), os.WriteFile(secrets, []byte(strings.Join(p.old.Secrets, "\n")+"\n"), 0o600)); err != nil {
		return err
	}
	secret, err := output(command(ctx, nil, p.binary, "secret", "new"))
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	p.url = "http://localhost:" + port
	env := []string{
		"ACCOUNTS_ADDR=localhost:" + port, "ACCOUNTS_DATA_DIR=" + p.dir, "ACCOUNTS_DATABASE_URL=" + databaseURL(p.database),
		"ACCOUNTS_SECRET_KEYS=" + strings.TrimSpace(string(secret)), "ACCOUNTS_AUTO_MIGRATE=true",
		"ACCOUNTS_LEGACY_JWT_SECRETS_FILE=" + secrets, "ACCOUNTS_LEGACY_JWT_UNTIL=" + time.Now().AddDate(0, 0, 7).UTC().Format(time.DateOnly),
	}
	if _, err := output(command(ctx, env, p.binary, "import-django", "--from", source, fmt.Sprint("--emails-verified=", p.emailsVerified))); err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	stop, err := p.serve(ctx, env)
	if err != nil {
		return err
	}
	for _, u := range p.old.Users {
		p.checkUser(ctx, u)
	}
	return errors.Join(append(p.faults, stop())...)
}

// serve starts the server and waits until it is ready.
func (p *proof) serve(ctx context.Context, env []string) (stop func() error, err error) {
	var log bytes.Buffer
	c := command(ctx, env, p.binary, "serve")
	c.Stderr = &log
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		err := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait())
		for _, secret := range p.old.Secrets {
			if strings.Contains(log.String(), secret) {
				err = errors.Join(err, errors.New("the log contains a secret of the old service"))
			}
		}
		if len(p.faults) > 0 {
			err = errors.Join(err, errors.New(log.String()))
		}
		return err
	}
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		if a, err := p.send(ctx, request{method: http.MethodGet, path: "/readyz"}); err == nil && a.status == http.StatusOK {
			return stop, nil
		}
	}
	return nil, errors.Join(errors.New("the server is not ready"), stop(), errors.New(log.String()))
}

// checkUser checks the first day of a user on the new server.
func (p *proof) checkUser(ctx context.Context, u user) {
	good := u.Hasher != "inactive"
	p.checkAddress(ctx, u)
	p.checkHash(u, "before the first login", u.Password == "" || u.Stored == p.readHash(ctx, u))
	if u.Hasher != "argon2" { // of an argon2 user, the sessions continue before a password is typed
		p.checkLogin(ctx, u, good && u.Password != "")
	}
	for kind := range u.ForCookies {
		refresh := !strings.HasPrefix(kind, "access")
		p.checkExchange(ctx, u, kind+" in its cookie", byCookie(u.ForCookies[kind]), "hybrid", good && refresh)
		p.checkExchange(ctx, u, kind+" in the body", byBody(u.ForBodies[kind]), "body", good && refresh)
	}
	for _, raw := range u.Revoked {
		p.checkExchange(ctx, u, "a revoked token in its cookie", byCookie(raw), "", false)
		p.checkExchange(ctx, u, "a revoked token in the body", byBody(raw), "", false)
	}
	if u.Hasher == "argon2" {
		p.checkLogin(ctx, u, true)
	}
}

// checkAddress checks that an address counts as verified only if django-allauth marks it so or the
// operator states it, and that a role is kept only with such an address.
func (p *proof) checkAddress(ctx context.Context, u user) {
	var verified, role bool
	err := p.db.QueryRowContext(ctx, "SELECT email_verified_at IS NOT NULL, is_staff OR is_superuser FROM `"+p.database+"`.users WHERE id = ?", u.ID).Scan(&verified, &role)
	wanted := u.Proved || p.emailsVerified
	p.check(u, err == nil && verified == wanted && role == (u.Role && wanted), "was imported with verified address %t and role %t (%v)", verified, role, err)
}

// checkLogin checks that only the old password opens the account, and that it is then stored with
// the new hasher.
func (p *proof) checkLogin(ctx context.Context, u user, good bool) {
	login := func(name, password string) answer {
		return p.sendWithRetry(ctx, request{method: http.MethodPost, path: "/accounts/login", body: map[string]any{"username": name, "password": password}})
	}
	p.checkAnswer(u, "a wrong password", login(u.Username, u.Password+"x"), http.StatusUnauthorized, "credentials_invalid")
	if !good {
		for _, password := range []string{u.Password, u.Stored, "!", "None"} {
			if password != "" {
				p.checkAnswer(u, "a login", login(u.Username, password), http.StatusUnauthorized, "credentials_invalid")
			}
		}
		p.checkHash(u, "after a rejected login", u.Password == "" || u.Stored == p.readHash(ctx, u))
		return
	}
	a := login(u.Username, u.Password)
	p.checkAnswer(u, "the old password", a, http.StatusOK, "")
	p.check(u, a.User.ID == u.ID && a.User.Username == u.Username && a.User.Email == u.Email && a.User.FirstName == "Zoë", "has the profile %+v at login", a.User)
	p.checkHash(u, "after the first login", strings.HasPrefix(p.readHash(ctx, u), "$argon2id$"))
	p.checkAnswer(u, "the old password, again, by email", login(strings.ToUpper(u.Email), u.Password), http.StatusOK, "")
}

// checkExchange checks that only a good refresh token becomes a session, and only once.
func (p *proof) checkExchange(ctx context.Context, u user, what string, r request, transport string, good bool) {
	a := p.sendWithRetry(ctx, r)
	if !good {
		p.checkAnswer(u, what, a, http.StatusUnauthorized, "refresh_invalid")
	} else {
		p.checkAnswer(u, what, a, http.StatusOK, "")
		p.check(u, a.TokenTransport == transport, "%s: the session has the transport %q", what, a.TokenTransport)
		profile := p.sendWithRetry(ctx, request{method: http.MethodGet, path: "/accounts/profile", bearer: a.AccessToken})
		p.checkAnswer(u, what+": the profile", profile, http.StatusOK, "")
		p.check(u, profile.User.ID == u.ID && profile.User.Username == u.Username, "%s: the profile is %+v", what, profile.User)
		next := byBody(a.RefreshToken)
		if transport == "hybrid" {
			next = request{method: http.MethodPost, path: r.path, cookie: a.cookie, csrf: a.CSRFToken}
		}
		p.checkAnswer(u, what+": the next refresh", p.sendWithRetry(ctx, next), http.StatusOK, "")
	}
	p.checkAnswer(u, what+", a second time", p.sendWithRetry(ctx, r), http.StatusUnauthorized, "refresh_invalid")
}

func (p *proof) readHash(ctx context.Context, u user) (hash string) {
	err := p.db.QueryRowContext(ctx, "SELECT password FROM `"+p.database+"`.users WHERE username = ?", u.Username).Scan(&hash)
	p.check(u, err == nil, "is not in the database: %v", err)
	return hash
}

func (p *proof) checkHash(u user, when string, good bool) {
	p.check(u, good, "the stored hash %s is wrong", when)
}

func (p *proof) checkAnswer(u user, what string, a answer, status int, code string) {
	p.check(u, a.status == status && a.Code == code, "%s: %d %s, want %d %s", what, a.status, a.Code, status, code)
}

func (p *proof) check(u user, good bool, format string, args ...any) {
	p.checks++
	if !good {
		p.faults = append(p.faults, fmt.Errorf("%s: %s", u.Username, fmt.Sprintf(format, args...)))
	}
}

// ---- HTTP -----------------------------------------------------------------

// request is a request of an old front end, which also sends Django's cookie csrftoken.
type request struct {
	method, path, bearer, cookie, csrf string
	body                               map[string]any
}

func byCookie(raw string) request {
	return request{method: http.MethodPost, path: "/accounts/refresh_token", cookie: raw, csrf: "the csrftoken of Django"}
}

func byBody(raw string) request {
	return request{method: http.MethodPost, path: "/accounts/refresh_token", body: map[string]any{"refresh_token": raw}}
}

type answer struct {
	status int
	cookie string // value of the new cookie refreshtoken

	Code           string `json:"code"`
	AccessToken    string `json:"access_token"`
	RefreshToken   string `json:"refresh_token"`
	CSRFToken      string `json:"csrf_token"`
	TokenTransport string `json:"token_transport"`
	User           struct {
		ID        int64  `json:"id"`
		Username  string `json:"username"`
		Email     string `json:"email"`
		FirstName string `json:"first_name"`
	} `json:"user"`
}

// sendWithRetry retries after a 503, as every client does: on a busy machine a password may wait
// too long for a hashing slot.
func (p *proof) sendWithRetry(ctx context.Context, r request) answer {
	for try := 1; ; try++ {
		a, err := p.send(ctx, r)
		if err != nil {
			p.faults = append(p.faults, err)
		}
		if a.status != http.StatusServiceUnavailable || try == maxTries {
			return a
		}
		time.Sleep(time.Second)
	}
}

const maxTries = 10

func (p *proof) send(ctx context.Context, r request) (a answer, err error) {
	body, err := json.Marshal(r.body)
	if err != nil {
		return a, err
	}
	if r.body == nil {
		body = nil
	}
	q, err := http.NewRequestWithContext(ctx, r.method, p.url+r.path, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	set := func(name, value string) {
		if value != "" {
			q.Header.Set(name, value)
		}
	}
	if r.body != nil {
		set("Content-Type", "application/json")
	}
	if r.bearer != "" {
		set("Authorization", "Bearer "+r.bearer)
	}
	if r.cookie != "" {
		set("Cookie", "refreshtoken="+r.cookie)
	}
	set("X-CSRFToken", r.csrf)
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	a.status = response.StatusCode
	for _, c := range response.Cookies() {
		if c.Name == "refreshtoken" {
			a.cookie = c.Value
		}
	}
	return a, json.NewDecoder(response.Body).Decode(&a)
}
