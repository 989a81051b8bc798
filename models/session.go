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

// Session is a session, its family of refresh tokens and its revocation record in one row. It holds no token and
// nothing a token could be made from without the server's secret.
type Session struct {
	ID            ID `gorm:"primaryKey"`
	UserID        int64
	Epoch         int64
	Generation    int64     // 0 at login, plus 1 at each rotation
	RotatedAt     time.Time // birth of the current generation, microseconds
	CreatedAt     time.Time `gorm:"autoCreateTime:false"`
	IdleExpiresAt time.Time // whole seconds, at most ExpiresAt
	ExpiresAt     time.Time // whole seconds, never moves
	Attempt       []byte    // of the rotation that made the current generation; nil matches nothing
	RevokedAt     *time.Time
	RevokeReason  string
	Transport     string
	UserAgent     string // of the last login or rotation
	IP            string
	LastUsedAt    time.Time
	// When the password was last shown: nil is CreatedAt.
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

// Live is a session with its user, read in one statement, and the database's clock at that instant (zero on SQLite).
type Live struct {
	Session
	User  User
	DBNow time.Time
}

// The one definition of a live session, in SQL; accounts has its twin in Go. Arguments: now, now.
const live = `revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ? AND EXISTS (
	SELECT 1 FROM users u WHERE u.id = sessions.user_id AND u.session_epoch = sessions.epoch AND u.is_active)`

// clockGuard holds a statement back whose "now" is not the database's: a replica with a wrong clock, or a statement
// that was held up on its way or at a lock, must not decide about ages. SYSDATE is the time at which the row is judged,
// after any wait for its lock; UTC_TIMESTAMP would be that at which the statement came. The session's zone is UTC.
// SQLite lives in this process and has no other clock.
func (s *Store) clockGuard(now time.Time, tolerance time.Duration) (string, []any) {
	if !s.mysql {
		return "", nil
	}
	return " AND SYSDATE(6) BETWEEN ? AND ?", []any{now.Add(-tolerance), now.Add(tolerance)}
}

const sessionColumns = `s.id, s.user_id, s.epoch, s.generation, s.rotated_at, s.created_at, s.idle_expires_at, s.expires_at,
	s.attempt, s.revoked_at, s.revoke_reason, s.transport, s.user_agent, s.ip, s.last_used_at, s.authenticated_at`

// Session reads a session and its user in one statement. On Galera the read is causal. The user comes without the
// password hash. ErrNotFound.
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
// The user row is locked by an UPDATE guarded by the epoch: a log-out everywhere, a password change
// or a deactivation that came between gives ErrNotFound. Errors: ErrNotFound, ErrClock (see
// clockGuard).
func (s *Store) CreateSession(ctx context.Context, n Session, oldHash, rehash string, limit int, tolerance time.Duration, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := noteLogin(tx, n, "id = ? AND session_epoch = ? AND is_active", n.UserID, n.Epoch); err != nil {
			return err
		}
		if rehash != "" { // no row: somebody else has set another hash, which wins
			err := tx.Model(&User{}).Where("id = ? AND password = ?", n.UserID, oldHash).Updates(map[string]any{"password": rehash}).Error
			if err != nil {
				return err
			}
		}
		return s.beginSession(tx, n, limit, tolerance, events)
	})
}

// ExchangeToken stores a refresh token of the old service as used and begins the session that it is exchanged for: one
// transaction, in which the token's hash is unique, so that of several that show it one wins.
//
// The user must have come with the import and had neither the password changed nor all sessions ended since, nor been
// deactivated: each of these ends the old service's tokens with our own. ErrNotFound: that is not so. ErrConflict: the
// token has been used. ErrClock: see clockGuard.
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

