package models

import (
	"context"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"
)

// ErrLastSuperuser means that the change would leave no superuser who can manage this service.
var ErrLastSuperuser = errors.New("models: the last active superuser")

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
func (s *Store) FindUsers(ctx context.Context, q UserQuery) ([]User, error) {
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
	err := s.inOrder(query, q).Limit(q.Limit).Find(&users).Error
	return users, translate(err)
}

// inOrder sorts by a column and the id, and starts after q.After. It compares values instead of
// counting rows, so that users who are created or deleted between two requests do not make other
// users appear twice or not at all.
func (s *Store) inOrder(query *gorm.DB, q UserQuery) *gorm.DB {
	column := "id"
	switch q.Sort {
	case SortByUsername:
		column = "username_norm"
	case SortByEmail:
		column = "email_norm"
	case SortByLastLogin: // the value of never, in the type of the column
		column = "COALESCE(last_login, '1970-01-01 00:00:00+00:00')"
		if s.mysql {
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

// UserChange is a change of a user by a staff member or an operator. Fields that are nil are not
// changed.
type UserChange struct {
	ProfileChange
	IsActive, IsStaff, IsSuperuser *bool
	RevokeAllSessions              bool         // revoke every session but the actor's own
	EndEmailChanges                bool         // invalidate the links that confirm a new address
	EmailChange                    *EmailChange // a pending change, which the new mailbox must confirm
}

func (c UserChange) columns(u User) map[string]any {
	set := c.ProfileChange.columns()
	setGiven(set, map[string]*bool{"is_active": c.IsActive, "is_staff": c.IsStaff, "is_superuser": c.IsSuperuser})
	if c.RevokeAllSessions {
		set["session_epoch"] = u.SessionEpoch + 1
	}
	if c.EmailChange != nil { // users and staff see the pending address
		set["version"] = gorm.Expr("version + 1")
	}
	return set
}

// ChangeUser changes a user and adds the events, in one transaction. Activation and deactivation
// invalidate every open link.
//
// The write is guarded by the version of the user that the caller read, and by the values that a
// login and a revocation change. It is also guarded by the names and roles, because a replica of an
// older release does not increment the version.
//
// Errors: ErrNotFound if one of these values has changed since u was read, ErrConflict if the
// username is taken, ErrLastSuperuser, *RateLimitExceeded if too many mails were requested for the new
// address.
func (s *Store) ChangeUser(ctx context.Context, u User, c UserChange, events ...Event) error {
	set := c.columns(u)
	if len(set) == 0 {
		return nil
	}
	set["lock_count"] = gorm.Expr("lock_count + 1")
	return s.tx(ctx, func(tx *gorm.DB) error {
		if c.IsActive != nil && !*c.IsActive || c.IsSuperuser != nil && !*c.IsSuperuser {
			if err := keepSuperuser(tx, u); err != nil {
				return err
			}
		}
		err := changeUser(tx, set, events, `id = ? AND version = ? AND session_epoch = ? AND is_active = ? AND is_staff = ? AND is_superuser = ?
			AND username = ? AND email = ? AND (last_login IS NULL) = ?`,
			u.ID, u.Version, u.SessionEpoch, u.IsActive, u.IsStaff, u.IsSuperuser, u.Username, u.Email, u.LastLogin == nil)
		if err != nil {
			return err
		}
		return s.afterChange(tx, u, c)
	})
}

// afterChange makes the further writes that a change of the user requires.
func (s *Store) afterChange(tx *gorm.DB, u User, c UserChange) error {
	if c.RevokeAllSessions && c.IsActive == nil && s.actor != nil && s.actor.User == u.ID {
		err := exactlyOne(tx.Model(&Session{}).Where("id = ?", s.actor.Session).Updates(map[string]any{"epoch": u.SessionEpoch + 1}))
		if err != nil {
			return err
		}
	}
	if c.IsActive != nil {
		if err := endLinks(tx, s.db.NowFunc(), u); err != nil {
			return err
		}
	}
	if c.EndEmailChanges {
		if err := endEmailChanges(tx, s.db.NowFunc(), "user_id = ?", u.ID); err != nil {
			return err
		}
	}
	if c.EmailChange == nil {
		return nil
	}
	return startEmailChange(tx, *c.EmailChange)
}

// keepSuperuser returns ErrLastSuperuser if u, who is about to lose the role, the active state or
// the account, is the last active superuser.
//
// It writes the row of every active superuser, so that two requests that demote the last two of
// them at the same time are serialized: on one server by the row locks, and on two nodes of a
// cluster by certification, which compares only written rows.
func keepSuperuser(tx *gorm.DB, u User) error {
	if !u.IsSuperuser || !u.IsActive {
		return nil
	}
	err := tx.Model(&User{}).Where("is_superuser = ? AND is_active = ?", true, true).Updates(map[string]any{"lock_count": gorm.Expr("lock_count + 1")}).Error
	if err != nil {
		return err
	}
	// An invited superuser without a password cannot manage the service yet and does not count.
	others, err := exists(tx, &User{}, "is_superuser = ? AND is_active = ? AND id <> ? AND password NOT LIKE '!%'", true, true, u.ID)
	if err == nil && !others {
		return ErrLastSuperuser
	}
	return err
}

// AddInvitation creates a user and queues the invitation, within the limits, in one transaction.
// Errors: ErrConflict if the username or the address is taken, *RateLimitExceeded.
func (s *Store) AddInvitation(ctx context.Context, u *User, m Mail, limits []RateLimitUse, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := countUses(tx, m.CreatedAt, limits); err != nil {
			return err
		}
		if err := createUser(tx, u, events); err != nil {
			return err
		}
		m.UserID = u.ID
		return addMails(tx, []Mail{m})
	})
}

// AddUserMail queues a mail that a staff member has requested for a user, with its events, within
// the limits. Errors: ErrNotFound if the user is gone, inactive or has another address;
// *RateLimitExceeded.
func (s *Store) AddUserMail(ctx context.Context, u User, m Mail, limits []RateLimitUse, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := countUses(tx, m.CreatedAt, limits); err != nil {
			return err
		}
		if err := addMails(tx, []Mail{m}); err != nil {
			return err
		}
		return lockUser(tx, events, "id = ? AND email_norm = ? AND is_active = ?", u.ID, u.EmailNorm, true)
	})
}

// ResetRateLimits resets the given rate limits for a user and adds the events. Errors: ErrNotFound if the
// user is gone.
func (s *Store) ResetRateLimits(ctx context.Context, u User, limits []ID, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := lockUser(tx, events, "id = ?", u.ID); err != nil {
			return err
		}
		return resetRateLimits(tx, limits)
	})
}

// IsRateLimited reports whether the uses of at least one of these rate limits have reached its maximum.
func (s *Store) IsRateLimited(ctx context.Context, now time.Time, list ...RateLimitUse) (bool, error) {
	for _, b := range list {
		var found int64
		err := s.reads.WithContext(ctx).Model(&RateLimit{}).Where("id = ? AND hits >= ? AND ends_at > ?", b.ID, b.Limit, now).Count(&found).Error
		if err != nil || found > 0 {
			return err == nil, translate(err)
		}
	}
	return false, nil
}
