package main

import (
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The first start of the binary, with no settings except the address and the data directory. The
// files that it creates are readable only by their owner, even with umask 0; cookies, the CSRF
// check and the rate limits are active; and nothing internal is on the public port.
func TestFirstStartIsSecureByDefault(t *testing.T) {
	t.Attr("control", "95")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := freeAddr(t), filepath.Join(t.TempDir(), "data")
	var stderr output
	command := exec.Command("sh", "-c", `umask 0 && exec "$0" serve`, path)
	command.Env, command.Stderr = []string{"ACCOUNTS_ADDR=" + addr, "ACCOUNTS_DATA_DIR=" + dir}, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = command.Process.Signal(syscall.SIGTERM), command.Wait() })
	r := &running{Server: servertest.Dial(t, "http://"+addr), t: t}
	for began := time.Now(); r.status("/readyz") != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("not ready\n%s", stderr.String())
		}
	}

	const email = "ada@example.com"
	r.Anonymous().Do("POST", "/accounts/register", map[string]any{"email": email, "password": goodPassword}).Want(t, 202, "")
	link := linkInFile(t, dir)
	c := r.Anonymous()
	c.Do("POST", "/accounts/email/verify", map[string]any{"token": link, "password": goodPassword, "token_transport": token.Cookies}).Want(t, 200, "")
	c.Profile().Want(t, 200, "")
	c.Do("DELETE", "/accounts/sessions", nil, servertest.Header("X-CSRFToken", "")).Want(t, 403, "csrf_failed")
	c.Do("DELETE", "/accounts/sessions", nil, servertest.Header("Origin", "https://evil.example")).Want(t, 403, "csrf_failed")
	limited := false
	for range 11 {
		limited = r.Anonymous().Do("POST", "/accounts/login", map[string]any{"username": "bob@example.com", "password": "a wrong one"}).Status == 429
	}
	if !limited {
		t.Error("an eleventh wrong password is judged")
	}
	for _, path := range []string{"/metrics", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/debug/requests", "/admin", "/.git/HEAD", "/.env", "/accounts.db", "/secret", "/data/secret", "/server-status", "/actuator", "/api"} {
		r.Anonymous().Do("GET", path, nil).Want(t, 404, "resource_not_found")
	}
	for _, method := range []string{"TRACE", "TRACK", "CONNECTX", "PUT", "DEBUG"} {
		r.Anonymous().Do(method, "/accounts/profile", nil).Want(t, 405, "method_not_allowed")
	}
	wantOwnerOnly(t, dir)
	warnings := strings.Count(stderr.String(), `"level":"WARN"`)
	if unlisted := strings.Count(stderr.String(), "an origin that is not in ACCOUNTS_CORS_ORIGINS"); warnings != unlisted {
		t.Errorf("a warning about the defaults:\n%s", stderr.String())
	}
}

// Settings that weaken security are logged when the server starts, one per line.
func TestWeakSettingsAreLoggedAtStartup(t *testing.T) {
	t.Attr("control", "95")
	weak := []string{
		"EMAIL_VERIFICATION=optional", "PASSWORD_MIN_LENGTH=8", "ROTATION_INTERVAL=0", "RESET_TTL=2h", "MAILS_PER_RECIPIENT=0",
		"LOGIN_FAILURES_PER_ACCOUNT=0", "LOGIN_FAILURES_PER_CLIENT=0", "REGISTRATIONS_PER_CLIENT=0", "CONFIRMATIONS_PER_CLIENT=0", "RARE_ACTIONS_PER_USER=0",
		"PASSWORDS_PER_CLIENT=0", "PASSWORDS_PER_USER=0", "MAILS_PER_STAFF=0",
		"LEGACY_JWT_SECRETS=secret", "LEGACY_JWT_UNTIL=2026-01-01",
	}
	settings := []string{"ACCOUNTS_LOG_LEVEL=warn"}
	for _, setting := range weak {
		settings = append(settings, "ACCOUNTS_"+setting)
	}
	r := newShell(t, settings...).serve()
	r.stop()
	for _, setting := range weak {
		name, _, _ := strings.Cut(setting, "=")
		if strings.Count(r.err.String(), `"warning":"ACCOUNTS_`+name+" ") != 1 {
			t.Errorf("no warning about %s:\n%s", setting, r.err.String())
		}
	}
}

// linkInFile waits for the only mail and returns the token of its link.
func linkInFile(t *testing.T, dir string) string {
	t.Helper()
	for range 500 {
		files, _ := filepath.Glob(filepath.Join(dir, "mail", "*-verify-*.eml"))
		if len(files) > 0 {
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(text), "#token=")
			return rest[:43]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no mail")
	return ""
}

// wantOwnerOnly checks that only the owner can read the data directory. The database contains
// addresses and password hashes, the mails contain links that give access to accounts, and the
// secret can sign any token.
func wantOwnerOnly(t *testing.T, dir string) {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		seen[entry.Name()] = true
		return nil
	})
	if err != nil || !seen["secret"] || !seen["accounts.db"] || !seen["mail"] {
		t.Errorf("%v, found %v", err, seen)
	}
}
