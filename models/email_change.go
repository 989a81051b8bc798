package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// EmailChange is a pending change of address, which the new mailbox must confirm.
type EmailChange struct {
	Token   OneTimeToken
	Mail    Mail       // with the link, to the new address
	Mails   Spending   // the limit of mails to the new address
	Notices []Mail     // to the present address
	Limits  []Spending // the limits of such changes
}

// AddEmailChange stores the token, which invalidates the user's older ones, and queues the mails,
// in one transaction with the rate limits. It reports whether a mail to the new address was queued:
// the user must not learn that others have requested mails to that address. Without a mail, the
// link of an earlier change to the same address stays valid. Errors: *OverBudget for Limits.
//
// It claims the user and compares the password with the one that was just verified: a change that
// was started with an old password must not outlive the reset that recovered the account. Errors:
// ErrNotFound if the password has changed.
func (s *Store) AddEmailChange(ctx context.Context, u User, c EmailChange, events ...Event) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) (err error) {
		t := c.Token
		if err := spendAll(tx, t.CreatedAt, c.Limits); err != nil {
			return err
		}
		err = claim(tx, events, "id = ? AND session_epoch = ? AND password = ? AND is_active", u.ID, u.SessionEpoch, u.Password)
		if err != nil {
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

// startEmailChange queues the mail of a change within its limits, and stores the token. Errors: *OverBudget.
func startEmailChange(tx *gorm.DB, c EmailChange) error {
	if err := spendAll(tx, c.Token.CreatedAt, c.Limits); err != nil {
		return err
	}
	if err := mustAddMail(tx, c.Mail, c.Mails); err != nil {
		return err
	}
	if err := replaceEmailChange(tx, c.Token, false); err != nil {
		return err
	}
	return addMails(tx, c.Notices)
}

// replaceEmailChange puts the token in the place of the older ones, or keeps one of the same address.
func replaceEmailChange(tx *gorm.DB, t OneTimeToken, keep bool) error {
	kept := false
	if keep {
		var err error
		if kept, err = some(tx, &OneTimeToken{}, "user_id = ? AND purpose = ? AND email_norm = ? AND used_at IS NULL AND expires_at > ?",
			t.UserID, t.Purpose, t.EmailNorm, t.CreatedAt); err != nil {
			return err
		}
	}
	if err := endTokens(tx, t.CreatedAt, "user_id = ? AND purpose = ? AND (email_norm <> ? OR ?)", t.UserID, t.Purpose, t.EmailNorm, !kept); err != nil || kept {
		return err
	}
	return tx.Create(&t).Error
}

// ChangeEmail consumes the token and puts its address into force. Every other open token of the user
// ends, because it was sent to the old address.
//
// Errors: ErrNotFound if the token is used or expired, or the user is inactive; ErrConflict if another
// user has the address.
func (s *Store) ChangeEmail(ctx context.Context, t OneTimeToken, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, t, now); err != nil {
			return err
		}
		err := changeUser(tx, map[string]any{"email": t.Email, "email_norm": t.EmailNorm, "email_verified_at": now}, events,
			"id = ? AND is_active", t.UserID)
		if err != nil {
			return err
		}
		return endTokens(tx, now, "user_id = ?", t.UserID)
	})
}

// endEmailChanges invalidates the links that confirm a new address of the user.
func endEmailChanges(tx *gorm.DB, now time.Time, userID int64) error {
	return endTokens(tx, now, "user_id = ? AND purpose = ?", userID, PurposeEmailChange)
}
