package models

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// RateLimit counts the uses of a rate limit in a window that starts at the first use. The id is a
// hash of the subject of the limit. LastAt is the time of the last use, or an earlier time if
// [Store.SettleUses] has settled that use.
type RateLimit struct {
	ID     uuid.UUID `gorm:"primaryKey"`
	Kind   string
	Hits   int
	LastAt time.Time
	EndsAt time.Time
}

// RateLimitUse is one use of a rate limit that allows Limit uses in Per, each at least Pause after
// the previous one. A Limit of 0 disables the rate limit. Flight is how long a use may take until
// it is known whether it counts or is refunded.
type RateLimitUse struct {
	ID                 uuid.UUID
	Kind               string
	Limit              int
	Per, Pause, Flight time.Duration
}

// RateLimitExceeded is the error for an exceeded rate limit. Until is the time until which the
// limit rejects requests. If a request exceeds several limits, it is the one with the latest time.
type RateLimitExceeded struct {
	ID    uuid.UUID
	Kind  string
	Until time.Time
	// InFlight means that the limit is reached by uses which are still being decided. Some of them
	// may be refunded soon, so it is not known yet whether the limit is exceeded.
	InFlight bool
}

func (e *RateLimitExceeded) Error() string {
	return "models: the rate limit " + e.Kind + " is exceeded"
}

