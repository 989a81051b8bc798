package models

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// NameHolders returns the existing users who have one of the ids, or one of the canonical names as
// their username or address. Only ID, UsernameNorm, EmailNorm and ImportedEpoch are set. A user who
// matches in several ways is returned several times.
func (s userQueries) NameHolders(ctx context.Context, ids []int64, norms []string) ([]User, error) {
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

// ReserveIDs makes the database assign only ids greater than upTo from now on. It creates a user
// with the id upTo and deletes that user again; both engines remember the highest id. Errors:
// ErrConflict if a user has the id, so that nothing needs to be done.
func (t *Tx) ReserveIDs(upTo int64) error {
	const reserved = " reserved" // no name starts with a space
	u := User{ID: upTo, UsernameNorm: reserved, EmailNorm: reserved, DateJoined: t.now}
	if err := t.db.Create(&u).Error; err != nil {
		return translate(err)
	}
	return translate(exactlyOne(t.db.Where("id = ?", upTo).Delete(&User{})))
}

// rowsAtOnce is the number of rows in one INSERT. It keeps round trips few. More rows would be
// slower with SQLite's driver, whose time for the parameters grows with the square of their number.
const rowsAtOnce = 50

// ImportUsers adds users under their existing ids. Both engines assign only greater ids afterwards.
// Errors: ErrConflict if an id, a username or an address is taken.
func (t *Tx) ImportUsers(users []User) error {
	return translate(t.db.CreateInBatches(&users, rowsAtOnce).Error)
}

// ImportUsedTokens stores tokens that must not be accepted again. Tokens that are already stored
// are not changed.
func (t *Tx) ImportUsedTokens(tokens []OneTimeToken) error {
	return translate(t.db.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(&tokens, rowsAtOnce).Error)
}
