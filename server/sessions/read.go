package sessions

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// Authenticate returns the principal of an access credential, with one statement. The row is read
// for every request, so a revocation takes effect at once. Errors: AccessExpired, AccessInvalid
// (another location than the transport's, or another user than the session's), SessionExpired,
// SessionRevoked, ServiceUnavailable.
func (m *Manager) Authenticate(ctx context.Context, c Credential) (Principal, error) {
	if err := checkTimes(c, m.now()); err != nil {
		return Principal{}, err
	}
	row, err := m.readSession(ctx, c)
	if err != nil {
		return Principal{}, err
	}
	if !c.belongsTo(row.Session, forAccess) {
		return Principal{}, problem.New(problem.AccessInvalid)
	}
	at := m.timeOf(row)
	if err := checkAlive(row, at); err != nil {
		return Principal{}, err
	}
	return Principal{Profile: row.Profile, Session: row.Session, At: at}, nil
}

// CurrentSession is the live session of a credential.
type CurrentSession struct {
	ID          uuid.UUID
	ExpiresAt   time.Time
	Transport   token.Transport
	RecentUntil *time.Time // the time until which the authentication counts as recent; nil if it does not
	CSRF        string     // empty in the transport body
}

// Current returns the live session of a credential, which may be an access or a refresh token. It
// changes nothing. Errors: AccessInvalid, AccessExpired, RefreshInvalid, SessionExpired,
// SessionRevoked, ServiceUnavailable.
func (m *Manager) Current(ctx context.Context, c Credential) (CurrentSession, error) {
	row, err := m.readSession(ctx, c)
	if err != nil {
		return CurrentSession{}, err
	}
	if err := m.checkCredential(c, row); err != nil {
		return CurrentSession{}, err
	}
	at := m.timeOf(row)
	if err := checkAlive(row, at); err != nil {
		return CurrentSession{}, err
	}
	current := CurrentSession{ID: c.Session, ExpiresAt: row.ExpiresAt, Transport: transportOf(row.Session)}
	// Only the holder of the newest tokens learns when the user last entered the password. A thief of
	// superseded ones could otherwise watch the owner unnoticed.
	if until := authenticatedAt(row.Session).Add(RecentAuthentication); c.Generation == row.Generation && until.After(at) {
		current.RecentUntil = &until
	}
	if current.Transport != token.Body {
		current.CSRF = m.ring.CSRF(c.Session)
	}
	return current, nil
}

// List returns the live sessions of a user, newest first. The last use is rounded down to the hour:
// a more exact time would tell a thief when to use a stolen session. Errors: ServiceUnavailable.
func (m *Manager) List(ctx context.Context, u models.User) ([]models.Session, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	list, err := m.store.Sessions(ctx, u.ID, u.SessionEpoch, m.now(), maxSessions)
	for i := range list {
		list[i].LastUsedAt = list[i].LastUsedAt.Truncate(time.Hour)
	}
	return list, problem.FromStore(err)
}

// readSession reads the row of a credential's session. Errors: SessionRevoked if there is none,
// ServiceUnavailable.
func (m *Manager) readSession(ctx context.Context, c Credential) (models.SessionWithUser, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	row, err := m.store.Session(ctx, c.Session)
	if errors.Is(err, models.ErrNotFound) {
		return row, problem.New(problem.SessionRevoked)
	}
	return row, problem.FromStore(err)
}

// timeOf returns the current time for a row that was just read: the database's, or the process's if
// the database has no clock.
func (m *Manager) timeOf(row models.SessionWithUser) time.Time {
	if row.DBNow.IsZero() {
		return m.now()
	}
	return row.DBNow
}

// checkAlive returns why a session cannot be used any more, or nil. liveSQL in models is
// the same condition in SQL; keep both in step. Errors: SessionExpired, SessionRevoked.
func checkAlive(row models.SessionWithUser, now time.Time) error {
	switch {
	case !now.Before(row.IdleExpiresAt), !now.Before(row.ExpiresAt):
		return problem.New(problem.SessionExpired)
	case row.RevokedAt != nil, row.Epoch != row.User.SessionEpoch, !row.User.IsActive:
		return problem.New(problem.SessionRevoked)
	}
	return nil
}

// checkTimes returns an error if an access token is not valid at a time. Errors: AccessInvalid,
// AccessExpired.
func checkTimes(c Credential, now time.Time) error {
	switch {
	case c.isFromFuture(now):
		return problem.New(problem.AccessInvalid)
	case c.isExpired(now):
		return problem.New(problem.AccessExpired)
	}
	return nil
}

// checkCredential returns an error if a credential, which may be an access or a refresh token, is
// not one of the session's or has expired. This process's clock decides about an access token, as
// in [Manager.Authenticate]. Errors: AccessInvalid, AccessExpired, RefreshInvalid, SessionExpired.
func (m *Manager) checkCredential(c Credential, row models.SessionWithUser) error {
	isRefreshToken := c.Transport != ""
	switch {
	case isRefreshToken && !c.belongsTo(row.Session, forRefresh):
		return problem.New(problem.RefreshInvalid)
	case isRefreshToken && c.isExpired(m.timeOf(row)):
		return problem.New(problem.SessionExpired)
	case isRefreshToken:
		return nil
	case !c.belongsTo(row.Session, forAccess):
		return problem.New(problem.AccessInvalid)
	case c.belongsTo(row.Session, forRefresh): // in server_held it is the refresh credential too, whose own times do not count
		return nil
	}
	return checkTimes(c, m.now())
}
