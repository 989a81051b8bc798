package models

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// Session is a session, its family of refresh tokens and its revocation record in one row. It
// contains no token, and no data from which a token could be derived without the server's secret.
type Session struct {
	ID            uuid.UUID `gorm:"primaryKey"`
	UserID        int64
	Epoch         int64
	Generation    int64     // 0 at login, plus 1 at each rotation
	RotatedAt     time.Time // start of the current generation, in microseconds
	CreatedAt     time.Time `gorm:"autoCreateTime:false"`
	IdleExpiresAt time.Time // whole seconds, at most ExpiresAt
	ExpiresAt     time.Time // never changes; whole seconds
	Attempt       []byte    // hash of the Refresh-Attempt that created the current generation; nil matches no attempt
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

// SessionWithUser is the row of a session, live or not, with the profile of its user. Both are read
// in one statement. DBNow is the database's time of that statement, or zero on SQLite.
type SessionWithUser struct {
	Session
	Profile
	DBNow time.Time
}

// liveSQL is the condition under which a session is live. Package sessions has the same condition
// in Go; keep both in step. Arguments: now, now.
const liveSQL = `revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ? AND EXISTS (
	SELECT 1 FROM users u WHERE u.id = sessions.user_id AND u.session_epoch = sessions.epoch AND u.is_active)`

// clockGuard returns a condition that fails if now differs from the database's clock by more than
// tolerance. A replica with a wrong clock, or a statement that was delayed on its way or by a lock,
// must not make decisions about ages. SYSDATE is the time at which the row is evaluated, after any
// wait for its lock; UTC_TIMESTAMP would be the time at which the statement arrived. The time zone
// of the database session is UTC. SQLite runs in this process and has no other clock.
func clockGuard(mysql bool, now time.Time, tolerance time.Duration) (string, []any) {
	if !mysql {
		return "", nil
	}
	return " AND SYSDATE(6) BETWEEN ? AND ?", []any{now.Add(-tolerance), now.Add(tolerance)}
}

const sessionColumns = `s.id, s.user_id, s.epoch, s.generation, s.rotated_at, s.created_at, s.idle_expires_at, s.expires_at,
	s.attempt, s.revoked_at, s.revoke_reason, s.transport, s.user_agent, s.ip, s.last_used_at, s.authenticated_at`

const (
	readSession = "SELECT " + sessionColumns + ", " + userColumns
	fromSession = " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ?"
)

// sessionQueries reads sessions, and makes the writes of a refresh, each in one statement.
type sessionQueries struct{ *database }

// Session reads a session and its user in one statement. On Galera the read is causal. The profile
// has no pending address. Errors: ErrNotFound.
func (s sessionQueries) Session(ctx context.Context, id uuid.UUID) (SessionWithUser, error) {
	query := readSession + fromSession
	if s.mysql {
		query = readSession + ", UTC_TIMESTAMP(6)" + fromSession
	}
	stmt, err := s.hot.get(ctx, s.readPool, query)
	if err != nil {
		return SessionWithUser{}, err
	}
	var row SessionWithUser
	into := append([]any{
		&row.ID, &row.UserID, &row.Epoch, &row.Generation, &row.RotatedAt, &row.CreatedAt, &row.IdleExpiresAt, &row.ExpiresAt,
		&row.Attempt, &row.RevokedAt, &row.RevokeReason, &row.Transport, &row.UserAgent, &row.IP, &row.LastUsedAt, &row.AuthenticatedAt,
	}, row.destinations()...)
	if s.mysql {
		into = append(into, &row.DBNow)
	}
	err = translate(stmt.QueryRowContext(ctx, id).Scan(into...))
	return row, err
}

// Rotation is row 3 of the decision table: the step from Generation to the next one.
type Rotation struct {
	ID            uuid.UUID
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

// Rotate starts the next generation, in one statement. It returns false if the row does not match
// or the clocks differ: the caller must then read the row and decide again. Errors: ErrTransient;
// ErrUnavailable, which leaves the outcome unknown until the session is read.
func (s sessionQueries) Rotate(ctx context.Context, r Rotation) (bool, error) {
	guard, guardArgs := clockGuard(s.mysql, r.Now, r.Tolerance)
	age, ageArgs := "", []any(nil)
	if !r.RotatedBefore.IsZero() {
		age, ageArgs = " AND rotated_at <= ?", []any{r.RotatedBefore}
	}
	args := []any{r.Now, r.IdleExpiresAt, nullIfNil(r.Attempt), r.UserAgent, r.IP, r.Now, r.ID, r.Generation, r.UserID, r.Transport, r.ExpiresAt, r.Now, r.Now}
	return s.change(ctx, `UPDATE sessions SET generation = generation + 1, rotated_at = ?, idle_expires_at = ?, attempt = ?,
		user_agent = ?, ip = ?, last_used_at = ?
		WHERE id = ? AND generation = ? AND user_id = ? AND transport = ? AND expires_at = ? AND `+liveSQL+age+guard,
		append(append(args, ageArgs...), guardArgs...)...)
}

// Touch records the use of a session, if it is live and still has the given generation, and the
// clocks agree; see clockGuard. It returns false if not: the caller must then read the session and
// decide again. If graced is set, it is stored in the same transaction.
func (s sessionQueries) Touch(ctx context.Context, id uuid.UUID, generation int64, now time.Time, tolerance time.Duration, graced *Event) (bool, error) {
	guard, guardArgs := clockGuard(s.mysql, now, tolerance)
	query := "UPDATE sessions SET last_used_at = ? WHERE id = ? AND generation = ? AND " + liveSQL + guard
	args := append([]any{now, id, generation, now, now}, guardArgs...)
	if graced == nil {
		return s.change(ctx, query, args...)
	}
	return s.changeWithEvent(ctx, *graced, query, args...)
}

// RevokeReused revokes a session because a refresh token was reused, and stores the event, in one
// transaction. It returns false if the session is not live, no longer has the given generation, or
// the clocks differ; see clockGuard.
func (s sessionQueries) RevokeReused(ctx context.Context, id uuid.UUID, generation int64, now time.Time, tolerance time.Duration, e Event) (bool, error) {
	guard, guardArgs := clockGuard(s.mysql, now, tolerance)
	return s.changeWithEvent(ctx, e, `UPDATE sessions SET revoked_at = ?, revoke_reason = ?
		WHERE id = ? AND generation = ? AND `+liveSQL+guard, append([]any{now, RevokedByReuse, id, generation, now, now}, guardArgs...)...)
}

// Sessions returns at most limit live sessions of a user, newest first.
func (s sessionQueries) Sessions(ctx context.Context, userID, epoch int64, now time.Time, limit int) ([]Session, error) {
	var list []Session
	err := s.reads.WithContext(ctx).
		Where("user_id = ? AND epoch = ? AND revoked_at IS NULL AND idle_expires_at > ?", userID, epoch, now).
		Order("created_at DESC, id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// change executes a guarded statement once. It does not retry, because a repetition needs a new
// now; retrying is left to the caller.
func (s *database) change(ctx context.Context, query string, args ...any) (bool, error) {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	stmt, err := s.hot.get(ctx, s.pool, query)
	if err != nil {
		return false, err
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return false, translate(err)
	}
	return matchedOneRow(result)
}

func (s *database) changeWithEvent(ctx context.Context, e Event, query string, args ...any) (changed bool, err error) {
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

func matchedOneRow(result sql.Result) (bool, error) {
	n, err := result.RowsAffected()
	if err != nil {
		return false, translate(err)
	}
	if n > 1 {
		return false, fmt.Errorf("models: a guarded write matched %d rows", n)
	}
	return n == 1, nil
}

func nullIfNil(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}
