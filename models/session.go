package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// Session is a session, its family of refresh tokens and its revocation record in one row. It
// contains no token, and no data from which a token could be derived without the server's secret.
type Session struct {
	ID            ID `gorm:"primaryKey"`
	UserID        int64
	Epoch         int64
	Generation    int64     // 0 at login, plus 1 at each rotation
	RotatedAt     time.Time // start of the current generation, in microseconds
	CreatedAt     time.Time `gorm:"autoCreateTime:false"`
	IdleExpiresAt time.Time // whole seconds, at most ExpiresAt
	ExpiresAt     time.Time // never changes; whole seconds
	Attempt       []byte    // of the rotation that created the current generation; nil equals no attempt
	RevokedAt     *time.Time
	RevokeReason  string
	Transport     string
	UserAgent     string // of the last login or rotation
	IP            string
	LastUsedAt    time.Time
	// AuthenticatedAt is when the user last entered the password. Nil means CreatedAt.
	AuthenticatedAt *time.Time
	Version         int64 // incremented by each write that the session authorizes; see Actor
}

// Reasons of a revocation.
const (
	RevokedByLogout  = "logout"
	RevokedByUser    = "ended_by_user"
	RevokedByReuse   = "refresh_reused"
	RevokedByEvictor = "too_many_sessions"
	RevokedByStaff   = "ended_by_staff"
)

// Live is a session with its user, read in one statement, and the database's time of that statement
// (zero on SQLite).
type Live struct {
	Session
	User  User
	DBNow time.Time
}

// live is the definition of a live session in SQL. Package accounts has the same condition in Go;
// keep both in step. Arguments: now, now.
const live = `revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ? AND EXISTS (
	SELECT 1 FROM users u WHERE u.id = sessions.user_id AND u.session_epoch = sessions.epoch AND u.is_active)`

// clockGuard returns a condition that fails if now differs from the database's clock by more than
// tolerance. A replica with a wrong clock, or a statement that was delayed on its way or by a lock,
// must not make decisions about ages. SYSDATE is the time at which the row is evaluated, after any
// wait for its lock; UTC_TIMESTAMP would be the time at which the statement arrived. The time zone
// of the database session is UTC. SQLite runs in this process and has no other clock.
func (s *Store) clockGuard(now time.Time, tolerance time.Duration) (string, []any) {
	if !s.mysql {
		return "", nil
	}
	return " AND SYSDATE(6) BETWEEN ? AND ?", []any{now.Add(-tolerance), now.Add(tolerance)}
}

const sessionColumns = `s.id, s.user_id, s.epoch, s.generation, s.rotated_at, s.created_at, s.idle_expires_at, s.expires_at,
	s.attempt, s.revoked_at, s.revoke_reason, s.transport, s.user_agent, s.ip, s.last_used_at, s.authenticated_at`

// Session reads a session and its user in one statement. On Galera the read is causal. The user has
// no password hash. Errors: ErrNotFound.
func (s *Store) Session(ctx context.Context, id ID) (Live, error) {
	query := "SELECT " + sessionColumns + ", " + shownColumns
	if s.mysql {
		query += ", UTC_TIMESTAMP(6)"
	}
	query += " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?"
	stmt, err := s.hot.get(ctx, s.readPool(), query)
	if err != nil {
		return Live{}, err
	}
	var l Live
	columns := append([]any{
		&l.ID, &l.UserID, &l.Epoch, &l.Generation, &l.RotatedAt, &l.CreatedAt, &l.IdleExpiresAt, &l.ExpiresAt,
		&l.Attempt, &l.RevokedAt, &l.RevokeReason, &l.Transport, &l.UserAgent, &l.IP, &l.LastUsedAt, &l.AuthenticatedAt,
	}, l.User.shown()...)
	if s.mysql {
		columns = append(columns, &l.DBNow)
	}
	err = translate(stmt.QueryRowContext(ctx, id).Scan(columns...))
	return l, err
}

