package outbox_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// queue adds mails of a kind to the outbox, each to a different address, in one transaction.
func queue(t *testing.T, db *servertest.Database, kind string, priority models.MailPriority, n int, due time.Time) {
	t.Helper()
	tx, err := db.SQL.BeginTx(t.Context(), nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	for first := 0; first < n; first += 100 {
		var rows []string
		var args []any
		for i := first; i < min(n, first+100); i++ {
			id := uuid.Must(uuid.NewV7())
			email := fmt.Sprintf("unknown-%s-%d@example.com", kind, i)
			rows = append(rows, "(?, ?, ?, 0, ?, ?, 'en', '', '', ?, ?, 0, ?, '')")
			args = append(args, id[:], kind, priority, email, email, due, due.Add(time.Hour), due)
		}
		_, err := tx.ExecContext(t.Context(), `INSERT INTO outbox
			(id, kind, priority, user_id, email, email_norm, locale, name, new_email, created_at, expires_at, attempts, next_at, outcome)
			VALUES `+strings.Join(rows, ", "), args...)
		must(t, err)
	}
	must(t, tx.Commit())
}

// slow returns a sender that takes d for each mail.
func slow(mails *servertest.Mails, d time.Duration) senderFunc {
	return func(ctx context.Context, m mail.Message) error {
		time.Sleep(d)
		return mails.Send(ctx, m)
	}
}

// A flood of resets for addresses without an account is queued before a real one, and the mail
// server is slow.
func TestUnknownAddressesDoNotDelayMail(t *testing.T) {
	t.Attr("control", "187")
	const bound = 10 * time.Second
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		mails := &servertest.Mails{}
		s := servertest.Start(t, servertest.Options{Engine: e, Mail: slow(mails, 100*time.Millisecond)})
		u, first := s.NewUser(), s.NewUser()
		requestReset(t, s, first.Email)
		mails.Wait(t, first.Email, 1) // from now on the server knows how long a mail takes
		settled(t, s.Database)
		queue(t, s.Database, string(mail.Reset), models.PriorityReset, 2000, s.Clock.Now().UTC().Add(-time.Second).Truncate(time.Microsecond))
		began := time.Now()
		reset := func() *servertest.Response {
			return s.Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": u.Email})
		}
		r := reset()
		for ; r.Status == http.StatusServiceUnavailable && time.Since(began) < bound; r = reset() { // as a client does
			time.Sleep(time.Second)
		}
		r.Want(t, http.StatusAccepted, "")
		eventually(t, "the reset is sent", func() bool { return len(mails.To(u.Email)) == 1 })
		took := time.Since(began)
		t.Logf("sent after %v", took)
		if took > bound {
			t.Errorf("a reset behind 2,000 mails to unknown addresses took %v", took)
		}
		settled(t, s.Database)
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE outcome = 'dropped'"); n != 2000 {
			t.Errorf("%d of 2,000 mails without a recipient are finished", n)
		}
	})
}

