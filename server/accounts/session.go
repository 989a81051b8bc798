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
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// LoginInput is a login request. Name is a username or an e-mail address.
type LoginInput struct {
	Name      string
	Password  string
	Transport token.Transport
	Client    Client
}

const loginTries = 3

// Login verifies the password and begins a session. It adopts nothing from the request: the
// session's id is new, so that an attacker cannot fix it beforehand.
//
// An unknown user, a wrong password, an inactive user and an unverified address give the same error
// after the same work, so that the answer does not reveal which names exist. Each attempt is
// counted before the password is verified, and refunded if it was right. Errors:
// CredentialsInvalid, RateLimited (for a right password too, if the client or the user has had too
// many), ServiceUnavailable (also if too many passwords are being hashed).
func (s *Service) Login(ctx context.Context, in LoginInput) (Tokens, models.User, error) {
	name := names.ParseLogin(in.Name)
	t, u, err := s.login(ctx, in, name)
	s.noteLogin(in, name, err)
	return t, u, err
}

func (s *Service) login(ctx context.Context, in LoginInput, name names.Login) (Tokens, models.User, error) {
	if err := s.busy(in.Client); err != nil {
		return Tokens{}, models.User{}, err
	}
	u, rehash, known, err := s.verifyLogin(ctx, in, name)
	if err != nil {
		return Tokens{}, models.User{}, err
	}
	return s.signIn(ctx, u, rehash, in, known)
}

// signIn counts a right password, begins a session, and records the client's network as known for
// the user. known is the time until which the network is already recorded. A failure is not
// counted: a client that repeats its request until the database is back would otherwise exceed the
// limit.
func (s *Service) signIn(ctx context.Context, u models.User, rehash string, in LoginInput, known time.Time) (Tokens, models.User, error) {
	right := s.passwordRight(u)
	if err := s.spend(ctx, right); err != nil {
		return Tokens{}, u, err
	}
	t, u, err := s.begin(ctx, u, rehash, in)
	if err != nil {
		return Tokens{}, u, s.refundUnlessDecided(ctx, err, right)
	}
	s.addKnownNetwork(ctx, u, in.Client, known)
	return t, u, nil
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
		return Tokens{}, models.User{}, problem.New(problem.CredentialsInvalid)
	}
	return Tokens{}, models.User{}, problem.FromStore(err)
}

// checkPassword finds the user and verifies the password. It also returns a stronger hash to
// replace the stored one, or an empty string. Errors: CredentialsInvalid, ServiceUnavailable.
func (s *Service) checkPassword(ctx context.Context, name names.Login, password string, client Client) (models.User, string, error) {
	u, err := s.userOfLogin(ctx, name)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return u, "", problem.FromStore(err)
	}
	// For an unknown user the hash is empty. Verifying it takes as long as verifying a real one.
	ok, weak, err := s.hasher.Verify(ctx, client.networks(), u.Password, password)
	if errors.Is(err, credentials.ErrMalformed) || errors.Is(err, credentials.ErrTooCostly) {
		s.observe("hash_unusable") // a 500 would reveal that the name exists
		ok, weak, err = s.hasher.Verify(ctx, client.networks(), "", password)
	}
	if err != nil {
		return u, "", hashError(err)
	}
	if !ok || !u.IsActive || unverified(u) && !s.settings.VerificationOptional {
		return u, "", problem.New(problem.CredentialsInvalid)
	}
	if !weak {
		return u, "", nil
	}
	rehash, err := s.hasher.Hash(ctx, client.networks(), password)
	if err != nil {
		s.observe("rehash_skipped") // the old hash still works; a later login replaces it
	}
	return u, rehash, nil
}

// unverified reports whether the user must verify the address before the first login. An imported
// user need not: Django let that user in, and the account may have no address at all.
func unverified(u models.User) bool {
	return u.EmailVerifiedAt == nil && u.Email != "" && u.ImportedEpoch == nil
}