// CreateSession adds the session of a login, records the login of its user, replaces the password
// hash by rehash unless that is empty, and revokes the oldest sessions beyond limit, in one
// transaction.
//
// The user row is locked by an UPDATE guarded by the epoch. Errors: ErrNotFound if all sessions
// were revoked, the password was changed or the user was deactivated since n was prepared; ErrClock
// (see clockGuard).
func (s *Store) CreateSession(ctx context.Context, n Session, oldHash, rehash string, limit int, tolerance time.Duration, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := noteLogin(tx, n, "id = ? AND session_epoch = ? AND is_active", n.UserID, n.Epoch); err != nil {
			return err
		}
		if rehash != "" { // matches no row if another request has set another hash, which then stays
			err := tx.Model(&User{}).Where("id = ? AND password = ?", n.UserID, oldHash).Updates(map[string]any{"password": rehash}).Error
			if err != nil {
				return err
			}
		}
		return s.beginSession(tx, n, limit, tolerance, events)
	})
}

// ExchangeToken stores a refresh token of the Django service as used and starts the session that it
// is exchanged for, in one transaction. The token's hash is unique, so that of several requests
// with the same token one succeeds.
//
// The user must be an imported one. Since the import, the password must not have been changed, the
// sessions must not all have been revoked, and the user must not have been deactivated. Each of
// these also revokes the tokens of the Django service. Errors: ErrNotFound if one of these
// conditions does not hold; ErrConflict if the token has been used; ErrClock (see clockGuard).
func (s *Store) ExchangeToken(ctx context.Context, t OneTimeToken, n Session, limit int, tolerance time.Duration, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		err := noteLogin(tx, n, "id = ? AND session_epoch = ? AND imported_epoch = ? AND is_active", n.UserID, n.Epoch, n.Epoch)
		if err != nil {
			return err
		}
		if err := tx.Create(&t).Error; err != nil {
			return err
		}
		return s.beginSession(tx, n, limit, tolerance, events)
	})
}

// noteLogin records the login of a user, whose row it locks. It changes the row, for the same
// reason as lockUser Errors: ErrNotFound.
//
// The first login of a user ends every pending change of the address. Only a staff member can have
// started one. Otherwise the mailbox that the staff member chose could take over an account that
// its owner has begun to use.
func noteLogin(tx *gorm.DB, n Session, where string, args ...any) error {
	first, err := exists(tx, &User{}, "id = ? AND last_login IS NULL", n.UserID)
	if err != nil {
		return err
	}
	err = exactlyOne(tx.Model(&User{}).Where(where, args...).Updates(map[string]any{"last_login": n.CreatedAt}))
	if err != nil || !first {
		return err
	}
	return endEmailChanges(tx, n.CreatedAt, "user_id = ?", n.UserID)
}

func (s *Store) beginSession(tx *gorm.DB, n Session, limit int, tolerance time.Duration, events []Event) error {
	if err := s.insertSession(tx, n, tolerance); err != nil {
		return err
	}
	evicted, err := evict(tx, n, limit)
	if err != nil {
		return err
	}
	return addEvents(tx, withEvicted(events, evicted))
}

// withEvicted returns the events of a login, followed by the events of the sessions that the login
// has revoked.
func withEvicted(events []Event, evicted []ID) []Event {
	list := slices.Clone(events)
	for _, e := range events {
		for _, id := range evicted {
			e.ID, e.SessionID, e.Kind, e.Detail = ID(uuid.Must(uuid.NewV7())), &id, EventSessionRevoked, "the oldest of too many"
			list = append(list, e)
		}
	}
	return list
}

func (s *Store) insertSession(tx *gorm.DB, n Session, tolerance time.Duration) error {
	guard, args := s.clockGuard(n.RotatedAt, tolerance)
	result := tx.Exec(`INSERT INTO sessions (id, user_id, epoch, generation, rotated_at, created_at, idle_expires_at, expires_at,
		attempt, revoked_at, revoke_reason, transport, user_agent, ip, last_used_at, authenticated_at)
		SELECT ?, u.id, u.session_epoch, 0, ?, ?, ?, ?, ?, NULL, '', ?, ?, ?, ?, ?
		FROM users u WHERE u.id = ? AND u.session_epoch = ? AND u.is_active`+guard,
		append([]any{n.ID, n.RotatedAt, n.CreatedAt, n.IdleExpiresAt, n.ExpiresAt, nullable(n.Attempt), n.Transport, n.UserAgent, n.IP, n.LastUsedAt,
			n.AuthenticatedAt, n.UserID, n.Epoch}, args...)...)
	if result.Error == nil && result.RowsAffected == 0 {
		return &storeError{kind: ErrClock, cause: errors.New("the guard of the INSERT matched no row")}
	}
	return result.Error
}

