package models

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// OneTimeToken is what a link in a mail stands for. The token itself is not here, only its SHA-256; it is a function
// of the id and the server's secret.
//
// A registration that waits for its verification is a token of its own, with what the user is to be made of.
type OneTimeToken struct {
	ID        ID `gorm:"primaryKey"`
	Purpose   string
	Hash      []byte
	UserID    int64  // 0: a registration without a user yet
	ActorID   *int64 // the staff member who started it, if it was one
	Email     string
	EmailNorm string
	Username  string
	FirstName string
	LastName  string
	Locale    string
	Password  string    // the hash
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	ExpiresAt time.Time
	UsedAt    *time.Time
}

// Purposes of a one-time token; a token of one is worth nothing for another.
const (
	PurposeVerify      = "verify"
	PurposeReset       = "reset"
	PurposeEmailChange = "email_change"
	// A refresh token of the service that the user was imported from. It is no link: the hash is that of its jti or,
	// where it has none, of its text; the row is written when it is used, and its id is that of the session it became.
	PurposeLegacyRefresh = "legacy_refresh"
	// What is left of an imported user who was deleted here: the id, so that another run of the import does not bring
	// the account back, with the old password and with refresh tokens of which nobody knows any more that they were used.
	PurposeDeleted = "deleted"
)

// deletedUser is the mark of a user who must not come again.
func deletedUser(id int64, now time.Time) OneTimeToken {
	hash := sha256.Sum256([]byte("deleted user " + strconv.FormatInt(id, 10)))
	return OneTimeToken{ID: ID(uuid.Must(uuid.NewV7())), Purpose: PurposeDeleted, Hash: hash[:], UserID: id, CreatedAt: now, ExpiresAt: now.AddDate(100, 0, 0), UsedAt: &now}
}

// DeletedUsers are those of the ids that belonged to imported users who were deleted.
func (s *Store) DeletedUsers(ctx context.Context, ids []int64) ([]int64, error) {
	var deleted []int64
	err := s.reads.WithContext(ctx).Model(&OneTimeToken{}).Where("user_id IN ? AND purpose = ?", ids, PurposeDeleted).Pluck("user_id", &deleted).Error
	return deleted, translate(err)
}

// Token finds a token by the hash of its value. ErrNotFound: there is none of this purpose.
func (s *Store) Token(ctx context.Context, purpose string, hash []byte) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("hash = ? AND purpose = ?", hash, purpose).Take(&t).Error
	return t, translate(err)
}

// TokenByID finds a token by its id. ErrNotFound: there is none of this purpose.
func (s *Store) TokenByID(ctx context.Context, purpose string, id ID) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("id = ? AND purpose = ?", id, purpose).Take(&t).Error
	return t, translate(err)
}

// PendingRegistration is the newest registration of an address that waits for its verification. ErrNotFound.
func (s *Store) PendingRegistration(ctx context.Context, emailNorm string, now time.Time) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("email_norm = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", emailNorm, PurposeVerify, now).
		Order("created_at DESC, id DESC").Take(&t).Error
	return t, translate(err)
}

// PendingEmailChange is the change of the user's address that waits for its confirmation. ErrNotFound.
func (s *Store) PendingEmailChange(ctx context.Context, userID int64, now time.Time) (OneTimeToken, error) {
	var t OneTimeToken
	err := s.reads.WithContext(ctx).Where("user_id = ? AND purpose = ? AND used_at IS NULL AND expires_at > ?", userID, PurposeEmailChange, now).
		Order("created_at DESC, id DESC").Take(&t).Error
	return t, translate(err)
}

// PendingRegistrations are the newest registrations of an address that wait for its verification and have no user.
func (s *Store) PendingRegistrations(ctx context.Context, emailNorm string, now time.Time, limit int) ([]OneTimeToken, error) {
	var list []OneTimeToken
	err := s.reads.WithContext(ctx).
		Where("email_norm = ? AND purpose = ? AND user_id = 0 AND used_at IS NULL AND expires_at > ?", emailNorm, PurposeVerify, now).
		Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// AddRegistration stores a registration, and the mail about it within its budget, in one transaction. It says whether
// there is a mail. Where repeats are used up nothing is stored.
func (s *Store) AddRegistration(ctx context.Context, t OneTimeToken, m Mail, budget, repeats Spending) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) (err error) {
		if err := spend(tx, t.CreatedAt, repeats); err != nil {
			return err
		}
		if queued, err = addMail(tx, m, budget); err != nil {
			return err
		}
		return tx.Create(&t).Error
	})
	return queued, unlessOver(err)
}

