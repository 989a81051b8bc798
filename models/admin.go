package models

import (
	"context"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"
)

// ErrLastSuperuser means that the change would leave nobody who can manage this service.
var ErrLastSuperuser = errors.New("models: the last active superuser")

// UserSort is what users are sorted by.
type UserSort string

// The sorts of users; each ends at the id, so that every order is total.
const (
	SortByID         UserSort = "id"
	SortByUsername   UserSort = "username"
	SortByEmail      UserSort = "email"
	SortByLastLogin  UserSort = "last_login" // never counts as the earliest
	SortByDateJoined UserSort = "date_joined"
)

// UserRole is the highest role of a user.
type UserRole string

// UserPlace is where a user stands in an order: by Text or by Time, whichever the sort goes by, and by ID.
type UserPlace struct {
	ID   int64
	Text string
	Time time.Time
}

// PlaceOf is the user's place.
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

// never is what a last login that has not been is sorted as.
var never = time.Unix(0, 0).UTC()

// UserQuery says which users, in which order, after which place. Nil and empty members ask for nothing.
type UserQuery struct {
	Words            []string // each is a part of the username, the address or a name
	Username, Email  string   // canonical forms, compared exactly
	Active, Verified *bool
	Roles            []UserRole
	Sort             UserSort
	Descending       bool
	After            *UserPlace
	Limit            int
}

// FindUsers returns the users that match. The search text is matched literally, whatever it means
// in a LIKE, and without regard to case in any script, because both sides are folded alike. It is a
// parameter of the statement and never a part of it. A search reads every row once per word:
// 100,000 users take a tenth of a second.
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

// inOrder sorts by a column and the id, and begins after the place given: by its values, so that users who come and go
// meanwhile make none of the others appear twice or not at all.
func (s *Store) inOrder(query *gorm.DB, q UserQuery) *gorm.DB {
	column := "id"
	switch q.Sort {
	case SortByUsername:
		column = "username_norm"
	case SortByEmail:
		column = "email_norm"
	case SortByLastLogin: // a time that is never, in the type that the column has
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

// UserChange is a change of a user by a staff member or an operator. A member that is nil stays as
// it is.
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
// The write is guarded by the version of the user that the caller read, and by what a login and a
// revocation change. It is also guarded by the names and roles, because a replica of an older release
// does not count versions. Errors: ErrNotFound if one of these values has changed since, ErrConflict if the username is taken, ErrLastSuperuser, *OverBudget if there are
// too many mails to the new address.
func (s *Store) ChangeUser(ctx context.Context, u User, c UserChange, events ...Event) error {
	set := c.columns(u)
	if len(set) == 0 {
		return nil
	}
	set["claims"] = gorm.Expr("claims + 1")
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

// afterChange makes the writes that follow from a change of the user.
func (s *Store) afterChange(tx *gorm.DB, u User, c UserChange) error {
	if c.RevokeAllSessions && c.IsActive == nil && s.actor != nil && s.actor.User == u.ID {
		err := one(tx.Model(&Session{}).Where("id = ?", s.actor.Session).Updates(map[string]any{"epoch": u.SessionEpoch + 1}))
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

// keepSuperuser refuses to take away the last active superuser, who is about to lose what makes one.
//
// It writes to the row of every active superuser: two requests that demote the last two of them at the same moment, on
// one server or on two nodes of a cluster, which compare written rows alone, come one after the other.
func keepSuperuser(tx *gorm.DB, u User) error {
	if !u.IsSuperuser || !u.IsActive {
		return nil
	}
	err := tx.Model(&User{}).Where("is_superuser = ? AND is_active = ?", true, true).Updates(map[string]any{"claims": gorm.Expr("claims + 1")}).Error
	if err != nil {
		return err
	}
	// Who was invited and has never come cannot manage anything yet: without a password.
	others, err := some(tx, &User{}, "is_superuser = ? AND is_active = ? AND id <> ? AND password NOT LIKE '!%'", true, true, u.ID)
	if err == nil && !others {
		return ErrLastSuperuser
	}
	return err
}

// AddInvitation creates a user and queues the invitation, within the limits, in one transaction.
// Errors: ErrConflict if the username or the address is taken, *OverBudget.
func (s *Store) AddInvitation(ctx context.Context, u *User, m Mail, limits []Spending, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := spendAll(tx, m.CreatedAt, limits); err != nil {
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
// *OverBudget.
func (s *Store) AddUserMail(ctx context.Context, u User, m Mail, limits []Spending, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := spendAll(tx, m.CreatedAt, limits); err != nil {
			return err
		}
		if err := addMails(tx, []Mail{m}); err != nil {
			return err
		}
		return claim(tx, events, "id = ? AND email_norm = ? AND is_active = ?", u.ID, u.EmailNorm, true)
	})
}

// FillUp forgets what was used of budgets that keep the user back, with the events. ErrNotFound: the user is gone.
func (s *Store) FillUp(ctx context.Context, u User, budgets []ID, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := claim(tx, events, "id = ?", u.ID); err != nil {
			return err
		}
		return fillUp(tx, budgets)
	})
}

// UsedUp says whether one of these budgets is.
func (s *Store) UsedUp(ctx context.Context, now time.Time, list ...Spending) (bool, error) {
	for _, b := range list {
		var found int64
		err := s.reads.WithContext(ctx).Model(&Throttle{}).Where("id = ? AND hits >= ? AND ends_at > ?", b.ID, b.Limit, now).Count(&found).Error
		if err != nil || found > 0 {
			return err == nil, translate(err)
		}
	}
	return false, nil
}
