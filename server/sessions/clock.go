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
	before, after := c.startTiming()
	db, ok, err := c.store.Clock(ctx)
	if err != nil {
		return problem.Unavailable(err)
	}
	if ok && c.isClockOff(before, db, after()) {
		return problem.Unavailable(models.ErrClock)
	}
	return nil
}

// ClockOffset returns how far the database's clock was ahead of this process's when they were last
// compared.
func (c *clockCheck) ClockOffset() time.Duration { return time.Duration(c.offset.Load()) }

// startTiming returns the time, and a function that returns the time at a later call. That function
// does not read the clock again: it adds the time that the monotonic clock has measured since. The
// clock may be set while the database answers. A second reading could then be wrong by any amount,
// although the first one agrees with the database's clock, and a live session would count as
// expired.
func (c *clockCheck) startTiming() (before time.Time, after func() time.Time) {
	before, start := c.now(), readClocks()
	return before, func() time.Time {
		return before.Add((readClocks().monotonic - start.monotonic).Truncate(time.Microsecond))
	}
}

// isClockOff reports whether the database's clock differs from this process's by more than the
// tolerance. db is the time that the database returned, or zero if it has no clock of its own
// (SQLite). before and after, both from startTiming, are this process's times before the query and
// after the response.
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
