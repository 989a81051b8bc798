package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The tests in this file run the binary as an operator does and wait in real time: W = 2 s, so M =
// 0.4 s.
const (
	interval = 2 * time.Second
	margin   = interval / 5
	beyond   = time.Second // beyond a boundary of the decision table
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "accountsd")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "accountsd")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// replica is a server in a process of its own.
type replica struct {
	*servertest.Server
	command *exec.Cmd
	env     []string
}

// startReplica starts the binary on a free port of localhost and waits until it is ready.
func startReplica(t *testing.T, db *servertest.Database, public string, settings ...string) *replica {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	if public == "" {
		public = "http://" + addr
	}
	env := append([]string{
		"ACCOUNTS_ADDR=" + addr, "ACCOUNTS_PUBLIC_URL=" + public, "ACCOUNTS_DATABASE_URL=" + db.NextURL(), "ACCOUNTS_DATA_DIR=" + t.TempDir(),
		"ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_SECRET_KEYS=" + servertest.SecretKey, "ACCOUNTS_LOG_LEVEL=error",
	}, settings...)
	r := &replica{Server: servertest.Dial(t, "http://"+addr), command: exec.Command(path, "serve"), env: env}
	var output bytes.Buffer
	r.command.Env, r.command.Stdout, r.command.Stderr = env, &output, &output
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.command.Process.Signal(syscall.SIGTERM)
		if err := r.command.Wait(); err != nil {
			t.Errorf("the server ended with %v\n%s", err, output.String())
		}
	})
	for range 200 {
		answer, err := http.Get(r.URL + "/readyz")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return r
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the server is not ready\n%s", output.String())
	return nil
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
}

// newUser creates a user with the command of the binary.
func (r *replica) newUser(t *testing.T, name string) servertest.User {
	t.Helper()
	var output bytes.Buffer
	code := run(t.Context(), process{
		args: []string{"user", "create", "--username", name, "--email", name + "@example.com", "--password-stdin"},
		env:  r.env, in: strings.NewReader("correct horse battery\n"), out: &output, err: &output,
	})
	if code != 0 {
		t.Fatal(output.String())
	}
	u := servertest.User{Password: "correct horse battery"}
	u.Username = name
	return u
}

var transports = []token.Transport{token.Hybrid, token.Cookies, token.ServerHeld, token.Body}

// TestSessionsLiveInEachTransportOnEachEngine tests the life of sessions in each transport with the running binary: on SQLite,
// on MySQL, and on MySQL with two replicas that receive the requests in turn.
func TestSessionsLiveInEachTransportOnEachEngine(t *testing.T) {
	setting := "ACCOUNTS_ROTATION_INTERVAL=" + interval.String()
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			r := startReplica(t, servertest.NewDatabase(t, engine), "", setting)
			acceptance(t, r.newUser(t, "ada"), []*replica{r})
		})
		if engine == servertest.SQLite {
			return // SQLite has one replica by design
		}
		t.Run("two", func(t *testing.T) {
			t.Parallel()
			db := servertest.NewDatabase(t, engine)
			a := startReplica(t, db, "", setting)
			b := startReplica(t, db, a.URL, setting)
			acceptance(t, a.newUser(t, "ada"), []*replica{a, b})
		})
	})
}

func acceptance(t *testing.T, u servertest.User, replicas []*replica) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			f := &family{t: t, user: u, transport: transport, replicas: replicas}
			t.Run("refresh", f.converges)
			t.Run("logout", f.endsAtOnce)
			t.Run("garbage", f.refusesGarbage)
			t.Run("csrf", f.wantsCSRF)
		})
	}
}

// family tests the sessions of one transport. Its method at alternates between the replicas.
type family struct {
	t         *testing.T
	user      servertest.User
	transport token.Transport
	replicas  []*replica
	mu        sync.Mutex
	turn      int
}

func (f *family) at(c *servertest.Client) *servertest.Client {
	f.mu.Lock()
	f.turn++
	r := f.replicas[f.turn%len(f.replicas)]
	f.mu.Unlock()
	return c.Copy().At(r.Server)
}

func (f *family) login() *servertest.Client { return f.replicas[0].Login(f.user, f.transport) }