// If too many mails are due, requests for mails are rejected, because the mail would arrive too
// late. The rejection does not depend on the address, and one kind of request does not block the
// other.
func TestMailRequestsAreRejectedDuringBacklog(t *testing.T) {
	t.Attr("control", "187")
	const bound = 1000
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		for name, c := range map[string]struct {
			kind            string
			priority        models.MailPriority
			rejected, taken []string
		}{
			"resets": {string(mail.Reset), models.PriorityReset, []string{"/accounts/password/reset"}, []string{"/accounts/register", "/accounts/email/resend"}},
			"others": {"resend", models.PriorityRegistration, []string{"/accounts/register", "/accounts/email/resend"}, []string{"/accounts/password/reset"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true, Settings: []string{"ACCOUNTS_REGISTRATIONS_PER_CLIENT=10/1h"}})
				u := s.NewUser()
				ask := func(path, email string) *servertest.Response {
					body := map[string]any{"email": email}
					if path == "/accounts/register" {
						body["password"] = secret
					}
					return s.Anonymous().Do(http.MethodPost, path, body)
				}
				queue(t, s.Database, c.kind, c.priority, bound-1, s.Clock.Now().UTC().Truncate(time.Microsecond))
				for _, path := range slices.Concat(c.rejected[:1], c.taken) { // one below the bound
					ask(path, "first@example.com").Want(t, http.StatusAccepted, "")
				}
				s.Clock.Advance(1500 * time.Millisecond) // longer than backlogMemory
				before := s.Database.Dump(t)
				counted := s.Database.Count(t, "SELECT SUM(hits) FROM rate_limits")
				for _, path := range c.rejected {
					for _, email := range []string{u.Email, "unknown@example.com"} {
						r := ask(path, email)
						wantUnavailable(t, r)
						if r.Header.Get("Retry-After") != "5" {
							t.Errorf("Retry-After is %q, want 5", r.Header.Get("Retry-After"))
						}
					}
				}
				if s.Database.Dump(t) != before || s.Database.Count(t, "SELECT SUM(hits) FROM rate_limits") != counted {
					t.Error("the rejected request changed the database")
				}
				for _, path := range c.taken {
					ask(path, u.Email).Want(t, http.StatusAccepted, "")
				}
				if got := s.Counter(metrics.MailBacklog); got != fmt.Sprint(2*len(c.rejected)) {
					t.Errorf("got %s counted rejections", got)
				}
				for _, line := range errorLines(s) {
					t.Errorf("the flood caused an error line in the log: %s", line)
				}
			})
		}
	})
}

// heldMails is a sender that holds every mail in flight until it is released. It records the order
// in which the mails arrived.
type heldMails struct {
	mu      sync.Mutex
	came    []string // kinds
	release chan struct{}
}

func (h *heldMails) Send(_ context.Context, m mail.Message) error {
	h.mu.Lock()
	h.came = append(h.came, string(m.Kind))
	h.mu.Unlock()
	<-h.release
	return nil
}

func (h *heldMails) kinds() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.came)
}

// A mail caused by a signed-in user, and then a reset, are sent before the registrations that
// strangers have queued earlier.
func TestMailsOfSignedInUsersAreSentFirst(t *testing.T) {
	t.Attr("control", "187")
	const senders = 6
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		u := s.NewUser()
		c := s.Login(u, token.Body)
		for i := range 2 * senders {
			register(t, s, fmt.Sprintf("new%d@example.com", i))
		}
		requestReset(t, s, s.NewUser().Email)
		c.Do(http.MethodPost, "/accounts/password/change", map[string]any{"current_password": secret, "new_password": "another horse battery"}).
			Want(t, http.StatusOK, "")
		held := &heldMails{release: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() {
			s.Service.SendMails(ctx, held, func(f outbox.Fault) { t.Errorf("mail of the kind %s: %v", f.Kind, f.Err) })
		})
		eventually(t, "every sender is busy", func() bool { return len(held.kinds()) == senders })
		for _, kind := range []string{"password_changed", "reset"} {
			if got := held.kinds(); !slices.Contains(got, kind) {
				t.Errorf("the first mails are %q, want %s among them", got, kind)
			}
		}
		close(held.release)
		if got := settled(t, s.Database); got[models.MailSent] != 2*senders+2 {
			t.Errorf("outcomes %v", got)
		}
		stop()
		sending.Wait()
	})
}

