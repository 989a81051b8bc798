package models

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"runtime"
	"slices"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// The following exports are for the tests.

var Translate = translate

var ErrRefused = errRefused

const (
	MaxTries   = maxTries
	LeaseLife  = leaseLife
	LeaseRenew = leaseRenew
)

func (s *Store) WritePool() *sql.DB { return s.pool }

func (s *Store) ReadPool() *sql.DB { return s.readPool }

// HotQueries returns the statements that have been prepared so far.
func (s *Store) HotQueries() []string {
	s.hot.mu.RLock()
	defer s.hot.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.hot.byID))
}

func (s *Store) WithLease(ctx context.Context, f func(context.Context) error) error {
	return (&lease{store: s.database, holder: uuid.NewString()}).do(ctx, f)
}

// RunStatements runs statements in a transaction of the store and returns the number of tries.
func (s *Store) RunStatements(ctx context.Context, queries ...string) (tries int, err error) {
	err = s.Tx(ctx, func(tx *Tx) error {
		tries++
		for _, q := range queries {
			if err := tx.db.Exec(q).Error; err != nil {
				return err
			}
		}
		return nil
	})
	return tries, err
}

// TxOutOfTime runs a transaction whose context ends after its last statement. database/sql rolls it
// back before COMMIT.
func (s *Store) TxOutOfTime(query string) error {
	ctx, end := context.WithCancel(context.Background())
	return s.Tx(ctx, func(tx *Tx) error {
		err := tx.db.Exec(query).Error
		end()
		for err == nil && !errors.Is(tx.db.WithContext(context.Background()).Exec("SELECT 1").Error, sql.ErrTxDone) {
			runtime.Gosched()
		}
		return err
	})
}

// TxNotFound runs a transaction that ends with ErrNotFound, as from a guard.
func (s *Store) TxNotFound(ctx context.Context, query string) error {
	return s.Tx(ctx, func(tx *Tx) error { return errors.Join(tx.db.Exec(query).Error, ErrNotFound) })
}

// SearchText returns the text that a search compares with its words for a user.
func SearchText(u User) string { return searchText(u) }

// Fold returns the folded form of a text, which searches compare.
func Fold(text string) string { return fold(text) }

// EventsSQL returns the statement of Events.
func (s *Store) EventsSQL(ctx context.Context, q EventQuery) (string, []any) {
	dry := q.withUsernames(s.reads.WithContext(ctx).Session(&gorm.Session{DryRun: true}), s.mysql).Find(&[]Event{}).Statement
	return dry.SQL.String(), dry.Vars
}
