package audit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
)

// Rejection is an event of a rejected request.
type Rejection struct {
	Event Event
	// FindUser returns the id of the user if Event.UserID is 0. The event of a user who does not
	// exist (models.ErrNotFound) is not recorded.
	FindUser func(ctx context.Context) (int64, error)
	// Subjects tell rejections of one kind apart, such as by the name of a login and the client's
	// network. One event per minute is recorded for the same kind and subjects.
	Subjects []string
}

const (
	maxRejections = 1000
	flushEvery    = time.Second
)

// RecordRejected queues the event of a rejected request. Such a request writes nothing else, so its
// event has no transaction to be written in. [Log.Run] writes the queued events together a moment
// later, outside the requests, so that a wrong password takes the same time whether or not the name
// belongs to a user. Queued events are lost if the process dies; the request log has them too.
//
// Requests cannot flood the database through the queue: it accepts one event per minute for the
// same kind and subjects, and holds at most maxRejections.
func (l *Log) RecordRejected(r Rejection) {
	key := r.Event.Kind + "\x00" + strings.Join(r.Subjects, "\x00")
	if !l.rejected.add(queuedEvent{r.Event.Row(l.now()), r.FindUser}, key) {
		l.countDropped(1)
	}
}

// MayRecord reports whether to record an event that a client can cause as often as it likes. err is
// the result of counting the event in a rate limit of the user. Without the limit, one client could
// fill the security log. If the database does not answer, the event is recorded.
func MayRecord(err error) bool { return !errors.Is(err, problem.New(problem.RateLimited)) }

// Run writes the queued events every second until ctx ends. It calls report with each error.
func (l *Log) Run(ctx context.Context, report func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(flushEvery):
		}
		if err := l.Flush(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
	}
}

// Flush writes the queued events now. If the database is unavailable, they stay in the queue. An
// event that the database rejects is dropped, so that it does not hold up the others.
func (l *Log) Flush(ctx context.Context) error {
	list := l.rejected.takeAll()
	if len(list) == 0 {
		return nil
	}
	events, err := findUsers(ctx, list)
	if err == nil && len(events) > 0 {
		err = l.store.AddEvents(ctx, events...)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(problem.FromStore(err), problem.New(problem.ServiceUnavailable)):
		l.countDropped(l.rejected.putBack(list))
	default:
		for _, each := range events {
			if l.store.AddEvents(ctx, each) != nil {
				l.countDropped(1)
			}
		}
	}
	return err
}

func (l *Log) countDropped(n int) {
	for range n {
		l.count(metrics.EventDropped)
	}
}

// findUsers returns the queued events with the ids of their users. It omits those of users who do
// not exist.
func findUsers(ctx context.Context, list []queuedEvent) ([]models.Event, error) {
	var events []models.Event
	for _, each := range list {
		if each.event.UserID == 0 {
			id, err := each.findUser(ctx)
			if errors.Is(err, models.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			each.event.UserID = id
		}
		events = append(events, each.event)
	}
	return events, nil
}

// queue holds the events of rejected requests until they are written.
type queue struct {
	mu      sync.Mutex
	waiting []queuedEvent
	minute  time.Time
	added   map[string]bool // the keys of this minute
}

type queuedEvent struct {
	event    models.Event
	findUser func(ctx context.Context) (int64, error)
}

// add queues an event unless one with the same key has been queued in this minute. It reports false
// if the queue is full.
func (q *queue) add(event queuedEvent, key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if minute := event.event.CreatedAt.Truncate(time.Minute); !minute.Equal(q.minute) {
		q.minute, q.added = minute, map[string]bool{}
	}
	if q.added[key] {
		return true
	}
	if len(q.waiting) >= maxRejections {
		return false
	}
	q.added[key] = true
	q.waiting = append(q.waiting, event)
	return true
}

func (q *queue) takeAll() []queuedEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = nil
	return taken
}

// putBack puts the events of a failed write at the head of the queue again. It returns how many of
// the newest events were dropped because the queue is full.
func (q *queue) putBack(list []queuedEvent) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(list, q.waiting...)
	dropped = max(0, len(q.waiting)-maxRejections)
	q.waiting = q.waiting[:len(q.waiting)-dropped]
	return dropped
}
