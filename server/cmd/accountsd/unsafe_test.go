package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// unsafeSettings lists settings with which the server must not start, in addition to a valid set
// for a public server, and the lines that it prints. OPEN stands for a file with a secret that
// every user of the machine can read, and TAKEN for the port of ADDR. Every secret contains
// hunter2.
var unsafeSettings = []struct{ name, settings, lines string }{
	{"a secret that the operator made up", "SECRET_KEYS=hunter2hunter2hunter2hunter2hunter2", `ACCOUNTS_SECRET_KEYS entry 1 is not a valid secret: generate one with "accountsd secret new"`},
	{"a printed secret, with a character changed", "SECRET_KEYS=CHANGED", `ACCOUNTS_SECRET_KEYS entry 1 is not a valid secret: generate one with "accountsd secret new"`},
	{"a second secret that the operator made up", "SECRET_KEYS=" + servertest.SecretKey + ",hunter2", `ACCOUNTS_SECRET_KEYS entry 2 is not a valid secret: generate one with "accountsd secret new"`},
	{"no secret", "SECRET_KEYS=", "ACCOUNTS_SECRET_KEYS is required unless PUBLIC_URL is on loopback and the database is SQLite. Generate one with `accountsd secret new`"},
	{"a secret that every user of the machine can read", "SECRET_KEYS= SECRET_KEYS_FILE=OPEN", "ACCOUNTS_SECRET_KEYS_FILE must name a file that others can neither read nor write. Run chmod o-rw on it"},
	{"a secret twice", "SECRET_KEYS=hunter2 SECRET_KEYS_FILE=OPEN", "ACCOUNTS_SECRET_KEYS and ACCOUNTS_SECRET_KEYS_FILE must not both be set"},
	{"every origin", "CORS_ORIGINS=*", "ACCOUNTS_CORS_ORIGINS entry 1 must be one origin. * and null are rejected because they match every site"},
	{"no origin", "CORS_ORIGINS=https://a.example,null", "ACCOUNTS_CORS_ORIGINS entry 2 must be one origin. * and null are rejected because they match every site"},
	{"an origin without TLS", "CORS_ORIGINS=http://a.example", "ACCOUNTS_CORS_ORIGINS entry 1 must be https unless its host is on loopback"},
	{"no TLS", "PUBLIC_URL=http://accounts.example.com", "ACCOUNTS_PUBLIC_URL must be https unless its host is on loopback"},
	{"no public URL", "PUBLIC_URL=", "ACCOUNTS_PUBLIC_URL is required if ADDR is not on loopback. Set it to the public origin of the server, such as https://accounts.example.com"},
	{"a setting that does not exist", "SECRETKEYS=hunter2", "ACCOUNTS_SECRETKEYS is not a setting. Did you mean ACCOUNTS_SECRET_KEYS?"},
	{"a database in the clear, unsaid", "DATABASE_URL=mysql://u:hunter2@db.example.com/accounts", "ACCOUNTS_DATABASE_URL must have ?tls= if the host is not on loopback: true, skip-verify, preferred or false"},
	{"a database of another kind", "DATABASE_URL=postgres://u:hunter2@db.example.com/accounts", "ACCOUNTS_DATABASE_URL must begin with sqlite: or mysql://"},
	{"long access tokens", "ACCESS_TTL=15m1s", "ACCOUNTS_ACCESS_TTL must be at most 15m"},
	{"access tokens shorter than two rotations", "ACCESS_TTL=69s", "ACCOUNTS_ACCESS_TTL must be at least 1m10s, twice the sum of ROTATION_INTERVAL and its margin"},
	{"a duration without a unit", "REFRESH_IDLE_TTL=7", "ACCOUNTS_REFRESH_IDLE_TTL must be a duration such as 90s, 5m, 12h, 7d or 1d12h"},
	{"a negative duration", "SESSION_MAX_AGE=-1d", "ACCOUNTS_SESSION_MAX_AGE must be a duration such as 90s, 5m, 12h, 7d or 1d12h"},
	{"a session without end", "SESSION_MAX_AGE=401d", "ACCOUNTS_SESSION_MAX_AGE must be from 1s to 400d in whole seconds"},
	{"a theft noticed too late", "ROTATION_INTERVAL=61s", "ACCOUNTS_ROTATION_INTERVAL must be 0 or from 1s to 60s in whole seconds"},
	{"a link that lives too long", "RESET_TTL=8d", "ACCOUNTS_RESET_TTL must be from 1s to 7d in whole seconds"},
	{"short passwords", "PASSWORD_MIN_LENGTH=7", "ACCOUNTS_PASSWORD_MIN_LENGTH must be from 8 to 128"},
	{"a limit without a time", "LOGIN_FAILURES_PER_ACCOUNT=10", "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT must be 0 or N/duration such as 5/1h, with N at most 1000000 and a duration from 1s to 24h in whole seconds"},
	{"a negative limit", "REGISTRATIONS_PER_CLIENT=-1/1h", "ACCOUNTS_REGISTRATIONS_PER_CLIENT must be 0 or N/duration such as 5/1h, with N at most 1000000 and a duration from 1s to 24h in whole seconds"},
	{"every proxy", "TRUSTED_PROXIES=0.0.0.0/0", "ACCOUNTS_TRUSTED_PROXIES entry 1 must not match every address, because any caller could then choose its own client address"},
	{"a proxy by name", "TRUSTED_PROXIES=proxy.example.com", "ACCOUNTS_TRUSTED_PROXIES entry 1 must be an IP address or a CIDR such as 10.0.0.0/8"},
	{"mails that are not delivered", "MAIL=", "ACCOUNTS_SMTP_URL is required unless PUBLIC_URL is on loopback. Set it to a URL such as smtp://user:password@mail.example.com, or set ACCOUNTS_MAIL=files to write mails to DATA_DIR without sending them"},
	{"a password in the clear", "MAIL=smtp SMTP_URL=smtp://u:hunter2@mail.example.com?tls=off MAIL_FROM=a@b.example", "ACCOUNTS_SMTP_URL must not have both ?tls=off and a password unless its host is on loopback, because the password could be read on the network"},
	{"mails in the clear", "MAIL=smtp SMTP_URL=smtp://u:hunter2@mail.example.com?starttls=off MAIL_FROM=a@b.example", "ACCOUNTS_SMTP_URL must not have ?starttls=off unless its host is on loopback. For a mail server without TLS on a private network, use ?tls=off"},
	{"half a mail login", "MAIL=smtp SMTP_URL=smtp://hunter2@mail.example.com MAIL_FROM=a@b.example", "ACCOUNTS_SMTP_URL must contain both a user and a password, or neither"},
	{"links that lead to plain http", "RESET_URL=http://app.example.com/reset", "ACCOUNTS_RESET_URL must be https unless its host is on loopback"},
	{"metrics on the public port", "METRICS_ADDR=localhost:TAKEN", "ACCOUNTS_METRICS_ADDR must not use the same host and port as ADDR"},
	{"three faults", "CORS_ORIGINS=* ACCESS_TTL=1h SECRET=hunter2", "ACCOUNTS_SECRET is not a setting. Run `accountsd settings` to list all settings\nACCOUNTS_CORS_ORIGINS entry 1 must be one origin. * and null are rejected because they match every site\nACCOUNTS_ACCESS_TTL must be at most 15m"},
}

