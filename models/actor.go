package models

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

var (
	// ErrSessionGone means that the actor's session ended, or its user was deactivated or deleted,
	// before the write.
	ErrSessionGone = errors.New("models: the session that authorizes the write has ended")
	// ErrRoleGone means that the actor's roles changed before the write.
	ErrRoleGone = errors.New("models: the role that authorizes the write has changed")
)

// Actor is the session that authorizes a write, with the values of the session and its user that
// were read when the request was authenticated.
type Actor struct {
	Session          uuid.UUID
	User             int64
	At               time.Time // when the values were read
	ByRole           bool      // the write requires the roles in the next two fields
	Staff, Superuser bool
}

// As returns the store for the writes of an actor. Each of its transactions first checks, and
// locks, the actor's session and user.
//
// Milliseconds pass between authentication and COMMIT, or seconds with a slow database. Without
// this check a superuser who is being removed could grant a role to an accomplice in that time, and
// the security log would show an action of a user after that user's deactivation. Every transaction
// can fail with ErrSessionGone or ErrRoleGone.
func (s *Store) As(a Actor) *Store {
	guarded := *s.database
	guarded.actor = &a
	return newStore(&guarded)
}

// guard locks the session and then its user, in the same order as a refresh. It changes both rows,
// because Galera certifies only rows that were written. A write on another node that ends the
// session or revokes a role then conflicts. Errors: ErrSessionGone, ErrRoleGone.
func (a *Actor) guard(tx *gorm.DB) error {
	if a == nil {
		return nil
	}
	err := exactlyOne(tx.Exec("UPDATE sessions SET version = version + 1 WHERE id = ? AND user_id = ? AND "+liveSQL, a.Session, a.User, a.At, a.At))
	if errors.Is(err, ErrNotFound) {
		return ErrSessionGone
	}
	if err != nil {
		return err
	}
	return a.guardUser(tx)
}

// These conditions read the epoch from the session's row, which is locked, and not from the actor:
// another request of the same session may have ended all other sessions since the actor was
// authenticated, which moves this session to the next epoch.
const (
	activeActor = "id = ? AND session_epoch = (SELECT epoch FROM sessions WHERE id = ?) AND is_active"
	actorInRole = activeActor + " AND (NOT ? OR is_staff = ? AND is_superuser = ?)"
)

func (a *Actor) guardUser(tx *gorm.DB) error {
	err := exactlyOne(tx.Model(&User{}).Where(actorInRole, a.User, a.Session, a.ByRole, a.Staff, a.Superuser).
		Updates(map[string]any{"lock_count": gorm.Expr("lock_count + 1")}))
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	roleGone, err := exists(tx, &User{}, activeActor, a.User, a.Session)
	if err != nil {
		return err
	}
	if roleGone {
		return ErrRoleGone
	}
	return ErrSessionGone
}
