package models_test

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
)

// The methods below combine the verbs of sessions as the packages above do.

// at runs a transaction at the given instant.
func (f *fixture) at(ctx context.Context, now time.Time, do func(tx *models.Tx) error) error {
	return f.WithClock(func() time.Time { return now }).Tx(ctx, do)
}

// CreateSession adds the session of a login at the session's own time.
func (f *fixture) CreateSession(ctx context.Context, s models.Session, oldHash, rehash string, limit int, tolerance time.Duration) error {
	u := models.User{ID: s.UserID, SessionEpoch: s.Epoch, Password: oldHash}
	return f.at(ctx, s.CreatedAt, func(tx *models.Tx) error {
		if err := tx.RecordLogin(u); err != nil {
			return err
		}
		if rehash != "" {
			if err := tx.ReplaceHash(u, rehash); err != nil {
				return err
			}
		}
		if err := tx.InsertSession(s, tolerance); err != nil {
			return err
		}
		_, err := tx.RevokeOldestSessions(u, limit, models.RevokedByEvictor)
		return err
	})
}

// Revoke revokes a session, and reports whether the user has it.
func (f *fixture) Revoke(ctx context.Context, id uuid.UUID, userID int64, now time.Time, reason string) (bool, error) {
	err := f.at(ctx, now, func(tx *models.Tx) error {
		_, err := tx.RevokeSession(id, userID, reason)
		return err
	})
	if errors.Is(err, models.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// KeepOnly revokes every session of a user except for one.
func (f *fixture) KeepOnly(ctx context.Context, id uuid.UUID, userID, epoch int64, now time.Time) error {
	u := models.User{ID: userID, SessionEpoch: epoch}
	return f.at(ctx, now, func(tx *models.Tx) error {
		if err := tx.MoveSession(id, u); err != nil {
			return err
		}
		return tx.RevokeAllSessions(u)
	})
}

// RevokeAllSessions revokes every session of a user, who may be a staff member.
func (f *fixture) RevokeAllSessions(ctx context.Context, userID, epoch int64) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		if err := tx.RevokeAllSessions(models.User{ID: userID, SessionEpoch: epoch}); err != nil {
			return err
		}
		return tx.EndEmailChangesBy(userID)
	})
}
