package ratelimit

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// Limiter counts actions against limits. It is safe for concurrent use.
type Limiter struct {
	store  *models.Store
	now    func() time.Time
	memory memory
}

// New returns a limiter that counts in the store.
func New(store *models.Store, now func() time.Time) *Limiter {
	return &Limiter{store: store.WithClock(now), now: now}
}

// refundTime bounds a refund.
const refundTime = 500 * time.Millisecond

// Allow counts one action against each of these limits, or against none if one of them is exceeded.
// The caller calls it before the action. Errors: *Exceeded, with the latest time if several limits
// are exceeded; those of the store.
func (l *Limiter) Allow(ctx context.Context, uses ...models.RateLimitUse) error {
	if uses = onlyEnabled(uses); len(uses) == 0 {
		return nil
	}
	if err := l.AllowFromMemory(uses...); err != nil {
		return err
	}
	// The caller may disconnect, but a count that has begun is completed.
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	now := l.now()
	err := l.store.Tx(ctx, func(tx *models.Tx) error { return tx.CountUses(uses...) })
	var exceeded *models.RateLimitExceeded
	if errors.As(err, &exceeded) && strings.HasSuffix(exceeded.Kind, perClient) {
		l.memory.add(exceeded, now)
	}
	return translate(err)
}

// AllowFromMemory rejects an action if one of its limits per client has just been found exceeded. It
// counts nothing and does not query the database. Errors: *Exceeded.
func (l *Limiter) AllowFromMemory(uses ...models.RateLimitUse) error {
	if exceeded := l.memory.find(uses, l.now()); exceeded != nil {
		return exceeded
	}
	return nil
}

// Refund subtracts an action from its limits, for example because it could not be carried out.
func (l *Limiter) Refund(ctx context.Context, uses ...models.RateLimitUse) error {
	if uses = onlyEnabled(uses); len(uses) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, 0, len(uses))
	for _, use := range uses {
		ids = append(ids, use.ID)
	}
	// The request's deadline does not apply. If it has passed, the action was not carried out, and
	// it must not count.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTime)
	defer cancel()
	return l.store.RefundUses(ctx, l.now(), ids...)
}

// IsExceeded reports whether one of these limits would reject an action now. It counts nothing.
func (l *Limiter) IsExceeded(ctx context.Context, uses ...models.RateLimitUse) (bool, error) {
	return l.store.IsRateLimited(ctx, l.now(), onlyEnabled(uses)...)
}

// Count counts one action against each of these limits in the caller's transaction. If one of
// several limits is exceeded, the caller must roll back; see [models.Tx.CountUses]. Errors:
// *Exceeded, those of the store.
func Count(tx *models.Tx, uses ...models.RateLimitUse) error {
	return translate(tx.CountUses(onlyEnabled(uses)...))
}

// CountIfAllowed counts one action in the caller's transaction and reports whether the limit allows
// it. An action that is not allowed changes nothing, so the transaction can go on. Errors: those of
// the store.
func CountIfAllowed(tx *models.Tx, use models.RateLimitUse) (allowed bool, err error) {
	err = Count(tx, use)
	if IsExceeded(err) {
		return false, nil
	}
	return err == nil, err
}

// onlyEnabled returns the uses of the limits that are switched on.
func onlyEnabled(uses []models.RateLimitUse) []models.RateLimitUse {
	var on []models.RateLimitUse
	for _, use := range uses {
		if use.Limit > 0 {
			on = append(on, use)
		}
	}
	return on
}
