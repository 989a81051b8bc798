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
// be created from.
type OneTimeToken struct {
	ID        ID `gorm:"primaryKey"`
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
	Password  string    // the hash
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
	return OneTimeToken{ID: ID(uuid.Must(uuid.NewV7())), Purpose: PurposeDeleted, Hash: hash[:], UserID: id, CreatedAt: now, ExpiresAt: now.AddDate(100, 0, 0), UsedAt: &now}
}

// DeletedUsers returns those of the ids that belonged to imported users who were deleted.
func (s *Store) DeletedUsers(ctx context.Context, ids []int64) ([]int64, error) {
	var deleted []int64
	err := s.reads.WithContext(ctx).Model(&OneTimeToken{}).Where("user_id IN ? AND purpose = ?", ids, PurposeDeleted).Pluck("user_id", &deleted).Error
	return deleted, translate(err)
}

// Token finds a token by its purpose and the hash of its value. Errors: ErrNotFound.
func (s *Store) Token(ctx context.Context, purpose string, hash []byte) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("hash = ? AND purpose = ?", hash, purpose).Take(&t).Error
	return t, translate(err)
}

// TokenByID finds a token by its purpose and id. Errors: ErrNotFound.
func (s *Store) TokenByID(ctx context.Context, purpose string, id ID) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("id = ? AND purpose = ?", id, purpose).Take(&t).Error
	return t, translate(err)
}

// PendingRegistration returns the newest registration of an address that waits for verification.
// Errors: ErrNotFound.
func (s *Store) PendingRegistration(ctx context.Context, emailNorm string, now time.Time) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("email_norm = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", emailNorm, PurposeVerify, now).
		Order("created_at DESC, id DESC").Take(&t).Error
	return t, translate(err)
}

// PendingEmailChange returns the change of the user's address that waits for confirmation. Errors:
// ErrNotFound.
func (s *Store) PendingEmailChange(ctx context.Context, userID int64, now time.Time) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("user_id = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", userID, PurposeEmailChange, now).
		Order("created_at DESC, id DESC").Take(&t).Error
	return t, translate(err)
}

// PendingRegistrations returns at most limit registrations of an address that wait for verification
// and have no user, newest first.
func (s *Store) PendingRegistrations(ctx context.Context, emailNorm string, now time.Time, limit int) ([]OneTimeToken, error) {
	var list []OneTimeToken
	err := s.reads.WithContext(ctx).
		Where("email_norm = ? AND purpose = ? AND user_id = 0 AND used_at IS NULL AND expires_at > ?", emailNorm, PurposeVerify, now).
		Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// AddRegistration stores a registration, and queues its mail within the rate limit, in one
// transaction. It reports whether the mail was queued. If the rate limit repeats is exceeded,
// nothing is stored.
func (s *Store) AddRegistration(ctx context.Context, t OneTimeToken, m Mail, limit, repeats RateLimitUse) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) (err error) {
		if err := countUse(tx, t.CreatedAt, repeats); err != nil {
			return err
		}
		if queued, err = addMail(tx, m, limit); err != nil {
			return err
		}
		return tx.Create(&t).Error
	})
	return queued, unlessExceeded(err)
}

// AddUserRegistration creates a user whose address is not verified, with the token and the mail, in
// one transaction. It does so only if the rate limit allows the mail, so that no address
// gets an account without notice to its owner. It reports whether it did. Errors: ErrConflict if
// the username or the address is taken.
func (s *Store) AddUserRegistration(ctx context.Context, u *User, t OneTimeToken, m Mail, limit RateLimitUse, events ...Event) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		if err := createUser(tx, u, events); err != nil {
			return err
		}
		t.UserID, m.UserID = u.ID, u.ID
		if err := mustAddMail(tx, m, limit); err != nil {
			return err
		}
		return tx.Create(&t).Error
	})
	return err == nil, unlessExceeded(err)
}

// CompleteRegistration consumes the token of a registration, ends every other registration of the
// same address and creates the user, in one transaction. Errors: ErrNotFound if the token is used
// or expired; ErrConflict if the username or the address is taken. In both cases nothing is
// changed.
func (s *Store) CompleteRegistration(ctx context.Context, t OneTimeToken, u *User, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, t, now); err != nil {
			return err
		}
		if err := endTokens(tx, now, "email_norm = ? AND purpose = ?", t.EmailNorm, PurposeVerify); err != nil {
			return err
		}
		if err := createUser(tx, u, events); err != nil {
			return err
		}
		return exactlyOne(tx.Model(&OneTimeToken{}).Where("id = ?", t.ID).Updates(map[string]any{"user_id": u.ID}))
	})
}

// VerifyUser consumes the token and marks the user's address as verified, if it is still the
// token's address. Errors: ErrNotFound if it is not, or if the token is used or expired.
func (s *Store) VerifyUser(ctx context.Context, t OneTimeToken, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, t, now); err != nil {
			return err
		}
		return changeUser(tx, map[string]any{"email_verified_at": now}, events, "id = ? AND email_norm = ?", t.UserID, t.EmailNorm)
	})
}

// exists reports whether a row matches.
func exists(tx *gorm.DB, model any, where string, args ...any) (bool, error) {
	var n int64
	err := tx.Model(model).Where(where, args...).Count(&n).Error
	return n > 0, err
}

