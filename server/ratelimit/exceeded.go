package ratelimit

import (
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
)

// Exceeded is the error for an action that a limit rejects.
type Exceeded struct {
	Kind  string
	Until time.Time // the time until which the limit rejects actions
	// InFlight means that the limit is reached by attempts that are still being verified. Some of
	// them may be refunded soon, so it is not known yet whether the limit is exceeded. The client
	// must not be told to wait for the rest of the window.
	InFlight bool
}

// Error names the limit.
func (e *Exceeded) Error() string { return "ratelimit: the limit " + e.Kind + " is exceeded" }

// IsExceeded reports whether err says that a limit of one of these kinds is exceeded, or any limit if
// no kind is given.
func IsExceeded(err error, kinds ...string) bool {
	var exceeded *Exceeded
	return errors.As(err, &exceeded) && (len(kinds) == 0 || slices.Contains(kinds, exceeded.Kind))
}

// translate turns the error of the store for an exceeded limit into an *Exceeded, and returns any
// other error as it is.
func translate(err error) error {
	var exceeded *models.RateLimitExceeded
	if errors.As(err, &exceeded) {
		return &Exceeded{Kind: exceeded.Kind, Until: exceeded.Until, InFlight: exceeded.InFlight}
	}
	return err
}

// soonerRejection returns the one of two rejections that ends sooner. It returns b if a is nil.
func soonerRejection(a, b error) error {
	var first, second *Exceeded
	if errors.As(a, &first) && errors.As(b, &second) && first.Until.Before(second.Until) {
		return a
	}
	return b
}

// laterRejection returns the one of two rejections that ends later. It returns b if a is nil, and a
// if a is another error than a rejection.
func laterRejection(a, b error) error {
	var first, second *Exceeded
	if a == nil || errors.As(a, &first) && errors.As(b, &second) && first.Until.Before(second.Until) {
		return b
	}
	return a
}
