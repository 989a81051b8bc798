package outbox_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// workshop is a server without a mail worker, and the outbox that composes its mails.
type workshop struct {
	*servertest.Server
	*outbox.Outbox
	t    *testing.T
	user servertest.User
}

func eachWorkshop(t *testing.T, f func(t *testing.T, w *workshop)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		secret, err := token.ParseSecret(servertest.SecretKey)
		must(t, err)
		ring, err := token.NewKeyRing([]token.Secret{secret})
		must(t, err)
		o := outbox.New(outbox.Options{
			Store: s.Store, Ring: ring, Now: func() time.Time { return s.Clock.Now().UTC().Truncate(time.Microsecond) },
			Reset: outbox.Link{Page: "https://example.com/reset", Valid: time.Hour},
		})
		f(t, &workshop{Server: s, Outbox: o, t: t, user: s.NewUser()})
	})
}

func (w *workshop) instant() time.Time { return w.Clock.Now().UTC().Truncate(time.Microsecond) }

func (w *workshop) reload(u models.User) models.User {
	w.t.Helper()
	u, err := w.Store.UserByID(w.t.Context(), u.ID)
	must(w.t, err)
	return u
}

// queue queues a mail of a kind to a user, and returns the token behind its link, which does not
// exist yet.
func (w *workshop) queue(u models.User, k mail.Kind, at time.Time) models.OneTimeToken {
	w.t.Helper()
	m := w.NewRequest(k, u.Email, u.EmailNorm, audit.Client{})
	m.ExpiresAt = at.Add(m.ExpiresAt.Sub(m.CreatedAt))
	m.CreatedAt, m.NextAt = at, at
	must(w.t, w.Store.Tx(w.t.Context(), func(tx *models.Tx) error { return outbox.Queue(tx, m) }))
	t := w.NewToken(models.PurposeReset, m)
	t.UserID, t.Email, t.EmailNorm = u.ID, u.Email, u.EmailNorm
	return t
}

// store stores the token of a queued mail, as a worker does that has read u.
func (w *workshop) store(u models.User, t models.OneTimeToken) error {
	return w.Store.Tx(context.Background(), func(tx *models.Tx) error { return outbox.AddResetToken(tx, u, t) })
}

// reset queues a reset and stores its token.
func (w *workshop) reset(u models.User, at time.Time) models.OneTimeToken {
	w.t.Helper()
	t := w.queue(u, mail.Reset, at)
	must(w.t, w.store(w.reload(u), t))
	return t
}

func (w *workshop) find(t models.OneTimeToken) models.OneTimeToken {
	w.t.Helper()
	found, err := w.Store.TokenByID(w.t.Context(), models.PurposeReset, t.ID)
	must(w.t, err)
	return found
}

func (w *workshop) isOpen(t models.OneTimeToken) bool {
	w.t.Helper()
	return w.find(t).UsedAt == nil
}

// pendingChange stores the token of a change of a user's address.
func (w *workshop) pendingChange(u models.User) models.OneTimeToken {
	w.t.Helper()
	t := w.NewToken(models.PurposeEmailChange, w.NewMailTo(u, mail.EmailChange, audit.Client{}))
	t.ExpiresAt = t.CreatedAt.Add(time.Hour)
	t.UserID, t.Email, t.EmailNorm = u.ID, "moved@example.com", "moved@example.com"
	must(w.t, w.Store.Tx(w.t.Context(), func(tx *models.Tx) error { return tx.AddToken(t) }))
	return t
}

// confirm resets the password with the link of a token.
func (w *workshop) confirm(t models.OneTimeToken) error {
	w.t.Helper()
	value := w.Ring.OneTime([16]byte(t.ID))
	return w.Service.ConfirmPasswordReset(w.t.Context(), value, "another "+secret, accounts.Client{})
}

