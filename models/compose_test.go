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

func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
