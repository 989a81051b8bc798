package accounts_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

const secret = "correct horse battery"

// senderFunc is a sender whose result the test chooses.
type senderFunc func(ctx context.Context, m mail.Message) error

func (f senderFunc) Send(ctx context.Context, m mail.Message) error { return f(ctx, m) }

func register(t testing.TB, s *servertest.Server, email string) {
	t.Helper()
	s.Anonymous().Do(http.MethodPost, "/accounts/register", map[string]any{"email": email, "password": secret}).Want(t, http.StatusAccepted, "")
}

func requestReset(t testing.TB, s *servertest.Server, email string) {
	t.Helper()
	s.Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": email}).Want(t, http.StatusAccepted, "")
}

// settled waits until every mail has an outcome, and returns the number of mails by outcome.
func settled(t testing.TB, db *servertest.Database) map[string]int {
	t.Helper()
	eventually(t, "every mail has an outcome", func() bool { return db.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 0 })
	outcomes := map[string]int{}
	rows, err := db.SQL.QueryContext(t.Context(), "SELECT outcome FROM outbox WHERE email_norm <> 'nobody@example.com'")
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var outcome string
		must(t, rows.Scan(&outcome))
		outcomes[outcome]++
	}
	must(t, rows.Err())
	return outcomes
}

// eventually waits until a condition holds, usually the effect of a worker.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}