// The binary prints only the expected lines for each of these settings, without any secret, before
// it opens a port or writes a file. The port is in use, so a server that tried to listen would
// print another error.
func TestUnsafeSettingsAreRejectedAtStartup(t *testing.T) {
	t.Attr("control", "94")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.WriteFile(open, []byte("hunter2"), 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	changed := servertest.SecretKey[:len(servertest.SecretKey)-1] + "x"
	start := func(settings string) (code int, out, stderr, dir string) {
		dir = filepath.Join(t.TempDir(), "data")
		values := map[string]string{
			"ADDR": ":" + port, "PUBLIC_URL": "https://accounts.example.com", "DATA_DIR": dir, "SECRET_KEYS": servertest.SecretKey, "MAIL": "files", "LOG_LEVEL": "error", "CORS_ORIGINS": "https://app.example.com",
			"DATABASE_URL": "sqlite:" + filepath.Join(dir, "accounts.db"),
		}
		for _, setting := range strings.Fields(strings.NewReplacer("OPEN", open, "TAKEN", port, "CHANGED", changed).Replace(settings)) {
			name, value, _ := strings.Cut(setting, "=")
			values[name] = value
		}
		ctx, cancel := context.WithTimeout(t.Context(), commandTime) // ends a server that has started
		defer cancel()
		command := exec.CommandContext(ctx, path, "serve")
		for name, value := range values {
			command.Env = append(command.Env, "ACCOUNTS_"+name+"="+value)
		}
		var stdout, errors bytes.Buffer
		command.Stdout, command.Stderr = &stdout, &errors
		_ = command.Run()
		return command.ProcessState.ExitCode(), stdout.String(), errors.String(), dir
	}
	if code, _, stderr, _ := start(""); code != 1 || !strings.Contains(stderr, "address already in use") {
		t.Fatalf("the sound settings: exit status %d\n%s", code, stderr)
	}
	for _, c := range unsafeSettings {
		t.Run(c.name, func(t *testing.T) {
			code, out, stderr, dir := start(c.settings)
			want := ""
			for line := range strings.SplitSeq(c.lines, "\n") {
				want += "accountsd: " + line + "\n"
			}
			if code != 1 || out != "" || stderr != want {
				t.Errorf("exit status %d\n%s%swant\n%s", code, out, stderr, want)
			}
			for _, secret := range []string{"hunter2", servertest.SecretKey, changed} {
				if strings.Contains(stderr, secret) {
					t.Errorf("%q is printed", secret)
				}
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("a folder for data: %v", err)
			}
		})
	}
}
