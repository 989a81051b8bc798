package outbox_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token/tokentest"
)

// The mail server is unavailable for a while. No request is affected, and every mail arrives once
// afterwards. A server whose mails are sent takes turns with this one, so that both run under the
// same load.
func TestMailsArriveOnceAfterOutageOfServer(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		for name, away := range map[string]func(*postOffice){"refuses": (*postOffice).away, "is silent": (*postOffice).silence} {
			t.Run(name, func(t *testing.T) {
				office := newPostOffice(t)
				away(office)
				usual := servertest.Start(t, servertest.Options{Engine: e})
				s := servertest.Start(t, servertest.Options{Engine: e, Mail: office.sender()})
				const rounds = 30
				sameTime(t, rounds, usual, s)
				office.open()
				eventually(t, "the attempt under way has failed", func() bool {
					return s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE lease IS NOT NULL") == 0
				})
				pass(t, s, longest)
				outcomes := settled(t, s.Database)
				if want := map[string]int{models.MailSent: 3 * rounds}; !maps.Equal(outcomes, want) || office.count() != 3*rounds {
					t.Errorf("got the outcomes %v and %d mails of %d", outcomes, office.count(), 3*rounds)
				}
			})
		}
	})
}

// sameTime compares the shortest times of every operation that queues a mail, and of login. A request
// that waits for the mail server always takes longer, and other programs only delay some of them.
func sameTime(t *testing.T, rounds int, usual, other *servertest.Server) {
	t.Helper()
	took := map[string][2][]time.Duration{}
	for round := range rounds {
		users := [2]servertest.User{usual.NewUser(), other.NewUser()} // of several resets of one user, only the newest is sent
		email := fmt.Sprintf("new%d@example.com", round)
		for _, operation := range []struct {
			path string
			body func(u servertest.User) any
		}{ // in this order: before there is a registration, a resend has no recipient
			{"/accounts/register", func(servertest.User) any { return map[string]any{"email": email, "password": secret} }},
			{"/accounts/email/resend", func(servertest.User) any { return map[string]any{"email": "new0@example.com"} }},
			{"/accounts/password/reset", func(u servertest.User) any { return map[string]any{"email": u.Email} }},
			{"/accounts/login", func(u servertest.User) any { return map[string]any{"username": u.Username, "password": secret} }},
		} {
			both := took[operation.path]
			for k := range 2 {
				i := (k + round) % 2
				s := []*servertest.Server{usual, other}[i]
				began := time.Now()
				s.Anonymous().Do(http.MethodPost, operation.path, operation.body(users[i]))
				both[i] = append(both[i], time.Since(began))
			}
			took[operation.path] = both
		}
	}
	for operation, both := range took {
		a, b := slices.Min(both[0]), slices.Min(both[1])
		t.Logf("%s: %v usually, %v without a mail server", operation, a, b)
		if b > a*12/10+3*time.Millisecond {
			t.Errorf("%s takes %v without a mail server, and %v with one", operation, b, a)
		}
	}
}

// A mail that is rejected temporarily is retried. Each pause is twice as long as the one before, up
// to the longest one.
func TestRejectedMailIsRetriedWithBackOff(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		office := newPostOffice(t).open()
		office.answer(refusal(451))
		s := servertest.Start(t, servertest.Options{Engine: e, Mail: office.sender()})
		began := s.Clock.Now()
		register(t, s, "ada@example.com")
		pauses := []int{5, 10, 20, 40, 80, 160, 320, 640, 900, 900}
		attempted := func(n int) (attempts int, next time.Time) {
			eventually(t, "the next attempt", func() bool { attempts, next = row(t, s.Database, "ada@example.com"); return attempts >= n })
			return attempts, next
		}
		for i, want := range pauses {
			want := time.Duration(want) * time.Second
			attempts, next := attempted(i + 1)
			if early, late := began.Add(want-time.Millisecond), s.Clock.Now().Add(want); attempts != i+1 || next.Before(early) || next.After(late) {
				t.Errorf("after attempt %d the next one is at %v, want %v after %v", attempts, next, want, began)
			}
			began = s.Clock.Now().Add(want)
			pass(t, s, want)
		}
		attempted(len(pauses) + 1) // otherwise the clock would pass the end of a lease
		office.answer(nil)
		pass(t, s, longest)
		if got := settled(t, s.Database); got[models.MailSent] != 1 || office.count() != 1 || len(errorLines(s)) != 0 {
			t.Errorf("got the outcomes %v and %d mails, want 1 sent and no error\n%s", got, office.count(), errorLines(s))
		}
	})
}

