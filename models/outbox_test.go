package models_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

const lease = time.Minute

func newMail(due time.Time) models.Mail {
	return models.Mail{
		ID: models.ID(uuid.Must(uuid.NewV7())), Kind: "verify", Email: "ada@example.com", EmailNorm: "ada@example.com", Locale: "en",
		CreatedAt: due, NextAt: due, ExpiresAt: due.Add(time.Hour),
	}
}

func (f *fixture) queue(due time.Time) models.Mail {
	f.t.Helper()
	m := newMail(due)
	_, err := f.AddMail(f.t.Context(), m, models.Spending{})
	ok(f.t, err)
	return m
}

func (f *fixture) claim(at time.Time) models.Mail {
	f.t.Helper()
	m, err := f.ClaimMail(f.t.Context(), at, lease)
	ok(f.t, err)
	return m
}

func (f *fixture) nothingDue(at time.Time) {
	f.t.Helper()
	if m, err := f.ClaimMail(f.t.Context(), at, lease); !errors.Is(err, models.ErrNotFound) {
		f.t.Errorf("claimed %s, %v", m.ID, err)
	}
}

// outcome is how a mail ended, or empty.
func (f *fixture) outcome(m models.Mail) string {
	f.t.Helper()
	return f.query("SELECT outcome FROM outbox WHERE id = ?", m.ID)[0][0]
}

// claims counts how often each mail is claimed by workers over several stores, each of which goes on until it finds
// nothing.
func claims(t *testing.T, workers int, at time.Time, stores ...*models.Store) map[models.ID]int {
	t.Helper()
	taken := map[models.ID]int{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range workers {
		wait.Go(func() {
			for {
				m, err := stores[i%len(stores)].ClaimMail(context.Background(), at, lease)
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
		want := map[models.ID]bool{}
		for range 40 {
			want[f.queue(at.Add(-time.Second)).ID] = true
		}
		later := f.queue(at.Add(time.Microsecond))
		// A worker that loses every one of its candidates stops early, so that some are left for the next round.
		taken := map[models.ID]int{}
		for range 3 {
			for id, n := range claims(t, 8, at, f.Store, other) {
				taken[id] += n
			}
		}
		for id := range want {
			if taken[id] != 1 {
				t.Errorf("mail %s was claimed %d times", id, taken[id])
			}
		}
		if taken[later.ID] != 0 || len(taken) != len(want) {
			t.Errorf("%d mails were claimed, the one of the future %d times", len(taken), taken[later.ID])
		}
	})
}

// A worker that was gone for longer than its lease has no say any more.
func TestLostLeaseOfAMail(t *testing.T) {
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
		ok(t, f.FinishMail(t.Context(), first, at, models.MailSent))
		ok(t, f.RetryMail(t.Context(), first, at))
		if f.db.Dump(t) != before {
			t.Error("the first worker still had a say")
		}
		ok(t, f.FinishMail(t.Context(), second, at.Add(lease), models.MailSent))
		ok(t, f.RetryMail(t.Context(), second, at)) // what is done stays done
		f.nothingDue(at.Add(time.Hour))
		if got := f.outcome(first); got != models.MailSent {
			t.Errorf("outcome %q", got)
		}
	})
}

func TestMailIsTriedAgainInTime(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now().Truncate(time.Second) // a time without a fraction, between others that have one
		f.queue(at)
		next := at.Add(10*time.Second + 500*time.Millisecond)
		ok(t, f.RetryMail(t.Context(), f.claim(at), next))
		for _, early := range []time.Duration{time.Microsecond, 500 * time.Millisecond, time.Second} {
			f.nothingDue(next.Add(-early))
		}
		if m := f.claim(next); m.Attempts != 2 {
			t.Errorf("attempt %d", m.Attempts)
		}
	})
}

// What has waited longest comes first.
func TestMailsAreClaimedInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		var order []models.ID
		for i := range 5 {
			order = append(order, f.queue(at.Add(time.Duration(i)*time.Second)).ID)
		}
		for i, want := range order {
			if m := f.claim(at.Add(time.Minute - time.Second)); m.ID != want {
				t.Errorf("mail %s came as number %d", m.ID, i)
			}
		}
	})
}

func TestDeleteOldMails(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at := now()
		for i := range 4 {
			f.queue(at)
			ok(t, f.FinishMail(t.Context(), f.claim(at), at.Add(time.Duration(i)*time.Hour), models.MailSent))
		}
		waiting := f.queue(at.Add(-time.Hour))
		for _, want := range []int64{2, 1, 0} {
			n, err := f.DeleteOldMails(t.Context(), at.Add(3*time.Hour), 2)
			if ok(t, err); n != want {
				t.Errorf("%d were deleted, want %d", n, want)
			}
		}
		if n := f.db.Count(t, "SELECT COUNT(*) FROM outbox"); n != 2 || f.outcome(waiting) != "" {
			t.Errorf("%d are left", n)
		}
	})
}