// noteLogin notes the login with its user, whose row it locks. The row really changes, as for a claim.
//
// The first login of a user ends every pending change of the address. Only staff can have started
// one. Otherwise the mailbox that staff chose could take over an account that its owner has begun to use.
func noteLogin(tx *gorm.DB, n Session, where string, args ...any) error {
	first, err := some(tx, &User{}, "id = ? AND last_login IS NULL", n.UserID)
	if err != nil {
		return err
	}
	err = one(tx.Model(&User{}).Where(where, args...).Updates(map[string]any{"last_login": n.CreatedAt}))
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

// withEvicted adds the events of sessions that gave way to a login, beside that of the login.
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

// evict revokes the oldest live sessions of the user beyond the limit. The user row is locked by the caller.
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

// Rotation is row 3 of the decision table: the step from Generation to its successor.
type Rotation struct {
	ID            ID
	UserID        int64
	Generation    int64 // the generation presented
	Transport     string
	ExpiresAt     time.Time // the absolute end that the presented token names
	Now           time.Time
	RotatedBefore time.Time // the current generation must be at least this old; zero asks for no age
	IdleExpiresAt time.Time
	Attempt       []byte
	UserAgent, IP string
	Tolerance     time.Duration
}

// Rotate makes the next generation, in one statement. False means that no row fitted: read it and decide again.
// ErrTransient and ErrUnavailable as they say; after the second the session tells whether it was applied.
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

// Touch notes the use of a session whose row is still what the caller decided about: the same generation, and live.
// False: it is not; read it and decide again. With a graced event it is written in the same transaction.
func (s *Store) Touch(ctx context.Context, id ID, generation int64, now time.Time, tolerance time.Duration, graced *Event) (bool, error) {
	guard, guardArgs := s.clockGuard(now, tolerance)
	query := "UPDATE sessions SET last_used_at = ? WHERE id = ? AND generation = ? AND " + live + guard
	args := append([]any{now, id, generation, now, now}, guardArgs...)
	if graced == nil {
		return s.change(ctx, query, args...)
	}
	return s.changeWithEvent(ctx, *graced, query, args...)
}

// RevokeReused ends a session for reuse and writes the event, in one transaction. False: the row is no longer what
// the caller decided about.
func (s *Store) RevokeReused(ctx context.Context, id ID, generation int64, now time.Time, tolerance time.Duration, e Event) (bool, error) {
	guard, guardArgs := s.clockGuard(now, tolerance)
	return s.changeWithEvent(ctx, e, `UPDATE sessions SET revoked_at = ?, revoke_reason = ?
		WHERE id = ? AND generation = ? AND `+live+guard, append([]any{now, RevokedByReuse, id, generation, now, now}, guardArgs...)...)
}

// NoteAuthentication notes that the password was shown in a session. ErrNotFound: it is not live any more.
func (s *Store) NoteAuthentication(ctx context.Context, id ID, userID int64, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		if err := one(tx.Exec("UPDATE sessions SET authenticated_at = ? WHERE id = ? AND user_id = ? AND "+live, now, id, userID, now, now)); err != nil {
			return err
		}
		return addEvents(tx, events)
	})
}

// Revoke ends a session of the user, and reports whether there is such a session. It is idempotent: for one that has
// ended already it writes no event. Without such a session nothing is written, not even the guard of an actor.
func (s *Store) Revoke(ctx context.Context, id ID, userID int64, now time.Time, reason string, events ...Event) (found bool, err error) {
	err = s.tx(ctx, func(tx *gorm.DB) error {
		lives, err := some(tx, &Session{}, "id = ? AND user_id = ? AND "+live, id, userID, now, now)
		if err != nil {
			return err
		}
		err = one(tx.Model(&Session{}).Where("id = ? AND user_id = ? AND revoked_at IS NULL", id, userID).
			Updates(map[string]any{"revoked_at": now, "revoke_reason": reason}))
		if errors.Is(err, ErrNotFound) {
			return hasEnded(tx, id, userID)
		}
		if err != nil || !lives { // it had expired, or had ended with all others
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
	exists, err := some(tx, &Session{}, "id = ? AND user_id = ?", id, userID)
	if err == nil && !exists {
		return ErrNotFound
	}
	return err
}

// KeepOnly ends every session of the user but one, which moves to the next epoch: sessions row first, users row
// second, the order in which refresh locks. The events are of the others that live. ErrNotFound: the session is no longer live, or the epoch has changed.
func (s *Store) KeepOnly(ctx context.Context, id ID, userID, epoch int64, now time.Time, events ...Event) error {
	return s.tx(ctx, func(tx *gorm.DB) error {
		others, err := some(tx, &Session{}, "user_id = ? AND id <> ? AND "+live, userID, id, now, now)
		if err != nil {
			return err
		}
		if !others { // nothing happens to anybody, however often it is asked for
			events = nil
		}
		err = one(tx.Exec("UPDATE sessions SET epoch = ? WHERE id = ? AND user_id = ? AND epoch = ? AND "+live, epoch+1, id, userID, epoch, now, now))
		if err != nil {
			return err
		}
		return changeUser(tx, map[string]any{"session_epoch": epoch + 1}, events, "id = ? AND session_epoch = ? AND is_active", userID, epoch)
	})
}

// Sessions are the live sessions of a user, newest first, at most limit.
func (s *Store) Sessions(ctx context.Context, userID, epoch int64, now time.Time, limit int) ([]Session, error) {
	var list []Session
	err := s.reads.WithContext(ctx).
		Where("user_id = ? AND epoch = ? AND revoked_at IS NULL AND idle_expires_at > ?", userID, epoch, now).
		Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// DeleteExpired removes at most limit sessions whose absolute end was before the instant given, and says how many.
// A token of a session that is gone is refused like one of a session that was revoked, so nothing comes back to life.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.deleteOld(ctx, &Session{}, "expires_at < ?", before, limit)
}

// change makes one guarded statement, once: a repetition needs a new "now", so it is the caller's.
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