// evict revokes the oldest live sessions of the user beyond the limit. The caller has locked the
// user row.
func evict(tx *gorm.DB, n Session, limit int) ([]ID, error) {
	var old []ID
	err := tx.Model(&Session{}).Where("user_id = ? AND epoch = ? AND revoked_at IS NULL AND idle_expires_at > ?", n.UserID, n.Epoch, n.CreatedAt).
		Order("created_at DESC, id DESC").Offset(limit).Limit(1000).Pluck("id", &old).Error
	if err != nil || len(old) == 0 {
		return nil, err
	}
	return old, tx.Model(&Session{}).Where("id IN ? AND revoked_at IS NULL", old).
		Updates(map[string]any{"revoked_at": n.CreatedAt, "revoke_reason": RevokedByEvictor}).Error
}

// Rotation is row 3 of the decision table: the step from Generation to the next one.
type Rotation struct {
	ID            ID
	UserID        int64
	Generation    int64 // the generation of the presented token
	Transport     string
	ExpiresAt     time.Time // the absolute end of the session according to the presented token
	Now           time.Time
	RotatedBefore time.Time // the current generation must not be younger; zero allows any age
	IdleExpiresAt time.Time
	Attempt       []byte
	UserAgent, IP string
	Tolerance     time.Duration
}

// Rotate starts the next generation, in one statement. It returns false if the row does not match:
// the caller must then read it and decide again. Errors: ErrTransient; ErrUnavailable, which leaves
// the outcome unknown until the session is read.
func (s *Store) Rotate(ctx context.Context, r Rotation) (bool, error) {
	guard, guardArgs := s.clockGuard(r.Now, r.Tolerance)
	age, ageArgs := "", []any(nil)
	if !r.RotatedBefore.IsZero() {
		age, ageArgs = " AND rotated_at <= ?", []any{r.RotatedBefore}
	}
	args := []any{r.Now, r.IdleExpiresAt, nullable(r.Attempt), r.UserAgent, r.IP, r.Now, r.ID, r.Generation, r.UserID, r.Transport, r.ExpiresAt, r.Now, r.Now}
	return s.change(ctx, `UPDATE sessions SET generation = generation + 1, rotated_at = ?, idle_expires_at = ?, attempt = ?,
		user_agent = ?, ip = ?, last_used_at = ?
		WHERE id = ? AND generation = ? AND user_id = ? AND transport = ? AND expires_at = ? AND `+live+age+guard,
		append(append(args, ageArgs...), guardArgs...)...)
}

// Touch records the use of a session, if it is live and still has the given generation. It returns
// false if not: the caller must then read the session and decide again. If graced is set, it is
// stored in the same transaction.
func (s *Store) Touch(ctx context.Context, id ID, generation int64, now time.Time, tolerance time.Duration, graced *Event) (bool, error) {
	guard, guardArgs := s.clockGuard(now, tolerance)
	query := "UPDATE sessions SET last_used_at = ? WHERE id = ? AND generation = ? AND " + live + guard
	args := append([]any{now, id, generation, now, now}, guardArgs...)
	if graced == nil {
		return s.change(ctx, query, args...)
	}
	return s.changeWithEvent(ctx, *graced, query, args...)
}

// RevokeReused revokes a session because a refresh token was reused, and stores the event, in one
// transaction. It returns false if the session is not live or no longer has the given generation.
func (s *Store) RevokeReused(ctx context.Context, id ID, generation int64, now time.Time, tolerance time.Duration, e Event) (bool, error) {
	guard, guardArgs := s.clockGuard(now, tolerance)
	return s.changeWithEvent(ctx, e, `UPDATE sessions SET revoked_at = ?, revoke_reason = ?
		WHERE id = ? AND generation = ? AND `+live+guard, append([]any{now, RevokedByReuse, id, generation, now, now}, guardArgs...)...)
}

