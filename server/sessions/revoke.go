package sessions

import (
	"context"
	"errors"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/problem"
)

// Revoke revokes the session of the credential, and no other. It is idempotent. So that a client
// can always log out, it accepts
//
//   - any authentic refresh token of the session, even if it is superseded or expired
//   - in the transport cookies, the access cookie until it expires
//   - in the transport server_held, the access cookie even if it is expired.
//
// Errors: RefreshInvalid (the credential is from another location than the session's transport
// uses, or is an expired access cookie of the transport cookies), ServiceUnavailable.
func (m *Manager) Revoke(ctx context.Context, c Credential, client audit.Client) error {
	if c.Transport == "" { // an access token does not name its transport; the row does
		row, err := m.readSession(ctx, c)
		switch {
		case errors.Is(err, problem.New(problem.SessionRevoked)):
			return nil // the row is gone, and the session with it
		case err != nil:
			return err
		case m.checkCredential(c, row) != nil:
			return problem.New(problem.RefreshInvalid)
		}
	}
	err := RevokeAndRecord(ctx, m.store, models.RevokedByLogout,
		audit.Event{Kind: models.EventLogout, UserID: c.Subject, SessionID: c.Session, Client: client})
	if errors.Is(err, problem.New(problem.ResourceNotFound)) {
		return nil
	}
	return err
}

// RevokeAndRecord revokes the session that the event names, if it belongs to the event's user, and
// records the event. It is idempotent: it records no event for a session that has already ended. If
// there is no such session, it rolls back, and so it also undoes the writes with which the store
// guards its actor. Errors:
// ResourceNotFound, ServiceUnavailable; with an actor also SessionRevoked and RoleRequired.
func RevokeAndRecord(ctx context.Context, store *models.Store, reason string, e audit.Event) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err := store.Tx(ctx, func(tx *models.Tx) error {
		wasLive, err := tx.RevokeSession(e.SessionID, e.UserID, reason)
		if err != nil || !wasLive {
			return err
		}
		return audit.Record(tx, e)
	})
	if errors.Is(err, models.ErrNotFound) {
		return problem.New(problem.ResourceNotFound)
	}
	return problem.FromStore(err)
}