// AddUserRegistration makes a user whose address is not verified, with the token and the mail, in one transaction, if
// the budget of mails allows it: nobody's address becomes an account without a word to its owner. It says whether.
// ErrConflict: the username or the address is taken.
func (s *Store) AddUserRegistration(ctx context.Context, u *User, t OneTimeToken, m Mail, budget Spending, events ...Event) (queued bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		if err := createUser(tx, u, events); err != nil {
			return err
		}
		t.UserID, m.UserID = u.ID, u.ID
		if err := mustAddMail(tx, m, budget); err != nil {
			return err
		}
		return tx.Create(&t).Error
	})
	return err == nil, unlessOver(err)
}

// CompleteRegistration consumes the token of a registration, ends every other one of the same address and makes the
// user, in one transaction. ErrNotFound: the token is used or expired. ErrConflict: the username or the address is
// taken; nothing has happened.
func (s *Store) CompleteRegistration(ctx context.Context, t OneTimeToken, u *User, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, t, now); err != nil {
			return err
		}
		if err := endTokens(tx, now, "email_norm = ? AND purpose = ?", t.EmailNorm, PurposeVerify); err != nil {
			return err
		}
		if err := createUser(tx, u, events); err != nil {
			return err
		}
		return one(tx.Model(&OneTimeToken{}).Where("id = ?", t.ID).Updates(map[string]any{"user_id": u.ID}))
	})
}

// VerifyUser consumes the token and notes that the user's address is verified, if it is still the token's address.
// ErrNotFound: it is not, or the token is used or expired.
func (s *Store) VerifyUser(ctx context.Context, t OneTimeToken, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, t, now); err != nil {
			return err
		}
		return changeUser(tx, map[string]any{"email_verified_at": now}, events, "id = ? AND email_norm = ?", t.UserID, t.EmailNorm)
	})
}

// AddResetToken stores the token of a reset, whose id is that of its mail. The newest request
// invalidates the user's older tokens, in whatever order they are stored, because mails may be
// delivered out of order. The token is stored once.
//
// It claims the user, so that two workers store two tokens one after the other. It also checks that
// the mail still waits: a link must not be created after the event that ended all links. If the
// user was invited and has no password yet, the token lives at least as long as the open invitation
// that it replaces. Errors: ErrConflict if the user has changed since u was read, ErrNotFound if
// the mail has been dropped.
func (s *Store) AddResetToken(ctx context.Context, u User, t OneTimeToken) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := claim(tx, nil, "id = ? AND session_epoch = ? AND email_norm = ? AND is_active", u.ID, u.SessionEpoch, u.EmailNorm)
		if errors.Is(err, ErrNotFound) {
			return ErrConflict
		}
		if err != nil {
			return err
		}
		waits, err := some(tx, &Mail{}, "id = ? AND done_at IS NULL", t.ID)
		if err == nil && !waits {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		stored, err := some(tx, &OneTimeToken{}, "id = ?", t.ID)
		if err != nil || stored {
			return err
		}
		if u.Password == "" || strings.HasPrefix(u.Password, "!") { // same rule as credentials.IsUsable
			if t.ExpiresAt, err = invitationEnd(tx, t); err != nil {
				return err
			}
		}
		if err := endTokens(tx, t.CreatedAt, "user_id = ? AND purpose = ? AND created_at <= ?", t.UserID, t.Purpose, t.CreatedAt); err != nil {
			return err
		}
		late, err := some(tx, &OneTimeToken{}, "user_id = ? AND purpose = ? AND created_at > ?", t.UserID, t.Purpose, t.CreatedAt)
		if err != nil {
			return err
		}
		if late {
			t.UsedAt = &t.CreatedAt
		}
		return tx.Create(&t).Error
	})
}

// invitationEnd returns when a reset token that replaces the link of an invitation expires: not
// before that link would have. Otherwise a stranger who requests a reset for the address of an
// invited user would leave the user an hour instead of days. The invitation may still wait in the
// outbox, without a token.
func invitationEnd(tx *gorm.DB, t OneTimeToken) (time.Time, error) {
	var ends []time.Time
	err := tx.Model(&OneTimeToken{}).Where("user_id = ? AND purpose = ? AND used_at IS NULL", t.UserID, t.Purpose).
		Pluck("expires_at", &ends).Error
	if err != nil {
		return t.ExpiresAt, err
	}
	var queued []time.Time
	err = tx.Model(&Mail{}).Where("email_norm = ? AND kind = ? AND done_at IS NULL", t.EmailNorm, KindInvitation).
		Pluck("expires_at", &queued).Error
	return slices.MaxFunc(slices.Concat(ends, queued, []time.Time{t.ExpiresAt}), time.Time.Compare), err
}

// some says whether there is such a row.
func some(tx *gorm.DB, model any, where string, args ...any) (bool, error) {
	var n int64
	err := tx.Model(model).Where(where, args...).Count(&n).Error
	return n > 0, err
}

