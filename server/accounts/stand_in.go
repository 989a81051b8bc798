package accounts

import (
	"slices"

	"example.com/accounts/models"
)

func createUser(tx *models.Tx, u *models.User, events ...models.Event) error {
	if err := tx.CreateUser(u); err != nil {
		return err
	}
	events = slices.Clone(events) // the transaction may be repeated
	for i := range events {
		events[i].UserID = u.ID
	}
	return tx.AddEvents(events...)
}
