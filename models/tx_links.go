package models

import (
	"time"

	"gorm.io/gorm"
)

// EndTokens ends the open one-time tokens of a user, except for those with one of the purposes kept.
func (t *Tx) EndTokens(userID int64, kept ...string) error {
	open := t.db.Where("user_id = ?", userID)
	if len(kept) > 0 {
		open = open.Where("purpose NOT IN ?", kept)
	}
	return translate(open.Model(&OneTimeToken{}).Where("used_at IS NULL").Updates(map[string]any{"used_at": t.now}).Error)
}

// EndEmailChanges ends the pending changes of a user's address, and increments the version of the
// user if there were any.
func (t *Tx) EndEmailChanges(userID int64) error {
	return translate(endEmailChanges(t.db, t.now, "user_id = ?", userID))
}

// EndEmailChangesBy ends the pending changes of address that a staff member has started, and
// increments the versions of the users whose changes they were.
func (t *Tx) EndEmailChangesBy(actorID int64) error {
	return translate(endEmailChanges(t.db, t.now, "actor_id = ?", actorID))
}

// CancelMails drops the queued mails of these kinds to an address.
func (t *Tx) CancelMails(emailNorm string, kinds ...string) error {
	waiting := t.db.Model(&Mail{}).Where("email_norm = ? AND kind IN ? AND done_at IS NULL", emailNorm, kinds)
	return translate(waiting.Updates(map[string]any{"done_at": t.now, "outcome": MailDropped, "lease": nil}).Error)
}

// ForgetNetworks deletes the networks that are known for these names; see [Store.KnownNetwork].
func (t *Tx) ForgetNetworks(norms ...string) error { return translate(forgetNetworks(t.db, norms...)) }

// EndRegistrations ends the open registrations of an address.
func (t *Tx) EndRegistrations(emailNorm string) error {
	return translate(endTokens(t.db, t.now, "email_norm = ? AND purpose = ?", emailNorm, PurposeVerify))
}

// EndEmailChangesExcept ends the pending changes of a user's address, except for changes to
// emailNorm. If emailNorm is empty, it ends all of them. It does not increment the version of the
// user; the caller changes the user in the same transaction.
func (t *Tx) EndEmailChangesExcept(userID int64, emailNorm string) error {
	return translate(endTokens(t.db, t.now, "user_id = ? AND purpose = ? AND email_norm <> ?", userID, PurposeEmailChange, emailNorm))
}

// SetTokenUser records the user that was created from a registration. Errors: ErrNotFound if there
// is no such token.
func (t *Tx) SetTokenUser(token OneTimeToken, userID int64) error {
	return translate(exactlyOne(t.db.Model(&OneTimeToken{}).Where("id = ?", token.ID).Updates(map[string]any{"user_id": userID})))
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

func endTokens(tx *gorm.DB, now time.Time, where string, args ...any) error {
	return tx.Model(&OneTimeToken{}).Where("used_at IS NULL").Where(where, args...).Updates(map[string]any{"used_at": now}).Error
}
