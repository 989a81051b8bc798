package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// Tx is a transaction: the unit of work of an operation. Its methods are small verbs, each about
// one table. The caller decides which of them belong together, so all rules are in the packages
// above.
//
// Every method returns the sentinels of errors.go. The caller must return the error of a method
// from the function that it passed to [Store.Tx], or an error of its own, to roll the transaction
// back.
type Tx struct {
	db    *gorm.DB
	store *database
	now   time.Time
}

// Tx runs f in a transaction, and commits it if f returns nil. If a statement or COMMIT fails
// because of a conflict with another transaction, Tx rolls back and calls f again. So f must have
// no effect except its writes. After [ErrUnavailable] from COMMIT it is not known whether the
// transaction was committed.
//
// If the store has an actor, the transaction begins with the actor's guard; see [Store.As].
func (s *database) Tx(ctx context.Context, f func(tx *Tx) error) error {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Transaction(func(db *gorm.DB) error {
			if err := s.actor.guard(db); err != nil {
				return err
			}
			return f(&Tx{db: db, store: s, now: s.now()})
		})
	})
}

// WithClock returns the store with another clock for the instants of its transactions.
func (s *Store) WithClock(now func() time.Time) *Store {
	with := *s.database
	with.now = now
	return newStore(&with)
}

// Now returns the instant of the transaction in UTC, in microseconds. All its writes have the same
// instant. A repetition after a conflict has a new one.
func (t *Tx) Now() time.Time { return t.now }
