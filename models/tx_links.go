package models

import (
	"errors"
	"time"

	"gorm.io/gorm"
)

// TokenFilter selects one-time tokens by the user or the address that they belong to. The other
// fields restrict the selection if they are not empty.
type TokenFilter struct {
	UserID          int64
	EmailNorm       string
	Purpose         string
	ExceptPurpose   string
	ExceptEmailNorm string
}

var errNoOwner = errors.New("models: a filter of tokens names neither a user nor an address")

// EndTokens ends the open one-time tokens that match. It does not increment the version of the
// user; a caller that ends changes of address changes the user in the same transaction.
func (t *Tx) EndTokens(f TokenFilter) error {
	if f.UserID == 0 && f.EmailNorm == "" {
		return errNoOwner
	}
	open := t.db.Model(&OneTimeToken{}).Where("used_at IS NULL")
	if f.UserID != 0 {
		open = open.Where("user_id = ?", f.UserID)
	}
	if f.EmailNorm != "" {
		open = open.Where("email_norm = ?", f.EmailNorm)
	}
	if f.Purpose != "" {
		open = open.Where("purpose = ?", f.Purpose)
	}
	if f.ExceptPurpose != "" {
		open = open.Where("purpose <> ?", f.ExceptPurpose)
	}
	if f.ExceptEmailNorm != "" {
		open = open.Where("email_norm <> ?", f.ExceptEmailNorm)
	}
	return translate(open.Updates(map[string]any{"used_at": t.now}).Error)
}

// EmailChanges selects pending changes of address: those of a user's address, or those that a staff
// member has started. Exactly one field is set.
type EmailChanges struct{ UserID, ActorID int64 }

// EndEmailChanges ends the pending changes of address that match, and increments the versions of
// the users whose address would have changed, because users and staff see the pending address.
func (t *Tx) EndEmailChanges(of EmailChanges) error {
	if of.ActorID != 0 {
		return translate(endEmailChanges(t.db, t.now, "actor_id = ?", of.ActorID))
	}
	return translate(endEmailChanges(t.db, t.now, "user_id = ?", of.UserID))
}

// CancelMails drops the queued mails of these kinds to an address.
func (t *Tx) CancelMails(emailNorm string, kinds ...string) error {
	waiting := t.db.Model(&Mail{}).Where("email_norm = ? AND kind IN ? AND done_at IS NULL", emailNorm, kinds)
	return translate(waiting.Updates(map[string]any{"done_at": t.now, "outcome": MailDropped, "lease": nil}).Error)
}

// ForgetNetworks deletes the networks that are known for these names; see [Store.KnownNetwork].
func (t *Tx) ForgetNetworks(norms ...string) error { return translate(forgetNetworks(t.db, norms...)) }

// SetTokenUser records the user that was created from a registration. Errors: ErrNotFound if there
// is no such token.
func (t *Tx) SetTokenUser(token OneTimeToken, userID int64) error {
	return translate(exactlyOne(t.db.Model(&OneTimeToken{}).Where("id = ?", token.ID).Updates(map[string]any{"user_id": userID})))
}

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
