package models

import "gorm.io/gorm"

const activeSuperusers = "is_superuser AND is_active"

// LockSuperusers locks every active superuser, so that two transactions that demote the last two of
// them at the same time are serialized. It changes the rows: on one server the row locks serialize
// the transactions, and on two nodes of a cluster certification does, which compares only changed
// rows.
func (t *Tx) LockSuperusers() error {
	set := map[string]any{"lock_count": gorm.Expr("lock_count + 1")}
	return translate(t.db.Model(&User{}).Where(activeSuperusers).Updates(set).Error)
}

// CountSuperusersExcept returns how many other active superusers than u can log in with a password.
func (t *Tx) CountSuperusersExcept(u User) (int64, error) {
	var n int64
	err := t.db.Model(&User{}).Where(activeSuperusers+" AND id <> ? AND "+usablePassword, u.ID).Count(&n).Error
	return n, translate(err)
}

// DeleteOwnEvents deletes the events of a user that no other user has caused.
func (t *Tx) DeleteOwnEvents(userID int64) error {
	return translate(t.db.Where("user_id = ? AND (actor_id IS NULL OR actor_id = user_id)", userID).Delete(&Event{}).Error)
}

// ClearEvents removes the details and changes from the events of a user.
func (t *Tx) ClearEvents(userID int64) error {
	return translate(t.db.Model(&Event{}).Where("user_id = ?", userID).Updates(map[string]any{"detail": "", "changes": nil}).Error)
}

// DeleteSessions deletes the sessions of a user.
func (t *Tx) DeleteSessions(u User) error {
	return translate(t.db.Where("user_id = ?", u.ID).Delete(&Session{}).Error)
}

// DeleteTokens deletes the one-time tokens of a user, and those for the user's address that belong
// to no user.
func (t *Tx) DeleteTokens(u User) error { return t.deleteOf(u, &OneTimeToken{}) }

// DeleteMails deletes the mails of a user, and those to the user's address that belong to no user.
func (t *Tx) DeleteMails(u User) error { return t.deleteOf(u, &Mail{}) }

// deleteOf uses two statements, so that each uses one index.
func (t *Tx) deleteOf(u User, model any) error {
	if err := t.db.Where("user_id = ?", u.ID).Delete(model).Error; err != nil {
		return translate(err)
	}
	return translate(t.db.Where("email_norm = ? AND user_id = 0", u.EmailNorm).Delete(model).Error)
}
