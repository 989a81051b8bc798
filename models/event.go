package models

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// EventKind is the kind of an event, as named in the contract.
type EventKind = string

// The kinds of events. The contract describes each of them.
const (
	EventRegistered           EventKind = "registered"
	EventEmailVerified        EventKind = "email_verified"
	EventLogin                EventKind = "login"
	EventLoginFailed          EventKind = "login_failed"
	EventPasswordWrong        EventKind = "password_wrong"
	EventRateLimited          EventKind = "rate_limited"
	EventLogout               EventKind = "logout"
	EventSessionRevoked       EventKind = "session_revoked"
	EventSessionsRevoked      EventKind = "sessions_revoked"
	EventRefreshGraced        EventKind = "refresh_graced"
	EventRefreshReused        EventKind = "refresh_reused"
	EventPasswordChanged      EventKind = "password_changed"
	EventPasswordReset        EventKind = "password_reset"
	EventUsernameChanged      EventKind = "username_changed"
	EventEmailChangeRequested EventKind = "email_change_requested"
	EventEmailChangeCanceled  EventKind = "email_change_canceled"
	EventEmailChanged         EventKind = "email_changed"
	EventActivated            EventKind = "activated"
	EventDeactivated          EventKind = "deactivated"
	EventReauthenticated      EventKind = "reauthenticated"
	EventInvited              EventKind = "invited"
	EventProfileChanged       EventKind = "profile_changed"
	EventRolesChanged         EventKind = "roles_changed"
	EventPasswordResetSent    EventKind = "password_reset_sent"
	EventLoginLimitReset      EventKind = "login_limit_reset"
	EventDeleted              EventKind = "deleted"
)

// Event is an entry of the security log: what happened to a user, without secrets. An event of a
// write is stored in the transaction of that write, so that neither exists without the other.
type Event struct {
	ID        uuid.UUID `gorm:"primaryKey"` // see EventIDs
	UserID    int64
	ActorID   *int64 // the staff member who caused the event, or nil
	SessionID *uuid.UUID
	RequestID *uuid.UUID // nil for an event that the operator caused
	Kind      EventKind
	Changes   Changes `gorm:"type:text"`
	Detail    string  // a short text for people, such as "2 generations old"
	IP        string
	UserAgent string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`

	// The current usernames of the user and of the staff member, or nil. Only [Store.Events] sets
	// them.
	Username      *string `gorm:"->"`
	ActorUsername *string `gorm:"->"`
}

// eventQueries reads the security log, and adds the events of rejected requests.
type eventQueries struct{ *database }

// AddEvents writes events that belong to no other write. It skips events of users who are gone, and
// events that are already stored, because the answer to an earlier COMMIT may have been lost.
//
// It changes the rows of the users, so that a concurrent deletion either comes first or removes the
// events too. A lock alone is not enough: a cluster certifies only changed rows, and a deletion on
// another node would leave the events behind.
func (s eventQueries) AddEvents(ctx context.Context, events ...Event) error {
	ids := make([]int64, 0, len(events))
	for _, e := range events {
		ids = append(ids, e.UserID)
	}
	slices.Sort(ids) // all replicas lock in the same order, which prevents deadlocks
	ids = slices.Compact(ids)
	return s.Tx(ctx, func(t *Tx) error {
		set := map[string]any{"lock_count": gorm.Expr("lock_count + 1")}
		locked := t.db.Model(&User{}).Where("id IN ?", ids).Updates(set)
		if locked.Error != nil || locked.RowsAffected == 0 {
			return locked.Error
		}
		var there []int64
		if err := t.db.Model(&User{}).Where("id IN ?", ids).Pluck("id", &there).Error; err != nil {
			return err
		}
		kept := slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !slices.Contains(there, e.UserID) })
		if len(kept) == 0 {
			return nil
		}
		return t.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&kept).Error
	})
}

func addEvents(tx *gorm.DB, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	return tx.CreateInBatches(&events, rowsAtOnce).Error
}
