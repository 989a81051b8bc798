package models

import (
	"fmt"

	"gorm.io/gorm"
)

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
	err := t.db.Model(&User{}).Where(activeSuperusers+" AND id <> ? AND password <> ''", u.ID).Count(&n).Error
	return n, translate(err)
}

// ClearEvents removes the details and changes from the events of a user.
func (t *Tx) ClearEvents(userID int64) error {
	return translate(t.db.Model(&Event{}).Where("user_id = ?", userID).Updates(map[string]any{"detail": "", "changes": nil}).Error)
}

// UserRows are the rows of one table that belong to a user.
type UserRows string

// The rows that belong to a user.
const (
	UserSessions UserRows = "sessions"
	UserEvents   UserRows = "events"          // without those that another user has caused
	UserTokens   UserRows = "one_time_tokens" // also those for the user's address that belong to no user
	UserMails    UserRows = "outbox"          // also those to the user's address that belong to no user
)

// DeleteRows deletes rows that belong to a user.
func (t *Tx) DeleteRows(u User, tables ...UserRows) error {
	for _, rows := range tables {
		if err := deleteRows(t.db, u, rows); err != nil {
			return translate(err)
		}
	}
	return nil
}

func deleteRows(db *gorm.DB, u User, rows UserRows) error {
	switch rows {
	case UserSessions:
		return db.Where("user_id = ?", u.ID).Delete(&Session{}).Error
	case UserEvents:
		return db.Where("user_id = ? AND (actor_id IS NULL OR actor_id = user_id)", u.ID).Delete(&Event{}).Error
	case UserTokens:
		return deleteWithAddress(db, u, &OneTimeToken{})
	case UserMails:
		return deleteWithAddress(db, u, &Mail{})
	}
	return fmt.Errorf("models: unknown rows %q", rows)
}

// deleteWithAddress uses two statements, so that each uses one index.
func deleteWithAddress(db *gorm.DB, u User, model any) error {
	if err := db.Where("user_id = ?", u.ID).Delete(model).Error; err != nil {
		return err
	}
	return db.Where("email_norm = ? AND user_id = 0", u.EmailNorm).Delete(model).Error
}