// A mail that is rejected permanently, or not accepted before its link expired, is given up once
// and logged as an error. The log contains neither the address nor the link.
func TestMailIsGivenUpOnce(t *testing.T) {
	for name, c := range map[string]struct {
		refusal error
		later   time.Duration
		outcome string
	}{
		"refused": {refusal(550), 0, models.MailRefused},
		"expired": {refusal(451), 24 * time.Hour, models.MailExpired},
	} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
				t.Parallel()
				office := newPostOffice(t).open()
				office.answer(c.refusal)
				s := servertest.Start(t, servertest.Options{Engine: e, Mail: office.sender()})
				register(t, s, "ada@example.com")
				row(t, s.Database, "ada@example.com")
				office.answer(nil)
				pass(t, s, c.later)
				if got := settled(t, s.Database); got[c.outcome] != 1 || len(got) != 1 || office.count() != 0 {
					t.Errorf("got the outcomes %v and %d mails, want 1 given up", got, office.count())
				}
				pass(t, s, longest)
				settled(t, s.Database)
				if lines := errorLines(s); len(lines) != 1 {
					t.Errorf("the log has %d lines of errors, want one:\n%s", len(lines), lines)
				}
				for _, private := range []string{"ada@", "somebody@", "token=", "/pages/verify"} {
					if strings.Contains(s.Log.String(), private) {
						t.Errorf("the log contains %q", private)
					}
				}
			})
		})
	}
}

// Otherwise another replica would send a mail that is still being sent.
func TestLeaseOutlivesDelivery(t *testing.T) {
	if outbox.DeliveryTime < mail.MaxSend || outbox.LeaseTime < outbox.DeliveryTime+2*models.CallTime {
		t.Errorf("lease %v, delivery %v, one attempt %v", outbox.LeaseTime, outbox.DeliveryTime, mail.MaxSend)
	}
}

// A replica dies during a delivery. Another one sends the mail when the lease has expired, and not
// earlier. If the mail was already sent, it is sent again, as the same mail with the same link.
func TestMailOfDeadWorkerIsSentAfterLease(t *testing.T) {
	for name, sent := range map[string]bool{"before it is sent": false, "after it was sent": true} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
				t.Parallel()
				mails, dead := &servertest.Mails{}, make(chan struct{})
				a := servertest.Start(t, servertest.Options{Engine: e, Mail: senderFunc(func(ctx context.Context, m mail.Message) error {
					if sent {
						_ = mails.Send(ctx, m)
					}
					close(dead)
					runtime.Goexit() // nothing of the worker runs after this
					return nil
				})})
				u := a.NewUser()
				requestReset(t, a, u.Email)
				<-dead
				b := servertest.Start(t, servertest.Options{Engine: e, Database: a.Database, Mail: mails, Settings: []string{"ACCOUNTS_PUBLIC_URL=" + a.Config.PublicURL}})
				before := len(mails.To(u.Email))
				pass(t, b, lease/2)
				eventually(t, "the worker has looked", func() bool { return a.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE done_at IS NULL") == 1 })
				if n := len(mails.To(u.Email)); n != before {
					t.Errorf("got %d mails while the lease was held, want 0", n-before)
				}
				pass(t, b, lease/2)
				m := mails.Wait(t, u.Email, before+1)
				if sent && (m.ID != mails.To(u.Email)[0].ID || m.Link != mails.To(u.Email)[0].Link) {
					t.Error("the second mail differs from the first")
				}
				confirm := map[string]any{"token": servertest.Token(t, m), "new_password": "another horse battery"}
				b.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", confirm).Want(t, http.StatusNoContent, "")
				settled(t, a.Database)
			})
		})
	}
}