// userOfLogin returns the user of a login. It returns models.ErrNotFound also for a name that no
// user can have. A name with an @ is an address or the username of an imported user. If it is the
// address of one user and the username of another, the address wins if it is verified. If it is
// not, a stranger could lock the other user out by registering that username as an address. One
// statement looks for both, because the time would otherwise reveal which of them a name is.
func (s *Service) userOfLogin(ctx context.Context, name names.Login) (models.User, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
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

// busy returns an error if a password of the client cannot be hashed now. It is called before the
// database is queried, so that a storm of logins does not load the database too. Errors:
// ServiceUnavailable.
func (s *Service) busy(client Client) error {
	if s.hasher.IsFull(client.networks()) {
		return hashError(credentials.ErrBusy)
	}
	return nil
}

func hashError(err error) error {
	if errors.Is(err, credentials.ErrBusy) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return problem.Unavailable(err)
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

// Logout revokes only the session of the credential, regardless of the request's body. It is
// idempotent. It accepts any authentic refresh token of the session, also a superseded or an
// expired one, so that a client can always log out. It accepts an access token from the cookie if
// the transport has one and the token has not expired; in server_held also an expired one. Errors:
// RefreshInvalid (another location than the transport's, or an expired access cookie of cookies),
// ServiceUnavailable.
func (s *Service) Logout(ctx context.Context, c Credential, client Client) error {
	if c.Transport == "" { // an access token does not name its transport; the row does
		l, err := s.session(ctx, c)
		switch {
		case errors.Is(err, problem.New(problem.SessionRevoked)):
			return nil // the row is gone, and the session with it
		case err != nil:
			return err
		case s.checkLocation(c, l) != nil:
			return problem.New(problem.RefreshInvalid)
		}
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	_, err := s.store.Revoke(ctx, models.ID(c.Session), c.Subject, s.now(), models.RevokedByLogout,
		s.eventIn(models.ID(c.Session), models.EventLogout, c.Subject, client, ""))
	return problem.FromStore(err)
}

// CurrentSession is the live session of a credential.
type CurrentSession struct {
	ID          uuid.UUID
	ExpiresAt   time.Time
	Transport   token.Transport
	RecentUntil *time.Time // the time until which the authentication counts as recent; nil if it does not
	CSRF        string     // empty in the transport body
}

// GetSession returns the live session of a credential. It changes nothing. Errors:
// AccessInvalid, AccessExpired, RefreshInvalid, SessionExpired, SessionRevoked, ServiceUnavailable.
func (s *Service) GetSession(ctx context.Context, c Credential) (CurrentSession, error) {
	l, err := s.session(ctx, c)
	if err != nil {
		return CurrentSession{}, err
	}
	if err := s.checkLocation(c, l); err != nil {
		return CurrentSession{}, err
	}
	at := s.at(l)
	if err := alive(l, at); err != nil {
		return CurrentSession{}, err
	}
	current := CurrentSession{ID: c.Session, ExpiresAt: l.ExpiresAt, Transport: token.Transport(l.Transport)}
	// Only the holder of the newest tokens learns when the user last entered the password. A thief of
	// superseded ones could otherwise watch the owner unnoticed.
	if until := authenticated(l.Session).Add(RecentAuthentication); c.Generation == l.Generation && until.After(at) {
		current.RecentUntil = &until
	}
	if current.Transport != token.Body {
		current.CSRF = s.ring.CSRF(c.Session)
	}
	return current, nil
}

// checkLocation returns an error if a credential, which may be an access or a refresh token, is from
// another location than the transport's or has expired. Errors: AccessInvalid, AccessExpired,
// RefreshInvalid, SessionExpired.
func (s *Service) checkLocation(c Credential, l models.Live) error {
	way := locations[token.Transport(l.Transport)]
	if c.Transport != "" {
		switch {
		case l.UserID != c.Subject, l.Transport != string(c.Transport):
			return problem.New(problem.RefreshInvalid)
		case c.Expired:
			return problem.New(problem.SessionExpired)
		}
		return nil
	}
	switch {
	case l.UserID != c.Subject, way.access != c.Location:
		return problem.New(problem.AccessInvalid)
	case c.Expired && way.refresh != c.Location: // in server_held it is the refresh credential too, which is valid beyond its exp
		return problem.New(problem.AccessExpired)
	}
	return nil
}

// Reauthenticate records that the principal knows the password, and returns how long that counts as
// recent. A session that was left open or stolen does not suffice for operations that require
// recent authentication. Errors: ValidationFailed (password_wrong), SessionRevoked, RateLimited,
// ServiceUnavailable.
func (s *Service) Reauthenticate(ctx context.Context, p Principal, password string, client Client) (time.Duration, error) {
	u, err := s.confirmPassword(ctx, p, "password", password, client)
	if err != nil {
		return 0, err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	err = s.forUser(p).NoteAuthentication(ctx, p.Session.ID, u.ID, p.At, s.eventIn(p.Session.ID, models.EventReauthenticated, u.ID, client, ""))
	if errors.Is(err, models.ErrNotFound) {
		return 0, problem.New(problem.SessionRevoked)
	}
	return RecentAuthentication, problem.FromStore(err)
}

// ListSessions returns the live sessions of the principal's user, newest first. The last use is
// rounded down to the hour: a more exact time would tell a thief when to use a stolen session.
// Errors: ServiceUnavailable.
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
	return list, problem.FromStore(err)
}

// RevokeSession revokes one session of the principal's user. Errors: ResourceNotFound (the session
// does not exist, or is another user's), SessionRevoked, ServiceUnavailable.
func (s *Service) RevokeSession(ctx context.Context, p Principal, id uuid.UUID, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	found, err := s.forUser(p).Revoke(ctx, models.ID(id), p.User.ID, s.now(), models.RevokedByUser,
		s.eventIn(models.ID(id), models.EventSessionRevoked, p.User.ID, client, ""))
	if err == nil && !found {
		return problem.New(problem.ResourceNotFound)
	}
	return problem.FromStore(err)
}

// RevokeAllSessions revokes every session of the principal's user, or every other one, at once and
// also against a login in flight. Errors: SessionRevoked (the principal's own session has ended in
// the meantime, and nothing was changed), ServiceUnavailable.
func (s *Service) RevokeAllSessions(ctx context.Context, p Principal, keepCurrent bool, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	var err error
	if keepCurrent {
		err = s.forUser(p).KeepOnly(ctx, p.Session.ID, p.User.ID, p.User.SessionEpoch, s.now(),
			s.eventIn(p.Session.ID, models.EventSessionsRevoked, p.User.ID, client, "all other sessions"))
	} else {
		err = s.forUser(p).RevokeAllSessions(ctx, p.User.ID, p.User.SessionEpoch, s.eventIn(p.Session.ID, models.EventSessionsRevoked, p.User.ID, client, ""))
	}
	if errors.Is(err, models.ErrNotFound) {
		return problem.New(problem.SessionRevoked)
	}
	return problem.FromStore(resolved(err, func() bool { return s.hasNextEpoch(ctx, p.User) }))
}

// hasNextEpoch reports whether every session that the user had at the time of the read has ended.
func (s *Service) hasNextEpoch(ctx context.Context, u models.User) bool {
	now, err := s.store.UserByID(ctx, u.ID)
	return err == nil && now.SessionEpoch == u.SessionEpoch+1
}
