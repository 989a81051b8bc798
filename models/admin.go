package models

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
)

// UserSort is the value that users are sorted by.
type UserSort string

// The sort orders of users. Users with equal values are sorted by id, so that every order is total.
const (
	SortByID         UserSort = "id"
	SortByUsername   UserSort = "username"
	SortByEmail      UserSort = "email"
	SortByLastLogin  UserSort = "last_login" // a user who has never logged in sorts as the earliest
	SortByDateJoined UserSort = "date_joined"
)

// UserRole is the highest role of a user.
type UserRole string

// UserPlace is the position of a user in a sort order. It consists of the ID and the value that the
// order sorts by, in Text or Time. For SortByID it is the ID alone.
type UserPlace struct {
	ID   int64
	Text string
	Time time.Time
}

// PlaceOf returns the position of u in the order.
func (o UserSort) PlaceOf(u User) UserPlace {
	p := UserPlace{ID: u.ID}
	switch o {
	case SortByUsername:
		p.Text = u.UsernameNorm
	case SortByEmail:
		p.Text = u.EmailNorm
	case SortByLastLogin:
		p.Time = never
		if u.LastLogin != nil {
			p.Time = *u.LastLogin
		}
	case SortByDateJoined:
		p.Time = u.DateJoined
	case SortByID:
	}
	return p
}

// never is the sort value of users without a last login.
var never = time.Unix(0, 0).UTC()

// UserQuery selects users, their order and the position to continue after. Fields that are nil or
// empty do not restrict the result.
type UserQuery struct {
	Words            []string // each must occur in the username, the address or a name
	Username, Email  string   // canonical forms, compared exactly
	Active, Verified *bool
	Roles            []UserRole
	Sort             UserSort
	Descending       bool
	After            *UserPlace
	Limit            int
}

// FindUsers returns the users that match. Words are matched literally: characters that are special
// in LIKE have no special meaning. The comparison ignores case in every script, because words and
// search text are folded alike. Words are parameters of the statement and never part of its text. A
// search reads every row once per word: 100,000 users take a tenth of a second.
func (s userQueries) FindUsers(ctx context.Context, q UserQuery) ([]User, error) {
	query := s.reads.WithContext(ctx)
	for _, word := range q.Words {
		like := "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(searchWord(word)) + "%"
		query = query.Where("search LIKE ? ESCAPE '!'", like)
	}
	if q.Active != nil {
		query = query.Where("is_active = ?", *q.Active)
	}
	if q.Username != "" {
		query = query.Where("username_norm = ?", q.Username)
	}
	if q.Email != "" {
		query = query.Where("email_norm = ?", q.Email)
	}
	if len(q.Roles) > 0 {
		query = query.Where("CASE WHEN is_superuser THEN 'superuser' WHEN is_staff THEN 'staff' ELSE 'none' END IN ?", q.Roles)
	}
	if q.Verified != nil {
		query = query.Where("(email_verified_at IS NOT NULL) = ?", *q.Verified)
	}
	var users []User
	err := q.inOrder(query, s.mysql).Limit(q.Limit).Find(&users).Error
	return users, translate(err)
}

// inOrder sorts by a column and the id, and starts after q.After. It compares values instead of
// counting rows, so that users who are created or deleted between two requests do not make other
// users appear twice or not at all.
func (q UserQuery) inOrder(query *gorm.DB, mysql bool) *gorm.DB {
	column := "id"
	switch q.Sort {
	case SortByUsername:
		column = "username_norm"
	case SortByEmail:
		column = "email_norm"
	case SortByLastLogin: // the value of never, in the type of the column
		column = "COALESCE(last_login, '1970-01-01 00:00:00+00:00')"
		if mysql {
			column = "COALESCE(last_login, TIMESTAMP'1970-01-01 00:00:00')"
		}
	case SortByDateJoined:
		column = "date_joined"
	case SortByID:
	}
	if q.Descending {
		query = query.Order(column + " DESC, id DESC")
	} else {
		query = query.Order(column + ", id")
	}
	if q.After == nil {
		return query
	}
	at := any(q.After.Text)
	switch q.Sort {
	case SortByLastLogin, SortByDateJoined:
		at = q.After.Time
	case SortByID:
		at = q.After.ID
	case SortByUsername, SortByEmail:
	}
	if q.Descending {
		return query.Where("("+column+" < ? OR "+column+" = ? AND id < ?)", at, at, q.After.ID)
	}
	return query.Where("("+column+" > ? OR "+column+" = ? AND id > ?)", at, at, q.After.ID)
}