// A mail that takes long to send does not hold up others.
func TestSlowMailDoesNotDelayOthers(t *testing.T) {
	mails, held := &servertest.Mails{}, make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	s := servertest.Start(t, servertest.Options{Mail: senderFunc(func(ctx context.Context, m mail.Message) error {
		if m.To == "slow@example.com" {
			<-held
		}
		return mails.Send(ctx, m)
	})})
	for _, email := range []string{"slow@example.com", "ada@example.com", "bob@example.com"} {
		register(t, s, email)
	}
	mails.Wait(t, "ada@example.com", 1)
	mails.Wait(t, "bob@example.com", 1)
	if len(mails.To("slow@example.com")) != 0 {
		t.Error("the slow mail was delivered too early for this test")
	}
	release()
	mails.Wait(t, "slow@example.com", 1)
}

// A client that requests a reset for another person's address, and then one for its own, must not
// see by the time of the second mail whether the first was sent. A mail without a recipient
// occupies its sender for as long as the last mail that was sent.
func TestMailWithoutRecipientTakesAsLongAsOthers(t *testing.T) {
	t.Attr("control", "13")
	const sending = 200 * time.Millisecond
	s := servertest.Start(t, servertest.Options{Mail: senderFunc(func(context.Context, mail.Message) error { time.Sleep(sending); return nil })})
	u := s.NewUser()
	for _, email := range []string{u.Email, "nobody@example.com"} {
		began := time.Now()
		requestReset(t, s, email)
		settled(t, s.Database)
		if took := time.Since(began); took < sending {
			t.Errorf("a mail to %s took only %v", email, took)
		}
	}
}

// Two replicas share the outbox, and each mail is sent once.
func TestTwoReplicasSendEachMailOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return // SQLite is used by one process only
		}
		t.Parallel()
		office := newPostOffice(t).open()
		a := servertest.Start(t, servertest.Options{Engine: e})
		a.StopMails()
		const mails = 200
		now := time.Now().UTC().Truncate(time.Microsecond)
		for i := range mails {
			m := models.Mail{
				ID: uuid.Must(uuid.NewV7()), Kind: string(mail.PasswordChanged), Email: fmt.Sprintf("u%d@example.com", i), Locale: "en",
				CreatedAt: now, NextAt: now, ExpiresAt: now.Add(time.Hour),
			}
			must(t, a.Store.Tx(t.Context(), func(tx *models.Tx) error { return outbox.Queue(tx, m) }))
		}
		shares := make([]atomic.Int64, 2)
		for i := range shares {
			smtp := office.sender()
			servertest.Start(t, servertest.Options{Engine: e, Database: a.Database, Mail: senderFunc(func(ctx context.Context, m mail.Message) error {
				shares[i].Add(1)
				return smtp.Send(ctx, m)
			})})
		}
		if got := settled(t, a.Database); got[models.MailSent] != mails || office.count() != mails {
			t.Errorf("got the outcomes %v and %d mails, want each mail sent once", got, office.count())
		}
		if n := a.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE attempts <> 1"); n != 0 {
			t.Errorf("%d mails were tried several times, want 0", n)
		}
	})
}

// A worker that is told to stop finishes the delivery in progress, and begins no other.
func TestStoppedWorkerFinishesDelivery(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		office := newPostOffice(t)
		taken, release := make(chan struct{}), make(chan struct{})
		office.data = func() { close(taken); <-release }
		s := servertest.Start(t, servertest.Options{Engine: e, Mail: office.open().sender()})
		register(t, s, "first@example.com")
		<-taken
		stopped := make(chan struct{})
		go func() { s.StopMails(); close(stopped) }()
		select {
		case <-stopped:
			t.Error("the worker stopped during a delivery")
		case <-time.After(100 * time.Millisecond):
		}
		register(t, s, "second@example.com")
		close(release)
		select {
		case <-stopped:
		case <-time.After(5 * time.Second):
			t.Fatal("the worker did not stop within 5 s")
		}
		for _, want := range []string{"'first@example.com' AND outcome = 'sent' AND attempts = 1", "'second@example.com' AND outcome = '' AND attempts = 0"} {
			if s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE lease IS NULL AND email_norm = "+want) != 1 {
				t.Errorf("the outbox has no %s", want)
			}
		}
		if n := office.count(); n != 1 {
			t.Errorf("got %d mails, want 1", n)
		}
	})
}

