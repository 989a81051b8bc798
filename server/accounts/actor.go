package accounts

import (
	"errors"

	"example.com/accounts/models"
)

// forUser is the store for what a user does to the own account. Its writes fail with models.ErrSessionGone once the
// principal's session has ended.
func (s *Service) forUser(p Principal) *models.Store { return s.store.As(p.actor()) }

// forStaff is the store for what a staff member does. Its writes also fail, with models.ErrRoleGone, once the
// principal's roles have changed.
func (s *Service) forStaff(p Principal) *models.Store {
	a := p.actor()
	a.ByRole, a.Staff, a.Superuser = true, p.User.IsStaff, p.User.IsSuperuser
	return s.store.As(a)
}

func (p Principal) actor() models.Actor {
	return models.Actor{Session: p.Session.ID, User: p.User.ID, At: p.At}
}

// resolved decides the outcome of a write whose COMMIT was not acknowledged by reading back: if the write was applied
// there is no error. A client that is told to try again would otherwise hear that its own session has ended, or that the
// username is taken, and would not know what is in force.
func resolved(err error, applied func() bool) error {
	if errors.Is(err, models.ErrUnavailable) && applied() {
		return nil
	}
	return err
}
