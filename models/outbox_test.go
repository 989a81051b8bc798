package models_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

const lease = time.Minute

func newMail(due time.Time) models.Mail {
	return models.Mail{
		ID: uuid.Must(uuid.NewV7()), Kind: "verify", Email: "ada@example.com", EmailNorm: "ada@example.com", Locale: "en",
		CreatedAt: due, NextAt: due, ExpiresAt: due.Add(time.Hour),
	}
}

func (f *fixture) queue(due time.Time) models.Mail {
	f.t.Helper()
	return f.add(newMail(due))
}

// add queues a mail and returns it.
func (f *fixture) add(m models.Mail) models.Mail {
	f.t.Helper()
	ok(f.t, f.Tx(f.t.Context(), func(tx *models.Tx) error { return tx.AddMails(m) }))
	return m
}

// finish stores the outcome of a mail that has been claimed.
func (f *fixture) finish(m models.Mail, at time.Time) {
	f.t.Helper()
	m.Outcome = models.MailSent
	ok(f.t, f.FinishMail(f.t.Context(), m, at))
}

func (f *fixture) claim(at time.Time) models.Mail {
	f.t.Helper()
	m, err := claimNext(f.t.Context(), f.Store, at)
	ok(f.t, err)
	return m
}

// claimNext claims the first mail that no other worker has claimed. Errors: ErrNotFound if there is
// none.
func claimNext(ctx context.Context, s *models.Store, at time.Time) (models.Mail, error) {
	due, err := s.DueMails(ctx, at, 16)
	if err != nil {
		return models.Mail{}, err
	}
	for _, m := range due {
		if m, err = s.ClaimMail(ctx, m, at, lease); !errors.Is(err, models.ErrNotFound) {
			return m, err
		}
	}
	return models.Mail{}, models.ErrNotFound
}

func (f *fixture) nothingDue(at time.Time) {
	f.t.Helper()
	if m, err := claimNext(f.t.Context(), f.Store, at); !errors.Is(err, models.ErrNotFound) {
		f.t.Errorf("claimed %s, want ErrNotFound: %v", m.ID, err)
	}
}

// outcome returns the outcome of a mail, or "" if it is not finished.
func (f *fixture) outcome(m models.Mail) string {
	f.t.Helper()
	return f.query("SELECT outcome FROM outbox WHERE id = ?", m.ID)[0][0]
}

// claims counts how often each mail is claimed by workers over several stores. Each worker
// continues until it finds no mail.
func claims(t *testing.T, workers int, at time.Time, stores ...*models.Store) map[uuid.UUID]int {
	t.Helper()
	taken := map[uuid.UUID]int{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range workers {
		wait.Go(func() {
			for {
				m, err := claimNext(context.Background(), stores[i%len(stores)], at)
				if errors.Is(err, models.ErrNotFound) {
					return
				}
				if err != nil {
					t.Errorf("%v (%v)", err, models.Cause(err))
					return
				}
				mu.Lock()
				taken[m.ID]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return taken
}

func TestMailIsClaimedByOneWorker(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		other := open(t, f.db)
		at := now()
		want := map[uuid.UUID]bool{}
		for range 40 {
			want[f.queue(at.Add(-time.Second)).ID] = true
		}
		later := f.queue(at.Add(time.Microsecond))
		// A worker that loses all its candidates stops early, so that some mails are left for the
		// next round.
		taken := map[uuid.UUID]int{}
		for range 3 {
			for id, n := range claims(t, 8, at, f.Store, other) {
				taken[id] += n
			}
		}
		for id := range want {
			if taken[id] != 1 {
				t.Errorf("mail %s was claimed %d times, want once", id, taken[id])
			}
		}
		if taken[later.ID] != 0 || len(taken) != len(want) {
			t.Errorf("%d mails were claimed, the one that is not due %d times", len(taken), taken[later.ID])
		}
	})
}

// A worker whose lease has expired can no longer change the mail.
func TestWorkerWithExpiredLeaseCannotChangeMail(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		f.queue(at)
		first := f.claim(at)
		f.nothingDue(at.Add(lease - time.Microsecond))
		second := f.claim(at.Add(lease))
		if second.ID != first.ID || second.Attempts != 2 || *second.Lease == *first.Lease {
			t.Errorf("the second claim is attempt %d of mail %s", second.Attempts, second.ID)
		}
		before := f.db.Dump(t)
		f.finish(first, at)
		ok(t, f.RetryMail(t.Context(), first, at))
		if f.db.Dump(t) != before {
			t.Error("the first worker changed the mail after its lease")
		}
		f.finish(second, at.Add(lease))
		ok(t, f.RetryMail(t.Context(), second, at)) // a finished mail stays finished
		f.nothingDue(at.Add(time.Hour))
		if got := f.outcome(first); got != models.MailSent {
			t.Errorf("outcome: got %q, want sent", got)
		}
	})
}

func TestRetriedMailIsDueAtItsTime(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now().Truncate(time.Second) // a time without a fraction between others with one
		f.queue(at)
		next := at.Add(10*time.Second + 500*time.Millisecond)
		ok(t, f.RetryMail(t.Context(), f.claim(at), next))
		for _, early := range []time.Duration{time.Microsecond, 500 * time.Millisecond, time.Second} {
			f.nothingDue(next.Add(-early))
		}
		if m := f.claim(next); m.Attempts != 2 {
			t.Errorf("attempt: got %d, want 2", m.Attempts)
		}
	})
}

