//go:build unix

package server_test

import (
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// On a full disk SQLite's WAL cannot grow. The test simulates that by limiting the size of files.
// Every write fails and readiness reports it, while reads continue. The limit applies to a whole
// process, so the test runs in a separate process.
func TestServerIsNotReadyOnFullDisk(t *testing.T) {
	t.Attr("control", "207")
	const child = "ACCOUNTS_TEST_FULL_DISK"
	if os.Getenv(child) == "" {
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), program, "-test.run=^TestServerIsNotReadyOnFullDisk$", "-test.v")
		c.Env = append(os.Environ(), child+"=1")
		if text, err := c.CombinedOutput(); err != nil || !strings.Contains(string(text), "--- PASS: TestServerIsNotReadyOnFullDisk") {
			t.Errorf("%v\n%s", err, text)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	c := s.Login(u, token.Body)
	ready(s).Want(t, http.StatusOK, "")

	wal, err := os.Stat(strings.TrimPrefix(s.Database.URL, "sqlite:") + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	room := limitFiles(t, uint64(wal.Size()))
	s.Clock.Advance(6 * time.Second)
	ready(s).Want(t, http.StatusServiceUnavailable, "service_unavailable")
	c.Profile().Want(t, http.StatusOK, "")
	login := map[string]any{"username": u.Username, "password": u.Password, "token_transport": token.Body}
	s.Anonymous().Do(http.MethodPost, "/accounts/login", login).Want(t, http.StatusServiceUnavailable, "service_unavailable")
	ready(s).Want(t, http.StatusServiceUnavailable, "service_unavailable")

	room()
	s.Clock.Advance(6 * time.Second)
	ready(s).Want(t, http.StatusOK, "")
	s.Anonymous().Do(http.MethodPost, "/accounts/login", login).Want(t, http.StatusOK, "")
}

// limitFiles prevents the files of this process from growing beyond size, until room is called.
func limitFiles(t *testing.T, size uint64) (room func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(limit syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Error(err)
		}
	}
	set(syscall.Rlimit{Cur: size, Max: before.Max})
	t.Cleanup(func() { set(before) })
	return func() { set(before) }
}
