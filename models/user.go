package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
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
	Password        PasswordHash
	IsActive        bool
	IsStaff         bool
	IsSuperuser     bool
	EmailVerifiedAt *time.Time
	SessionEpoch    int64
	Version         int64  // incremented by every change of data that users and staff see, except for logins
	LockCount       int64  // incremented by transactions that must conflict with other changes of the user
	ImportedEpoch   *int64 // the SessionEpoch at the import, or nil; while they are equal, tokens of the Django service may be valid
	LastLogin       *time.Time
	// EmailChangeUntil is when the last link for a change of the address expires. No change is pending
	// after that, nor if it is nil. It saves most requests the look into the one-time tokens.
	EmailChangeUntil *time.Time
	DateJoined       time.Time
	Search           string // see searchText
}

// userQueries reads users.
type userQueries struct{ *database }

// UserByUsername finds a user by the canonical form of the username. Errors: ErrNotFound.
func (s userQueries) UserByUsername(ctx context.Context, norm string) (User, error) {
	return takeUser(ctx, s.database, "username_norm = ?", norm)
}

// UserByEmail finds a user by the canonical form of the address. Errors: ErrNotFound.
func (s userQueries) UserByEmail(ctx context.Context, norm string) (User, error) {
	return takeUser(ctx, s.database, "email_norm = ?", norm)
}

// UsersByAddressOrName returns the users that a canonical name with an @ may belong to: the user
// with that address, and the user who was imported with it as the username. Either may be missing.
func (s userQueries) UsersByAddressOrName(ctx context.Context, norm string) ([]User, error) {
	var list []User
	err := s.reads.WithContext(ctx).Where("email_norm = ? OR username_norm = ?", norm, norm).Limit(2).Find(&list).Error
	return list, translate(err)
}

func takeUser(ctx context.Context, s *database, where string, value any) (User, error) {
	var u User
	err := s.reads.WithContext(ctx).Where(where, value).Take(&u).Error
	return u, translate(err)
}

// Profile is the data of a user that the user and staff members see. User has no password hash.
type Profile struct {
	User         User
	HasPassword  bool
	PendingEmail string // the address of a pending change, or empty; only [Store.Profile] reads it
}

// userColumns are the columns of a user u that every request reads. The password hash is not among
// them.
const userColumns = `u.id, u.username, u.email, u.first_name, u.last_name, u.is_active, u.is_staff, u.is_superuser, u.email_verified_at,
	u.session_epoch, u.last_login, u.date_joined, u.locale, u.email_change_until, u.password <> ''`

// destinations returns where to scan userColumns.
func (p *Profile) destinations() []any {
	u := &p.User
	return []any{
		&u.ID, &u.Username, &u.Email, &u.FirstName, &u.LastName, &u.IsActive, &u.IsStaff, &u.IsSuperuser, &u.EmailVerifiedAt,
		&u.SessionEpoch, &u.LastLogin, &u.DateJoined, &u.Locale, &u.EmailChangeUntil, &p.HasPassword,
	}
}

// Profile reads a user's profile in one prepared statement. Errors: ErrNotFound.
func (s userQueries) Profile(ctx context.Context, id int64, now time.Time) (Profile, error) {
	stmt, err := s.hot.get(ctx, s.readPool, `SELECT `+userColumns+`, u.username_norm, u.email_norm, u.version, u.imported_epoch, COALESCE((
		SELECT t.email FROM one_time_tokens t WHERE t.user_id = u.id AND t.purpose = '`+PurposeEmailChange+`' AND t.used_at IS NULL AND t.expires_at > ?
		ORDER BY t.created_at DESC, t.id DESC LIMIT 1), '')
		FROM users u WHERE u.id = ?`)
	if err != nil {
		return Profile{}, err
	}
	var p Profile
	err = stmt.QueryRowContext(ctx, now, id).Scan(append(p.destinations(),
		&p.User.UsernameNorm, &p.User.EmailNorm, &p.User.Version, &p.User.ImportedEpoch, &p.PendingEmail)...)
	return p, translate(err)
}

// UserByID finds a user by id. Errors: ErrNotFound.
func (s userQueries) UserByID(ctx context.Context, id int64) (User, error) {
	return takeUser(ctx, s.database, "id = ?", id)
}

// setGiven adds the columns whose value is not nil.
func setGiven[T any](set map[string]any, given map[string]*T) {
	for column, value := range given {
		if value != nil {
			set[column] = *value
		}
	}
}

// exactlyOne returns the error of a conditional write, ErrNotFound if it matched no row, and an
// error if it matched several.
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
