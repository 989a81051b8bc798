package models

import (
	"context"
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// OneTimeToken is the row behind a link in a mail. It contains the SHA-256 of the token, not the
// token itself, which is derived from the id and the server's secret.
//
// A registration that waits for verification is a row of its own, with the data that the user will
// be created from. Used legacy tokens and the marks of deleted users are rows too, without a link;
// see [PurposeLegacyRefresh] and [PurposeDeleted].
type OneTimeToken struct {
	ID        uuid.UUID `gorm:"primaryKey"`
	Purpose   string
	Hash      []byte
	UserID    int64  // 0 for a registration without a user
	ActorID   *int64 // the staff member who started it, or nil
	Email     string
	EmailNorm string
	Username  string
	FirstName string
	LastName  string
	Locale    string
	Password  PasswordHash
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	ExpiresAt time.Time
	UsedAt    *time.Time
}

// The purposes of a one-time token. A token is not accepted for another purpose than its own.
const (
	PurposeVerify      = "verify"
	PurposeReset       = "reset"
	PurposeEmailChange = "email_change"
	// PurposeLegacyRefresh marks a used refresh token of the service that the user was imported
	// from. It has no link. The hash is that of the token's jti or, if it has none, of its text.
	// The row is written when the token is used, and its id is that of the session that the token
	// was exchanged for.
	PurposeLegacyRefresh = "legacy_refresh"
	// PurposeDeleted marks an imported user who was deleted here. The row keeps the id, so that
	// another import does not restore the account with its old password, and with refresh tokens
	// that are no longer known to have been used.
	PurposeDeleted = "deleted"
)

// DeletedUser returns the row that keeps an import from restoring a deleted user.
func DeletedUser(id int64, now time.Time) OneTimeToken {
	hash := sha256.Sum256([]byte("deleted user " + strconv.FormatInt(id, 10)))
	return OneTimeToken{ID: uuid.Must(uuid.NewV7()), Purpose: PurposeDeleted, Hash: hash[:], UserID: id, CreatedAt: now, ExpiresAt: now.AddDate(100, 0, 0), UsedAt: &now}
}

// tokenQueries reads one-time tokens.
type tokenQueries struct{ *database }

// DeletedUsers returns those of the ids that belonged to imported users who were deleted.
func (s tokenQueries) DeletedUsers(ctx context.Context, ids []int64) ([]int64, error) {
	var deleted []int64
	err := s.reads.WithContext(ctx).Model(&OneTimeToken{}).Where("user_id IN ? AND purpose = ?", ids, PurposeDeleted).Pluck("user_id", &deleted).Error
	return deleted, translate(err)
}

// Token finds a token by its purpose and the hash of its value. Errors: ErrNotFound.
func (s tokenQueries) Token(ctx context.Context, purpose string, hash []byte) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("hash = ? AND purpose = ?", hash, purpose).Take(&t).Error
	return t, translate(err)
}

// TokenByID finds a token by its purpose and id. Errors: ErrNotFound.
func (s tokenQueries) TokenByID(ctx context.Context, purpose string, id uuid.UUID) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("id = ? AND purpose = ?", id, purpose).Take(&t).Error
	return t, translate(err)
}

// PendingRegistration returns the newest registration of an address that waits for verification.
// Errors: ErrNotFound.
func (s tokenQueries) PendingRegistration(ctx context.Context, emailNorm string, now time.Time) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("email_norm = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", emailNorm, PurposeVerify, now).
		Order("created_at DESC, id DESC").Take(&t).Error
	return t, translate(err)
}

// PendingEmailChange returns the change of the user's address that waits for confirmation. Errors:
// ErrNotFound.
func (s tokenQueries) PendingEmailChange(ctx context.Context, userID int64, now time.Time) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("user_id = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", userID, PurposeEmailChange, now).
		Order("created_at DESC, id DESC").Take(&t).Error
	return t, translate(err)
}

// PendingRegistrations returns at most limit registrations of an address that wait for verification
// and have no user, newest first.
func (s tokenQueries) PendingRegistrations(ctx context.Context, emailNorm string, now time.Time, limit int) ([]OneTimeToken, error) {
	var list []OneTimeToken
	err := s.reads.WithContext(ctx).
		Where("email_norm = ? AND purpose = ? AND user_id = 0 AND used_at IS NULL AND expires_at > ?", emailNorm, PurposeVerify, now).
		Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// exists reports whether a row matches.
func exists(tx *gorm.DB, model any, where string, args ...any) (bool, error) {
	var n int64
	err := tx.Model(model).Where(where, args...).Count(&n).Error
	return n > 0, err
}
