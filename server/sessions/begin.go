package sessions

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// NewSession describes a session to begin. User is as read before.
type NewSession struct {
	ID              uuid.UUID // a new one if zero
	User            models.User
	Transport       token.Transport
	Client          audit.Client
	Attempt         []byte     // see models.Session
	AuthenticatedAt *time.Time // nil if the user has just entered the password
}

const beginTries = 3

// Begin begins a session of a user whose password was right, and returns its tokens and the user as
// changed. It adopts nothing from the request: the session's id is new, so that an attacker cannot
// fix it beforehand. A rehash that is not empty replaces the hash of the same password.
//
// Errors: CredentialsInvalid (the user was deactivated, or all sessions were revoked, since the user
// was read), ServiceUnavailable.
func (m *Manager) Begin(ctx context.Context, n NewSession, rehash models.PasswordHash) (Tokens, models.User, error) {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	var s models.Session
	err := models.Retry(ctx, beginTries, models.Is(models.ErrClock), func() error {
		return m.store.Tx(ctx, func(tx *models.Tx) (err error) {
			s, err = m.login(tx, n, rehash)
			return err
		})
	})
	if errors.Is(err, models.ErrNotFound) {
		return Tokens{}, models.User{}, problem.New(problem.CredentialsInvalid)
	}
	if err != nil {
		return Tokens{}, models.User{}, problem.FromStore(err)
	}
	u := n.User
	u.LastLogin = &s.CreatedAt
	t, err := m.FirstTokens(s)
	return t, u, err
}

func (m *Manager) login(tx *models.Tx, n NewSession, rehash models.PasswordHash) (models.Session, error) {
	if err := recordLogin(tx, n.User); err != nil {
		return models.Session{}, err
	}
	if rehash != "" {
		if err := tx.ReplaceHash(n.User, rehash); err != nil {
			return models.Session{}, err
		}
	}
	return m.startSession(tx, n, "")
}

// recordLogin records the login of a user, whose row it locks.
//
// The first login of a user ends every pending change of the address. Before that login, only a
// staff member can have started one. If the change stayed pending, the owner of the mailbox that
// the staff member chose could take over an account that its owner has begun to use. The first
// login also increments the version of the user, so that a change of the address that was decided
// before the login fails.
func recordLogin(tx *models.Tx, u models.User) error {
	if u.LastLogin == nil {
		err := tx.RecordFirstLogin(u)
		if err == nil {
			return tx.EndEmailChanges(models.EmailChanges{UserID: u.ID})
		}
		if !errors.Is(err, models.ErrNotFound) { // otherwise a concurrent login may have been the first
			return err
		}
	}
	return tx.RecordLogin(u)
}

// startSession adds a session, revokes the oldest sessions beyond the maximum, and records both. The
// transaction has locked the user.
func (m *Manager) startSession(tx *models.Tx, n NewSession, detail string) (models.Session, error) {
	s, err := m.Add(tx, n)
	if err != nil {
		return s, err
	}
	revoked, err := tx.RevokeOldestSessions(n.User, maxSessions, models.RevokedByEvictor)
	if err != nil {
		return s, err
	}
	events := []audit.Event{{Kind: models.EventLogin, UserID: s.UserID, SessionID: s.ID, Client: n.Client, Detail: detail}}
	for _, id := range revoked {
		events = append(events, audit.Event{
			Kind: models.EventSessionRevoked, UserID: s.UserID, SessionID: id, Client: n.Client, Detail: "the oldest of too many",
		})
	}
	return s, audit.Record(tx, events...)
}

// Add adds a session to the epoch of n.User, which the transaction may just have begun. Errors:
// models.ErrClock.
func (m *Manager) Add(tx *models.Tx, n NewSession) (models.Session, error) {
	now, id := tx.Now(), n.ID
	if id == uuid.Nil {
		id = NewID()
	}
	end := now.Add(m.policy.SessionMaxAge).Truncate(time.Second)
	s := models.Session{
		ID: id, UserID: n.User.ID, Epoch: n.User.SessionEpoch, RotatedAt: now, CreatedAt: now, LastUsedAt: now,
		IdleExpiresAt: m.policy.idleEnd(n.Transport, now, end), ExpiresAt: end, Transport: string(n.Transport), Attempt: n.Attempt,
		UserAgent: n.Client.UserAgent, IP: n.Client.IP, AuthenticatedAt: n.AuthenticatedAt,
	}
	return s, tx.InsertSession(s, m.policy.Tolerance())
}

// NewID returns the id of a new session.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
