package models

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// User is an account. The _norm columns hold the canonical forms, which are unique; the other
// columns hold the names as the user entered them. Incrementing SessionEpoch revokes all sessions.
// It starts at a random number.
type User struct {
	ID              int64 `gorm:"primaryKey"`
	Username        string
	UsernameNorm    string
	Email           string
	EmailNorm       string
	FirstName       string
	LastName        string
	Locale          string // the language of mails; empty: the request's
	Password        string
	IsActive        bool
	IsStaff         bool
	IsSuperuser     bool
	EmailVerifiedAt *time.Time
	SessionEpoch    int64
	Version         int64  // incremented by the changes that changesVersion or bumpVersion count
	LockCount       int64  // incremented by transactions that must conflict with other changes of the user
	ImportedEpoch   *int64 // the SessionEpoch at the import, or nil; while they are equal, tokens of the Django service may be valid
	LastLogin       *time.Time
	DateJoined      time.Time
	Search          string // see searchText
}

// CreateUser adds a user and sets its ID. Errors: ErrConflict if the username or the address is
// taken.
func (s *Store) CreateUser(ctx context.Context, u *User, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error { return createUser(tx, u, events) })
}

func createUser(tx *gorm.DB, u *User, events []Event) error {
	u.ID = 0
	if err := tx.Create(u).Error; err != nil {
		return err
	}
	if err := forgetNetworks(tx, u.UsernameNorm, u.EmailNorm); err != nil {
		return err
	}
	return addEventsOf(tx, u, events)
}

// UserByUsername finds a user by the canonical form of the username. Errors: ErrNotFound.
func (s *Store) UserByUsername(ctx context.Context, norm string) (User, error) {
	return s.user(ctx, "username_norm = ?", norm)
}

// UserByEmail finds a user by the canonical form of the address. Errors: ErrNotFound.
func (s *Store) UserByEmail(ctx context.Context, norm string) (User, error) {
	return s.user(ctx, "email_norm = ?", norm)
}

// UsersByAddressOrName returns the users that a canonical name with an @ may belong to: the user
// with that address, and the user who was imported with it as the username. Either may be missing.
func (s *Store) UsersByAddressOrName(ctx context.Context, norm string) ([]User, error) {
	var list []User
	err := s.reads.WithContext(ctx).Where("email_norm = ? OR username_norm = ?", norm, norm).Limit(2).Find(&list).Error
	return list, translate(err)
}

func (s *Store) user(ctx context.Context, where string, value any) (User, error) {
	var u User
	err := s.reads.WithContext(ctx).Where(where, value).Take(&u).Error
	return u, translate(err)
}

// shownColumns are the columns of a user u that every request reads. The password hash is not among
// them. (*User).shown returns their destinations.
const shownColumns = `u.id, u.username, u.email, u.first_name, u.last_name, u.is_active, u.is_staff, u.is_superuser, u.email_verified_at,
	u.session_epoch, u.last_login, u.date_joined, u.locale`

func (u *User) shown() []any {
	return []any{
		&u.ID, &u.Username, &u.Email, &u.FirstName, &u.LastName, &u.IsActive, &u.IsStaff, &u.IsSuperuser, &u.EmailVerifiedAt,
		&u.SessionEpoch, &u.LastLogin, &u.DateJoined, &u.Locale,
	}
}

// Profile is the data of a user that the user and staff members see. User has no password hash.
type Profile struct {
	User         User
	HasPassword  bool   // same rule as credentials.IsUsable
	PendingEmail string // the address of a pending change, or empty
}

// usablePassword is the rule of credentials.IsUsable in SQL. Django marks a missing password by an
// exclamation mark.
const usablePassword = "password <> '' AND password NOT LIKE '!%'"

