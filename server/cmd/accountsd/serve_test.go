package main

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// With a current schema, the server is ready quickly. The log has the exact time, because machines
// differ.
func TestServeIsReadySoon(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.ok("", "migrate", "up")
		best := time.Hour
		for range 3 {
			r := s.serve()
			best = min(best, r.ready)
			r.stop()
		}
		t.Logf("ready %.0f ms after the start, on %s with a current schema (best of 3)", best.Seconds()*1000, e)
		if best > 5*time.Second {
			t.Errorf("ready after %v", best)
		}
	})
}

// The banner tells a new operator how to create a user, until there is one.
func TestBannerExplainsUserCreationUntilThereIsOne(t *testing.T) {
	s := newShell(t)
	path := filepath.Join(s.dir, "accounts.db")
	url := "http://" + s.setting("ACCOUNTS_ADDR")
	want := "accounts " + version + " at " + url + ", database sqlite:" + path + "\n  try it:            " + url + "/demo/\n  documentation:     " + url + "/docs/\n" +
		"  for staff:         " + url + "/console/\n" +
		"  mails written to:  " + filepath.Join(s.dir, "mail") + "\n"
	const hint = "  create a user:     bin/accountsd user create --username ada --email ada@example.com\n"
	r := s.serve()
	r.stop()
	if got := r.out.String(); got != want+hint {
		t.Errorf("%s", got)
	}
	s.create("ada")
	r = s.serve()
	r.stop()
	if got := r.out.String(); got != want {
		t.Errorf("%s", got)
	}
}

func TestHealthcheckReportsStateOfServer(t *testing.T) {
	s := newShell(t)
	r := s.run("", "healthcheck")
	if r.code != 1 || !strings.HasPrefix(r.err, "accountsd: ") || strings.Count(r.err, "\n") != 1 {
		t.Errorf("no server is running: exit status %d\n%s", r.code, r.err)
	}
	server := s.serve()
	if out := s.ok("", "healthcheck"); out != "" {
		t.Errorf("%q", out)
	}
	everywhere := *s // as in a container, where the server listens on every address
	_, port, _ := net.SplitHostPort(s.setting("ACCOUNTS_ADDR"))
	everywhere.env = append([]string{"ACCOUNTS_ADDR=:" + port, "ACCOUNTS_PUBLIC_URL=http://localhost:" + port}, s.env...)
	if r := everywhere.run("", "healthcheck"); r.code != 0 {
		t.Errorf("exit status %d\n%s", r.code, r.err)
	}
	server.stop()
}