// PasswordReset holds the data of a password reset.
type PasswordReset struct {
	Token    OneTimeToken
	Hash     string // of the new password
	Now      time.Time
	Username string // replaces the username and clears the other data entered at registration; empty keeps them
	Notice   Mail
	Limits   []ID // rate limits to reset
}

// ResetPassword consumes the token of a reset, sets the password, revokes every session and every
// other token of the user, and queues the notice, in one transaction. The link proves that the user
// owns the mailbox, so the address becomes verified.
//
// Errors: ErrNotFound if the token is used or expired, if the user is inactive or has another
// address, or if the reset clears the data entered at registration and the address has been
// verified since.
func (s *Store) ResetPassword(ctx context.Context, r PasswordReset, events ...Event) error {
	set := map[string]any{
		"password": r.Hash, "session_epoch": gorm.Expr("session_epoch + 1"),
		"email_verified_at": gorm.Expr("COALESCE(email_verified_at, ?)", r.Now),
	}
	where := "id = ? AND email_norm = ? AND is_active"
	if r.Username != "" {
		set["username"], set["username_norm"] = r.Username, r.Username
		set["first_name"], set["last_name"], set["locale"] = "", "", ""
		where += " AND email_verified_at IS NULL"
	}
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, r.Token, r.Now); err != nil {
			return err
		}
		if err := changeUser(tx, set, events, where, r.Token.UserID, r.Token.EmailNorm); err != nil {
			return err
		}
		if r.Username != "" { // the stranger's network must not help to guess the owner's password
			if err := forgetNetworks(tx, r.Token.EmailNorm); err != nil {
				return err
			}
		}
		if err := endEveryLink(tx, r.Now, r.Token.UserID, r.Token.EmailNorm); err != nil {
			return err
		}
		if err := resetRateLimits(tx, r.Limits); err != nil {
			return err
		}
		return tx.Create(&r.Notice).Error
	})
}

// ChangePassword sets the password, revokes every session and every open link of the user except
// for verifications, starts the session n in the next epoch and queues the notices, in one
// transaction. Errors: ErrNotFound if the epoch or the password has changed since u was read, or
// the user is inactive; ErrClock.
func (s *Store) ChangePassword(ctx context.Context, u User, hash string, n Session, tolerance time.Duration, notices []Mail, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := changeUser(tx, map[string]any{"password": hash, "session_epoch": u.SessionEpoch + 1}, events,
			"id = ? AND session_epoch = ? AND password = ? AND is_active", u.ID, u.SessionEpoch, u.Password)
		if err != nil {
			return err
		}
		if err := endLinks(tx, n.CreatedAt, u); err != nil {
			return err
		}
		if err := (&Tx{db: tx, store: s, now: n.CreatedAt}).InsertSession(n, tolerance); err != nil {
			return err
		}
		return addMails(tx, notices)
	})
}

// lockUser locks a user whose data stays the same. It changes the row, because a cluster certifies
// only changed rows: a concurrent change on another node would otherwise not conflict.
func lockUser(tx *gorm.DB, events []Event, where string, args ...any) error {
	return changeUser(tx, map[string]any{"lock_count": gorm.Expr("lock_count + 1")}, events, where, args...)
}

// bumpVersion increments the version of a user, because data in another table that users and staff
// see changes. It locks the user as lockUser does.
func bumpVersion(tx *gorm.DB, events []Event, where string, args ...any) error {
	return changeUser(tx, map[string]any{"version": gorm.Expr("version + 1")}, events, where, args...)
}

// consume marks a token as used. It is a conditional UPDATE in the transaction of the token's
// effect, so that a token has its effect once. Errors: ErrNotFound if the token is used or expired.
func consume(tx *gorm.DB, t OneTimeToken, now time.Time) error {
	return exactlyOne(tx.Model(&OneTimeToken{}).Where("id = ? AND used_at IS NULL AND expires_at > ?", t.ID, now).Updates(map[string]any{"used_at": now}))
}

func endTokens(tx *gorm.DB, now time.Time, where string, args ...any) error {
	return tx.Model(&OneTimeToken{}).Where("used_at IS NULL").Where(where, args...).Updates(map[string]any{"used_at": now}).Error
}

// endEveryLink ends all open tokens of a user, and drops the mails to the address that would
// contain a new link.
func endEveryLink(tx *gorm.DB, now time.Time, userID int64, emailNorm string) error {
	if err := endTokens(tx, now, "user_id = ?", userID); err != nil {
		return err
	}
	return dropResets(tx, now, emailNorm)
}

// endLinks ends the links of a user whose password changes, including those not sent yet.
// Verification links stay valid, because they are of no use without the password.
func endLinks(tx *gorm.DB, now time.Time, u User) error {
	if err := endTokens(tx, now, "user_id = ? AND purpose <> ?", u.ID, PurposeVerify); err != nil {
		return err
	}
	return dropResets(tx, now, u.EmailNorm)
}

// DeleteOldTokens removes at most limit tokens that expired before the given time. It returns how
// many it removed.
func (s *Store) DeleteOldTokens(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.deleteOld(ctx, &OneTimeToken{}, "expires_at < ?", before, limit)
}
