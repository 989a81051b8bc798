package sessions

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
)

// clockCheck compares the database's clock with this process's.
type clockCheck struct {
	store     *models.Store
	now       func() time.Time
	tolerance time.Duration
	count     metrics.Count
	offset    atomic.Int64 // nanoseconds, as last measured
}

// CheckClock returns an error if the database's clock differs too much from this process's: every
// refresh would be answered with ServiceUnavailable. Errors: ServiceUnavailable.
func (c *clockCheck) CheckClock(ctx context.Context) error {
	before := c.now()
	db, ok, err := c.store.Clock(ctx)
	if err != nil {
		return problem.Unavailable(err)
	}
	if ok && c.isClockOff(before, db, c.now()) {
		return problem.Unavailable(models.ErrClock)
	}
	return nil
}

// ClockOffset returns how far the database's clock was ahead of this process's when they were last
// compared.
func (c *clockCheck) ClockOffset() time.Duration { return time.Duration(c.offset.Load()) }

// isClockOff reports whether the database's clock is too far off. db was read between before and
// after, which are times of this process.
func (c *clockCheck) isClockOff(before, db, after time.Time) bool {
	if db.IsZero() {
		return false
	}
	c.offset.Store(int64(db.Sub(before.Add(after.Sub(before) / 2))))
	t := c.tolerance
	off := db.Before(before.Add(-t)) || db.After(after.Add(t))
	if off {
		c.count(metrics.ClockOff)
	}
	return off
}
