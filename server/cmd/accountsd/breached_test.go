package main

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const breachedPassword = "seven purple walruses"

// breachedList writes a downloaded list that contains the password with the given count.
func (s *shell) breachedList(password string, count int) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "pwned.txt")
	content := fmt.Sprintf("%X:1\r\n%X:%d\r\n", sha1.Sum([]byte("x")), sha1.Sum([]byte(password)), count)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func TestOperatorCannotSetBreachedPassword(t *testing.T) {
	t.Attr("control", "201")
	s := newShell(t)
	list, file := s.breachedList(breachedPassword, 10), filepath.Join(t.TempDir(), "breached.bin")
	if out := s.mustRun("", "breached-passwords", "build", "--from", list, "--to", file, "--min-count", "10"); out != "wrote 1 breached passwords to "+file+"\n" {
		t.Error(out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Error(info.Mode(), err)
	}
	const refusal = "the password appears in a data breach: choose another one"
	s.env = append(s.env, "ACCOUNTS_BREACHED_PASSWORDS="+file)
	create := []string{"user", "create", "--username", "ada", "--email", "ada@example.com", "--password-stdin"}
	s.wantRefused(s.run(breachedPassword+"\n", create...), refusal)
	s.wantRefused(s.run("passwordpassword\n", create...), "the password is easy to guess (a common password, a pattern, or derived from the user's own data or the name of the service): choose another one")
	s.mustRun("correct horse battery staple\n", create...)
	s.wantRefused(s.run(breachedPassword, "user", "set-password", "ada", "--password-stdin"), refusal)

	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{create, {"serve"}} { // both fail before the server listens
		s.wantRefused(s.run("correct horse battery staple\n", args...),
			"ACCOUNTS_BREACHED_PASSWORDS: "+file+` was not written by "accountsd breached-passwords build": build the file with it`)
	}
	s.env = append([]string{"ACCOUNTS_BREACHED_PASSWORDS=" + list + ".gone"}, s.env...)
	if r := s.run("", "serve"); r.code != 1 || !strings.Contains(r.err, "accountsd: ACCOUNTS_BREACHED_PASSWORDS: ") || !strings.Contains(r.err, "no such file") {
		t.Error(r)
	}
}

func TestBreachedPasswordsBuildReportsFaults(t *testing.T) {
	s := newShell(t)
	dir := t.TempDir()
	list := s.breachedList(breachedPassword, 10)
	s.wantUsage(s.run("", "breached-passwords", "build", "--from", list), `required flag(s) "to" not set: run "accountsd breached-passwords build --help"`)
	s.wantRefused(s.run("", "breached-passwords", "build", "--from", list, "--to", filepath.Join(dir, "a"), "--min-count", "0"), "--min-count must be at least 1")
	s.wantRefused(s.run("", "breached-passwords", "build", "--from", list, "--to", filepath.Join(dir, "a"), "--min-count", "11"), "the list has no password that occurs that often: check the list and --min-count")
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.wantRefused(s.run("", "breached-passwords", "build", "--from", empty, "--to", filepath.Join(dir, "a")), "the list has no password that occurs that often: check the list and --min-count")
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("a file was written")
	}
}
