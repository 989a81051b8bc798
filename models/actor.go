package models

import (
	"errors"
	"time"

	"gorm.io/gorm"
)

var (
	// ErrSessionGone means that the actor's session ended, or its user was deactivated or deleted, before the write.
	ErrSessionGone = errors.New("models: the session that the write rests on has ended")
	// ErrRoleGone means that the actor's roles changed before the write.
	ErrRoleGone = errors.New("models: the role that the write rests on has changed")
)

// Actor is the session that a write rests on, with what was read of it and its user when the request was authenticated.
type Actor struct {
	Session          ID
	User             int64
	At               time.Time // the instant of that reading
	ByRole           bool      // the write rests on the user's roles, which are the next two
	Staff, Superuser bool
}

// As returns the store for the writes of an actor. Each of its transactions first checks, and locks, the actor's session
// and user.
//
// Between authentication and COMMIT lie milliseconds, or seconds with a slow database. Without this check a superuser
// who is being removed could, in that time, grant a role to an accomplice, and the security log would show an action of
// a user after that user's deactivation. Errors of every transaction: ErrSessionGone, ErrRoleGone.
func (s *Store) As(a Actor) *Store {
	guarded := *s
	guarded.actor = &a
	return &guarded
}

// guard locks the rows in the order in which refresh does: the session, then its user. Both rows really change, because
// Galera certifies written rows only: whatever ends the session or takes a role away on another node conflicts.
func (a *Actor) guard(tx *gorm.DB) error {
	if a == nil {
		return nil
	}
	err := one(tx.Exec("UPDATE sessions SET version = version + 1 WHERE id = ? AND user_id = ? AND "+live, a.Session, a.User, a.At, a.At))
	if errors.Is(err, ErrNotFound) {
		return ErrSessionGone
	}
	if err != nil {
		return err
	}
	return a.guardUser(tx)
}

// The epoch is that of the session's row, which is locked: another request of the same session may have ended all other
// sessions in the meantime, which moves this one to the next epoch.
const (
	activeActor = "id = ? AND session_epoch = (SELECT epoch FROM sessions WHERE id = ?) AND is_active"
	actorInRole = activeActor + " AND (NOT ? OR is_staff = ? AND is_superuser = ?)"
)

func (a *Actor) guardUser(tx *gorm.DB) error {
	err := claim(tx, nil, actorInRole, a.User, a.Session, a.ByRole, a.Staff, a.Superuser)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	roleGone, err := some(tx, &User{}, activeActor, a.User, a.Session)
	if err != nil {
		return err
	}
	if roleGone {
		return ErrRoleGone
	}
	return ErrSessionGone
}
