package models

import (
	"time"

	"gorm.io/gorm"
)

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