// A second server on the same port prints one line and exits with status 1. The first one keeps
// running.
func TestServeFailsIfPortIsInUse(t *testing.T) {
	s := newShell(t)
	first := s.serve()
	defer first.stop()
	r := s.run("", "serve")
	if r.code != 1 || r.out != "" || strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "accountsd: cannot listen: ") || !strings.Contains(r.err, "address already in use") {
		t.Errorf("exit status %d\n%s%s", r.code, r.out, r.err)
	}
	if first.status("/readyz") != http.StatusOK {
		t.Error("the first server has stopped")
	}
	taken := s.setting("ACCOUNTS_ADDR")
	other := newShell(t, "ACCOUNTS_METRICS_ADDR="+taken)
	if r := other.run("", "serve"); r.code != 1 || strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "accountsd: cannot listen for metrics: ") {
		t.Errorf("exit status %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestMetricsAreServedOnTheirOwnPort(t *testing.T) {
	t.Attr("control", "95")
	addr := freeAddr(t)
	s := newShell(t, "ACCOUNTS_METRICS_ADDR="+addr)
	r := s.serve()
	defer r.stop()
	if got := r.status("/metrics"); got != http.StatusNotFound {
		t.Errorf("metrics on the public port: %d", got)
	}
	inside := running{Server: servertest.Dial(t, "http://"+addr)}
	if got := inside.status("/metrics"); got != http.StatusOK {
		t.Errorf("metrics: %d", got)
	}
	if got := inside.status("/readyz"); got != http.StatusNotFound {
		t.Errorf("the API on the metrics' port: %d", got)
	}
}

// Profiles are served on the port of the metrics only, and only with ACCOUNTS_PROFILING. Those that
// would show the command line or the stacks of goroutines are never served.
func TestProfilesAreServedOnlyIfSet(t *testing.T) {
	t.Attr("control", "95")
	for profiling, want := range map[string]int{"false": http.StatusNotFound, "true": http.StatusOK} {
		addr := freeAddr(t)
		r := newShell(t, "ACCOUNTS_METRICS_ADDR="+addr, "ACCOUNTS_PROFILING="+profiling).serve()
		inside := running{Server: servertest.Dial(t, "http://"+addr)}
		for path, want := range map[string]int{
			"/debug/pprof/profile?seconds=1": want, "/debug/pprof/allocs": want, "/debug/pprof/heap": want,
			"/debug/pprof/": http.StatusNotFound, "/debug/pprof/cmdline": http.StatusNotFound, "/debug/pprof/goroutine": http.StatusNotFound, "/debug/pprof/trace": http.StatusNotFound,
		} {
			if got := inside.status(path); got != want {
				t.Errorf("ACCOUNTS_PROFILING=%s: %s has status %d, want %d", profiling, path, got, want)
			}
			if got := r.status(path); got != http.StatusNotFound {
				t.Errorf("ACCOUNTS_PROFILING=%s: %s on the public port has status %d", profiling, path, got)
			}
		}
		r.stop()
	}
}

// held is a refresh request that waits for a lock in the database.
type held struct {
	release func()
	answer  chan *servertest.Response
}

func (r *running) hold(db *servertest.Database, c *servertest.Client) held {
	r.t.Helper()
	tx, err := db.SQL.BeginTx(context.Background(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	id := uuid.MustParse(c.SessionID)
	if _, err := tx.ExecContext(context.Background(), "UPDATE sessions SET ip = 'locked' WHERE id = ?", id[:]); err != nil {
		r.t.Fatal(err)
	}
	h := held{release: func() { _ = tx.Rollback() }, answer: make(chan *servertest.Response, 1)}
	go func() {
		answer, err := c.Try(http.MethodPost, "/accounts/refresh_token", c.RefreshBody())
		if err != nil {
			r.t.Logf("the request in flight: %v", err)
		}
		h.answer <- answer
	}()
	time.Sleep(150 * time.Millisecond)
	return h
}

// After the signal, readyz fails with 503 while requests are still accepted. Then the server
// accepts no new ones, and those in flight finish.
func TestShutdownFinishesRequestsInFlight(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_SHUTDOWN_DELAY=600ms")
		s.create("ada")
		r := s.serve()
		c := r.Login(servertest.User{User: models.User{Username: "ada"}, Password: goodPassword}, token.Body)
		flight := r.hold(s.db, c)
		r.signal()
		signaled := time.Now()
		var said []int
		for time.Since(signaled) < 5*time.Second {
			status := r.status("/readyz")
			if status == 0 {
				break
			}
			if said = append(said, status); status == http.StatusServiceUnavailable && time.Since(signaled) < 300*time.Millisecond {
				if got := r.status("/healthz"); got != http.StatusOK {
					t.Errorf("during the delay healthz says %d", got)
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		closed := time.Since(signaled)
		if len(said) < 2 || said[len(said)-1] != http.StatusServiceUnavailable || closed < 500*time.Millisecond || closed > 3*time.Second {
			t.Errorf("readyz said %v, and nothing after %v", said, closed)
		}
		select {
		case code := <-r.code:
			t.Fatalf("ended with %d while a request was in flight", code)
		default:
		}
		flight.release()
		if answer := <-flight.answer; answer == nil || answer.Status != http.StatusOK {
			t.Errorf("the request in flight got %+v", answer)
		}
		r.end(0)
	})
}

// A request that takes longer than the timeout is aborted, and the exit status is 1.
func TestShutdownAbortsRequestsAfterTimeout(t *testing.T) {
	s := onDatabase(t, servertest.SQLite, "ACCOUNTS_SHUTDOWN_TIMEOUT=1s")
	s.create("ada")
	r := s.serve()
	c := r.Login(servertest.User{User: models.User{Username: "ada"}, Password: goodPassword}, token.Body)
	flight := r.hold(s.db, c)
	r.signal()
	r.end(1)
	flight.release()
	if text := r.err.String(); !strings.Contains(text, "accountsd: requests were still in flight after 1s") {
		t.Errorf("%s", text)
	}
}

// The first start creates no user. Only the operator creates the first one.
func TestFirstStartCreatesNoUser(t *testing.T) {
	t.Attr("control", "17")
	s := newShell(t)
	r := s.serve()
	for _, name := range []string{"admin", "root", "accounts", "admin@example.com"} {
		r.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": name, "password": "admin"}).Want(t, http.StatusUnauthorized, "credentials_invalid")
	}
	r.stop()
	if list := s.ok("", "user", "list"); strings.Count(list, "\n") != 1 { // the heading
		t.Errorf("users after the first start:\n%s", list)
	}
}
