package models

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"gorm.io/gorm"
)

// What tests see of the inside.

var Translate = translate

var ErrRefused = errRefused

const (
	MaxTries   = maxTries
	LeaseLife  = leaseLife
	LeaseRenew = leaseRenew
)

func (s *Store) WritePool() *sql.DB { return s.pool() }

func (s *Store) ReadPool() *sql.DB { return s.readPool() }

// HotQueries are the statements that have been prepared so far.
func (s *Store) HotQueries() []string {
	s.hot.mu.RLock()
	defer s.hot.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.hot.byID))
}

func (s *Store) WithLease(ctx context.Context, f func(context.Context) error) error {
	return s.withLease(ctx, f)
}

// Tx runs statements in a transaction of the store's and says how often it was tried.
func (s *Store) Tx(ctx context.Context, queries ...string) (tries int, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		tries++
		for _, q := range queries {
			if err := tx.Exec(q).Error; err != nil {
				return err
			}
		}
		return nil
	})
	return tries, err
}

// TxNotFound is a transaction that a guard of the store's ends.
func (s *Store) TxNotFound(ctx context.Context, query string) error {
	return s.tx(ctx, func(tx *gorm.DB) error { return errors.Join(tx.Exec(query).Error, ErrNotFound) })
}
