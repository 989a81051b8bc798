package models

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// ObsoleteRows are rows of one table that nothing needs after some time.
type ObsoleteRows string

// The rows that become obsolete, with the time from which their age counts.
const (
	EndedSessions   ObsoleteRows = "sessions"        // their absolute end
	ExpiredTokens   ObsoleteRows = "one_time_tokens" // their expiry
	FinishedMails   ObsoleteRows = "outbox"          // when they were finished
	EndedRateLimits ObsoleteRows = "rate_limits"     // the end of the window
	OldEvents       ObsoleteRows = "events"          // when they happened
)

// DeleteObsolete removes at most limit rows whose time is before the given one. It returns how many
// it removed. A token of a removed session is rejected like that of a revoked session, so removal
// makes no token valid again.
func (s *database) DeleteObsolete(ctx context.Context, rows ObsoleteRows, before time.Time, limit int) (int64, error) {
	switch rows {
	case EndedSessions:
		return deleteOld(ctx, s, &Session{}, "expires_at < ?", before, limit)
	case ExpiredTokens:
		return deleteOld(ctx, s, &OneTimeToken{}, "expires_at < ?", before, limit)
	case FinishedMails:
		return deleteOld(ctx, s, &Mail{}, "done_at < ?", before, limit)
	case EndedRateLimits:
		return deleteOld(ctx, s, &RateLimit{}, "ends_at < ?", before, limit)
	case OldEvents:
		return deleteOld(ctx, s, &Event{}, "created_at < ?", before, limit)
	}
	return 0, fmt.Errorf("models: unknown rows %q", rows)
}

// deleteOld removes at most limit rows, so that locks are held briefly.
func deleteOld(ctx context.Context, s *database, model any, where string, before time.Time, limit int) (int64, error) {
	var ids []uuid.UUID
	err := s.reads.WithContext(ctx).Model(model).Where(where, before).Limit(limit).Pluck("id", &ids).Error
	if err != nil || len(ids) == 0 {
		return 0, translate(err)
	}
	var deleted int64
	err = retry(ctx, func() error {
		result := s.db.WithContext(ctx).Session(&gorm.Session{}).Where("id IN ?", ids).Where(where, before).Delete(model)
		deleted = result.RowsAffected
		return result.Error
	})
	return deleted, err
}
