package models

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// sameEpochSQL is the guard of a login: since the user was read, the sessions have not all been
// revoked and the password has not been changed, both of which begin an epoch, and the user is
// active.
const sameEpochSQL = "id = ? AND session_epoch = ? AND is_active"

// RecordLogin records a login of a user. It locks the user, and changes the row for the same reason
// as [Tx.LockUserAsRead]. Errors: ErrNotFound if all sessions were revoked, the password was
// changed or the user was deactivated since u was read.
func (t *Tx) RecordLogin(u User) error {
	return translate(exactlyOne(t.db.Model(&User{}).Where(sameEpochSQL, u.ID, u.SessionEpoch).Updates(map[string]any{"last_login": t.now})))
}

// RecordFirstLogin records the first login of a user as [Tx.RecordLogin] does, and increments the
// version, so that a change decided before the login fails. Errors: ErrNotFound also if the user
// has logged in before.
func (t *Tx) RecordFirstLogin(u User) error {
	return translate(exactlyOne(t.db.Model(&User{}).Where(sameEpochSQL+" AND last_login IS NULL", u.ID, u.SessionEpoch).
		Updates(map[string]any{"last_login": t.now, "version": gorm.Expr("version + 1")})))
}

// ReplaceHash replaces the hash of the same password. A hash that another request has set since u
// was read stays.
func (t *Tx) ReplaceHash(u User, hash PasswordHash) error {
	return translate(t.db.Model(&User{}).Where("id = ? AND password = ?", u.ID, u.Password).Updates(map[string]any{"password": hash}).Error)
}

// InsertSession adds a session in its first generation. Errors: ErrClock if the clocks differ by
// more than tolerance (see clockGuard), or if all sessions of the user were revoked or the user was
// deactivated before the row of the user was locked.
func (t *Tx) InsertSession(n Session, tolerance time.Duration) error {
	guard, args := clockGuard(t.store.mysql, n.RotatedAt, tolerance)
	result := t.db.Exec(`INSERT INTO sessions (id, user_id, epoch, generation, rotated_at, created_at, idle_expires_at, expires_at,
		attempt, revoked_at, revoke_reason, transport, user_agent, ip, last_used_at, authenticated_at)
		SELECT ?, u.id, u.session_epoch, 0, ?, ?, ?, ?, ?, NULL, '', ?, ?, ?, ?, ?
		FROM users u WHERE u.id = ? AND u.session_epoch = ? AND u.is_active`+guard,
		append([]any{n.ID, n.RotatedAt, n.CreatedAt, n.IdleExpiresAt, n.ExpiresAt, nullIfNil(n.Attempt), n.Transport, n.UserAgent, n.IP, n.LastUsedAt,
			n.AuthenticatedAt, n.UserID, n.Epoch}, args...)...)
	if result.Error == nil && result.RowsAffected == 0 {
		return &storeError{kind: ErrClock, cause: errors.New("the guard of the INSERT matched no row")}
	}
	return translate(result.Error)
}

// RevokeOldestSessions revokes the oldest live sessions of a user beyond limit, and returns their
// ids. The transaction must have locked the user.
func (t *Tx) RevokeOldestSessions(u User, limit int, reason string) ([]uuid.UUID, error) {
	var old []uuid.UUID
	err := t.db.Model(&Session{}).Where("user_id = ? AND epoch = ? AND revoked_at IS NULL AND idle_expires_at > ?", u.ID, u.SessionEpoch, t.now).
		Order("created_at DESC, id DESC").Offset(limit).Limit(1000).Pluck("id", &old).Error
	if err != nil || len(old) == 0 {
		return nil, translate(err)
	}
	return old, translate(t.db.Model(&Session{}).Where("id IN ? AND revoked_at IS NULL", old).
		Updates(map[string]any{"revoked_at": t.now, "revoke_reason": reason}).Error)
}

// RevokeSession revokes a session of a user, and reports whether it was live. It changes nothing if
// the session is revoked already. Errors: ErrNotFound if the user has no such session.
func (t *Tx) RevokeSession(id uuid.UUID, userID int64, reason string) (wasLive bool, err error) {
	wasLive, err = exists(t.db, &Session{}, "id = ? AND user_id = ? AND "+liveSQL, id, userID, t.now, t.now)
	if err != nil {
		return false, translate(err)
	}
	err = exactlyOne(t.db.Model(&Session{}).Where("id = ? AND user_id = ? AND revoked_at IS NULL", id, userID).
		Updates(map[string]any{"revoked_at": t.now, "revoke_reason": reason}))
	if errors.Is(err, ErrNotFound) {
		return false, hasSession(t.db, id, userID)
	}
	return wasLive, translate(err)
}

// hasSession returns nil if the user has the session, live or not, and ErrNotFound if not.
func hasSession(db *gorm.DB, id uuid.UUID, userID int64) error {
	found, err := exists(db, &Session{}, "id = ? AND user_id = ?", id, userID)
	if err == nil && !found {
		return ErrNotFound
	}
	return translate(err)
}

// HasOtherSessions reports whether the user has a live session besides the one with the id.
func (t *Tx) HasOtherSessions(id uuid.UUID, userID int64) (bool, error) {
	found, err := exists(t.db, &Session{}, "user_id = ? AND id <> ? AND "+liveSQL, userID, id, t.now, t.now)
	return found, translate(err)
}

// MoveSession moves a live session of a user from the user's epoch to the next one, so that the
// session outlives [Tx.RevokeAllSessions]. Call it first: a refresh also locks the session before
// the user. Errors: ErrNotFound if the session is no longer live, or the epoch has changed since u
// was read.
func (t *Tx) MoveSession(id uuid.UUID, u User) error {
	return translate(exactlyOne(t.db.Exec("UPDATE sessions SET epoch = ? WHERE id = ? AND user_id = ? AND epoch = ? AND "+liveSQL,
		u.SessionEpoch+1, id, u.ID, u.SessionEpoch, t.now, t.now)))
}

// RevokeAllSessions revokes every session of a user: it increments users.session_epoch, and a
// session of another epoch is not live. [Tx.ChangeUser] does the same if [UserPatch].NextEpoch is
// set. The statement checks the epoch and not the version, because a change of the user's name or
// roles since u was read does not matter. Errors: ErrNotFound if the epoch has changed since u was
// read, or the user is inactive.
func (t *Tx) RevokeAllSessions(u User) error {
	return translate(exactlyOne(t.db.Model(&User{}).Where(sameEpochSQL, u.ID, u.SessionEpoch).
		Updates(map[string]any{"session_epoch": u.SessionEpoch + 1})))
}

// RecordAuthentication records that the user entered the password in a session at the given time.
// Errors: ErrNotFound if the session is not live at that time.
func (t *Tx) RecordAuthentication(id uuid.UUID, userID int64, at time.Time) error {
	return translate(exactlyOne(t.db.Exec("UPDATE sessions SET authenticated_at = ? WHERE id = ? AND user_id = ? AND "+liveSQL, at, id, userID, at, at)))
}
