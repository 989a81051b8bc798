package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// TokenLocation is the location of a token in a request.
type TokenLocation string

const (
	Bearer        TokenLocation = "bearer"         // Authorization: an access token
	AccessCookie  TokenLocation = "access_cookie"  // an access token
	RefreshCookie TokenLocation = "refresh_cookie" // a refresh token
	Body          TokenLocation = "body"           // a refresh token
)

// locations holds the locations of the access token and of the refresh credential in each transport.
// A token from another location is rejected, so that a value stolen from one place cannot be used
// in another.
var locations = map[token.Transport]struct{ access, refresh TokenLocation }{
	token.Hybrid:     {Bearer, RefreshCookie},
	token.Cookies:    {AccessCookie, RefreshCookie},
	token.ServerHeld: {AccessCookie, AccessCookie},
	token.Body:       {Bearer, Body},
}

// Credential is an authentic token and its location. The database has not been queried yet.
type Credential struct {
	Location   TokenLocation
	Subject    int64
	Session    uuid.UUID
	Generation int64
	Expired    bool // its own exp has passed
	// Only of refresh tokens:
	Transport        token.Transport
	SessionExpiresAt time.Time
	Legacy           *LegacyToken // only of a token of the Django service, which has no session yet
}

// Credential verifies a token's form, signature, purpose, issuer and audience. An expired token is
// not rejected here; Expired reports it. Errors: AccessInvalid for an access token, RefreshInvalid
// for a refresh token.
func (s *Service) Credential(location TokenLocation, raw string) (Credential, error) {
	if location == RefreshCookie || location == Body {
		return s.refreshCredential(location, raw)
	}
	c, err := s.access.Access(raw)
	expired := errors.Is(err, token.ErrExpired)
	if err != nil && !expired {
		return Credential{}, &problem.Error{Code: problem.AccessInvalid, Cause: err}
	}
	return Credential{Location: location, Subject: c.Subject, Session: c.Session, Generation: c.Generation, Expired: expired}, nil
}

func (s *Service) refreshCredential(location TokenLocation, raw string) (Credential, error) {
	c, err := s.refresh.Refresh(raw)
	expired := errors.Is(err, token.ErrExpired)
	if err != nil && !expired {
		return Credential{}, &problem.Error{Code: problem.RefreshInvalid, Cause: err}
	}
	if locations[c.Transport].refresh != location {
		return Credential{}, problem.New(problem.RefreshInvalid)
	}
	return Credential{Location: location, Subject: c.Subject, Session: c.Session, Generation: c.Generation, Expired: expired,
		Transport: c.Transport, SessionExpiresAt: c.SessionExpiresAt}, nil
}

// ValidCSRF reports whether the header's value belongs to the session of the credential.
func (s *Service) ValidCSRF(c Credential, presented string) bool {
	return s.ring.ValidCSRF(c.Session, presented)
}

// Principal is the caller of a request: a live session and its user, as read from the database for
// this request.
type Principal struct {
	User    models.User
	Session models.Session
	At      time.Time // when they were read, by the database's clock if it has one
}

// Authenticate returns the principal of an access credential, with one statement. The row is read
// for every request, so a revocation takes effect at once. Errors: AccessExpired, AccessInvalid
// (another location than the transport's, or another user than the session's), SessionExpired,
// SessionRevoked, ServiceUnavailable.
func (s *Service) Authenticate(ctx context.Context, c Credential) (Principal, error) {
	if c.Expired {
		return Principal{}, problem.New(problem.AccessExpired)
	}
	l, err := s.session(ctx, c)
	if err != nil {
		return Principal{}, err
	}
	if l.UserID != c.Subject || locations[token.Transport(l.Transport)].access != c.Location {
		return Principal{}, problem.New(problem.AccessInvalid)
	}
	at := s.at(l)
	if err := alive(l, at); err != nil {
		return Principal{}, err
	}
	return Principal{User: l.User, Session: l.Session, At: at}, nil
}

// Role is a role that an operation requires of its caller. The values are those of the contract's
// x-required-role.
type Role string

// The roles. A superuser has both.
const (
	Staff     Role = "staff"
	Superuser Role = "superuser"
)

// RecentAuthentication is how long a verified password counts as recent (ASVS 7.5.3).
const RecentAuthentication = 10 * time.Minute

// Permit returns an error if the principal does not have the role, or if recent is set and the
// authentication is not recent. It checks the user as read for this request, so that a demotion
// takes effect at once, regardless of the token. Errors: RoleRequired, ReauthRequired.
func (p Principal) Permit(role Role, recent bool) error {
	switch {
	case role == Staff && !p.User.IsStaff && !p.User.IsSuperuser, role == Superuser && !p.User.IsSuperuser:
		return problem.New(problem.RoleRequired)
	case recent && p.At.Sub(authenticated(p.Session)) >= RecentAuthentication:
		return problem.New(problem.ReauthRequired)
	}
	return nil
}

// authenticated returns when the password was last verified in the session.
func authenticated(session models.Session) time.Time {
	if session.AuthenticatedAt != nil {
		return *session.AuthenticatedAt
	}
	return session.CreatedAt
}

// session reads the row of a credential's session. Errors: SessionRevoked if there is none,
// ServiceUnavailable.
func (s *Service) session(ctx context.Context, c Credential) (models.Live, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	l, err := s.store.Session(ctx, models.ID(c.Session))
	if errors.Is(err, models.ErrNotFound) {
		return l, problem.New(problem.SessionRevoked)
	}
	return l, problem.FromStore(err)
}

// at returns the current time for a row that was just read: the database's, or the process's if the
// database has no clock.
func (s *Service) at(l models.Live) time.Time {
	if l.DBNow.IsZero() {
		return s.now()
	}
	return l.DBNow
}

// alive returns why a session cannot be used any more, or nil. The constant live in models is the
// same condition in SQL; keep both in step. Errors: SessionExpired, SessionRevoked.
func alive(l models.Live, now time.Time) error {
	switch {
	case !now.Before(l.IdleExpiresAt), !now.Before(l.ExpiresAt):
		return problem.New(problem.SessionExpired)
	case l.RevokedAt != nil, l.Epoch != l.User.SessionEpoch, !l.User.IsActive:
		return problem.New(problem.SessionRevoked)
	}
	return nil
}