// Decoys hold a third of the senders for as long as a real mail took, and no longer. Real mails can
// use all senders.
func TestDecoysOccupyThirdOfSenders(t *testing.T) {
	t.Attr("control", "187")
	const senders, part, sending = 6, 2, 2 * time.Second
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		held := &heldMails{release: make(chan struct{})}
		release := sync.OnceFunc(func() { close(held.release) })
		defer release()
		s := servertest.Start(t, servertest.Options{Engine: e, Mail: held})
		requestReset(t, s, s.NewUser().Email)
		eventually(t, "the first mail", func() bool { return len(held.kinds()) == 1 })
		time.Sleep(sending)
		held.release <- struct{}{}
		settled(t, s.Database)
		queue(t, s.Database, string(mail.Reset), models.PriorityReset, 50, s.Clock.Now().UTC().Truncate(time.Microsecond))
		began := time.Now()
		s.Service.RequestPasswordReset(t.Context(), "unknown@example.com", accounts.Client{}) // wakes the senders
		waiting := func() int64 { return s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") }
		eventually(t, "most of them are finished", func() bool { return waiting() == part })
		for range senders {
			requestReset(t, s, s.NewUser().Email)
		}
		eventually(t, "real mails have the other senders", func() bool { return len(held.kinds()) == 1+senders-part })
		if time.Since(began) > sending {
			t.Fatal("this machine is too slow for this test")
		}
		eventually(t, "real mails have all senders", func() bool { return len(held.kinds()) == 1+senders })
		if took := time.Since(began); took < sending {
			t.Errorf("decoys occupied their senders for %v, want the %v of a real mail", took, sending)
		}
		release()
		if got := settled(t, s.Database); got[models.MailSent] != senders+1 {
			t.Errorf("outcomes %v", got)
		}
	})
}

// A reset is sent although many mails of signed-in users, or many retried mails that hold their
// places for long, are due.
func TestResetIsSentDespiteOtherMails(t *testing.T) {
	t.Attr("control", "187")
	const pushed = 4 // of six senders
	for name, first := range map[string]struct {
		priority models.MailPriority
		attempts int
		mails    int
	}{"of signed-in users": {models.PriorityKnown, 0, 300}, "sent again": {models.PriorityReset, 1, 200}} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
				t.Parallel()
				held := &heldMails{release: make(chan struct{})}
				release := sync.OnceFunc(func() { close(held.release) })
				defer release()
				s := servertest.Start(t, servertest.Options{Engine: e, Mail: held})
				u := s.NewUser()
				later := s.Clock.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
				queue(t, s.Database, string(mail.PasswordChanged), first.priority, first.mails, later)
				earlier := later.Add(-2 * time.Hour)
				s.Database.Exec(t, "UPDATE outbox SET attempts = ?, next_at = ?, created_at = ?", first.attempts, earlier, earlier)
				requestReset(t, s, u.Email)
				eventually(t, "the reset", func() bool { return slices.Contains(held.kinds(), string(mail.Reset)) })
				eventually(t, "the others have their part", func() bool { return len(held.kinds()) == pushed+1 })
			})
		})
	}
}

// An observer requests resets for two addresses that have no account, for three mailboxes of their
// own and for another person's address, and then one for a fourth mailbox. How long that takes must
// not show whether the other person has an account: a sender is busy with that address in either
// case.
func TestDeliveryTimeDoesNotRevealAccount(t *testing.T) {
	t.Attr("control", "187")
	const sending = time.Second
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		for name, exists := range map[string]bool{"with an account": true, "without one": false} {
			t.Run(name, func(t *testing.T) {
				var mu sync.Mutex
				begun := map[string]time.Time{}
				s := servertest.Start(t, servertest.Options{Engine: e, Mail: senderFunc(func(_ context.Context, m mail.Message) error {
					mu.Lock()
					begun[m.To] = time.Now()
					mu.Unlock()
					time.Sleep(sending)
					return nil
				})})
				at := func(email string) time.Time {
					mu.Lock()
					defer mu.Unlock()
					return begun[email]
				}
				requestReset(t, s, s.NewUser().Email)
				settled(t, s.Database) // from here on the server knows how long a mail takes
				other := "unknown@example.com"
				if exists {
					other = s.NewUser().Email
				}
				first, last := s.NewUser().Email, s.NewUser().Email
				asked := []string{first, s.NewUser().Email, s.NewUser().Email, other, last}
				queue(t, s.Database, string(mail.Reset), models.PriorityReset, 2, s.Clock.Now().UTC().Truncate(time.Microsecond))
				for _, email := range asked {
					requestReset(t, s, email)
				}
				settled(t, s.Database)
				if waited := at(last).Sub(at(first)); waited < sending/2 {
					t.Errorf("the last mail was sent only %v after the first", waited)
				}
			})
		}
	})
}
