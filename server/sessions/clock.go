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
	start := c.startReading()
	db, ok, err := c.store.Clock(ctx)
	if err != nil {
		return problem.Unavailable(err)
	}
	if ok && c.isClockOff(start, db, c.now()) {
		return problem.Unavailable(models.ErrClock)
	}
	return nil
}

// ClockOffset returns how far the database's clock was ahead of this process's when they were last
// compared.
func (c *clockCheck) ClockOffset() time.Duration { return time.Duration(c.offset.Load()) }

// reading is the start of a query that returns the database's time.
type reading struct {
	at        time.Time // by this process's clock
	monotonic time.Duration
}

func (c *clockCheck) startReading() reading { return reading{c.now(), readClocks().monotonic} }

// isClockOff reports whether the database's clock differs from this process's by more than the
// tolerance. db is the time that the database returned, or zero if it has no clock of its own
// (SQLite). now is this process's time after the response.
//
// The clock may be set while the database answers. Then now can be wrong by any amount although the
// time at the start agreed with the database's, and a live session would count as expired. So both
// times must also be as far apart as the monotonic clock says.
func (c *clockCheck) isClockOff(start reading, db, now time.Time) bool {
	if db.IsZero() {
		return false
	}
	took, t := readClocks().monotonic-start.monotonic, c.tolerance
	if (now.Sub(start.at) - took).Abs() > t {
		c.count(metrics.ClockOff)
		return true
	}
	c.offset.Store(int64(db.Sub(start.at.Add(took / 2))))
	isOff := func(earliest, latest time.Time) bool { return db.Before(earliest.Add(-t)) || db.After(latest.Add(t)) }
	off := isOff(start.at, start.at.Add(took)) || isOff(now.Add(-took), now)
	if off {
		c.count(metrics.ClockOff)
	}
	return off
}