// shown returns the token in the response to a refresh, from the place that the transport uses.
func shown(c *servertest.Client, r *servertest.Response) string {
	for _, cookie := range r.Cookies() {
		if cookie.Name != "csrftoken" && cookie.Value != "" && (cookie.Name == "refreshtoken" || c.Transport == token.ServerHeld) {
			return cookie.Value
		}
	}
	return r.Text("refresh_token")
}

var storms sync.Mutex

// refresh retries after a 503, as the contract describes: the machine may be too busy to decide
// within the margin.
func refresh(c *servertest.Client) *servertest.Response {
	for try := 0; ; try++ {
		r := c.RefreshTokens()
		if r.Status != http.StatusServiceUnavailable || try == 20 {
			return r
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (f *family) converges(t *testing.T) {
	first := f.login()
	time.Sleep(interval + margin + beyond)

	// Only one storm runs at a time, because the server must decide all its requests within W of
	// the first rotation.
	storms.Lock()
	defer storms.Unlock()
	successors := map[string]int{}
	var wait sync.WaitGroup
	for range 100 {
		c := f.at(first)
		wait.Go(func() {
			r := refresh(c)
			if r.Status != http.StatusOK {
				t.Errorf("status %d %s", r.Status, r.Code())
			}
			f.mu.Lock()
			successors[shown(c, r)]++
			f.mu.Unlock()
		})
	}
	wait.Wait()
	if len(successors) != 1 || successors[""] > 0 {
		t.Fatalf("100 parallel refreshes gave %d different successors", len(successors))
	}

	second := f.at(first)
	refresh(second).Want(t, http.StatusOK, "")
	storms.Unlock()
	defer storms.Lock()
	time.Sleep(interval + margin + beyond)
	third := f.at(second)
	refresh(third).Want(t, http.StatusOK, "")
	f.at(third).Profile().Want(t, http.StatusOK, "")
	time.Sleep(interval + beyond)
	refresh(f.at(first)).Want(t, http.StatusUnauthorized, "refresh_reused")
	f.at(third).Profile().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(third).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(second).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
}

func (f *family) endsAtOnce(t *testing.T) {
	c := f.login()
	f.at(c).Profile().Want(t, http.StatusOK, "")
	f.at(c).Logout().Want(t, http.StatusNoContent, "")
	f.at(c).Profile().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(c).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
	f.at(c).Logout().Want(t, http.StatusNoContent, "")
}

func (f *family) refusesGarbage(t *testing.T) {
	for _, size := range []int{1, 100, 4096, 8192} {
		garbage := strings.Repeat("g", size)
		anonymous := f.replicas[0].Anonymous()
		ways := map[string]func() *servertest.Response{
			"bearer": func() *servertest.Response {
				return anonymous.Profile(servertest.Header("Authorization", "Bearer "+garbage))
			},
			"access cookie": func() *servertest.Response { return anonymous.Profile(servertest.Cookie("access", garbage)) },
			"refresh cookie": func() *servertest.Response {
				return anonymous.RefreshTokens(servertest.Cookie("refreshtoken", garbage))
			},
			"body": func() *servertest.Response {
				return anonymous.Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": garbage})
			},
			"logout": func() *servertest.Response {
				return anonymous.Do(http.MethodPost, "/accounts/logout", map[string]any{"refresh_token": garbage})
			},
		}
		for name, way := range ways {
			if r := way(); r.Status != http.StatusUnauthorized || r.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d bytes of garbage as %s: %d %s", size, name, r.Status, r.Raw)
			}
		}
	}
}

func (f *family) wantsCSRF(t *testing.T) {
	if f.transport == token.Body {
		return // without cookies, no CSRF token is needed
	}
	c := f.login()
	withoutBearer := servertest.Header("Authorization", "")
	for _, value := range []string{"", "AAAA", f.login().CSRF} {
		header := servertest.Header("X-CSRFToken", value)
		f.at(c).RefreshTokens(header).Want(t, http.StatusForbidden, "csrf_failed")
		f.at(c).Logout(header).Want(t, http.StatusForbidden, "csrf_failed")
		if f.transport != token.Hybrid {
			f.at(c).Do(http.MethodDelete, "/accounts/sessions", nil, header, withoutBearer).Want(t, http.StatusForbidden, "csrf_failed")
		}
	}
	f.at(c).Profile().Want(t, http.StatusOK, "")
	f.at(c).Logout().Want(t, http.StatusNoContent, "")
}