// NoteAuthentication records that the user entered the password in a session. Errors: ErrNotFound
// if the session is not live anymore.
func (s *Store) NoteAuthentication(ctx context.Context, id ID, userID int64, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := exactlyOne(tx.Exec("UPDATE sessions SET authenticated_at = ? WHERE id = ? AND user_id = ? AND "+live, now, id, userID, now, now)); err != nil {
			return err
		}
		return addEvents(tx, events)
	})
}

// Revoke revokes a session of the user, and reports whether there is such a session. It is
// idempotent: it stores no event for a session that has already ended. If there is no such session
// it writes nothing, including the writes that guard an actor.
func (s *Store) Revoke(ctx context.Context, id ID, userID int64, now time.Time, reason string, events ...Event) (found bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		lives, err := exists(tx, &Session{}, "id = ? AND user_id = ? AND "+live, id, userID, now, now)
		if err != nil {
			return err
		}
		err = exactlyOne(tx.Model(&Session{}).Where("id = ? AND user_id = ? AND revoked_at IS NULL", id, userID).
			Updates(map[string]any{"revoked_at": now, "revoke_reason": reason}))
		if errors.Is(err, ErrNotFound) {
			return hasEnded(tx, id, userID)
		}
		if err != nil || !lives { // the session had expired, or had been revoked with all others
			return err
		}
		return addEvents(tx, events)
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// hasEnded returns nil if the user has the session, which is revoked, and ErrNotFound if not.
func hasEnded(tx *gorm.DB, id ID, userID int64) error {
	exists, err := exists(tx, &Session{}, "id = ? AND user_id = ?", id, userID)
	if err == nil && !exists {
		return ErrNotFound
	}
	return err
}

// KeepOnly revokes every session of the user except for one, which moves to the next epoch. It
// locks the row of the session before the row of the user, in the same order as a refresh. The
// events are stored only if another session was live. Errors: ErrNotFound if the session is no
// longer live, or the epoch has changed.
func (s *Store) KeepOnly(ctx context.Context, id ID, userID, epoch int64, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		others, err := exists(tx, &Session{}, "user_id = ? AND id <> ? AND "+live, userID, id, now, now)
		if err != nil {
			return err
		}
		if !others { // nothing was revoked, so repeated requests store no events
			events = nil
		}
		err = exactlyOne(tx.Exec("UPDATE sessions SET epoch = ? WHERE id = ? AND user_id = ? AND epoch = ? AND "+live, epoch+1, id, userID, epoch, now, now))
		if err != nil {
			return err
		}
		return changeUser(tx, map[string]any{"session_epoch": epoch + 1}, events, "id = ? AND session_epoch = ? AND is_active", userID, epoch)
	})
}

// Sessions returns at most limit live sessions of a user, newest first.
func (s *Store) Sessions(ctx context.Context, userID, epoch int64, now time.Time, limit int) ([]Session, error) {
	var list []Session
	err := s.reads.WithContext(ctx).
		Where("user_id = ? AND epoch = ? AND revoked_at IS NULL AND idle_expires_at > ?", userID, epoch, now).
		Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// DeleteExpired removes at most limit sessions whose absolute end was before the given time. It
// returns how many it removed. A token of a removed session is rejected like that of a revoked
// session, so removal makes no token valid again.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.deleteOld(ctx, &Session{}, "expires_at < ?", before, limit)
}

// change executes a guarded statement once. It does not retry, because a repetition needs a new
// now; retrying is left to the caller.
func (s *Store) change(ctx context.Context, query string, args ...any) (bool, error) {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	stmt, err := s.hot.get(ctx, s.pool(), query)
	if err != nil {
		return false, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return false, translate(err)
	}
	return matched(result)
}

func (s *Store) changeWithEvent(ctx context.Context, e Event, query string, args ...any) (changed bool, err error) {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		result := tx.Exec(query, args...)
		changed = result.RowsAffected == 1
		if result.Error != nil || !changed {
			return result.Error
		}
		return addEvents(tx, []Event{e})
	})
	return changed && err == nil, translate(err)
}

func matched(result sql.Result) (bool, error) {
	n, err := result.RowsAffected()
	if err != nil {
		return false, translate(err)
	}
	if n > 1 {
		return false, fmt.Errorf("models: a guarded write matched %d rows", n)
	}
	return n == 1, nil
}

func nullable(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