// The worker may create the token of a mail several times.
func TestRetriedResetStoresTokenOnce(t *testing.T) {
	eachWorkshop(t, func(t *testing.T, w *workshop) {
		stale := w.reload(w.user.User)
		token := w.reset(stale, w.instant())
		before, locked := w.find(token), w.reload(stale).LockCount
		must(t, w.store(stale, token))
		if diff := cmp.Diff(before, w.find(token)); diff != "" {
			t.Error("storing the token again changed it:", diff)
		}
		if w.reload(stale).LockCount != locked+1 { // a cluster detects no conflict in a row that is not changed
			t.Error("the transaction did not lock the user by a change")
		}
		must(t, w.confirm(token))
		dump := w.Database.Dump(t)
		if err := w.store(w.reload(stale), token); !errors.Is(err, models.ErrNotFound) || w.Database.Dump(t) != dump || w.isOpen(token) {
			t.Errorf("storing the used token again reopened it or changed a row: %v", err)
		}
	})
}

// The token of a reset that is stored while the invitation waits in the outbox lives as long as the
// invitation. For a user with a password it lives as long as a reset.
func TestResetLivesAsLongAsWaitingInvitation(t *testing.T) {
	t.Attr("control", "198")
	eachWorkshop(t, func(t *testing.T, w *workshop) {
		for password, isExtended := range map[string]bool{"": true, "hash": false} {
			u := w.NewUser().User
			w.Database.Exec(t, "UPDATE users SET password = ? WHERE id = ?", password, u.ID)
			at := w.instant()
			invitation := w.queue(u, mail.Invitation, at)
			older := w.reset(u, at.Add(time.Second))
			want := older.ExpiresAt
			if isExtended {
				want = invitation.ExpiresAt
			}
			if got := w.find(older).ExpiresAt; !got.Equal(want) {
				t.Errorf("with the password %q the link lives until %v, want %v", password, got, want)
			}
			newer := w.reset(u, at.Add(2*time.Second))
			if !isExtended {
				want = newer.ExpiresAt
			}
			if got := w.find(newer).ExpiresAt; !got.Equal(want) || w.isOpen(older) {
				t.Errorf("with the password %q the next link lives until %v, want %v", password, got, want)
			}
		}
	})
}

// The token of an invitation that has been sent already passes its life on, too.
func TestResetLivesAsLongAsSentInvitation(t *testing.T) {
	t.Attr("control", "198")
	eachWorkshop(t, func(t *testing.T, w *workshop) {
		u := w.user.User
		w.Database.Exec(t, "UPDATE users SET password = '' WHERE id = ?", u.ID)
		at := w.instant()
		invitation := w.queue(u, mail.Invitation, at)
		must(t, w.store(w.reload(u), invitation))
		w.Database.Exec(t, "UPDATE outbox SET done_at = ?, outcome = 'sent'", at)
		if got := w.find(w.reset(u, at.Add(time.Second))).ExpiresAt; !got.Equal(invitation.ExpiresAt) {
			t.Errorf("the link lives until %v, want %v", got, invitation.ExpiresAt)
		}
	})
}

// The token of the newest request is the valid one, even if the mails are sent out of order.
func TestNewestResetInvalidatesOlderOnes(t *testing.T) {
	for name, order := range map[string][]time.Duration{
		"in order": {0, time.Second, 2 * time.Second}, "backwards": {2 * time.Second, time.Second, 0}, "mixed": {time.Second, 2 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachWorkshop(t, func(t *testing.T, w *workshop) {
				at := w.instant().Truncate(time.Second)
				bob := w.reset(w.NewUser().User, at)
				for _, after := range order {
					w.reset(w.user.User, at.Add(after))
				}
				open := w.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", w.user.ID)
				newest := w.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE used_at IS NULL AND created_at = ?", at.Add(2*time.Second))
				if open != 1 || newest != 1 {
					t.Errorf("%d tokens are open, %d of them of the newest request, want 1 and 1", open, newest)
				}
				if !w.isOpen(bob) {
					t.Error("the reset closed the token of another user")
				}
			})
		})
	}
}

