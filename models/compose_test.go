package models_test

import (
	"context"

	"example.com/accounts/models"
)

// The methods in this file make the writes that the operations of package accounts compose of the
// verbs of a transaction, for tests of other writes that run at the same time.

func (f *fixture) CreateUser(ctx context.Context, u *models.User) error {
	return f.Tx(ctx, func(tx *models.Tx) error { return tx.CreateUser(u) })
}

func (f *fixture) ChangeUser(ctx context.Context, u models.User, p models.UserPatch) error {
	return f.Tx(ctx, func(tx *models.Tx) error { return tx.ChangeUser(u, p) })
}

func (f *fixture) SetPassword(ctx context.Context, u models.User, hash string) error {
	return f.changeAndEndLinks(ctx, u, models.UserPatch{Password: &hash, NextEpoch: true})
}

func (f *fixture) SetActive(ctx context.Context, u models.User, active bool) error {
	return f.changeAndEndLinks(ctx, u, models.UserPatch{IsActive: &active, NextEpoch: true})
}

func (f *fixture) changeAndEndLinks(ctx context.Context, u models.User, p models.UserPatch) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.ChangeUser(u, p) },
			func() error { return tx.EndTokens(u.ID, models.PurposeVerify) },
			func() error { return tx.CancelMails(u.EmailNorm, "reset", "invitation") },
			func() error { return tx.EndEmailChangesBy(u.ID) },
		)
	})
}

func (f *fixture) DeleteUser(ctx context.Context, u models.User, events ...models.Event) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.DeleteUser(u) },
			func() error { return tx.DeleteOwnEvents(u.ID) },
			func() error { return tx.ClearEvents(u.ID) },
			func() error { return tx.ForgetNetworks(u.UsernameNorm, u.EmailNorm) },
			func() error { return tx.EndEmailChangesBy(u.ID) },
			func() error { return tx.DeleteSessions(u) },
			func() error { return tx.DeleteTokens(u) },
			func() error { return tx.DeleteMails(u) },
			func() error { return tx.AddEvents(events...) },
		)
	})
}

// AddRegistration stores a registration and queues its mail.
func (f *fixture) AddRegistration(ctx context.Context, t models.OneTimeToken, m models.Mail) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.AddMails(m) },
			func() error { return tx.AddToken(t) },
		)
	})
}

// CompleteRegistration creates the user of a registration.
func (f *fixture) CompleteRegistration(ctx context.Context, s *models.Store, t models.OneTimeToken, u *models.User) error {
	return s.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.UseToken(t) },
			func() error { return tx.EndRegistrations(t.EmailNorm) },
			func() error { return tx.CreateUser(u) },
			func() error { return tx.SetTokenUser(t, u.ID) },
		)
	})
}

// ResetPassword sets the password of a user as read with the token of a reset.
func (f *fixture) ResetPassword(ctx context.Context, s *models.Store, t models.OneTimeToken, u models.User, hash string) error {
	return s.Tx(ctx, func(tx *models.Tx) error {
		now := tx.Now()
		return inOrder(
			func() error { return tx.UseToken(t) },
			func() error {
				return tx.ChangeUser(u, models.UserPatch{Password: &hash, EmailVerifiedAt: &now, NextEpoch: true})
			},
			func() error { return tx.EndTokens(u.ID) },
		)
	})
}

// AddEmailChange starts a change of a user's address.
func (f *fixture) AddEmailChange(ctx context.Context, u models.User, t models.OneTimeToken) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.ChangeUser(u, models.UserPatch{NewVersion: true}) },
			func() error { return tx.EndEmailChangesExcept(u.ID, "") },
			func() error { return tx.AddToken(t) },
		)
	})
}

// CancelEmailChange ends a pending change of a user's address.
func (f *fixture) CancelEmailChange(ctx context.Context, s *models.Store, u models.User, pending models.OneTimeToken, events ...models.Event) error {
	return s.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.ChangeUser(u, models.UserPatch{NewVersion: true}) },
			func() error { return tx.AddEvents(events...) },
			func() error { return tx.UseToken(pending) },
		)
	})
}

// ReplaceEmailChange replaces the link of a pending change of a user's address.
func (f *fixture) ReplaceEmailChange(ctx context.Context, u models.User, pending, next models.OneTimeToken) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.LockUser(u) },
			func() error { return tx.UseToken(pending) },
			func() error { return tx.AddToken(next) },
		)
	})
}

// ConfirmEmailChange puts a pending address into force.
func (f *fixture) ConfirmEmailChange(ctx context.Context, u models.User, t models.OneTimeToken) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		now := tx.Now()
		return inOrder(
			func() error { return tx.LockUser(u) },
			func() error { return tx.UseToken(t) },
			func() error {
				return tx.ChangeUser(u, models.UserPatch{Email: &t.Email, EmailNorm: &t.EmailNorm, EmailVerifiedAt: &now})
			},
			func() error { return tx.EndTokens(u.ID) },
		)
	})
}

func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
