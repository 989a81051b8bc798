package ratelimit

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
)

// Attempt is an attempt to guess a secret, with the limits that it counts against.
type Attempt struct {
	// Secret holds the limits of wrong attempts at the secret. They are alternatives: the first that
	// is not exceeded counts the attempt. There is at least one.
	Secret []models.RateLimitUse
	// Client holds the limits of wrong attempts by the client.
	Client []models.RateLimitUse
	// Verified holds the limits of attempts that are verified, right or wrong. The threat is a
	// client that keeps the hash slots busy with right passwords, which no limit of wrong attempts
	// counts.
	Verified []models.RateLimitUse
}

// verifyTime is how long an attempt may be in flight, that is, counted and not yet verified. While
// attempts in flight reach a limit, further ones are rejected with [Exceeded].InFlight: some of
// those attempts may be refunded, so it is not known yet whether the limit is exceeded.
const verifyTime = 5 * time.Second

// Verify counts an attempt, calls check to verify it, and settles the counts by the outcome:
//
//   - right: the attempt is refunded to Secret and Client, which count wrong attempts only.
//   - wrong: the counts are final.
//   - an error: the attempt was not verified, because of overload or a failure. It is refunded to
//     all limits.
//
// An attempt that is rejected because all limits of Secret are exceeded counts for Client too.
// Otherwise one client could poll an exhausted limit at no cost, and exhaust it again as soon as the
// owner has released it.
//
// Errors: *Exceeded, those of check, and those of the store.
func (l *Limiter) Verify(ctx context.Context, a Attempt, check func() (right bool, err error)) (right bool, err error) {
	wrong, err := l.allowAttempt(ctx, a)
	if err != nil {
		return false, err
	}
	counted := l.now()
	right, err = check()
	switch {
	case err != nil:
		return false, errors.Join(err, l.Refund(ctx, slices.Concat(wrong, a.Verified)...))
	case right:
		return true, l.Refund(ctx, wrong...)
	}
	l.settle(ctx, counted, wrong)
	return false, nil
}

// allowAttempt counts an attempt. It returns the uses that count wrong attempts only. If all limits
// of the secret are exceeded, the error is the one that ends sooner, or that of the client's limits
// if it ends later still.
func (l *Limiter) allowAttempt(ctx context.Context, a Attempt) (wrong []models.RateLimitUse, err error) {
	client := markInFlight(a.Client)
	var exceeded error
	for _, secret := range markInFlight(a.Secret) {
		wrong = append(slices.Clone(client), secret)
		err := l.Allow(ctx, slices.Concat(wrong, a.Verified)...)
		if !IsExceeded(err, secret.Kind) {
			return wrong, err
		}
		exceeded = soonerRejection(exceeded, err)
	}
	return nil, laterRejection(l.Allow(ctx, client...), exceeded)
}

// markInFlight marks uses as attempts that may be refunded while they are verified.
func markInFlight(uses []models.RateLimitUse) []models.RateLimitUse {
	uses = slices.Clone(uses)
	for i := range uses {
		uses[i].Flight = verifyTime
	}
	return uses
}

// settle records that an attempt, counted at the given time, was wrong, so that it is no longer in
// flight. An error is ignored, because the attempt is already counted. Without the record it stays
// in flight for verifyTime, and the client of the next attempt may be told to retry sooner than the
// limit allows.
func (l *Limiter) settle(ctx context.Context, counted time.Time, wrong []models.RateLimitUse) {
	if wrong = onlyEnabled(wrong); len(wrong) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTime)
	defer cancel()
	_ = l.store.SettleUses(ctx, counted, wrong...)
}
