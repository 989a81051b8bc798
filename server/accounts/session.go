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
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/token"
)

// LoginInput is a login as it came; Name is a username or an e-mail address.
type LoginInput struct {
	Name      string
	Password  string
	Transport token.Transport
	Client    Client
}

const loginTries = 3

// Login verifies the password and begins a session. Nothing that the request carried is adopted: the session's id is
// new, so nobody can fix it beforehand.
//
// An unknown user, a wrong password, an inactive user and an unverified address give the same error after the same
// work, so that nobody learns which names exist. Each guess is counted before it is judged, and given back if it was
// right. Errors: InvalidCredentials, RateLimited, Unavailable (also when too many passwords are being hashed).
func (s *Service) Login(ctx context.Context, in LoginInput) (Tokens, models.User, error) {
	uses := s.loginUses(in)
	t, u, err := s.login(ctx, in, uses)
	s.noteLogin(in, uses[0], err)
	return t, u, err
}

func (s *Service) login(ctx context.Context, in LoginInput, uses []models.Spending) (Tokens, models.User, error) {
	if s.hasher.Full() { // a storm is not to reach the database
		return Tokens{}, models.User{}, hashError(credentials.ErrBusy)
	}
	if err := s.spend(ctx, uses...); err != nil {
		return Tokens{}, models.User{}, err
	}
	u, rehash, err := s.checkPassword(ctx, in.Name, in.Password)
	if !errors.Is(err, refuse(InvalidCredentials)) {
		if err := s.refund(ctx, uses...); err != nil {
			return Tokens{}, models.User{}, err
		}
	}
	if err != nil {
		return Tokens{}, models.User{}, err
	}
	return s.begin(ctx, u, rehash, in)
}

// begin begins a session of a user whose password was right.
func (s *Service) begin(ctx context.Context, u models.User, rehash string, in LoginInput) (Tokens, models.User, error) {
	ctx, cancel := deadline(ctx)
	defer cancel()
	var err error
	for try := range loginTries {
		l := s.newSession(u, in)
		err = s.store.CreateSession(ctx, l.Session, u.Password, rehash, maxSessions, s.policy.tolerance(),
			s.eventIn(l.ID, models.EventLogin, u.ID, in.Client, ""))
		if err == nil {
			t, err := s.mint(grantOf(l), l.CreatedAt, true)
			u.LastLogin = &l.CreatedAt
			return t, u, err
		}
		if !errors.Is(err, models.ErrClock) || !pause(ctx, try) {
			break
		}
	}
	if errors.Is(err, models.ErrNotFound) { // deactivated, or all sessions ended, while the password was hashed
		return Tokens{}, models.User{}, refuse(InvalidCredentials)
	}
	return Tokens{}, models.User{}, storeError(err)
}

// checkPassword finds the user and verifies the password. The second answer is a better hash to replace the stored
// one with, or empty.
func (s *Service) checkPassword(ctx context.Context, name, password string) (models.User, string, error) {
	u, err := s.userByName(ctx, name)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return u, "", storeError(err)
	}
	// For an unknown user the hash is empty, which costs what a real one costs.
	ok, weak, err := s.hasher.Verify(ctx, u.Password, password)
	if errors.Is(err, credentials.ErrMalformed) || errors.Is(err, credentials.ErrTooCostly) {
		s.observe("hash_unusable") // a 500 would tell that the name exists
		ok, weak, err = s.hasher.Verify(ctx, "", password)
	}
	if err != nil {
		return u, "", hashError(err)
	}
	if !ok || !u.IsActive || unverified(u) && !s.settings.VerificationOptional {
		return u, "", refuse(InvalidCredentials)
	}
	if !weak {
		return u, "", nil
	}
	rehash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		s.observe("rehash_skipped") // the old hash is good enough for today
	}
	return u, rehash, nil
}

// unverified: somebody was imported without an address, and has none to verify.
func unverified(u models.User) bool { return u.EmailVerifiedAt == nil && u.Email != "" }

// userByName finds the user of a login. ErrNotFound also for what is no possible name. A name with an @ is an address
// or, of somebody who was imported, a username; where it is both, of two users, the address wins: it has been proven.
// Both are looked for by one statement, or the time would tell which of them a name is.
func (s *Service) userByName(ctx context.Context, name string) (models.User, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	norm, ok := canonicalName(name)
	switch {
	case !ok:
		return models.User{}, models.ErrNotFound
	case !strings.Contains(norm, "@"):
		return s.store.UserByUsername(ctx, norm)
	}
	list, err := s.store.UsersByAddressOrName(ctx, norm)
	if err != nil || len(list) == 0 {
		return models.User{}, cmp.Or(err, models.ErrNotFound)
	}
	if i := slices.IndexFunc(list, func(u models.User) bool { return u.EmailNorm == norm }); i >= 0 {
		return list[i], nil
	}
	return list[0], nil
}

func hashError(err error) error {
	if errors.Is(err, credentials.ErrBusy) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return unavailable(err)
	}
	return err
}

func (s *Service) newSession(u models.User, in LoginInput) models.Live {
	now := s.now()
	end := now.Add(s.policy.SessionMaxAge).Truncate(time.Second)
	return models.Live{User: u, Session: models.Session{
		ID: models.ID(uuid.Must(uuid.NewV7())), UserID: u.ID, Epoch: u.SessionEpoch, RotatedAt: now, CreatedAt: now, LastUsedAt: now,
		IdleExpiresAt: s.policy.idleEnd(in.Transport, now, end), ExpiresAt: end, Transport: string(in.Transport),
		UserAgent: in.Client.UserAgent, IP: in.Client.IP,
	}}
}

