package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// A script that contains a mistyped command or a command of another version must not go on as if
// the command had succeeded.
func TestErrorsInCommandLineExitWithStatus2(t *testing.T) {
	s := newShell(t)
	for command, want := range map[string]string{
		"usr":                                  `unknown command "usr" for "accountsd": run "accountsd --help"`,
		"user promote grace":                   `unknown command "promote" for "accountsd user": run "accountsd user --help"`,
		"migrate down":                         `unknown command "down" for "accountsd migrate": run "accountsd migrate --help"`,
		"secret old":                           `unknown command "old" for "accountsd secret": run "accountsd secret --help"`,
		"breached-passwords get":               `unknown command "get" for "accountsd breached-passwords": run "accountsd breached-passwords --help"`,
		"serve now":                            `unknown command "now" for "accountsd serve": run "accountsd serve --help"`,
		"user list --fast":                     `unknown flag: --fast: run "accountsd user list --help"`,
		"user show":                            `accepts 1 arg(s), received 0: run "accountsd user show --help"`,
		"user set-roles ada":                   `at least one of the flags in the group [staff superuser] is required: run "accountsd user set-roles --help"`,
		"user list --role admin":               `--role "admin" is not a role: use none, staff or superuser`,
		"user list --sort name":                `--sort "name" is not an order: use id, username, email, last_login or date_joined`,
		"user delete ada":                      `a deleted user cannot be restored: repeat the command with --yes`,
		"user create --username a --email":     `flag needs an argument: --email: run "accountsd user create --help"`,
		"user create --email a@b.example":      `required flag(s) "username" not set: run "accountsd user create --help"`,
		"migrate up --dry-run":                 `unknown flag: --dry-run: run "accountsd migrate up --help"`,
		"user set-roles ada --superuser=maybe": `invalid argument "maybe" for "--superuser" flag: strconv.ParseBool: parsing "maybe": invalid syntax: run "accountsd user set-roles --help"`,
	} {
		s.wantUsage(s.run("", strings.Fields(command)...), want)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("a command with an error in its command line has made the data folder")
	}
	for _, command := range []string{"", "user", "migrate", "secret", "breached-passwords", "user list --help"} {
		if help := s.mustRun("", strings.Fields(command)...); !strings.Contains(help, "Usage:") {
			t.Errorf("%q prints no help:\n%s", command, help)
		}
	}
}

// A command in the wrong folder must not answer for a new, empty database. Only the commands that
// fill a new database create one.
func TestCommandsDoNotCreateDatabaseInWrongFolder(t *testing.T) {
	commands := []string{
		"user list", "user show ada", "user export ada", "user set-password ada --password-stdin", "user set-roles ada --staff", "user set-email ada ada@example.com",
		"user verify ada", "user activate ada", "user deactivate ada", "user end-sessions ada", "user unthrottle ada", "user delete ada --yes", "migrate status",
		"import-django --from users.json --dry-run",
	}
	const create = `; "accountsd migrate up" creates a new database`
	s := newShell(t)
	named := newShell(t)
	path := filepath.Join(named.dir, "other.db")
	named.env = append(named.env, "ACCOUNTS_DATABASE_URL=sqlite:"+path, "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)
	for _, command := range commands {
		s.wantRefused(s.run(goodPassword, strings.Fields(command)...),
			"there is no database file "+filepath.Join(s.dir, "accounts.db")+": set ACCOUNTS_DATA_DIR as for the server, or run the command in the server's folder"+create)
		named.wantRefused(named.run(goodPassword, strings.Fields(command)...), "there is no database file "+path+": set ACCOUNTS_DATABASE_URL as for the server"+create)
	}
	for _, dir := range []string{s.dir, named.dir} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("a command has made the folder %s", dir)
		}
	}
}

// Each command that opens the database says which one, so that an operator sees a wrong setting.
func TestCommandsReportDatabaseWithoutPassword(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e)
		for _, command := range []string{
			"migrate up", "migrate status", "user create --username ada --email ada@example.com --password-stdin", "user list", "user show ada", "user verify ada", "user export ada",
		} {
			r := s.run(goodPassword, strings.Fields(command)...)
			if path, ok := strings.CutPrefix(s.db.URL, "sqlite:"); ok && r.database != "sqlite:"+path {
				t.Errorf("%s: database %q, want %q", command, r.database, path)
			}
			if e == servertest.MySQL && !strings.HasPrefix(r.database, "mysql://") || r.code != 0 || r.err != "" {
				t.Errorf("%s: exit status %d, database %q\n%s", command, r.code, r.database, r.err)
			}
		}
	})
	t.Chdir(t.TempDir())
	s := newShell(t, "ACCOUNTS_DATABASE_URL=sqlite:here.db")
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if r := s.run("", "migrate", "up"); r.code != 0 || r.database != "sqlite:"+filepath.Join(wd, "here.db") {
		t.Errorf("exit status %d, database %q\n%s", r.code, r.database, r.err)
	}
}
