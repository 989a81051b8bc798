package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
)

const (
	maxBacklog    = 1000
	backlogMemory = time.Second
	backlogRetry  = 5 * time.Second
)

// ErrBacklog is the cause of ServiceUnavailable if too many requested mails wait to be sent.
var ErrBacklog = errors.New("too many requested mails wait to be sent")

// CheckBacklog rejects a request for a mail, of a kind that anyone can request, if maxBacklog mails
// of its priority are already due: a mail that arrives too late is useless, and its link may have
// expired. A thousand requests for addresses without an account are finished in a second or two, on
// each engine. For other addresses the mail server sets the pace.
//
// Call it before anything else about the request is examined, so that the answer does not depend on
// the address. Each priority is counted separately: a flood of registrations, each of which sends a
// real mail, must not keep owners from requesting a reset. Errors: ServiceUnavailable.
func (o *Outbox) CheckBacklog(ctx context.Context, k mail.Kind) error {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	full, err := o.isBacklogFull(ctx, o.kinds[string(k)].priority)
	if err != nil {
		return problem.FromStore(err)
	}
	if full {
		o.Count(metrics.MailBacklog)
		return &problem.Error{Code: problem.ServiceUnavailable, RetryAfter: backlogRetry, Cause: ErrBacklog}
	}
	return nil
}

// isBacklogFull queries the database at most once per backlogMemory. Requests that arrive during
// the query get the previous answer.
func (o *Outbox) isBacklogFull(ctx context.Context, priority models.MailPriority) (bool, error) {
	now := o.Now()
	last, isFresh := o.backlogs.get(priority, now)
	if isFresh {
		return last, nil
	}
	full, err := o.Store.HasDueMails(ctx, priority, now, maxBacklog)
	if err == nil {
		o.backlogs.set(priority, full, now)
	}
	return full, err
}

// backlogs caches for backlogMemory whether too many mails of a priority are due, so that a flood
// of requests costs one small query per second. The zero value is ready to use.
type backlogs struct {
	mu   sync.Mutex
	last [models.PriorityRegistration + 1]backlog
}

type backlog struct {
	full bool
	at   time.Time
}

// get returns the last answer and whether it is fresh. If it is not, the caller must query the
// database. Other callers get the last answer as fresh until the query ends, for backlogMemory at
// most.
func (b *backlogs) get(priority models.MailPriority, now time.Time) (full, isFresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := &b.last[priority]
	if age := now.Sub(last.at); age >= 0 && age < backlogMemory {
		return last.full, true
	}
	last.at = now
	return last.full, false
}

func (b *backlogs) set(priority models.MailPriority, full bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last[priority] = backlog{full, now}
}