// Profile reads a user's profile in one prepared statement. Errors: ErrNotFound.
func (s *Store) Profile(ctx context.Context, id int64, now time.Time) (Profile, error) {
	stmt, err := s.hot.get(ctx, s.readPool(), `SELECT `+shownColumns+`, u.username_norm, u.email_norm, u.version, u.imported_epoch,
		`+usablePassword+`,
		(SELECT t.email FROM one_time_tokens t WHERE t.user_id = u.id AND t.purpose = '`+PurposeEmailChange+`' AND t.used_at IS NULL AND t.expires_at > ?
			ORDER BY t.created_at DESC, t.id DESC LIMIT 1)
		FROM users u WHERE u.id = ?`)
	if err != nil {
		return Profile{}, err
	}
	var p Profile
	var pending sql.NullString
	err = stmt.QueryRowContext(ctx, now, id).Scan(append(p.User.shown(),
		&p.User.UsernameNorm, &p.User.EmailNorm, &p.User.Version, &p.User.ImportedEpoch, &p.HasPassword, &pending)...)
	p.PendingEmail = pending.String
	return p, translate(err)
}

// UserByID finds a user by id. Errors: ErrNotFound.
func (s *Store) UserByID(ctx context.Context, id int64) (User, error) {
	return s.user(ctx, "id = ?", id)
}

// ProfileChange is a change of a user's profile. Fields that are nil are not changed.
type ProfileChange struct {
	Username, UsernameNorm, FirstName, LastName, Locale *string
}

func (c ProfileChange) columns() map[string]any {
	set := map[string]any{}
	setGiven(set, map[string]*string{
		"username": c.Username, "username_norm": c.UsernameNorm, "first_name": c.FirstName, "last_name": c.LastName, "locale": c.Locale,
	})
	return set
}

// setGiven adds the columns whose value is not nil.
func setGiven[T any](set map[string]any, given map[string]*T) {
	for column, value := range given {
		if value != nil {
			set[column] = *value
		}
	}
}

// UpdateProfile changes a user's own data and adds the events, which eventsOf computes from the
// user before the change. Errors: ErrConflict if the username is taken, ErrNotFound if there is no
// such user.
func (s *Store) UpdateProfile(ctx context.Context, id int64, c ProfileChange, eventsOf func(before User) []Event) error {
	set := c.columns()
	if len(set) == 0 {
		return nil
	}
	return s.tx(ctx, func(tx *gorm.DB) error {
		var before User // locked, so that the second of two concurrent changes sees the values that the first has stored
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Select("id", "username", "first_name", "last_name", "locale").
			Where("id = ?", id).Take(&before).Error
		if err != nil {
			return translate(err)
		}
		return changeUser(tx, set, eventsOf(before), "id = ?", id)
	})
}

