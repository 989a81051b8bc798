package models_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"example.com/accounts/models"
)

func TestRetryCallsAgainAfterNamedErrorOnly(t *testing.T) {
	other := errors.New("other")
	for name, each := range map[string]struct {
		results []error
		calls   int
		err     error
	}{
		"success":           {[]error{nil}, 1, nil},
		"success at last":   {[]error{models.ErrClock, fmt.Errorf("wrapped: %w", models.ErrClock), nil}, 3, nil},
		"too many failures": {[]error{models.ErrClock, models.ErrClock, models.ErrClock, nil}, 3, models.ErrClock},
		"another error":     {[]error{models.ErrClock, other, nil}, 2, other},
	} {
		calls := 0
		err := models.Retry(t.Context(), 3, models.Is(models.ErrClock), func() error {
			calls++
			return each.results[calls-1]
		})
		if calls != each.calls || !errors.Is(err, each.err) {
			t.Errorf("%s: got %d calls and %v", name, calls, err)
		}
	}
}

func TestRetryStopsWhenContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := models.Retry(ctx, 1000, models.Is(models.ErrClock), func() error {
		calls++
		cancel()
		return models.ErrClock
	})
	// a pause may end at the same instant as the context
	if calls > 20 || !errors.Is(err, models.ErrClock) {
		t.Fatalf("got %d calls and %v", calls, err)
	}
}
