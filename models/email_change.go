package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// EmailChange is a pending change of address, which the new mailbox must confirm.
type EmailChange struct {
	Token   OneTimeToken
	Mail    Mail           // contains the link; to the new address
	Mails   RateLimitUse   // the rate limit of mails to the new address
	Notices []Mail         // to the current address
	Limits  []RateLimitUse // the rate limits of such changes
}

// AddEmailChange stores the token, which invalidates the user's older ones, and queues the mails,
// in one transaction with the rate limits. It reports whether a mail to the new address was queued.
// The user must not learn that others have requested mails to that address. Without a mail, the
// link of an earlier change to the same address stays valid.
//
// The user's epoch is compared with the one that was read. Every new password changes the epoch, so
// a change that was started before the account was recovered does not outlive the recovery.
//
// Errors: *RateLimitExceeded for c.Limits; ErrNotFound if the epoch has changed or the user is inactive.
func (s *Store) AddEmailChange(ctx context.Context, u User, c EmailChange, events ...Event) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) (err error) {
		t := c.Token
		if err := countUses(tx, t.CreatedAt, c.Limits); err != nil {
			return err
		}
		if err := bumpVersion(tx, events, "id = ? AND session_epoch = ? AND is_active", u.ID, u.SessionEpoch); err != nil {
			return err
		}
		if queued, err = addMail(tx, c.Mail, c.Mails); err != nil {
			return err
		}
		if err := replaceEmailChange(tx, t, !queued); err != nil {
			return err
		}
		return addMails(tx, c.Notices)
	})
	return queued, err
}

// ResendEmailChange replaces the token of a pending change with c.Token and queues its mail, in one
// transaction with the rate limits. It reports whether the mail was queued. Without a mail, the old
// token stays valid. The notices are not repeated.
//
// It also writes the row of the old token. If the staff member who started the change is removed at
// the same time, the removal either ends the old token first, or waits for this transaction and
// finds the new token.
//
// Errors: *RateLimitExceeded for Limits; ErrNotFound if the pending token is used or expired, the user's
// epoch has changed, or the user is inactive.
func (s *Store) ResendEmailChange(ctx context.Context, u User, pending OneTimeToken, c EmailChange) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) (err error) {
		t := c.Token
		if err := countUses(tx, t.CreatedAt, c.Limits); err != nil {
			return err
		}
		if err := lockUser(tx, nil, "id = ? AND session_epoch = ? AND is_active", u.ID, u.SessionEpoch); err != nil {
			return err
		}
		if queued, err = addMail(tx, c.Mail, c.Mails); err != nil || !queued {
			return err
		}
		if err := consume(tx, pending, t.CreatedAt); err != nil {
			return err
		}
		return tx.Create(&t).Error
	})
	return queued, err
}

// CancelEmailChange ends a pending change of address and adds the events. Errors: ErrNotFound if
// the change is not pending anymore; then nothing is written, including the writes that guard an
// actor.
func (s *Store) CancelEmailChange(ctx context.Context, pending OneTimeToken, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := bumpVersion(tx, events, "id = ? AND is_active", pending.UserID); err != nil {
			return err
		}
		return consume(tx, pending, now)
	})
}

// replaceEmailChange ends the user's older tokens and stores t. If keep is set and the user has an
// open token for the same address, that token stays valid and t is not stored.
func replaceEmailChange(tx *gorm.DB, t OneTimeToken, keep bool) error {
	kept := false
	if keep {
		var err error
		if kept, err = exists(tx, &OneTimeToken{}, "user_id = ? AND purpose = ? AND email_norm = ? AND used_at IS NULL AND expires_at > ?",
			t.UserID, t.Purpose, t.EmailNorm, t.CreatedAt); err != nil {
			return err
		}
	}
	if err := endTokens(tx, t.CreatedAt, "user_id = ? AND purpose = ? AND (email_norm <> ? OR ?)", t.UserID, t.Purpose, t.EmailNorm, !kept); err != nil || kept {
		return err
	}
	return tx.Create(&t).Error
}

// ConfirmEmailChange sets the user's address to that of the token and consumes the token. Every
// other open token of the user ends, because it was sent to the old address.
//
// The user's password hash is compared with the one that was read, because the caller has just
// verified that password. Errors: ErrNotFound if the password has changed, the user is inactive, or
// the token is used or expired; ErrConflict if another user has the address.
func (s *Store) ConfirmEmailChange(ctx context.Context, u User, t OneTimeToken, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := changeUser(tx, map[string]any{"email": t.Email, "email_norm": t.EmailNorm, "email_verified_at": now}, events,
			"id = ? AND password = ? AND is_active", t.UserID, u.Password)
		if err != nil {
			return err
		}
		if err := endTokens(tx, now, "user_id = ? AND id <> ?", t.UserID, t.ID); err != nil {
			return err
		}
		return consume(tx, t, now)
	})
}

// endEmailChanges invalidates the links of the pending changes of address that match. It increments
// the versions of their users, because users and staff see the pending address.
func endEmailChanges(tx *gorm.DB, now time.Time, where string, args ...any) error {
	ended := tx.Model(&OneTimeToken{}).Where("purpose = ? AND used_at IS NULL", PurposeEmailChange).Where(where, args...).
		Updates(map[string]any{"used_at": now})
	if ended.Error != nil || ended.RowsAffected == 0 {
		return ended.Error
	}
	var users []int64 // users whose changes this call has ended, without changes that had already expired
	err := tx.Model(&OneTimeToken{}).Where("purpose = ? AND used_at = ? AND expires_at > ?", PurposeEmailChange, now, now).Where(where, args...).
		Distinct().Order("user_id").Pluck("user_id", &users).Error
	if err != nil || len(users) == 0 {
		return err
	}
	return tx.Model(&User{}).Where("id IN ?", users).Updates(map[string]any{"version": gorm.Expr("version + 1")}).Error
}
