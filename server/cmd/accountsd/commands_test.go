package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// Five first starts at once use one secret, which only its owner can read, and leave no other
// files.
func TestConcurrentFirstStartsUseOneSecret(t *testing.T) {
	t.Attr("control", "95")
	s := newShell(t)
	var wait sync.WaitGroup
	for i := range 5 {
		name := fmt.Sprint("user", i)
		wait.Go(func() {
			r := s.runWith(strings.NewReader(goodPassword), "user", "create", "--username", name, "--email", name+"@example.com", "--password-stdin")
			if r.code != 0 || r.err != "" {
				t.Errorf("exit status %d\n%s", r.code, r.err)
			}
		})
	}
	wait.Wait()
	path := filepath.Join(s.dir, "secret")
	first := s.secretFile()
	s.mustRun("", "user", "list")
	if again := s.secretFile(); again != first {
		t.Error("the second start has another secret")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if folder, err := os.Stat(s.dir); err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", folder.Mode(), err)
	}
	drafts, _ := filepath.Glob(filepath.Join(s.dir, ".secret*"))
	if len(drafts) > 0 {
		t.Errorf("left behind: %v", drafts)
	}
}

// A password is read on a terminal, or from standard input with --password-stdin, and never from an
// argument.
func TestPasswordIsReadFromTerminalOrStandardInput(t *testing.T) {
	s := newShell(t)
	const want = "cannot prompt for the password because standard input is not a terminal: use --password-stdin"
	create := []string{"user", "create", "--username", "ada", "--email", "ada@example.com"}
	s.wantRefused(s.run(goodPassword+"\n", create...), want)
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = pipe.Close(), other.Close() }()
	s.wantRefused(s.runWith(pipe, create...), want)
	s.create("ada")
	s.wantRefused(s.run(goodPassword+"\n", "user", "set-password", "ada"), want)
	if r := s.run("", append(create, "--password", goodPassword)...); r.code != exitUsage || strings.Contains(r.err, goodPassword) {
		t.Errorf("exit status %d\n%s", r.code, r.err)
	}
	for _, line := range []string{goodPassword, goodPassword + "\r\n", goodPassword + "\nsecond line\n"} { // all the same password
		s.mustRun(line, "user", "set-password", "ada", "--password-stdin")
		if !s.canLogin("ada", goodPassword) {
			t.Errorf("%q is another password", line)
		}
	}
	s.mustRun(" "+goodPassword+" \n", "user", "set-password", "ada", "--password-stdin")
	if s.canLogin("ada", goodPassword) || !s.canLogin("ada", " "+goodPassword+" ") {
		t.Error("blanks around a password count")
	}
}

func TestUserListPrintsTableAndJSON(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.mustRun("", "migrate", "up")
		if got := s.mustRun("", "user", "list"); got != "ID  USERNAME  EMAIL  VERIFIED  ACTIVE  ROLE  LAST LOGIN\n" {
			t.Errorf("%q", got)
		}
		if got := s.mustRun("", "user", "list", "--json"); got != "" {
			t.Errorf("%q", got)
		}
		s.create("ada", "--superuser", "--first-name", "Ada")
		s.create("bob")
		s.mustRun("", "user", "deactivate", "bob")
		id := func(name string) int64 { return s.db.Count(t, "SELECT id FROM users WHERE username = ?", name) } // ids on a cluster have gaps
		want := "ID  USERNAME  EMAIL            VERIFIED  ACTIVE  ROLE       LAST LOGIN\n" +
			fmt.Sprintf("%d   ada       ada@example.com  true      true    superuser  never\n", id("ada")) +
			fmt.Sprintf("%d   bob       bob@example.com  true      false   none       never\n", id("bob"))
		if got := s.mustRun("", "user", "list"); got != want {
			t.Errorf("%s", got)
		}
		text := s.mustRun("", "user", "list", "--json")
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		var ada map[string]any
		if err := json.Unmarshal([]byte(lines[0]), &ada); err != nil || len(lines) != 2 {
			t.Fatalf("%v\n%s", err, text)
		}
		if ada["username"] != "ada" || ada["is_superuser"] != true || ada["is_staff"] != true || ada["first_name"] != "Ada" || ada["email_verified_at"] == nil || ada["last_login"] != nil {
			t.Errorf("%v", ada)
		}
		if strings.Contains(text, "argon2") || strings.Contains(text, "password") || strings.Contains(text, "epoch") {
			t.Errorf("the list tells too much:\n%s", text)
		}
	})
}