// No link is created after the event that ends all links, neither by a worker that read the user
// before the event, nor by one that reads the user afterwards.
func TestResetLinkIsNotCreatedAfterLinksEnded(t *testing.T) {
	for name, end := range map[string]func(w *workshop){
		"reset": func(w *workshop) { must(w.t, w.confirm(w.reset(w.user.User, w.instant()))) },
		"change": func(w *workshop) {
			body := map[string]any{"current_password": w.user.Password, "new_password": "another " + secret}
			w.Login(w.user, token.Body).Do(http.MethodPost, "/accounts/password/change", body).Want(w.t, http.StatusOK, "")
		},
		"an operator's password": func(w *workshop) {
			must(w.t, w.Service.SetPassword(w.t.Context(), w.user.Username, "another "+secret))
		},
		"deactivation": func(w *workshop) { must(w.t, w.Service.SetActive(w.t.Context(), w.user.Username, false)) },
	} {
		t.Run(name, func(t *testing.T) {
			eachWorkshop(t, func(t *testing.T, w *workshop) {
				stale, bob := w.reload(w.user.User), w.NewUser().User
				waiting, bobs, change := w.queue(stale, mail.Reset, w.instant()), w.reset(bob, w.instant()), w.pendingChange(stale)
				end(w)
				if err := w.store(stale, waiting); !errors.Is(err, models.ErrConflict) {
					t.Errorf("user as read before: got %v, want ErrConflict", err)
				}
				if err := w.store(w.reload(stale), waiting); !errors.Is(err, models.ErrNotFound) {
					t.Errorf("a link was created after the links were ended: %v", err)
				}
				found, err := w.Store.TokenByID(t.Context(), models.PurposeEmailChange, change.ID)
				if must(t, err); found.UsedAt == nil || !w.isOpen(bobs) {
					t.Errorf("the change of address ended at %v; the reset of another user is open: %v", found.UsedAt, w.isOpen(bobs))
				}
			})
		})
	}
}

// If two workers compose two resets of one user at once, one token stays open.
func TestConcurrentResetsLeaveOneToken(t *testing.T) {
	eachWorkshop(t, func(t *testing.T, w *workshop) {
		other := servertest.Start(t, servertest.Options{Engine: w.Database.Engine, Database: w.Database, HoldMail: true})
		stores := []*models.Store{w.Store, other.Store}
		u := w.reload(w.user.User)
		for round := range 10 {
			at := w.instant().Add(time.Duration(round) * time.Second)
			var list []models.OneTimeToken
			for i := range 4 {
				list = append(list, w.queue(u, mail.Reset, at.Add(time.Duration(i)*time.Microsecond)))
			}
			var stored atomic.Int64
			var all sync.WaitGroup
			for i, each := range list {
				all.Go(func() {
					err := stores[i%2].Tx(context.Background(), func(tx *models.Tx) error { return outbox.AddResetToken(tx, u, each) })
					if err != nil {
						t.Errorf("%v (%v)", err, models.Cause(err))
						return
					}
					stored.Add(1)
				})
			}
			all.Wait()
			if n := w.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE used_at IS NULL"); n != 1 || stored.Load() != 4 || !w.isOpen(list[3]) {
				t.Fatalf("round %d: %d tokens are open and %d were stored, want 1 and 4", round, n, stored.Load())
			}
		}
	})
}

// The last mail of a deleted account keeps the address no longer than its delivery takes.
func TestFinishedMailOfDeletedAccountHasNoRecipient(t *testing.T) {
	for _, kind := range []mail.Kind{mail.AccountDeleted, mail.PasswordChanged} {
		m := outbox.FinishedMail(models.Mail{Kind: string(kind), Email: "ada@example.com", EmailNorm: "ada@example.com", Name: "Ada"}, models.MailSent)
		if isCleared := m.Email+m.EmailNorm+m.Name == ""; isCleared != (kind == mail.AccountDeleted) || m.Outcome != models.MailSent {
			t.Errorf("%s: %+v", kind, m)
		}
	}
}
