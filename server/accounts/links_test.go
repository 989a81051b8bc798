package accounts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// openLink is a link in a mailbox, and the request that uses it.
type openLink struct {
	path string
	body map[string]any
}

// openLinks makes the server send a mail with a link for each purpose.
func openLinks(t *testing.T, s *servertest.Server) map[string]openLink {
	t.Helper()
	root, ada, bob := s.NewUser(), s.NewUser(), s.NewUser()
	s.Database.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, root.ID)
	register(t, s, "new@example.com")
	requestReset(t, s, ada.Email)
	s.Login(root, token.Body).Do(http.MethodPost, "/admin/users", map[string]any{"email": "boss@example.com", "is_superuser": true}).
		Want(t, http.StatusCreated, "")
	s.Login(bob, token.Body).Do(http.MethodPost, "/accounts/email/change", map[string]any{"email": "moved@example.com"}).
		Want(t, http.StatusAccepted, "")
	value := func(email string) string { return servertest.Token(t, s.Mails.Wait(t, email, 1)) }
	return map[string]openLink{
		"verify":     {"/accounts/email/verify", map[string]any{"token": value("new@example.com"), "password": secret}},
		"reset":      {"/accounts/password/reset/confirm", map[string]any{"token": value(ada.Email), "new_password": "another horse battery"}},
		"invitation": {"/accounts/password/reset/confirm", map[string]any{"token": value("boss@example.com"), "new_password": "another horse battery"}},
		"new e-mail": {"/accounts/email/change/confirm", map[string]any{"token": value("moved@example.com"), "password": bob.Password}},
	}
}

// After a leak the operator configures a new secret alone. The attacker has the old secret and the
// ids of rows, from a backup, and so the value of each link that is still open.
func TestLinksExpireWithTheirSecret(t *testing.T) {
	t.Attr("control", "185")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		leaked, next := tokentest.Secret("leaked"), tokentest.Secret("next")
		keys := func(list string) servertest.Options {
			return servertest.Options{Engine: e, Settings: []string{"ACCOUNTS_SECRET_KEYS=" + list}}
		}
		s := &site{t: t, db: servertest.NewDatabase(t, e)}
		links := openLinks(t, s.add(keys(leaked)))
		alone, rotated := s.add(keys(next)), s.add(keys(next+","+leaked))
		settled(t, s.db)
		for name, link := range links {
			s.unchanged(func() {
				if r := alone.Anonymous().Do(http.MethodPost, link.path, link.body); r.Status != http.StatusUnprocessableEntity || r.Code() != "link_invalid" {
					t.Errorf("%s: got %d %s after the secret was removed", name, r.Status, r.Code())
				}
			})
		}
		for name, link := range links {
			if r := rotated.Anonymous().Do(http.MethodPost, link.path, link.body); r.Status >= http.StatusMultipleChoices {
				t.Errorf("%s: got %d %s while the old secret is still configured", name, r.Status, r.Code())
			}
		}
	})
}

// An id of a row and a leaked secret are enough to compute a link. So no message, no file name and
// no log line contains the id of a row, neither for mails that are sent nor for mails that fail.
func TestMailsAndLogsContainNoRowID(t *testing.T) {
	t.Attr("control", "185")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		dir, log := t.TempDir(), &servertest.Log{}
		files, err := mail.NewFiles(dir, "Accounts <no-reply@example.com>", server.NewLog(log, slog.LevelDebug))
		must(t, err)
		mails := &servertest.Mails{}
		var mu sync.Mutex
		failed := map[string]bool{}
		s := servertest.Start(t, servertest.Options{Engine: e, Mail: senderFunc(func(ctx context.Context, m mail.Message) error {
			mu.Lock()
			first := !failed[m.ID]
			failed[m.ID] = true
			mu.Unlock()
			if first && m.To == "new@example.com" {
				return errors.New("not now")
			}
			return errors.Join(files.Send(ctx, m), mails.Send(ctx, m))
		})})
		s.Mails = mails
		go func() {
			for t.Context().Err() == nil { // the first attempt fails; MySQL's clock cannot be moved
				_, _ = s.Database.SQL.ExecContext(t.Context(), "UPDATE outbox SET next_at = created_at WHERE done_at IS NULL AND lease IS NULL AND attempts > 0")
				_ = s.Service.RequestPasswordReset(t.Context(), "unknown@example.com", accounts.Client{})
			}
		}()
		openLinks(t, s)
		text := log.String() + s.Log.String()
		if !strings.Contains(text, "could not be sent and will be retried") || !strings.Contains(text, "mail written to a file") {
			t.Fatalf("the log lacks a line about a failed or a sent mail:\n%s", text)
		}
		paths, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			must(t, err)
			text += path + "\n" + string(data)
		}
		for _, id := range idsOfMails(t, s.Database) {
			for _, form := range []string{id.String(), strings.ReplaceAll(id.String(), "-", ""), base64.RawURLEncoding.EncodeToString(id[:]), base64.StdEncoding.EncodeToString(id[:])} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
					t.Errorf("%s occurs outside the database", form)
				}
			}
		}
	})
}

// idsOfMails returns the ids of queued mails and of the tokens behind their links.
func idsOfMails(t *testing.T, db *servertest.Database) (ids []uuid.UUID) {
	t.Helper()
	rows, err := db.SQL.QueryContext(t.Context(), "SELECT id FROM outbox UNION SELECT id FROM one_time_tokens")
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id []byte
		must(t, rows.Scan(&id))
		ids = append(ids, uuid.UUID(id))
	}
	must(t, rows.Err())
	if len(ids) < 4 {
		t.Fatalf("got %d IDs, want at least 4", len(ids))
	}
	return ids
}

// An invited user has 72 hours to set a password. If a stranger requests a reset for the address, a
// new link replaces the old one. The new link must not expire earlier.
func TestResetByStrangerDoesNotShortenInvitation(t *testing.T) {
	t.Attr("control", "198")
	const invited, life = "boss@example.com", 72 * time.Hour
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		root, ada := s.NewUser(), s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, root.ID)
		s.Login(root, token.Body).Do(http.MethodPost, "/admin/users", map[string]any{"email": invited}).Want(t, http.StatusCreated, "")
		invitation := s.Mails.Wait(t, invited, 1)
		end := invitation.Date.Add(life)
		for n := range 2 { // again and again
			s.Clock.Advance(time.Second)
			requestReset(t, s, invited)
			m := s.Mails.Wait(t, invited, n+2)
			if got := m.Date.Add(m.ValidFor); m.Kind != mail.Reset || !got.Equal(end) {
				t.Errorf("a %s mail says that its link expires at %v, want the end of the invitation %v", m.Kind, got, end)
			}
		}
		requestReset(t, s, ada.Email)
		if m := s.Mails.Wait(t, ada.Email, 1); m.ValidFor != time.Hour {
			t.Errorf("the link of a user with a password is valid for %v, want an hour", m.ValidFor)
		}
		s.Clock.Advance(life - time.Minute)
		confirm := func(m mail.Message) *servertest.Response {
			return s.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm",
				map[string]any{"token": servertest.Token(t, m), "new_password": "another horse battery"})
		}
		confirm(invitation).Want(t, http.StatusUnprocessableEntity, "link_invalid") // only the newest link works
		confirm(s.Mails.To(invited)[2]).Want(t, http.StatusNoContent, "")
	})
}
