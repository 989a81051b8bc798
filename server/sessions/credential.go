package sessions

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// Credential is an authentic token and its location. The database has not been queried yet.
type Credential struct {
	Location   TokenLocation
	Subject    int64
	Session    uuid.UUID
	Generation int64
	IssuedAt   time.Time // its own iat, of an access token; it may be in the future
	ExpiresAt  time.Time // its own exp; it may have passed
	// Only of refresh tokens:
	Transport        token.Transport
	SessionExpiresAt time.Time
	legacy           *LegacyToken // only of a token of another service, which has no session yet
}

// Credential verifies a token's form, signature, purpose, issuer and audience. It does not check the
// times of the token, because only this process's clock has been read, and it may be wrong. Errors:
// AccessInvalid for an access token, RefreshInvalid for a refresh token.
func (m *Manager) Credential(location TokenLocation, raw string) (Credential, error) {
	if location.holdsRefreshToken() {
		return m.refreshCredential(location, raw)
	}
	c, err := m.access.Authentic(raw)
	if err != nil {
		return Credential{}, &problem.Error{Code: problem.AccessInvalid, Cause: err}
	}
	return Credential{
		Location: location, Subject: c.Subject, Session: c.Session, Generation: c.Generation, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt,
	}, nil
}

func (m *Manager) refreshCredential(location TokenLocation, raw string) (Credential, error) {
	c, err := m.refresh.Refresh(raw)
	if err != nil && !errors.Is(err, token.ErrExpired) {
		return Credential{}, &problem.Error{Code: problem.RefreshInvalid, Cause: err}
	}
	if !accepts(c.Transport, forRefresh, location) {
		return Credential{}, problem.New(problem.RefreshInvalid)
	}
	return Credential{Location: location, Subject: c.Subject, Session: c.Session, Generation: c.Generation, ExpiresAt: c.ExpiresAt,
		Transport: c.Transport, SessionExpiresAt: c.SessionExpiresAt}, nil
}

// isFromFuture reports whether an access token was issued later than now. It is valid for a refresh,
// which compares the clocks: the clock of this process, or that of another one, is wrong.
func (c Credential) isFromFuture(now time.Time) bool {
	return c.IssuedAt.After(now.Add(token.ClockSkew))
}

// isExpired reports whether the token's own exp has passed. For a refresh, now must be a time that
// agrees with the database's clock. A client does not repeat a refresh that is answered with
// SessionExpired, so a replica with a wrong clock would log the user out.
func (c Credential) isExpired(now time.Time) bool { return !now.Before(c.ExpiresAt) }

// ValidCSRF reports whether the header's value belongs to the session of the credential.
//
// For a legacy token any non-empty value is valid, because the token has no session to which a value
// could belong. A page of another origin cannot send the header unless CORS permits it, and the server
// rejects the request by its Origin as well. All that such a request could achieve is a new session
// in the victim's own browser and a response that the page cannot read.
func (m *Manager) ValidCSRF(c Credential, presented string) bool {
	if c.legacy != nil {
		return presented != ""
	}
	return m.ring.ValidCSRF(c.Session, presented)
}

// Principal is the caller of a request: a live session and its user, as read from the database for
// this request.
type Principal struct {
	models.Profile
	Session models.Session
	At      time.Time // when they were read, by the database's clock if it has one
}

// Transport returns the transport of the principal's session.
func (p Principal) Transport() token.Transport { return transportOf(p.Session) }

// Actor returns the guard of writes that the principal's session authorizes.
func (p Principal) Actor() models.Actor {
	return models.Actor{Session: p.Session.ID, User: p.User.ID, At: p.At}
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
	case recent && p.At.Sub(authenticatedAt(p.Session)) >= RecentAuthentication:
		return problem.New(problem.ReauthRequired)
	}
	return nil
}

// authenticatedAt returns when the password was last verified in the session.
func authenticatedAt(s models.Session) time.Time {
	if s.AuthenticatedAt != nil {
		return *s.AuthenticatedAt
	}
	return s.CreatedAt
}
