package models

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// NameHolders are the users who are here already with one of the ids, or with one of the names in canonical form as
// their username or their address. Of each the ID, UsernameNorm, EmailNorm and ImportedEpoch are read.
func (s *Store) NameHolders(ctx context.Context, ids []int64, norms []string) ([]User, error) {
	var all []User
	for _, find := range []func(*gorm.DB) *gorm.DB{ // one index each
		func(q *gorm.DB) *gorm.DB { return q.Where("id IN ?", ids) },
		func(q *gorm.DB) *gorm.DB { return q.Where("username_norm IN ?", norms) },
		func(q *gorm.DB) *gorm.DB { return q.Where("email_norm IN ?", norms) },
	} {
		var some []User
		query := s.reads.WithContext(ctx).Select("id", "username_norm", "email_norm", "imported_epoch")
		if err := find(query).Find(&some).Error; err != nil {
			return nil, translate(err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// ReserveIDs has the ids that are given out from now on begin beyond the one given: a user is made of it and removed
// again, which both engines remember. If somebody has it already they do so anyway.
func (s *Store) ReserveIDs(ctx context.Context, upTo int64) error {
	const nobody = " reserved" // no name has a blank in front
	err := s.tx(ctx, func(tx *gorm.DB) error {
		u := User{ID: upTo, UsernameNorm: nobody, EmailNorm: nobody, DateJoined: s.db.NowFunc()}
		if err := tx.Create(&u).Error; err != nil {
			return err
		}
		return one(tx.Where("id = ?", upTo).Delete(&User{}))
	})
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// rowsAtOnce are written by one INSERT: few round trips, and not yet so many values that SQLite's driver, which looks for
// each among all of them, takes longer than the rows.
const rowsAtOnce = 50

// ImportUsers adds users under the ids that they have, with their events, all of them or none. The ids that are given
// out afterwards are beyond theirs: both engines see to that. ErrConflict: an id, a username or an address is taken.
func (s *Store) ImportUsers(ctx context.Context, users []User, events []Event) error {
	if len(users) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.CreateInBatches(&users, rowsAtOnce).Error; err != nil {
			return err
		}
		return tx.CreateInBatches(&events, rowsAtOnce).Error
	})
}

// ImportUsedTokens writes down tokens that must not be good any more, all of them or none. Those that are here already
// stay as they are.
func (s *Store) ImportUsedTokens(ctx context.Context, tokens []OneTimeToken) error {
	if len(tokens) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(&tokens, rowsAtOnce).Error
	})
}