// The mail that has been due longest is claimed first.
func TestMailDueLongestIsClaimedFirst(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		var order []uuid.UUID
		for i := range 5 {
			order = append(order, f.queue(at.Add(time.Duration(i)*time.Second)).ID)
		}
		for i, want := range order {
			if m := f.claim(at.Add(time.Minute - time.Second)); m.ID != want {
				t.Errorf("mail %s was claimed at position %d", m.ID, i)
			}
		}
	})
}

// A mail of a higher priority is sent first, however long the others have waited.
func TestMailsAreClaimedByPriority(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		want := map[models.MailPriority][]uuid.UUID{}
		for i := range 3 {
			for _, p := range []models.MailPriority{models.PriorityRegistration, models.PriorityKnown, models.PriorityReset} {
				m := newMail(at.Add(time.Duration(i) * time.Second))
				m.Priority = p
				f.add(m)
				want[p] = append(want[p], m.ID)
			}
		}
		var order []uuid.UUID
		for limit := range 4 {
			order = nil
			for _, p := range []models.MailPriority{models.PriorityKnown, models.PriorityReset, models.PriorityRegistration} {
				order = append(order, want[p][:min(limit+1, len(want[p]))]...)
			}
			due, err := f.DueMails(t.Context(), at.Add(10*time.Second), limit+1)
			ok(t, err)
			for i, m := range due {
				if i < len(order) && m.ID != order[i] {
					t.Errorf("limit %d: mail %s is at position %d", limit+1, m.ID, i)
				}
			}
			if len(due) != len(order) {
				t.Errorf("got %d mails, want %d", len(due), len(order))
			}
		}
		for i, want := range order {
			if m := f.claim(at.Add(10 * time.Second)); m.ID != want {
				t.Errorf("mail %s was claimed at position %d", m.ID, i)
			}
		}
	})
}

// Mails without a recipient are finished together, except for those that a worker has claimed or
// that are already finished.
func TestDropMailsFinishesWaitingMails(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		sent, claimed, one, two, later := f.queue(at), f.queue(at.Add(time.Microsecond)), f.queue(at.Add(time.Second)), f.queue(at.Add(time.Second)), f.queue(at.Add(time.Minute))
		f.finish(f.claim(at), at)
		if m := f.claim(at.Add(time.Microsecond)); m.ID != claimed.ID {
			t.Fatalf("claimed %s, want the mail whose lease has expired", m.ID)
		}
		for _, want := range []int{2, 0} {
			n, err := f.DropMails(t.Context(), at.Add(2*time.Second), []models.Mail{sent, claimed, one, two, later})
			if ok(t, err); n != want {
				t.Errorf("%d mails were dropped, want %d", n, want)
			}
		}
		for m, want := range map[uuid.UUID]string{sent.ID: models.MailSent, claimed.ID: "", one.ID: models.MailDropped, two.ID: models.MailDropped, later.ID: ""} {
			if got := f.outcome(models.Mail{ID: m}); got != want {
				t.Errorf("outcome %q, want %q", got, want)
			}
		}
		if n, err := f.DropMails(t.Context(), at, nil); n != 0 || err != nil {
			t.Errorf("no IDs: got %d, %v, want 0", n, err)
		}
	})
}

