package accounts

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
)

const (
	maxBacklog    = 1000
	backlogMemory = time.Second
	backlogRetry  = 5 * time.Second
)

// ErrBacklog is the cause of ServiceUnavailable if too many requested mails wait to be sent.
var ErrBacklog = errors.New("too many requested mails wait to be sent")

// backlogs caches for backlogMemory whether too many mails of a priority are due, so that a flood
// of requests costs one small query per second.
type backlogs struct {
	mu   sync.Mutex
	seen map[models.MailPriority]backlog
}

type backlog struct {
	full bool
	at   time.Time
}

// admitMail rejects a request for a mail, of a kind that any stranger can request, if maxBacklog
// mails of its priority are already due: a mail that arrives too late is useless, and its link may
// have expired. A thousand requests for addresses without an account are finished in a second or
// two, on each engine. For other addresses the mail server sets the pace.
//
// Call it before anything else about the request is examined, so that the answer does not depend on
// the address. Each priority is counted separately: a flood of registrations, each of which sends a
// real mail, must not keep owners from requesting a reset. Errors: ServiceUnavailable.
func (s *Service) admitMail(ctx context.Context, priority models.MailPriority) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	full, err := s.isBacklogFull(ctx, priority)
	if err != nil {
		return problem.FromStore(err)
	}
	if full {
		s.observe("mail_backlog")
		return &problem.Error{Code: problem.ServiceUnavailable, RetryAfter: backlogRetry, Cause: ErrBacklog}
	}
	return nil
}

// isBacklogFull queries the database at most once per backlogMemory. Requests that arrive during
// the query get the previous answer.
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

// look returns the last answer and whether it is fresh. If it is not, the caller must query the
// database. Other callers get the last answer as fresh until the query ends, for backlogMemory at
// most.
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