// DeleteUser removes the user and everything that belongs to the user, including mails to the
// address and registrations of it, and queues the notices, in one transaction. The id is never used
// again. DeleteUser keeps the requests of other users, such as a change to this address, the events
// of staff members' actions on the user, and the id of an imported user.
//
// Errors: ErrNotFound if the epoch, the state or a role has changed since u was read;
// ErrLastSuperuser.
func (s *Store) DeleteUser(ctx context.Context, u User, notices []Mail, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		for _, step := range []func() error{
			func() error { return keepSuperuser(tx, u) },
			func() error { return deleteAsRead(tx, u) },
			func() error { return deleteOwnEvents(tx, u.ID) },
			func() error { return forgetNetworks(tx, u.UsernameNorm, u.EmailNorm) },
			func() error { return endStartedChanges(tx, u.ID, s.db.NowFunc()) },
			func() error { return deleteBelongings(tx, u) },
			func() error { return s.markDeleted(tx, u) },
			func() error { return addEvents(tx, events) },
			func() error { return addMails(tx, notices) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// deleteAsRead deletes the row of a user. Its guards include the epoch, which every new password
// changes: a deletion that was requested before the account was recovered must not take effect
// after the recovery. They include the roles, because keepSuperuser has not counted a user who
// became a superuser since u was read.
func deleteAsRead(tx *gorm.DB, u User) error {
	return exactlyOne(tx.Where("id = ? AND session_epoch = ? AND is_active = ? AND is_staff = ? AND is_superuser = ?",
		u.ID, u.SessionEpoch, u.IsActive, u.IsStaff, u.IsSuperuser).Delete(&User{}))
}

// deleteBelongings deletes the rows of a user in other tables, and the rows with the user's address
// that belong to no user.
func deleteBelongings(tx *gorm.DB, u User) error {
	for _, model := range []any{&Session{}, &OneTimeToken{}, &Mail{}} {
		if err := tx.Where("user_id = ?", u.ID).Delete(model).Error; err != nil {
			return err
		}
	}
	for _, model := range []any{&OneTimeToken{}, &Mail{}} {
		if err := tx.Where("email_norm = ? AND user_id = 0", u.EmailNorm).Delete(model).Error; err != nil {
			return err
		}
	}
	return nil
}

// markDeleted records that an imported user was deleted, so that another import does not restore
// the user.
func (s *Store) markDeleted(tx *gorm.DB, u User) error {
	if u.ImportedEpoch == nil {
		return nil
	}
	mark := DeletedUser(u.ID, s.db.NowFunc())
	return tx.Create(&mark).Error
}

// Users calls f for every user in the order of ids. It stops at the first error and returns it.
func (s *Store) Users(ctx context.Context, f func(User) error) error {
	const batch = 500
	for last := int64(0); ; {
		var users []User
		if err := s.reads.WithContext(ctx).Where("id > ?", last).Order("id").Limit(batch).Find(&users).Error; err != nil {
			return translate(err)
		}
		for _, u := range users {
			if err := f(u); err != nil {
				return err
			}
			last = u.ID
		}
		if len(users) < batch {
			return nil
		}
	}
}

// SetPassword replaces the password hash, revokes every session and open link of the user and
// resets the rate limits in limits, in one transaction. Errors: ErrNotFound if the epoch or the
// hash has changed since u was read; then nothing is changed.
func (s *Store) SetPassword(ctx context.Context, u User, hash string, limits []ID, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := changeUser(tx, map[string]any{"password": hash, "session_epoch": u.SessionEpoch + 1}, events,
			"id = ? AND session_epoch = ? AND password = ?", u.ID, u.SessionEpoch, u.Password)
		if err != nil {
			return err
		}
		if err := resetRateLimits(tx, limits); err != nil {
			return err
		}
		// A user who recovers the account from a thief also cancels the requests that the thief has
		// made.
		return endLinks(tx, s.db.NowFunc(), u)
	})
}

// SetActive activates or deactivates the user; see ChangeUser.
func (s *Store) SetActive(ctx context.Context, u User, active bool, events ...Event) error {
	return s.ChangeUser(ctx, u, UserChange{IsActive: &active, RevokeAllSessions: true}, events...)
}

// changeUser changes one row and adds the events. It writes a map, because GORM omits the zero
// values of a struct. Errors: ErrNotFound.
//
// Every change of a user goes through changeUser, except for those of a login, because changeUser
// also updates the search text. For this, the first argument of the guard must be the user's id.
//
// After a conflict at COMMIT the change is repeated; its guard on the epoch prevents it from being
// applied twice.
func changeUser(tx *gorm.DB, set map[string]any, events []Event, where string, args ...any) error {
	if changesVersion(set) {
		set["version"] = gorm.Expr("version + 1")
	}
	if err := exactlyOne(tx.Model(&User{}).Where(where, args...).Updates(set)); err != nil {
		return err
	}
	for _, column := range []string{"username_norm", "email_norm"} {
		if name, ok := set[column].(string); ok {
			if err := forgetNetworks(tx, name); err != nil {
				return err
			}
		}
	}
	if err := updateSearch(tx, set, args[0]); err != nil {
		return err
	}
	if removesActor(set) {
		if err := endStartedChanges(tx, args[0], tx.NowFunc()); err != nil {
			return err
		}
	}
	return addEvents(tx, events)
}

// changesVersion reports whether these columns contain data that users and staff members see of a
// user: the names, the address and whether it is verified, the language, the password, the active
// state and the roles. Locks, logins and revocations do not count. The pending address is in
// another table; see bumpVersion and endEmailChanges. The expiry of a pending change does not
// increment the version.
func changesVersion(set map[string]any) bool {
	for column := range set {
		switch column {
		case "lock_count", "session_epoch", "imported_epoch", "last_login", "search":
		default:
			return true
		}
	}
	return false
}

// exactlyOne returns the error of a conditional write, ErrNotFound if it matched no row, and an error if
// it matched several.
func exactlyOne(result *gorm.DB) error {
	if result.Error != nil {
		return result.Error
	}
	if result.RowsAffected == 0 {
		return ErrNotFound
	}
	if result.RowsAffected > 1 {
		return errors.New("models: a guarded write matched several rows")
	}
	return nil
}
