package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/token"
)

// Carrier is the way by which a token came.
type Carrier string

const (
	Bearer        Carrier = "bearer"         // Authorization: an access token
	AccessCookie  Carrier = "access_cookie"  // an access token
	RefreshCookie Carrier = "refresh_cookie" // a refresh token
	Body          Carrier = "body"           // a refresh token
)

// carriers is the way of the access token and of the refresh credential in each transport. A token that comes by
// another way than its own is refused, so that a value stolen from one place cannot be used from another.
var carriers = map[token.Transport]struct{ access, refresh Carrier }{
	token.Hybrid:     {Bearer, RefreshCookie},
	token.Cookies:    {AccessCookie, RefreshCookie},
	token.ServerHeld: {AccessCookie, AccessCookie},
	token.Body:       {Bearer, Body},
}

// Credential is an authentic token and the way it came. Nothing has been asked of the database yet.
type Credential struct {
	Carrier    Carrier
	Subject    int64
	Session    uuid.UUID
	Generation int64
	Expired    bool // its own exp has passed
	// Of refresh tokens alone:
	Transport        token.Transport
	SessionExpiresAt time.Time
	Legacy           *LegacyToken // of a refresh token of the old service, which has no session here yet
}

// Credential verifies a token: form, signature, purpose, issuer and audience. Expiry is noted, not judged.
// Errors: AccessInvalid for an access token, RefreshInvalid for a refresh token.
func (s *Service) Credential(carrier Carrier, raw string) (Credential, error) {
	if carrier == RefreshCookie || carrier == Body {
		return s.refreshCredential(carrier, raw)
	}
	c, err := s.access.Access(raw)
	expired := errors.Is(err, token.ErrExpired)
	if err != nil && !expired {
		return Credential{}, &Error{Code: AccessInvalid, Cause: err}
	}
	return Credential{Carrier: carrier, Subject: c.Subject, Session: c.Session, Generation: c.Generation, Expired: expired}, nil
}

func (s *Service) refreshCredential(carrier Carrier, raw string) (Credential, error) {
	c, err := s.refresh.Refresh(raw)
	expired := errors.Is(err, token.ErrExpired)
	if err != nil && !expired {
		return Credential{}, &Error{Code: RefreshInvalid, Cause: err}
	}
	if carriers[c.Transport].refresh != carrier {
		return Credential{}, refuse(RefreshInvalid)
	}
	return Credential{Carrier: carrier, Subject: c.Subject, Session: c.Session, Generation: c.Generation, Expired: expired,
		Transport: c.Transport, SessionExpiresAt: c.SessionExpiresAt}, nil
}

// ValidCSRF says whether the header's value belongs to the session of the credential.
func (s *Service) ValidCSRF(c Credential, presented string) bool {
	return s.ring.ValidCSRF(c.Session, presented)
}

// Principal is who a request comes from: a live session and its user, as the database knows them now.
type Principal struct {
	User    models.User
	Session models.Session
	At      time.Time // when that was, by the clock that sessions go by
}

// Authenticate turns an access credential into its principal, with one statement. Revocation is seen at once, since
// the row is read for every request.
// Errors: AccessExpired, AccessInvalid (wrong carrier), SessionExpired, SessionRevoked, ServiceUnavailable.
func (s *Service) Authenticate(ctx context.Context, c Credential) (Principal, error) {
	if c.Expired {
		return Principal{}, refuse(AccessExpired)
	}
	l, err := s.session(ctx, c)
	if err != nil {
		return Principal{}, err
	}
	if l.UserID != c.Subject || carriers[token.Transport(l.Transport)].access != c.Carrier {
		return Principal{}, refuse(AccessInvalid)
	}
	at := s.at(l)
	if err := alive(l, at); err != nil {
		return Principal{}, err
	}
	return Principal{User: l.User, Session: l.Session, At: at}, nil
}

// Role is what an operation asks of its caller's user, in the words of the contract's x-required-role.
type Role string

// The roles. A superuser has every one.
const (
	Staff     Role = "staff"
	Superuser Role = "superuser"
)

// RecentAuthentication is how long a verified password counts as recent (ASVS 7.5.3).
const RecentAuthentication = 10 * time.Minute

// Permit says whether they may call what asks for the role, and for a recent authentication. The user is the one of
// the row that was read for this request: who was demoted a moment ago is refused, whatever the token says.
// Errors: RoleRequired, ReauthRequired.
func (p Principal) Permit(role Role, recent bool) error {
	switch {
	case role == Staff && !p.User.IsStaff && !p.User.IsSuperuser, role == Superuser && !p.User.IsSuperuser:
		return refuse(RoleRequired)
	case recent && p.At.Sub(authenticated(p.Session)) >= RecentAuthentication:
		return refuse(ReauthRequired)
	}
	return nil
}

// authenticated is when the password was last shown in the session.
func authenticated(session models.Session) time.Time {
	if session.AuthenticatedAt != nil {
		return *session.AuthenticatedAt
	}
	return session.CreatedAt
}

// session reads the row of a credential. SessionRevoked: there is none (any more).
func (s *Service) session(ctx context.Context, c Credential) (models.Live, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	l, err := s.store.Session(ctx, models.ID(c.Session))
	if errors.Is(err, models.ErrNotFound) {
		return l, refuse(SessionRevoked)
	}
	return l, storeError(err)
}

// at is the instant by which a row that was just read is judged: the database's, where it has a clock.
func (s *Service) at(l models.Live) time.Time {
	if l.DBNow.IsZero() {
		return s.now()
	}
	return l.DBNow
}

// alive is the definition of a live session; models has its twin in SQL.
func alive(l models.Live, now time.Time) error {
	switch {
	case !now.Before(l.IdleExpiresAt), !now.Before(l.ExpiresAt):
		return refuse(SessionExpired)
	case l.RevokedAt != nil, l.Epoch != l.User.SessionEpoch, !l.User.IsActive:
		return refuse(SessionRevoked)
	}
	return nil
}
