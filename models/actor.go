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
	Epoch            int64
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

const (
	activeActor = "id = ? AND session_epoch = ? AND is_active"
	actorInRole = activeActor + " AND (NOT ? OR is_staff = ? AND is_superuser = ?)"
)

func (a *Actor) guardUser(tx *gorm.DB) error {
	err := claim(tx, nil, actorInRole, a.User, a.Epoch, a.ByRole, a.Staff, a.Superuser)
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	roleGone, err := some(tx, &User{}, activeActor, a.User, a.Epoch)
	if err != nil {
		return err
	}
	if roleGone {
		return ErrRoleGone
	}
	return ErrSessionGone
}

// removesActor reports whether a change of a user takes away what the user's staff actions rest on:
// a role, or every session.
func removesActor(set map[string]any) bool {
	for _, column := range []string{"session_epoch", "is_active", "is_staff", "is_superuser"} {
		if _, changes := set[column]; changes {
			return true
		}
	}
	return false
}

// endStartedChanges ends the pending changes of addresses that a staff member has started for other
// users. They take effect when a mailbox confirms them, up to days later. Without this a superuser
// who is about to be removed could let another superuser's account move to a mailbox of their
// own, and take that account over after the removal.
//
// The security log says which changes those are: the event of a change is younger than its token,
// and a younger change of the same user has ended the token.
func endStartedChanges(tx *gorm.DB, actor any) error {
	var started []ID
	err := tx.Model(&OneTimeToken{}).Joins("JOIN events e ON e.user_id = one_time_tokens.user_id").
		Where("e.actor_id = ? AND e.kind = ? AND e.id > one_time_tokens.id", actor, EventEmailChangeRequested).
		Where("one_time_tokens.purpose = ? AND one_time_tokens.used_at IS NULL", PurposeEmailChange).
		Distinct().Pluck("one_time_tokens.id", &started).Error
	if err != nil || len(started) == 0 {
		return err
	}
	return endTokens(tx, tx.NowFunc(), "id IN ?", started)
}
