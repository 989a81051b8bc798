package accounts

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/problem"
)

// userLookup finds users, and explains conflicts of their names and changes.
type userLookup struct{ *core }

// createUser adds a user, and records the events under the new id. Errors: those of
// [models.Tx.CreateUser].
func createUser(tx *models.Tx, u *models.User, events ...audit.Event) error {
	if err := tx.CreateUser(u); err != nil {
		return err
	}
	events = slices.Clone(events) // the transaction may be repeated
	for i := range events {
		events[i].UserID = u.ID
	}
	return audit.Record(tx, events...)
}

// randomEpoch returns the first session epoch of a user. It has 48 random bits, so that the epoch of
// a user who is removed and added again (a restored backup, an import) does not match old sessions.
func randomEpoch() int64 {
	var b [8]byte
	_, _ = rand.Read(b[2:]) // never fails (crypto/rand)
	return int64(binary.BigEndian.Uint64(b[:]))
}

// userByID returns a user. Errors: ResourceNotFound, ServiceUnavailable.
func (s userLookup) userByID(ctx context.Context, id int64) (models.User, error) {
	u, err := s.store.UserByID(ctx, id)
	if errors.Is(err, models.ErrNotFound) {
		return u, problem.New(problem.ResourceNotFound)
	}
	return u, problem.FromStore(err)
}

// isDeleted reports whether there is no user with the id.
func (s userLookup) isDeleted(ctx context.Context, id int64) bool {
	_, err := s.store.UserByID(ctx, id)
	return errors.Is(err, models.ErrNotFound)
}

// nameConflict returns the error for the unique values of u that another user has: one of them, or
// both. Errors: UsernameTaken, EmailTaken, ServiceUnavailable.
func (s userLookup) nameConflict(ctx context.Context, u models.User) error {
	name, err := s.isTaken(ctx, s.store.UserByUsername, u.UsernameNorm, u.ID)
	if err != nil {
		return err
	}
	email, err := s.isTaken(ctx, s.store.UserByEmail, u.EmailNorm, u.ID)
	switch {
	case err != nil:
		return err
	case name && email:
		return problem.Join(problem.UsernameConflict(), problem.EmailConflict())
	case name:
		return problem.UsernameConflict()
	}
	return problem.EmailConflict() // or the conflict was resolved a moment ago
}

// isTaken reports whether a user other than the one with the id has the value.
func (s userLookup) isTaken(ctx context.Context, find func(context.Context, string) (models.User, error), value string, id int64) (bool, error) {
	other, err := find(ctx, value)
	if errors.Is(err, models.ErrNotFound) {
		return false, nil
	}
	return err == nil && other.ID != id, problem.FromStore(err)
}

// changeTries is how often a change of a user is tried.
const changeTries = 3

// retryAsRead reads a user and makes a change that fails with models.ErrNotFound if the user has
// changed since the read. It then tries again, changeTries times in all. Errors: those of read and
// change; ServiceUnavailable.
func retryAsRead(read func() (models.User, error), change func(models.User) error) error {
	var err error
	for range changeTries {
		var u models.User
		if u, err = read(); err != nil {
			return err
		}
		if err = change(u); !errors.Is(err, models.ErrNotFound) {
			return problem.FromStore(err)
		}
	}
	return problem.Unavailable(err)
}

// lockUnchanged locks a user in a transaction and returns the row as it is now. holds
// reports whether the caller's decision about u still holds for that row. Errors:
// models.ErrNotFound if it does not, or the user is gone.
//
// The threat: a guard on the version fails at every change of the user, so a thief with a stolen
// session who saves the profile in a loop could keep the owner from a new password, and staff from
// the deletion of the account. So a change that does not depend on the profile locks the user, and
// then checks only what it depends on.
func lockUnchanged(tx *models.Tx, u models.User, holds func(before, now models.User) bool) (models.User, error) {
	now, err := tx.ReadUserForUpdate(u.ID)
	if err == nil && !holds(u, now) {
		err = models.ErrNotFound
	}
	return now, err
}

// isInSameEpoch reports whether no new password, no revocation of all sessions and no new active
// state came in between.
func isInSameEpoch(before, now models.User) bool {
	return before.SessionEpoch == now.SessionEpoch && before.IsActive == now.IsActive
}

// hasSameRoles reports whether the roles are the same. They decide which staff members may manage a
// user.
func hasSameRoles(before, now models.User) bool {
	return before.IsStaff == now.IsStaff && before.IsSuperuser == now.IsSuperuser
}

// hasNextEpoch reports whether the user is in the epoch after that of u, so that every session that
// the user had when u was read has been revoked.
func (s userLookup) hasNextEpoch(ctx context.Context, u models.User) bool {
	now, err := s.store.UserByID(ctx, u.ID)
	return err == nil && now.SessionEpoch == u.SessionEpoch+1
}
