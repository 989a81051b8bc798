package models

import (
	"context"
	"errors"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// RateLimit counts the uses of a rate limit in a window that starts at the first use. The id is a
// hash of the subject of the limit. LastAt is the time of the last use, or an earlier time if that
// use is a guess that [Store.SettleGuesses] has settled.
type RateLimit struct {
	ID     ID `gorm:"primaryKey"`
	Kind   string
	Hits   int
	LastAt time.Time
	EndsAt time.Time
}

// RateLimitUse is one use of a rate limit that allows Limit uses in Per, each at least Pause after the
// previous one. A Limit of 0 disables the rate limit. Flight is how long a use may take until it is
// known whether it counts or is refunded.
type RateLimitUse struct {
	ID                 ID
	Kind               string
	Limit              int
	Per, Pause, Flight time.Duration
}

// RateLimitExceeded is the error for an exceeded rate limit. Until is the time until which the limit
// rejects requests. If a request exceeds several limits, it is the one with the latest time.
type RateLimitExceeded struct {
	ID    ID
	Kind  string
	Until time.Time
	// InFlight means that guesses which are still being verified use up the limit. Some of them may
	// be refunded soon, so it is not known yet whether the limit is exceeded.
	InFlight bool
}

func (o *RateLimitExceeded) Error() string { return "models: the limit is used up" }

// Spend counts one use of each of these rate limits, or of none if one is exceeded. It must be
// called before the limited operation, so that concurrent requests, on this or other replicas,
// cannot all use the last unit. Errors: *RateLimitExceeded.
func (s *Store) Spend(ctx context.Context, now time.Time, list ...RateLimitUse) error {
	return s.tx(ctx, func(tx *gorm.DB) error { return countUses(tx, now, list) })
}

// countUses locks the rows in ascending order, because two requests could otherwise deadlock.
func countUses(tx *gorm.DB, now time.Time, list []RateLimitUse) error {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b RateLimitUse) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for i, each := range list {
		err := spend(tx, now, each)
		var over *RateLimitExceeded
		if errors.As(err, &over) {
			return longest(tx, now, over, list[i+1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// longest returns the limit that rejects a request for the longest time: over, or one of the rest,
// which have not been counted.
func longest(tx *gorm.DB, now time.Time, over *RateLimitExceeded, rest []RateLimitUse) error {
	ids := make([]ID, 0, len(rest))
	for _, each := range rest {
		ids = append(ids, each.ID)
	}
	var found []RateLimit
	if err := tx.Where("id IN ?", ids).Find(&found).Error; err != nil {
		return translate(err)
	}
	for _, each := range rest {
		i := slices.IndexFunc(found, func(t RateLimit) bool { return t.ID == each.ID })
		if i < 0 || each.Limit == 0 {
			continue
		}
		if other := exceeded(found[i], each, now); other != nil && other.Until.After(over.Until) {
			over = other
		}
	}
	return over
}

func spend(tx *gorm.DB, now time.Time, b RateLimitUse) error {
	if b.Limit == 0 {
		return nil
	}
	// MySQL assigns from left to right: the CASE for hits sees the old ends_at.
	result := tx.Exec(`UPDATE rate_limits SET hits = CASE WHEN ends_at <= ? THEN 1 ELSE hits + 1 END, last_at = ?, ends_at = CASE WHEN ends_at <= ? THEN ? ELSE ends_at END
		WHERE id = ? AND (ends_at <= ? OR hits < ?) AND (? OR last_at <= ?)`,
		now, now, now, now.Add(b.Per), b.ID, now, b.Limit, b.Pause == 0, now.Add(-b.Pause)) // without a pause, requests may arrive out of order
	if result.Error != nil || result.RowsAffected > 0 {
		return result.Error
	}
	var found RateLimit
	err := translate(tx.Where("id = ?", b.ID).Take(&found).Error)
	if errors.Is(err, ErrNotFound) {
		err = translate(tx.Create(&RateLimit{ID: b.ID, Kind: b.Kind, Hits: 1, LastAt: now, EndsAt: now.Add(b.Per)}).Error)
		if errors.Is(err, ErrConflict) { // another request was faster: retry the whole transaction
			return ErrTransient
		}
		return err
	}
	if err != nil {
		return err
	}
	if over := exceeded(found, b, now); over != nil {
		return over
	}
	return ErrTransient // refunded since the update
}

const inFlight = time.Second

// exceeded returns how a use is rejected at the time now, or nil if it is not.
func exceeded(t RateLimit, b RateLimitUse, now time.Time) *RateLimitExceeded {
	over := &RateLimitExceeded{ID: b.ID, Kind: b.Kind, Until: t.LastAt.Add(b.Pause)}
	switch {
	case t.Hits < b.Limit, !t.EndsAt.After(now): // only the pause applies
		if !over.Until.After(now) {
			return nil
		}
	case b.Flight > 0 && now.Before(t.LastAt.Add(b.Flight)):
		over.Until, over.InFlight = now.Add(inFlight), true
	case t.EndsAt.After(over.Until):
		over.Until = t.EndsAt
	}
	return over
}

// SettleGuesses records that the guesses counted up to the time spent were wrong, for each limit
// without a later use. If they use up the limit, it is then known to be exceeded; see
// [RateLimitExceeded].InFlight. If a server stops before it calls SettleGuesses, the limit counts as in
// flight for RateLimitUse.Flight.
func (s *Store) SettleGuesses(ctx context.Context, spent time.Time, list ...RateLimitUse) error {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var usedUp []clause.Expression
	for _, each := range list {
		usedUp = append(usedUp, gorm.Expr("id = ? AND hits >= ? AND last_at BETWEEN ? AND ?", each.ID, each.Limit, spent.Add(-each.Flight), spent))
	}
	where := clause.Where{Exprs: []clause.Expression{clause.Or(usedUp...)}}
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Model(&RateLimit{}).Clauses(where).Update("last_at", time.Unix(0, 0).UTC()).Error
	})
}

// Refund subtracts one use from each of these rate limits.
func (s *Store) Refund(ctx context.Context, now time.Time, ids ...ID) error {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	slices.SortFunc(ids, func(a, b ID) int { return slices.Compare(a[:], b[:]) })
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Exec("UPDATE rate_limits SET hits = hits - 1 WHERE id IN ? AND hits > 0 AND ends_at > ?", ids, now).Error
	})
}

// resetRateLimits resets rate limits.
func resetRateLimits(tx *gorm.DB, limits []ID) error {
	if len(limits) == 0 {
		return nil
	}
	return tx.Where("id IN ?", limits).Delete(&RateLimit{}).Error
}

// ProveWrite writes a row reserved for the caller, and fails if the database cannot be written to.
// A database may answer every read while its disk is full, or after it has become a replica. The
// row expires at once and is removed with other old rows.
func (s *Store) ProveWrite(ctx context.Context, id ID, now time.Time) error {
	t := RateLimit{ID: id, Kind: "ready", LastAt: now, EndsAt: now}
	update := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"last_at", "ends_at"})}
	return translate(s.db.WithContext(ctx).Clauses(update).Create(&t).Error)
}

// DeleteOldRateLimits removes at most limit windows that ended before the given time. It returns how
// many it removed.
func (s *Store) DeleteOldRateLimits(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.deleteOld(ctx, &RateLimit{}, "ends_at < ?", before, limit)
}
