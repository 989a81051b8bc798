package models

import (
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// UserPatch is a change of a user. Fields that are nil are not changed.
type UserPatch struct {
	Username, UsernameNorm         *string
	Email, EmailNorm               *string
	FirstName, LastName, Locale    *string
	Password                       *PasswordHash
	IsActive, IsStaff, IsSuperuser *bool
	EmailVerifiedAt                *time.Time
	NextEpoch                      bool // revokes every session of the user
	NewVersion                     bool // increments the version: data in another table that users and staff see has changed
}

func (p UserPatch) columns(u User) map[string]any {
	set := map[string]any{}
	setGiven(set, map[string]*string{
		"username": p.Username, "username_norm": p.UsernameNorm, "email": p.Email, "email_norm": p.EmailNorm,
		"first_name": p.FirstName, "last_name": p.LastName, "locale": p.Locale,
	})
	setGiven(set, map[string]*PasswordHash{"password": p.Password})
	setGiven(set, map[string]*bool{"is_active": p.IsActive, "is_staff": p.IsStaff, "is_superuser": p.IsSuperuser})
	setGiven(set, map[string]*time.Time{"email_verified_at": p.EmailVerifiedAt})
	if len(set) > 0 || p.NewVersion {
		set["version"] = gorm.Expr("version + 1")
	}
	if p.NextEpoch {
		set["session_epoch"] = u.SessionEpoch + 1
	}
	return set
}

// asReadSQL is the guard of every change that was decided on a user as read: the version, which
// every change of names, credentials, roles or state increments, and the epoch, which every
// revocation of all sessions increments.
const asReadSQL = "id = ? AND version = ? AND session_epoch = ?"

// CreateUser adds a user and sets its ID. No network is known for its names yet; see
// [Store.KnownNetwork]. Errors: ErrConflict if the username or the address is taken.
func (t *Tx) CreateUser(u *User) error {
	u.ID = 0
	if err := t.db.Create(u).Error; err != nil {
		return translate(err)
	}
	return translate(forgetNetworks(t.db, u.UsernameNorm, u.EmailNorm))
}

// ReadUserForUpdate reads a user and locks the row. Errors: ErrNotFound.
func (t *Tx) ReadUserForUpdate(id int64) (User, error) {
	var u User
	err := t.db.Clauses(clause.Locking{Strength: "UPDATE"}).Where("id = ?", id).Take(&u).Error
	return u, translate(err)
}

// ChangeUser changes a user, together with the search text and the networks known for new names.
// Errors: ErrNotFound if the version or the epoch has changed since u was read, or the user is
// gone; ErrConflict if the username or the address is taken.
func (t *Tx) ChangeUser(u User, p UserPatch) error {
	set := p.columns(u)
	if len(set) == 0 {
		return nil
	}
	if err := exactlyOne(t.db.Model(&User{}).Where(asReadSQL, u.ID, u.Version, u.SessionEpoch).Updates(set)); err != nil {
		return translate(err)
	}
	for _, name := range []*string{p.UsernameNorm, p.EmailNorm} {
		if name != nil {
			if err := forgetNetworks(t.db, *name); err != nil {
				return translate(err)
			}
		}
	}
	return translate(updateSearch(t.db, set, u.ID))
}

// SetEmailChangeUntil stores until when a change of a user's address is pending. Errors: ErrNotFound.
func (t *Tx) SetEmailChangeUntil(id int64, until time.Time) error {
	return translate(exactlyOne(t.db.Model(&User{}).Where("id = ?", id).Updates(map[string]any{"email_change_until": until})))
}

// LockUserAsRead locks a user whose data stays the same. It changes the row, because a cluster
// certifies only changed rows: a concurrent change on another node would otherwise not conflict.
// Errors: ErrNotFound if the version or the epoch has changed since u was read, or the user is
// gone.
func (t *Tx) LockUserAsRead(u User) error {
	set := map[string]any{"lock_count": gorm.Expr("lock_count + 1")}
	return translate(exactlyOne(t.db.Model(&User{}).Where(asReadSQL, u.ID, u.Version, u.SessionEpoch).Updates(set)))
}

// DeleteUser deletes the row of a user. Errors: ErrNotFound if the version or the epoch has changed
// since u was read, or the user is gone.
func (t *Tx) DeleteUser(u User) error {
	return translate(exactlyOne(t.db.Where(asReadSQL, u.ID, u.Version, u.SessionEpoch).Delete(&User{})))
}

// AddEvents adds events to the security log.
func (t *Tx) AddEvents(events ...Event) error { return translate(addEvents(t.db, events)) }

// AddMails adds mails to the outbox.
func (t *Tx) AddMails(mails ...Mail) error { return translate(addMails(t.db, mails)) }

// CountUses counts one use of each of these rate limits. Errors: *RateLimitExceeded if one of them
// is exceeded. Others may have been counted by then, so the caller must roll back. After the
// failure of a single use nothing has been counted, and the transaction can go on.
func (t *Tx) CountUses(uses ...RateLimitUse) error { return translate(countUses(t.db, t.now, uses)) }

// ResetRateLimits deletes the counts of rate limits.
func (t *Tx) ResetRateLimits(ids ...uuid.UUID) error { return translate(resetRateLimits(t.db, ids)) }

// AddToken stores a one-time token.
func (t *Tx) AddToken(token OneTimeToken) error { return translate(t.db.Create(&token).Error) }

// UseToken marks a token as used. It belongs in the transaction of the token's effect, so that a
// token has its effect once. Errors: ErrNotFound if the token is used or expired.
func (t *Tx) UseToken(token OneTimeToken) error {
	open := t.db.Model(&OneTimeToken{}).Where("id = ? AND used_at IS NULL AND expires_at > ?", token.ID, t.now)
	return translate(exactlyOne(open.Updates(map[string]any{"used_at": t.now})))
}
