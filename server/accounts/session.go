package accounts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/sessions"
	"example.com/accounts/server/token"
)

// sessionOperations implements the operations of the tag session.
type sessionOperations struct {
	*core
	userLookup
	passwordChecks
}

// LoginInput is a login request. Name is a username or an e-mail address.
type LoginInput struct {
	Name      string
	Password  string
	Transport token.Transport
	Client    Client
}

// Login verifies the password and begins a session.
//
// An unknown user, a wrong password, an inactive user and an unverified address give the same error
// after the same work, so that the answer does not reveal which names exist. Each attempt is
// counted before the password is verified, and refunded if it was right. Errors:
// CredentialsInvalid, RateLimited (also for a right password, if too many passwords of the client
// have been verified or the user has entered too many right ones), ServiceUnavailable (also if too
// many passwords are being hashed).
func (s sessionOperations) Login(ctx context.Context, in LoginInput) (Tokens, models.User, error) {
	name := names.ParseLogin(in.Name)
	if s.hasher.IsFull(in.Client.Network()) {
		return Tokens{}, models.User{}, hashError(credentials.ErrBusy)
	}
	var t Tokens
	u, rehash, knownUntil, err := s.verifyLogin(ctx, in, name)
	if err == nil {
		t, u, err = s.signIn(ctx, u, rehash, in, knownUntil)
	}
	if err != nil {
		s.recordRejectedLogin(in.Client, name, err)
		return Tokens{}, models.User{}, err
	}
	return t, u, nil
}

// userOfLogin returns the user of a login. It returns models.ErrNotFound also for a name that no
// user can have.
//
// A name with an @ is an address or the username of an imported user. It can be the address of one
// user and the username of another. Then it names the first user only if that user has verified the
// address. Otherwise a stranger could lock the other user out by registering the username as an
// address. One statement looks for both users, because the time would otherwise reveal whether a
// name is an address or a username.
func (s userLookup) userOfLogin(ctx context.Context, name names.Login) (models.User, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	norm := name.Norm
	switch {
	case !name.Possible:
		return models.User{}, models.ErrNotFound
	case !strings.Contains(norm, "@"):
		return s.store.UserByUsername(ctx, norm)
	}
	list, err := s.store.UsersByAddressOrName(ctx, norm)
	if err != nil || len(list) == 0 {
		return models.User{}, cmp.Or(err, models.ErrNotFound)
	}
	owner := func(u models.User) bool { return u.EmailNorm == norm && u.EmailVerifiedAt != nil }
	named := func(u models.User) bool { return u.UsernameNorm == norm }
	for _, fits := range []func(models.User) bool{owner, named} {
		if i := slices.IndexFunc(list, fits); i >= 0 {
			return list[i], nil
		}
	}
	return list[0], nil
}

// RefreshToken returns the tokens in force for a refresh credential; see [sessions.Manager.Refresh].
// Errors: RefreshInvalid, SessionExpired, SessionRevoked, RefreshReused (the session has been
// revoked), ServiceUnavailable.
func (s sessionOperations) RefreshToken(ctx context.Context, in RefreshInput) (Tokens, error) {
	return s.sessions.Refresh(ctx, in)
}

// Logout revokes only the session of the credential; see [sessions.Manager.Revoke]. Errors:
// RefreshInvalid, ServiceUnavailable.
func (s sessionOperations) Logout(ctx context.Context, c Credential, client Client) error {
	return s.sessions.Revoke(ctx, c, client)
}

// GetSession returns the live session of a credential. It changes nothing. Errors: AccessInvalid,
// AccessExpired, RefreshInvalid, SessionExpired, SessionRevoked, ServiceUnavailable.
func (s sessionOperations) GetSession(ctx context.Context, c Credential) (CurrentSession, error) {
	return s.sessions.Current(ctx, c)
}

