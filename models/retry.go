package models

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The longest pauses of [Retry]: before the second call, and before each of many calls.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 320 * time.Millisecond
)

// Retry calls f until it returns nil or an error that isTransient does not accept, at most tries
// times in all, and returns the last result of f. Between two calls it pauses for a random time, up
// to 10 ms at first and up to twice as long each time, so that two callers in conflict do not meet
// again. If ctx ends during a pause, Retry returns the error of the last call, which tells more
// than that of ctx.
func Retry(ctx context.Context, tries int, isTransient func(error) bool, f func() error) error {
	longest := firstPause
	for try := 1; ; try++ {
		err := f()
		if err == nil || try >= tries || !isTransient(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(1 + rand.N(longest)): //nolint:gosec // spreads retries, hides nothing
		}
		longest = min(2*longest, lastPause)
	}
}

// Is returns a function that reports whether an error is target, for [Retry].
func Is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}