// The outcome of a mail is stored with the recipient, which the caller may have cleared. A mail of
// another kind or address, or one that has an outcome, is no longer queued.
func TestFinishedMailIsNotQueued(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		other, cleared := newMail(at.Add(time.Minute)), f.queue(at)
		other.EmailNorm = "bob@example.com"
		f.add(other)
		waiting := f.queue(at.Add(time.Minute))
		m := f.claim(at)
		m.Email, m.EmailNorm, m.Name = "", "", ""
		f.finish(m, at)
		f.queue(at)
		f.finish(f.claim(at), at)
		for kind, want := range map[string][]uuid.UUID{"verify": {waiting.ID}, "reset": nil} {
			var got []uuid.UUID
			ok(t, f.Tx(t.Context(), func(tx *models.Tx) error {
				queued, err := tx.QueuedMails(waiting.EmailNorm, kind)
				for _, m := range queued {
					got = append(got, m.ID)
				}
				return err
			}))
			if !slices.Equal(got, want) {
				t.Errorf("kind %s: %v, want %v", kind, got, want)
			}
		}
		if rows := f.query("SELECT email, email_norm, name FROM outbox WHERE id = ?", cleared.ID); rows[0][0]+rows[0][1]+rows[0][2] != "" {
			t.Errorf("the recipient is %q, want none", rows)
		}
	})
}

func TestUserTokensListsTokensOfUser(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		open, used, other := f.reset(now()), f.reset(now()), f.resetOf(f.newUser("bob"), now())
		var list []models.OneTimeToken
		ok(t, f.Tx(t.Context(), func(tx *models.Tx) (err error) {
			if err := tx.UseToken(used); err != nil {
				return err
			}
			list, err = tx.UserTokens(f.user.ID, models.PurposeReset)
			return err
		}))
		for _, each := range list {
			if each.ID == other.ID || (each.UsedAt != nil) != (each.ID == used.ID) {
				t.Errorf("token %s has the use %v", each.ID, each.UsedAt)
			}
		}
		if len(list) != 2 || list[0].ID != open.ID && list[1].ID != open.ID {
			t.Errorf("got %d tokens, want 2", len(list))
		}
	})
}

func TestHasDueMailsCountsPriorityUpToBound(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		for range 3 {
			m := newMail(at)
			m.Priority = models.PriorityReset
			f.add(m)
		}
		f.queue(at) // of another priority
		for n, want := range map[int]bool{1: true, 3: true, 4: false} {
			if got, err := f.HasDueMails(t.Context(), models.PriorityReset, at, n); got != want || err != nil {
				t.Errorf("at least %d mails are due: got %v, %v", n, got, err)
			}
		}
		if got, err := f.HasDueMails(t.Context(), models.PriorityReset, at.Add(-time.Second), 1); got || err != nil {
			t.Errorf("before they are due: got %v, %v, want false", got, err)
		}
	})
}

func TestDeleteOldMailsKeepsUnfinishedOnes(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		for i := range 4 {
			f.queue(at)
			f.finish(f.claim(at), at.Add(time.Duration(i)*time.Hour))
		}
		waiting := f.queue(at.Add(-time.Hour))
		for _, want := range []int64{2, 1, 0} {
			n, err := f.DeleteObsolete(t.Context(), models.FinishedMails, at.Add(3*time.Hour), 2)
			if ok(t, err); n != want {
				t.Errorf("%d mails were deleted, want %d", n, want)
			}
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM outbox"); n != 2 || f.outcome(waiting) != "" {
			t.Errorf("%d mails are left, want 2", n)
		}
	})
}