// Reauthenticate records that the principal knows the password, and returns how long that counts as
// recent. A session that was left open or stolen does not suffice for operations that require
// recent authentication. Errors: ValidationFailed (password_wrong), SessionRevoked, RateLimited,
// ServiceUnavailable.
func (s sessionOperations) Reauthenticate(ctx context.Context, p Principal, password string, client Client) (time.Duration, error) {
	u, err := s.confirmPassword(ctx, p, "password", password, client)
	if err != nil {
		return 0, err
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err = s.forUser(p).Tx(ctx, func(tx *models.Tx) error {
		if err := tx.RecordAuthentication(p.Session.ID, u.ID, p.At); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Kind: models.EventReauthenticated, UserID: u.ID, SessionID: p.Session.ID, Client: client})
	})
	if errors.Is(err, models.ErrNotFound) {
		return 0, problem.New(problem.SessionRevoked)
	}
	return sessions.RecentAuthentication, problem.FromStore(err)
}

// ListSessions returns the live sessions of the principal's user, newest first; see
// [sessions.Manager.List]. Errors: ServiceUnavailable.
func (s sessionOperations) ListSessions(ctx context.Context, p Principal) ([]models.Session, error) {
	return s.sessions.List(ctx, p.User)
}

// RevokeSession revokes one session of the principal's user. Errors: ResourceNotFound (the session
// does not exist, or is another user's), SessionRevoked, ServiceUnavailable.
func (s sessionOperations) RevokeSession(ctx context.Context, p Principal, id uuid.UUID, client Client) error {
	return sessions.RevokeAndRecord(ctx, s.forUser(p), models.RevokedByUser,
		audit.Event{Kind: models.EventSessionRevoked, UserID: p.User.ID, SessionID: id, Client: client})
}

// RevokeAllSessions revokes every session of the principal's user, except for the principal's own
// if keepCurrent is set. It takes effect at once: a login in flight fails. Errors: SessionRevoked
// (the principal's own session has ended in the meantime, and nothing was changed),
// ServiceUnavailable.
func (s sessionOperations) RevokeAllSessions(ctx context.Context, p Principal, keepCurrent bool, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	e := audit.Event{Kind: models.EventSessionsRevoked, UserID: p.User.ID, SessionID: p.Session.ID, Client: client}
	err := s.forUser(p).Tx(ctx, func(tx *models.Tx) error {
		if keepCurrent {
			return revokeOtherSessions(tx, p, e)
		}
		return revokeAllSessions(tx, p.User, e)
	})
	if errors.Is(err, models.ErrNotFound) {
		return problem.New(problem.SessionRevoked)
	}
	return problem.FromStore(resolveUnknownCommit(err, func() bool { return s.hasNextEpoch(ctx, p.User) }))
}

// revokeAllSessions revokes every session of a user, and ends the changes of address that the user
// has started for others as a staff member. Errors: models.ErrNotFound if the epoch has changed
// since u was read, or the user is inactive.
func revokeAllSessions(tx *models.Tx, u models.User, events ...audit.Event) error {
	if err := tx.RevokeAllSessions(u); err != nil {
		return err
	}
	if err := tx.EndEmailChanges(models.EmailChanges{ActorID: u.ID}); err != nil {
		return err
	}
	return audit.Record(tx, events...)
}

// revokeOtherSessions revokes every session of the principal's user except for the principal's own.
// The event is recorded only if another session was live, so that repeated requests record none.
// Errors: models.ErrNotFound if the own session is no longer live, or the epoch has changed.
func revokeOtherSessions(tx *models.Tx, p Principal, e audit.Event) error {
	others, err := tx.HasOtherSessions(p.Session.ID, p.User.ID)
	if err != nil {
		return err
	}
	if err := tx.MoveSession(p.Session.ID, p.User); err != nil {
		return err
	}
	if !others {
		return revokeAllSessions(tx, p.User)
	}
	e.Detail = "all other sessions"
	return revokeAllSessions(tx, p.User, e)
}