// The secret is changed while mails wait: mails that were tried before, whose links have a row, and
// mails that were not.
func TestWaitingMailIsSentAfterSecretChange(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		old, next := tokentest.Secret("a"), tokentest.Secret("b")
		down := senderFunc(func(context.Context, mail.Message) error { return errors.New("down") })
		a := servertest.Start(t, servertest.Options{Engine: e, Settings: []string{"ACCOUNTS_SECRET_KEYS=" + old}, Mail: down})
		tried, fresh := a.NewUser(), a.NewUser()
		register(t, a, "tried@example.com")
		requestReset(t, a, tried.Email)
		for _, email := range []string{"tried@example.com", tried.Email} {
			row(t, a.Database, email)
		}
		a.StopMails()
		register(t, a, "fresh@example.com")
		requestReset(t, a, fresh.Email)

		b := servertest.Start(t, servertest.Options{Engine: e, Database: a.Database, Settings: []string{"ACCOUNTS_SECRET_KEYS=" + next + "," + old}})
		// MySQL's clock cannot be moved, and logins fail if it differs from the server's.
		b.Database.Exec(t, "UPDATE outbox SET next_at = created_at WHERE done_at IS NULL")
		pass(t, b, 0)
		for _, s := range []*servertest.Server{b, a} { // the old replica may still be there
			email, user := "fresh@example.com", fresh
			if s == a {
				email, user = "tried@example.com", tried
			}
			verify := map[string]any{"token": servertest.Token(t, b.Mails.Wait(t, email, 1)), "password": secret}
			s.Anonymous().Do(http.MethodPost, "/accounts/email/verify", verify).Want(t, http.StatusOK, "")
			reset := map[string]any{"token": servertest.Token(t, b.Mails.Wait(t, user.Email, 1)), "new_password": "another horse battery"}
			s.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", reset).Want(t, http.StatusNoContent, "")
		}
	})
}

// A reader of the database cannot use it to open an account: it contains no token, nothing that a
// token could be derived from without the server's secret, and no password.
func TestOutboxContainsNoSecret(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		u := s.NewUser()
		register(t, s, "new@example.com")
		requestReset(t, s, u.Email)
		c := s.Login(u, "body")
		c.Do(http.MethodPost, "/accounts/email/change", map[string]any{"email": "moved@example.com"}).Want(t, http.StatusAccepted, "")
		var tokens []string
		for _, email := range []string{"new@example.com", u.Email, "moved@example.com"} {
			eventually(t, "a mail with a link", func() bool {
				return slices.ContainsFunc(s.Mails.To(email), func(m mail.Message) bool { return strings.Contains(m.Link, "token=") })
			})
			for _, m := range s.Mails.To(email) {
				if strings.Contains(m.Link, "token=") {
					tokens = append(tokens, servertest.Token(t, m))
				}
			}
		}
		dump := s.Database.Dump(t)
		_, outbox, _ := strings.Cut(dump, "outbox.")
		for _, value := range tokens {
			raw, err := base64.RawURLEncoding.DecodeString(value)
			must(t, err)
			hash := sha256.Sum256([]byte(value))
			if strings.Contains(dump, value) || strings.Contains(dump, string(raw)) || strings.Contains(outbox, string(hash[:])) || !strings.Contains(dump, string(hash[:])) {
				t.Error("the database contains a token, or its hash in the wrong table")
			}
		}
		if len(tokens) != 3 || strings.Contains(dump, secret) {
			t.Errorf("got %d tokens, want 3, and no password in the database", len(tokens))
		}
	})
}
