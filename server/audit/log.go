package audit

import (
	"context"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
)

// Log is the security log of a process. It is safe for concurrent use.
type Log struct {
	store    *models.Store
	now      func() time.Time
	count    metrics.Count
	rejected queue
}

// NewLog returns the security log in the store. It counts events that it had to drop.
func NewLog(store *models.Store, now func() time.Time, count metrics.Count) *Log {
	return &Log{store: store, now: now, count: count}
}

// List returns the newest events that match the query. next is the event before which the next page
// begins, or zero if there is none. Errors: ServiceUnavailable.
func (l *Log) List(ctx context.Context, q models.EventQuery) (page []models.Event, next uuid.UUID, err error) {
	limit := q.Limit
	q.Limit++ // one more than the page has, to find out whether there is a next page
	if page, err = l.store.Events(ctx, q); err != nil {
		return nil, next, problem.FromStore(err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].ID
	}
	return page, next, nil
}
