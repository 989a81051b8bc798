package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// Users are created through a running server during the backup. The restored database is
// consistent, has every user whose creation was confirmed before the backup, and a server runs on it.
func TestBackupDuringWritesRestoresEveryEarlierUser(t *testing.T) {
	s := newShell(t)
	s.create("root", "--superuser")
	running := s.serve()
	root := servertest.User{Password: goodPassword}
	root.Username = "root"
	staff := running.Login(root, "body")
	create := func(i int) int {
		return staff.Do("POST", "/admin/users", map[string]any{"username": fmt.Sprintf("user%d", i), "email": fmt.Sprintf("user%d@example.com", i)}).Status
	}
	const before, during = 10, 40
	for i := range before {
		if status := create(i); status != 201 {
			t.Fatalf("status %d", status)
		}
	}
	db := servertest.NewDatabase(t, servertest.SQLite)
	file := strings.TrimPrefix(db.URL, "sqlite:")
	writing, done := make(chan bool, during), make(chan bool)
	go func() {
		defer close(done)
		for i := range during {
			if status := create(before + i); status != 201 {
				t.Errorf("status %d during the backup", status)
			}
			writing <- true
		}
	}()
	<-writing
	out := s.mustRun("", "backup", file)
	<-done
	running.stop()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if want := fmt.Sprintf("copied sqlite:%s to %s (%d bytes)\n", filepath.Join(s.dir, "accounts.db"), file, info.Size()); out != want {
		t.Errorf("%q, want %q", out, want)
	}

	restored := newShell(t, "ACCOUNTS_DATABASE_URL="+db.URL)
	list := restored.mustRun("", "user", "list")
	for i := range before + 1 {
		if !strings.Contains(list, fmt.Sprintf(" user%d ", i)) {
			t.Errorf("user%d is missing", i)
		}
	}
	if n := db.Count(t, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"); n != 1 {
		t.Error("the restored database is damaged")
	}
	if n := db.Count(t, "SELECT COUNT(*) FROM pragma_foreign_key_check"); n != 0 {
		t.Errorf("%d rows refer to missing rows", n)
	}
	if !restored.canLogin("root", goodPassword) {
		t.Error("a user of the backup cannot log in")
	}
}

func TestBackupReplacesNoFileAndLeavesNoDraft(t *testing.T) {
	s := newShell(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup.db")
	r := s.run("", "backup", file)
	if r.code != 1 || !strings.HasPrefix(r.err, "accountsd: there is no database to copy: ") {
		t.Errorf("exit status %d\n%s", r.code, r.err)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the command has created a database")
	}
	s.create("ada")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.wantRefused(s.run("", "backup", file), file+" exists already, and a backup never replaces a file: choose another name")
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file was changed: %q %v", text, err)
	}
	if r := s.run("", "backup", filepath.Join(dir, "none", "backup.db")); r.code != 1 || !strings.Contains(r.err, "cannot back up the database: ") {
		t.Errorf("exit status %d\n%s", r.code, r.err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v %v", names, err)
	}
}

// The message needs no connection, and contains no password.
func TestBackupOfMySQLNamesItsTool(t *testing.T) {
	s := newShell(t, "ACCOUNTS_DATABASE_URL=mysql://app:hunter2@"+freeAddr(t)+"/accounts", "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey)
	_, port, _ := strings.Cut(s.setting("ACCOUNTS_DATABASE_URL"), "localhost:")
	port, _, _ = strings.Cut(port, "/")
	s.wantRefused(s.run("", "backup", filepath.Join(t.TempDir(), "x")), "this command copies SQLite databases only. Run (umask 077; mariadb-dump --host=localhost --port="+port+
		" --user=app --password --single-transaction --quick accounts >FILE), or mysqldump with the same options")
}