// PasswordReset is the write of a password reset.
type PasswordReset struct {
	Token    OneTimeToken
	Hash     string // of the new password
	Now      time.Time
	Username string // replaces the username and clears the other data typed at the registration; empty keeps them
	Notice   Mail
	Budgets  []ID // rate limits to reset
}

// ResetPassword consumes the token of a reset, sets the password, revokes every session and every
// other token of the user, and queues the notice, in one transaction. The link proves that the user
// owns the mailbox, so the address becomes verified.
//
// Errors: ErrNotFound if the token is used or expired, or if the user is inactive, has another
// address or, if the reset clears the data typed at the registration, has been verified since.
func (s *Store) ResetPassword(ctx context.Context, r PasswordReset, events ...Event) error {
	set := map[string]any{
		"password": r.Hash, "session_epoch": gorm.Expr("session_epoch + 1"),
		"email_verified_at": gorm.Expr("COALESCE(email_verified_at, ?)", r.Now),
	}
	where := "id = ? AND email_norm = ? AND is_active"
	if r.Username != "" {
		set["username"], set["username_norm"] = r.Username, r.Username
		set["first_name"], set["last_name"], set["locale"] = "", "", ""
		where += " AND email_verified_at IS NULL"
	}
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := consume(tx, r.Token, r.Now); err != nil {
			return err
		}
		if err := changeUser(tx, set, events, where, r.Token.UserID, r.Token.EmailNorm); err != nil {
			return err
		}
		if r.Username != "" { // the stranger's network must not help to guess the owner's password
			if err := forgetNetworks(tx, r.Token.EmailNorm); err != nil {
				return err
			}
		}
		if err := endEveryLink(tx, r.Now, r.Token.UserID, r.Token.EmailNorm); err != nil {
			return err
		}
		if err := fillUp(tx, r.Budgets); err != nil {
			return err
		}
		return tx.Create(&r.Notice).Error
	})
}

// ChangePassword sets the password, ends every session and every open link of the user, begins the session n in the
// next epoch and queues the notices, in one transaction. ErrNotFound: the epoch or the password changed meanwhile.
func (s *Store) ChangePassword(ctx context.Context, u User, hash string, n Session, tolerance time.Duration, notices []Mail, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := changeUser(tx, map[string]any{"password": hash, "session_epoch": u.SessionEpoch + 1}, events,
			"id = ? AND session_epoch = ? AND password = ? AND is_active", u.ID, u.SessionEpoch, u.Password)
		if err != nil {
			return err
		}
		if err := endLinks(tx, n.CreatedAt, u); err != nil {
			return err
		}
		if err := s.insertSession(tx, n, tolerance); err != nil {
			return err
		}
		return addMails(tx, notices)
	})
}

// claim locks a user that stays as it is. The row really changes: a cluster certifies nothing else, and a change that
// another node makes at the same moment would go through beside this one.
func claim(tx *gorm.DB, events []Event, where string, args ...any) error {
	return changeUser(tx, map[string]any{"claims": gorm.Expr("claims + 1")}, events, where, args...)
}

// newVersion gives a user a new version without another change of the row, because data in another
// table that users and staff see changes. It locks the user as claim does.
func newVersion(tx *gorm.DB, events []Event, where string, args ...any) error {
	return changeUser(tx, map[string]any{"version": gorm.Expr("version + 1")}, events, where, args...)
}

// consume is the one use of a token: a conditional UPDATE in the transaction that has the effect.
func consume(tx *gorm.DB, t OneTimeToken, now time.Time) error {
	return one(tx.Model(&OneTimeToken{}).Where("id = ? AND used_at IS NULL AND expires_at > ?", t.ID, now).Updates(map[string]any{"used_at": now}))
}

func endTokens(tx *gorm.DB, now time.Time, where string, args ...any) error {
	return tx.Model(&OneTimeToken{}).Where("used_at IS NULL").Where(where, args...).Updates(map[string]any{"used_at": now}).Error
}

// endEveryLink ends what has been sent, or is about to be, to a user at an address.
func endEveryLink(tx *gorm.DB, now time.Time, userID int64, emailNorm string) error {
	if err := endTokens(tx, now, "user_id = ?", userID); err != nil {
		return err
	}
	return dropResets(tx, now, emailNorm)
}

// endLinks ends the links that are on their way to a user whose password changes. A verification stays: it gives
// nobody anything without the password.
func endLinks(tx *gorm.DB, now time.Time, u User) error {
	if err := endTokens(tx, now, "user_id = ? AND purpose <> ?", u.ID, PurposeVerify); err != nil {
		return err
	}
	return dropResets(tx, now, u.EmailNorm)
}

// DeleteOldTokens removes at most limit tokens that expired before the instant given.
func (s *Store) DeleteOldTokens(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.deleteOld(ctx, &OneTimeToken{}, "expires_at < ?", before, limit)
}
