// Command django proves with a real Django that users can move from a Django service without
// noticing. Debian's Django, REST framework and simplejwt create users with every hasher and tokens
// of both kinds, on the throwaway MariaDB of scripts/with-mysql.sh. The command imports the users
// once from the live database, which has django-allauth's table, and once from a dump. Then each
// user logs in with the old password and continues with the old refresh tokens.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"example.com/accounts/scripts/harness"
)

// python is Debian's interpreter, regardless of PATH: only it sees Debian's Django packages.
const python = "/usr/bin/python3"

const packages = "python3-django python3-djangorestframework python3-djangorestframework-simplejwt python3-argon2 python3-bcrypt python3-mysqldb python3-jwt"

// service is the data of the old service, as old/management/commands/seed.py prints it.
type service struct {
	Secrets []string `json:"secrets"`
	Users   []user   `json:"users"`
}

// user is a user of the old service. ForCookies and ForBodies map the kind of a token to a token.
// They are two sets because each token can be exchanged only once: one set is presented in a
// cookie, the other in a body.
type user struct {
	ID         int64             `json:"id"`
	Username   string            `json:"username"`
	Email      string            `json:"email"`
	Hasher     string            `json:"hasher"`
	Password   string            `json:"password"` // empty: no usable password
	Stored     string            `json:"stored"`
	Role       bool              `json:"role"`   // staff or superuser
	Proved     bool              `json:"proved"` // the address is verified in django-allauth
	ForCookies map[string]string `json:"for cookies"`
	ForBodies  map[string]string `json:"for bodies"`
	Revoked    []string          `json:"revoked"` // revoked by the old service
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if os.Getenv("TEST_MYSQL_URL") == "" {
		return errors.New("django: no database is configured: run scripts/with-mysql.sh -- scripts/run.sh django")
	}
	if err := command(ctx, nil, python, "-c", "import django, rest_framework, rest_framework_simplejwt, argon2, bcrypt, MySQLdb, jwt").Run(); err != nil {
		return fmt.Errorf("django: Debian's Django is not installed. Run:\n  apt-get install -y --no-install-recommends %s", packages)
	}
	dir, err := os.MkdirTemp("", "accounts-django-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err := harness.Build(ctx, dir)
	if err != nil {
		return err
	}
	db, err := openDatabases(ctx, "old", "from_database", "from_dump")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	old, dump, err := oldService(ctx, dir)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name, source string
		stated       bool // the operator vouches for all addresses
	}{{"from_database", databaseURL("old"), false}, {"from_dump", dump, true}} {
		p := &proof{binary: binary, dir: filepath.Join(dir, way.name), database: way.name, db: db, old: old, emailsVerified: way.stated}
		if err := p.run(ctx, way.source); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		fmt.Printf("%s: %d users, %d checks\n", way.name, len(old.Users), p.checks)
	}
	return nil
}

// oldService creates the users and tokens, and a dump as `manage.py dumpdata` writes it.
func oldService(ctx context.Context, dir string) (service, string, error) {
	manage := func(args ...string) ([]byte, error) {
		env := []string{"OLD_DATABASE=old", "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SETTINGS_MODULE=old.settings"}
		return output(command(ctx, env, python, append([]string{"scripts/django/manage.py"}, args...)...))
	}
	if _, err := manage("migrate", "--run-syncdb", "--verbosity=0"); err != nil {
		return service{}, "", err
	}
	text, err := manage("seed")
	if err != nil {
		return service{}, "", err
	}
	var s service
	if err := json.Unmarshal(text, &s); err != nil {
		return service{}, "", fmt.Errorf("django: cannot read the output of seed: %w", err)
	}
	dump := filepath.Join(dir, "dump.json")
	_, err = manage("dumpdata", "auth.user", "token_blacklist", "--output="+dump)
	return s, dump, errors.Join(err, os.Chmod(dump, 0o600))
}

// command returns a command with env and the environment of this process, without server settings.
func command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ACCOUNTS_") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(c.Env, env...)
	return c
}

// output returns the output of a command. Errors: the error of a failed command includes its
// output.
func output(c *exec.Cmd) ([]byte, error) {
	text, err := c.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			text = append(text, exit.Stderr...)
		}
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, text)
	}
	return text, nil
}
