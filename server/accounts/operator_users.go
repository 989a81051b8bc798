package accounts

import (
	"context"
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
)

// An operator has the database and the secrets, so these commands require no role and no recent
// authentication. The other rules of the operations for staff hold here too: a role requires a
// verified address, and the last superuser stays. The events have neither a staff member nor a
// client, so their actor is the operator.

// usersPerPage is how many users EachUser reads at once.
const usersPerPage = 500

// EachUser calls f with every user that matches the filter, in its order. It stops at the first
// error. Errors: those of f; ServiceUnavailable.
func (s operatorCommands) EachUser(ctx context.Context, filter UserFilter, f func(models.User) error) error {
	filter.Limit = usersPerPage
	for {
		users, next, err := s.listUsers(ctx, filter)
		if err != nil {
			return err
		}
		for _, u := range users {
			if err := f(u); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		filter.After = next
	}
}

// SetRoles grants or takes away roles; nil leaves a role as it is. A granted role revokes all
// sessions of the user. Errors: ResourceNotFound, EmailUnverified, SuperuserLast,
// ServiceUnavailable.
func (s operatorCommands) SetRoles(ctx context.Context, username string, staff, superuser *bool) error {
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		after := u
		if staff != nil {
			after.IsStaff = *staff
		}
		if superuser != nil {
			after.IsSuperuser = *superuser
		}
		changes := audit.RoleChanges(u, after)
		if len(changes) == 0 {
			return nil
		}
		patch := models.UserPatch{IsStaff: &after.IsStaff, IsSuperuser: &after.IsSuperuser}
		if err := checkGrant(u, patch); err != nil {
			return err
		}
		event := audit.Event{Kind: models.EventRolesChanged, UserID: u.ID, Changes: changes}
		return s.store.Tx(ctx, func(tx *models.Tx) error { return changeUser(tx, u, patch, event) })
	})
}

// SetEmail puts an address into force, which counts as verified, and queues a notice to the present
// address. It ends all open links of the user. Errors: ResourceNotFound, ValidationFailed,
// EmailTaken, ServiceUnavailable.
func (s operatorCommands) SetEmail(ctx context.Context, username, email string) error {
	norm, err := parseNewEmail(email)
	if err != nil {
		return err
	}
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		if u.Email == email && u.EmailVerifiedAt != nil {
			return nil
		}
		var notices []models.Mail
		if u.EmailNorm != norm {
			notices = s.outbox.NewNotices(u, mail.EmailChanged, Client{})
		}
		for i := range notices {
			notices[i].NewEmail = email
		}
		event := audit.Event{Kind: models.EventEmailChanged, UserID: u.ID, Detail: "to " + mail.Mask(email)}
		err := s.store.Tx(ctx, func(tx *models.Tx) error {
			now := tx.Now()
			if err := changeUser(tx, u, models.UserPatch{Email: &email, EmailNorm: &norm, EmailVerifiedAt: &now}, event); err != nil {
				return err
			}
			return tx.AddMails(notices...)
		})
		if errors.Is(err, models.ErrConflict) {
			return problem.EmailConflict()
		}
		return err
	})
}

// MarkEmailVerified marks the address of a user as verified. The operator vouches that it is the
// user's own. Errors: ResourceNotFound, UserUnreachable if there is no address, ServiceUnavailable.
func (s operatorCommands) MarkEmailVerified(ctx context.Context, username string) error {
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		switch {
		case u.Email == "":
			return problem.New(problem.UserUnreachable)
		case u.EmailVerifiedAt != nil:
			return nil
		}
		event := audit.Event{Kind: models.EventEmailVerified, UserID: u.ID}
		return s.store.Tx(ctx, func(tx *models.Tx) error {
			now := tx.Now()
			return changeUser(tx, u, models.UserPatch{EmailVerifiedAt: &now}, event)
		})
	})
}

// EndSessions revokes every session of a user. Errors: ResourceNotFound, ServiceUnavailable.
func (s operatorCommands) EndSessions(ctx context.Context, username string) error {
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		if !u.IsActive { // an inactive user has no live sessions
			return nil
		}
		event := audit.Event{Kind: models.EventSessionsRevoked, UserID: u.ID}
		return s.store.Tx(ctx, func(tx *models.Tx) error { return revokeAllSessions(tx, u, event) })
	})
}

// ResetLoginLimit resets the rate limits that keep a user from logging in; see ownRateLimits.
// Errors: ResourceNotFound, ServiceUnavailable.
func (s operatorCommands) ResetLoginLimit(ctx context.Context, username string) error {
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		event := audit.Event{Kind: models.EventLoginLimitReset, UserID: u.ID}
		return s.store.Tx(ctx, func(tx *models.Tx) error { return resetLoginLimit(tx, u, event) })
	})
}

// RemoveUser removes a user permanently and queues a mail to the address. Errors: ResourceNotFound,
// SuperuserLast, ServiceUnavailable.
func (s operatorCommands) RemoveUser(ctx context.Context, username string) error {
	return s.changeNamedUser(ctx, username, func(u models.User) error {
		event := audit.Event{Kind: models.EventDeleted, UserID: u.ID, Changes: audit.LostRoles(u)}
		notices := s.outbox.NewNotices(u, mail.AccountDeleted, Client{})
		return s.store.Tx(ctx, func(tx *models.Tx) error { return deleteUser(tx, u, notices, event) })
	})
}

// ExportUser returns the data stored about a user, as [profileOperations.ExportProfile] does for the
// user. Errors: ResourceNotFound, ServiceUnavailable.
func (s operatorCommands) ExportUser(ctx context.Context, username string) (Export, error) {
	u, err := s.NamedUser(ctx, username)
	if err != nil {
		return Export{}, err
	}
	data, err := s.export(ctx, u, func(ctx context.Context) (UserDetail, error) { return s.profile(ctx, u.ID) })
	if errors.Is(err, models.ErrNotFound) { // deleted a moment ago
		return Export{}, problem.New(problem.ResourceNotFound)
	}
	return data, problem.FromStore(err)
}
