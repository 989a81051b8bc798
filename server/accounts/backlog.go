package accounts

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/accounts/models"
)

const (
	maxBacklog    = 1000
	backlogMemory = time.Second
	backlogRetry  = 5 * time.Second
)

// ErrBacklog is the cause of an Unavailable when too many mails that strangers requested wait to be sent.
var ErrBacklog = errors.New("too many requested mails wait to be sent")

// backlogs remembers for a moment whether too many mails of a priority are due, so that a flood of requests costs one
// small query a second.
type backlogs struct {
	mu   sync.Mutex
	seen map[models.MailPriority]backlog
}

type backlog struct {
	full bool
	at   time.Time
}

// admitMail rejects a request that any stranger can make for a mail, if maxBacklog mails of its priority are due
// already: a mail that comes too late helps no one, and its link may have expired. A thousand requests for addresses
// without an account are finished in a second or two, on each engine; for others the mail server sets the pace.
//
// It is called before anything else about the request is looked at, so the answer does not depend on the address. Each
// priority is counted by itself: a flood of registrations, each of which is a real mail, must not keep owners from
// asking for a reset. Errors: Unavailable.
func (s *Service) admitMail(ctx context.Context, priority models.MailPriority) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	full, err := s.isBacklogFull(ctx, priority)
	if err != nil {
		return storeError(err)
	}
	if full {
		s.observe("mail_backlog")
		return &Error{Code: Unavailable, RetryAfter: backlogRetry, Cause: ErrBacklog}
	}
	return nil
}

// isBacklogFull asks the database once in backlogMemory. Requests that come while it is asked get the previous answer.
func (s *Service) isBacklogFull(ctx context.Context, priority models.MailPriority) (bool, error) {
	now := s.now()
	last, fresh := s.backlogs.look(priority, now)
	if fresh {
		return last, nil
	}
	full, err := s.store.MailsDue(ctx, priority, now, maxBacklog)
	if err == nil {
		s.backlogs.note(priority, full, now)
	}
	return full, err
}

// look returns the last answer and whether it is fresh. If it is not, the caller is to ask, and others wait no longer
// for that than until its next answer.
func (b *backlogs) look(priority models.MailPriority, now time.Time) (full, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.seen[priority]
	if age := now.Sub(last.at); age >= 0 && age < backlogMemory {
		return last.full, true
	}
	b.set(priority, backlog{last.full, now})
	return last.full, false
}

func (b *backlogs) note(priority models.MailPriority, full bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(priority, backlog{full, now})
}

func (b *backlogs) set(priority models.MailPriority, last backlog) {
	if b.seen == nil {
		b.seen = map[models.MailPriority]backlog{}
	}
	b.seen[priority] = last
}