// A running server observes the changes of a command at once.
func TestUserCommandsRevokeSessionsOfRunningServer(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada")
		running := s.serve()
		defer running.stop()
		login := func(password string, status int) *servertest.Client {
			t.Helper()
			c := running.Anonymous()
			c.Do("POST", "/accounts/login", map[string]any{"username": "ada", "password": password, "token_transport": "body"}).Want(t, status, "")
			return c
		}
		dead := func(c *servertest.Client) {
			t.Helper()
			c.Profile().Want(t, 401, "session_revoked")
			c.RefreshTokens().Want(t, 401, "session_revoked")
		}
		const other = "another horse battery"
		c := login(goodPassword, 200)
		if out := s.mustRun(other+"\n", "user", "set-password", "ada", "--password-stdin"); out != "" {
			t.Errorf("%q", out)
		}
		dead(c)
		login(goodPassword, 401)
		c = login(other, 200)
		s.mustRun("", "user", "deactivate", "ADA")
		dead(c)
		login(other, 401)
		s.mustRun("", "user", "activate", "ada@example.com")
		dead(c)
		login(other, 200).Profile().Want(t, 200, "")
		for _, command := range [][]string{{"user", "deactivate", "nobody"}, {"user", "activate", ""}, {"user", "set-password", "nobody", "--password-stdin"}} {
			s.wantRefused(s.run(goodPassword+"\n", command...), "there is no user with this username")
		}
		s.wantRefused(s.run("short\n", "user", "set-password", "ada", "--password-stdin"), "the password is too short: use at least 12 characters")
		s.create("root", "--superuser")
		s.wantRefused(s.run("", "user", "deactivate", "root"), "this is the last active superuser: create another one first")
	})
}

func TestMigrateCommandsReportSchemaVersion(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=false")
		files, err := filepath.Glob("../../../models/migrations/sqlite/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		needed := strconv.Itoa(len(files))
		if _, err := s.db.SQL.Exec("CREATE TABLE other (id INT)"); err != nil { // the file of SQLite exists after that
			t.Fatal(err)
		}
		if path, ok := strings.CutPrefix(s.db.URL, "sqlite:"); ok {
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		old := func() {
			t.Helper()
			r := s.run("", "migrate", "status")
			if r.code != 1 || r.out != "schema version 0, needed "+needed+"\n" || r.err != "accountsd: the database schema is too old: run \"accountsd migrate up\"\n" {
				t.Errorf("exit status %d\n%s%s", r.code, r.out, r.err)
			}
		}
		old()
		refusal := `the database schema is at version 0, but this program needs version ` + needed + `: run "accountsd migrate up" first`
		s.wantRefused(s.run("", "serve"), refusal)
		s.wantRefused(s.run("", "user", "list"), refusal)
		old()
		for _, want := range []string{needed + " migrations applied\n", "0 migrations applied\n"} {
			if got := s.mustRun("", "migrate", "up"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if got := s.mustRun("", "migrate", "status"); got != "schema version "+needed+", needed "+needed+"\n" {
				t.Errorf("%q", got)
			}
		}
		running := s.serve()
		running.stop()
	})
}

func TestCommandsReportUnreachableDatabase(t *testing.T) {
	s := newShell(t, "ACCOUNTS_DATABASE_URL=mysql://app:hunter2@"+freeAddr(t)+"/app", "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)
	for _, command := range [][]string{{"serve"}, {"migrate", "up"}, {"migrate", "status"}, {"user", "list"}} {
		r := s.run("", command...)
		if r.code != 1 || strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "accountsd: cannot open the database mysql://app:") || strings.Contains(r.err, "hunter2") {
			t.Errorf("%v: exit status %d\n%s", command, r.code, r.err)
		}
	}
}

func TestVersionSecretAndSettingsCommands(t *testing.T) {
	s := newShell(t)
	if got := s.mustRun("", "version"); got != "accountsd "+version+"\n" {
		t.Errorf("%q", got)
	}
	a, b := s.mustRun("", "secret", "new"), s.mustRun("", "secret", "new")
	for _, text := range []string{a, b} {
		if _, err := token.ParseSecret(strings.TrimSuffix(text, "\n")); err != nil || a == b {
			t.Errorf("%q %v", text, err)
		}
	}
	table := s.mustRun("", "settings")
	for _, name := range []string{"ADDR", "PUBLIC_URL", "DATA_DIR", "DATABASE_URL", "SECRET_KEYS", "ACCESS_TTL", "REFRESH_IDLE_TTL", "SERVER_HELD_IDLE_TTL", "SESSION_MAX_AGE", "ROTATION_INTERVAL",
		"CORS_ORIGINS", "TRUSTED_PROXIES", "PROXY_HEADER", "METRICS_ADDR", "DOCS", "CONSOLE", "AUTO_MIGRATE", "DB_MAX_CONNS", "LOG_LEVEL", "SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT"} {
		if !strings.Contains(table, "ACCOUNTS_"+name+"`") {
			t.Errorf("no ACCOUNTS_%s in the table of settings", name)
		}
	}
	if help := s.mustRun(""); !strings.Contains(help, "serve") || !strings.Contains(help, "migrate") {
		t.Errorf("%s", help)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("commands that need no data have made the data folder")
	}
}