// countUses counts one use of each rate limit. It must be called before the limited operation, so
// that concurrent requests, on this or other replicas, cannot all use the last unit. It locks the
// rows in ascending order, because two requests could otherwise deadlock. Errors:
// *RateLimitExceeded.
func countUses(tx *gorm.DB, now time.Time, uses []RateLimitUse) error {
	uses = slices.Clone(uses)
	slices.SortFunc(uses, func(a, b RateLimitUse) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for i, use := range uses {
		err := countUse(tx, now, use)
		var exceeded *RateLimitExceeded
		if errors.As(err, &exceeded) {
			return longestRejection(tx, now, exceeded, uses[i+1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// longestRejection returns the limit that rejects a request for the longest time: exceeded, or one
// of the rest, which have not been counted.
func longestRejection(tx *gorm.DB, now time.Time, exceeded *RateLimitExceeded, rest []RateLimitUse) error {
	ids := make([]uuid.UUID, 0, len(rest))
	for _, use := range rest {
		ids = append(ids, use.ID)
	}
	var found []RateLimit
	if err := tx.Where("id IN ?", ids).Find(&found).Error; err != nil {
		return translate(err)
	}
	for _, use := range rest {
		i := slices.IndexFunc(found, func(r RateLimit) bool { return r.ID == use.ID })
		if i < 0 || use.Limit == 0 {
			continue
		}
		if other := found[i].rejectionOf(use, now); other != nil && other.Until.After(exceeded.Until) {
			exceeded = other
		}
	}
	return exceeded
}

// countUse counts one use of a rate limit. Errors: *RateLimitExceeded.
func countUse(tx *gorm.DB, now time.Time, use RateLimitUse) error {
	if use.Limit == 0 {
		return nil
	}
	// MySQL assigns from left to right: the CASE for hits sees the old ends_at.
	result := tx.Exec(`UPDATE rate_limits SET hits = CASE WHEN ends_at <= ? THEN 1 ELSE hits + 1 END, last_at = ?, ends_at = CASE WHEN ends_at <= ? THEN ? ELSE ends_at END
		WHERE id = ? AND (ends_at <= ? OR hits < ?) AND (? OR last_at <= ?)`,
		now, now, now, now.Add(use.Per), use.ID, now, use.Limit, use.Pause == 0, now.Add(-use.Pause)) // without a pause, requests may arrive out of order
	if result.Error != nil || result.RowsAffected > 0 {
		return result.Error
	}
	var found RateLimit
	err := translate(tx.Where("id = ?", use.ID).Take(&found).Error)
	if errors.Is(err, ErrNotFound) {
		err = translate(tx.Create(&RateLimit{ID: use.ID, Kind: use.Kind, Hits: 1, LastAt: now, EndsAt: now.Add(use.Per)}).Error)
		if errors.Is(err, ErrConflict) { // another request was faster: retry the whole transaction
			return ErrTransient
		}
		return err
	}
	if err != nil {
		return err
	}
	if exceeded := found.rejectionOf(use, now); exceeded != nil {
		return exceeded
	}
	return ErrTransient // refunded since the update
}

// inFlightPause is how soon to try again a use that is rejected because others are in flight.
const inFlightPause = time.Second

// rejectionOf returns how a use is rejected at the time now, or nil if it is not.
func (r RateLimit) rejectionOf(use RateLimitUse, now time.Time) *RateLimitExceeded {
	exceeded := &RateLimitExceeded{ID: use.ID, Kind: use.Kind, Until: r.LastAt.Add(use.Pause)}
	switch {
	case r.Hits < use.Limit, !r.EndsAt.After(now): // only the pause applies
		if !exceeded.Until.After(now) {
			return nil
		}
	case use.Flight > 0 && now.Before(r.LastAt.Add(use.Flight)):
		exceeded.Until, exceeded.InFlight = now.Add(inFlightPause), true
	case r.EndsAt.After(exceeded.Until):
		exceeded.Until = r.EndsAt
	}
	return exceeded
}

// rateLimitCounts reads the counts of rate limits, and settles and refunds uses.
type rateLimitCounts struct{ *database }

// SettleUses records that the uses counted up to a time are final and will not be refunded. It does
// nothing for a limit with a later use. If the uses reach the limit, it is then known to be
// exceeded; see [RateLimitExceeded].InFlight. If a server stops before it calls SettleUses, the
// limit counts as in flight for RateLimitUse.Flight.
func (s rateLimitCounts) SettleUses(ctx context.Context, counted time.Time, uses ...RateLimitUse) error {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var reached []clause.Expression
	for _, use := range uses {
		reached = append(reached, gorm.Expr("id = ? AND hits >= ? AND last_at BETWEEN ? AND ?", use.ID, use.Limit, counted.Add(-use.Flight), counted))
	}
	where := clause.Where{Exprs: []clause.Expression{clause.Or(reached...)}}
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Model(&RateLimit{}).Clauses(where).Update("last_at", time.Unix(0, 0).UTC()).Error
	})
}

// RefundUses subtracts one use from each of these rate limits.
func (s rateLimitCounts) RefundUses(ctx context.Context, now time.Time, ids ...uuid.UUID) error {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Exec("UPDATE rate_limits SET hits = hits - 1 WHERE id IN ? AND hits > 0 AND ends_at > ?", ids, now).Error
	})
}

// resetRateLimits deletes the counts of rate limits.
func resetRateLimits(tx *gorm.DB, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	return tx.Where("id IN ?", ids).Delete(&RateLimit{}).Error
}

// IsRateLimited reports whether the uses of at least one of these rate limits have reached its
// maximum.
func (s rateLimitCounts) IsRateLimited(ctx context.Context, now time.Time, list ...RateLimitUse) (bool, error) {
	for _, b := range list {
		var found int64
		err := s.reads.WithContext(ctx).Model(&RateLimit{}).Where("id = ? AND hits >= ? AND ends_at > ?", b.ID, b.Limit, now).Count(&found).Error
		if err != nil || found > 0 {
			return err == nil, translate(err)
		}
	}
	return false, nil
}

// ProveWrite writes a row reserved for the caller, and fails if the database cannot be written to.
// A database may answer every read while its disk is full, or after it has become a replica. The
// row expires at once and is removed with other old rows.
func (s rateLimitCounts) ProveWrite(ctx context.Context, id uuid.UUID, now time.Time) error {
	t := RateLimit{ID: id, Kind: "ready", LastAt: now, EndsAt: now}
	update := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"last_at", "ends_at"})}
	return translate(s.db.WithContext(ctx).Clauses(update).Create(&t).Error)
}
