package main

import (
	"bytes"
	"context"
	"io"
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

// shell runs commands as an operator at a terminal does, with an environment.
type shell struct {
	t   *testing.T
	dir string
	env []string
	db  *servertest.Database // for direct access, or nil
}

// newShell returns a shell with a data directory and only the settings that tests need.
func newShell(t *testing.T, settings ...string) *shell {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	return &shell{t: t, dir: dir, env: append(settings, "ACCOUNTS_ADDR="+freeAddr(t), "ACCOUNTS_DATA_DIR="+dir, "ACCOUNTS_LOG_LEVEL=error")}
}

func onDatabase(t *testing.T, e servertest.Engine, settings ...string) *shell {
	t.Helper()
	db := servertest.NewDatabase(t, e)
	s := newShell(t, append(settings, "ACCOUNTS_DATABASE_URL="+db.URL, "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)...)
	s.db = db
	return s
}

// commandTime is longer than any command takes, except a running server. An import under the race
// detector on a busy machine takes up to 20 s.
const commandTime = time.Minute

type result struct {
	code     int
	out, err string
	database string // that the command has reported; the line is not in err
}

func (s *shell) run(stdin string, args ...string) result {
	s.t.Helper()
	return s.runWith(strings.NewReader(stdin), args...)
}

func (s *shell) runWith(stdin io.Reader, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime) // ends a server that should not have started
	defer cancel()
	var out, err bytes.Buffer
	code := run(ctx, process{args: args, env: s.env, in: stdin, out: &out, err: &err})
	rest, database := cutDatabase(err.String())
	return result{code, out.String(), rest, database}
}

// cutDatabase removes the line about the database from standard error, and returns its value.
func cutDatabase(text string) (rest, database string) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "database: "); ok && database == "" {
			database = strings.TrimSuffix(value, "\n")
			continue
		}
		rest += line
	}
	return rest, database
}

// mustRun runs a command and returns its output. It fails the test unless the command succeeds and
// prints nothing to standard error.
func (s *shell) mustRun(stdin string, args ...string) string {
	s.t.Helper()
	r := s.run(stdin, args...)
	if r.code != 0 || r.err != "" {
		s.t.Fatalf("%v: exit status %d\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out
}

// wantRefused checks for exit status 1, no standard output, and exactly these lines.
func (s *shell) wantRefused(r result, lines ...string) {
	s.t.Helper()
	s.wantStatus(r, 1, lines...)
}

// wantUsage checks for the exit status of an error in the command line, no standard output, and
// exactly this line.
func (s *shell) wantUsage(r result, line string) {
	s.t.Helper()
	s.wantStatus(r, 2, line)
}

func (s *shell) wantStatus(r result, code int, lines ...string) {
	s.t.Helper()
	want := ""
	for _, line := range lines {
		want += "accountsd: " + line + "\n"
	}
	if r.code != code || r.out != "" || r.err != want {
		s.t.Errorf("exit status %d\n%s%swant\n%s", r.code, r.out, r.err, want)
	}
}

const goodPassword = "correct horse battery"

func (s *shell) create(name string, more ...string) string {
	s.t.Helper()
	return s.mustRun(goodPassword+"\n", append([]string{"user", "create", "--username", name, "--email", name + "@example.com", "--password-stdin"}, more...)...)
}

func (s *shell) secretFile() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := token.ParseSecret(strings.TrimSuffix(string(text), "\n")); err != nil {
		s.t.Error(err)
	}
	return string(text)
}

// canLogin reports whether a user can log in to a server on the same data.
func (s *shell) canLogin(name, password string) bool {
	s.t.Helper()
	running := s.serve()
	defer running.stop()
	r := running.Anonymous().Do("POST", "/accounts/login", map[string]any{"username": name, "password": password, "token_transport": "body"})
	return r.Status == 200
}

// running is a server that `accountsd serve` runs in this process.
type running struct {
	*servertest.Server
	t          *testing.T
	signal     context.CancelFunc
	code       chan int
	readyAfter time.Duration // from the start to the first 200 of readyz
	out, err   output
}

// output is a buffer that may be read while the server writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (s *shell) setting(name string) string {
	for _, entry := range s.env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// serve starts the server and waits until it is ready.
func (s *shell) serve() *running {
	s.t.Helper()
	ctx, signal := context.WithCancel(context.Background())
	r := &running{Server: servertest.Dial(s.t, "http://"+s.setting("ACCOUNTS_ADDR")), t: s.t, signal: signal, code: make(chan int, 1)}
	began := time.Now()
	go func() {
		r.code <- run(ctx, process{args: []string{"serve"}, env: s.env, in: strings.NewReader(""), out: &r.out, err: &r.err})
	}()
	s.t.Cleanup(signal)
	for time.Since(began) < 10*time.Second {
		if r.status("/readyz") == http.StatusOK {
			r.readyAfter = time.Since(began)
			return r
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.t.Fatalf("not ready\n%s%s", r.out.String(), r.err.String())
	return nil
}

// status returns the status of a GET request on a connection of its own, or 0 if there is no
// response.
func (r *running) status(path string) int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	answer, err := client.Get(r.URL + path)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// end waits for the exit and checks its status.
func (r *running) end(want int) {
	r.t.Helper()
	select {
	case code := <-r.code:
		if code != want {
			r.t.Errorf("exit status %d, want %d\n%s", code, want, r.err.String())
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("the server does not end")
	}
}

func (r *running) stop() {
	r.t.Helper()
	r.signal()
	r.end(0)
}

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