// Logout ends the session of the credential and of nothing else, whatever a body says. It is
// idempotent. It accepts any authentic refresh token of the session, also a superseded or an
// expired one, so that a client can always log out. It accepts an access token from the cookie if
// the transport has one and the token has not expired; in server_held also an expired one.
// Errors: RefreshInvalid (another location than the transport's, or an expired access cookie of
// cookies), Unavailable.
func (s *Service) Logout(ctx context.Context, c Credential, client Client) error {
	if c.Transport == "" { // an access token does not name its transport; the row does
		l, err := s.session(ctx, c)
		switch {
		case errors.Is(err, refuse(SessionRevoked)):
			return nil // the row is gone, and the session with it
		case err != nil:
			return err
		case s.carried(c, l) != nil:
			return refuse(RefreshInvalid)
		}
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	_, err := s.store.Revoke(ctx, models.ID(c.Session), c.Subject, s.now(), models.RevokedByLogout,
		s.eventIn(models.ID(c.Session), models.EventLogout, c.Subject, client, ""))
	return storeError(err)
}

// CSRF gives the CSRF token of the live session behind a credential, and its transport. It changes nothing.
// Errors: AccessInvalid, AccessExpired, RefreshInvalid, SessionExpired, SessionRevoked, Unavailable.
func (s *Service) CSRF(ctx context.Context, c Credential) (string, token.Transport, error) {
	l, err := s.session(ctx, c)
	if err != nil {
		return "", "", err
	}
	transport := token.Transport(l.Transport)
	if err := s.carried(c, l); err != nil {
		return "", "", err
	}
	if err := alive(l, s.at(l)); err != nil {
		return "", "", err
	}
	return s.ring.CSRF(c.Session), transport, nil
}

// carried judges the way and the expiry of a credential that may be an access or a refresh token.
func (s *Service) carried(c Credential, l models.Live) error {
	way := carriers[token.Transport(l.Transport)]
	if c.Transport != "" {
		switch {
		case l.UserID != c.Subject, l.Transport != string(c.Transport):
			return refuse(RefreshInvalid)
		case c.Expired:
			return refuse(SessionExpired)
		}
		return nil
	}
	switch {
	case l.UserID != c.Subject, way.access != c.Carrier:
		return refuse(AccessInvalid)
	case c.Expired && way.refresh != c.Carrier: // in server_held it is the handle, and outlives its exp
		return refuse(AccessExpired)
	}
	return nil
}

// Reauthenticate notes that the principal knows the password, and says for how long that counts. A session that was left
// open, or stolen, is not enough for what asks for a recent password. Errors: ValidationFailed (password_wrong),
// SessionRevoked, RateLimited, Unavailable.
func (s *Service) Reauthenticate(ctx context.Context, p Principal, password string, client Client) (time.Duration, error) {
	u, err := s.confirmPassword(ctx, p, "password", password, client)
	if err != nil {
		return 0, err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	err = s.store.NoteAuthentication(ctx, p.Session.ID, u.ID, p.At, s.eventIn(p.Session.ID, models.EventReauthenticated, u.ID, client, ""))
	if errors.Is(err, models.ErrNotFound) {
		return 0, refuse(SessionRevoked)
	}
	return recentPassword, storeError(err)
}

// ListSessions are the live sessions of the principal's user, newest first. The last use is rounded down to the
// hour: told more exactly it would tell a thief when to step in.
func (s *Service) ListSessions(ctx context.Context, p Principal) ([]models.Session, error) {
	return s.sessionsOf(ctx, p.User)
}

func (s *Service) sessionsOf(ctx context.Context, u models.User) ([]models.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	list, err := s.store.Sessions(ctx, u.ID, u.SessionEpoch, s.now(), maxSessions)
	for i := range list {
		list[i].LastUsedAt = list[i].LastUsedAt.Truncate(time.Hour)
	}
	return list, storeError(err)
}

// EndSession ends one session of the principal's user. NotFound: there is none, or it is somebody else's.
func (s *Service) EndSession(ctx context.Context, p Principal, id uuid.UUID, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	found, err := s.store.Revoke(ctx, models.ID(id), p.User.ID, s.now(), models.RevokedByUser,
		s.eventIn(models.ID(id), models.EventSessionEnded, p.User.ID, client, ""))
	if err == nil && !found {
		return refuse(NotFound)
	}
	return storeError(err)
}

// EndSessions ends every session of the principal's user, or every other one, at once and with no race against a
// login in flight. SessionRevoked: the principal's own session ended meanwhile, and nothing was changed.
func (s *Service) EndSessions(ctx context.Context, p Principal, keepCurrent bool, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	var err error
	if keepCurrent {
		err = s.store.KeepOnly(ctx, p.Session.ID, p.User.ID, p.User.SessionEpoch, s.now(),
			s.eventIn(p.Session.ID, models.EventSessionsEnded, p.User.ID, client, "all but this one"))
	} else {
		err = s.store.EndSessions(ctx, p.User.ID, p.User.SessionEpoch, s.eventIn(p.Session.ID, models.EventSessionsEnded, p.User.ID, client, ""))
	}
	if errors.Is(err, models.ErrNotFound) {
		return refuse(SessionRevoked)
	}
	return storeError(err)
}
