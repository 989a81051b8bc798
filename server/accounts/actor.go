package accounts

import (
	"errors"

	"example.com/accounts/models"
)

// forUser returns the store for writes of a user to the user's own account. They fail with
// models.ErrSessionGone once the principal's session has ended.
func (s *core) forUser(p Principal) *models.Store { return s.store.As(p.Actor()) }

// forStaff returns the store for writes of a staff member. They also fail with models.ErrRoleGone
// once the principal's roles have changed.
func (s *core) forStaff(p Principal) *models.Store {
	a := p.Actor()
	a.ByRole, a.Staff, a.Superuser = true, p.User.IsStaff, p.User.IsSuperuser
	return s.store.As(a)
}

// resolveUnknownCommit settles a write whose COMMIT was not acknowledged by reading back: it
// returns nil if the write was applied. Otherwise the client would be told to try again, and the
// second try would be rejected because the session has ended or the username is taken. The client
// could not tell which state is in force.
func resolveUnknownCommit(err error, applied func() bool) error {
	if errors.Is(err, models.ErrUnavailable) && applied() {
		return nil
	}
	return err
}
