package accounts_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// A deleted account leaves nothing in the files of SQLite: free pages are overwritten, and a clean
// shutdown removes the WAL.
func TestDeletedAccountLeavesNothingInDatabaseFiles(t *testing.T) {
	t.Attr("control", "200")
	s := servertest.Start(t, servertest.Options{})
	const address, name = "zerubabel@erasure.example", "Quetzalcoatlus"
	register(t, s, address)
	link := servertest.Token(t, s.Mails.Wait(t, address, 1))
	c := s.Anonymous()
	c.Do(http.MethodPost, "/accounts/email/verify", map[string]any{"token": link, "password": secret, "token_transport": token.Body}).Want(t, http.StatusOK, "")
	c.Do(http.MethodPatch, "/accounts/profile", map[string]any{"first_name": name}).Want(t, http.StatusOK, "")
	u, err := s.Store.UserByEmail(t.Context(), address)
	must(t, err)
	c.Do(http.MethodPost, "/accounts/password/change", map[string]any{"current_password": secret, "new_password": "another " + secret}).Want(t, http.StatusOK, "")
	changed, err := s.Store.UserByEmail(t.Context(), address)
	must(t, err)
	for range 30 { // other users, so that the deletion leaves holes between their rows
		s.NewUser()
	}
	c.Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
	s.Mails.Wait(t, address, 3) // the link, the notice of the change, and the mail about the deletion
	s.StopMails()
	must(t, s.Database.SQL.Close())
	must(t, s.Store.Close())

	path := strings.TrimPrefix(s.Database.URL, "sqlite:")
	files, err := filepath.Glob(path + "*")
	must(t, err)
	if len(files) != 1 {
		t.Errorf("the files after a clean shutdown are %v, want the database only", files)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		for _, value := range []string{address, name, u.Username, u.Password.Reveal(), changed.Password.Reveal()} {
			if n := bytes.Count(content, []byte(value)); n > 0 {
				t.Errorf("%s contains %.20q %d times, want 0", filepath.Base(file), value, n)
			}
		}
	}
}

// The mail about the deletion of an account is the last row with its address, and keeps the address
// only until it is sent.
func TestMailAboutDeletionKeepsAddressUntilSent(t *testing.T) {
	t.Attr("control", "200")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		u := s.NewUser()
		s.Login(u, token.Body).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		s.Mails.Wait(t, u.Email, 1)
		s.StopMails()
		if dump := s.Database.Dump(t); strings.Contains(dump, u.Username) || !strings.Contains(dump, "outbox.kind=account_deleted") {
			t.Errorf("the database still contains the address of the deleted user:\n%s", dump)
		}
	})
}

// The server rejects a database if every user of the machine can read one of its files. It creates
// new files as private.
func TestDatabaseFilesReadableByOthersAreRejected(t *testing.T) {
	t.Attr("control", "200")
	path := filepath.Join(t.TempDir(), "accounts.db")
	open := func() error {
		store, err := models.Open(t.Context(), models.Options{SQLite: path, MaxConns: 2})
		if err == nil {
			must(t, store.Close())
		}
		return err
	}
	must(t, open())
	for _, mode := range []os.FileMode{0o644, 0o604, 0o602, 0o660, 0o600} {
		for _, name := range []string{path, path + "-wal", path + "-shm"} {
			if name != path {
				must(t, os.WriteFile(name, nil, 0o600))
			}
			must(t, os.Chmod(name, mode))
			err := open()
			if refused := err != nil && strings.Contains(err.Error(), filepath.Base(name)+" can be read by others: chmod 600 it"); refused != (mode&0o007 != 0) {
				t.Errorf("%s with mode %o: got %v", filepath.Base(name), mode, err)
			}
			must(t, os.Chmod(path, 0o600))
			if name != path {
				_ = os.Remove(name)
			}
		}
	}
}
