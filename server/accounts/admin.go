package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/sessions"
)

// The operations of staff. [Principal.Permit] has checked before that the principal is a staff
// member. The operations themselves check which users that staff member may change: ordinary users,
// and other staff only if the principal is a superuser.

const invitationLife = 72 * time.Hour

// UserDetail is the data of a user that the user and staff see. User has no password hash.
type UserDetail struct {
	User         models.User
	HasPassword  bool
	Throttled    bool   // only for staff
	PendingEmail string // the address of a pending change, or empty
}

// ListUsers returns the users that match the filter. next is the place after which the next page
// begins, or nil if there is none. Errors: ServiceUnavailable.
func (s *Service) ListUsers(ctx context.Context, f UserFilter) (users []models.User, next *UserPlace, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	q, possible := f.query()
	if !possible {
		return nil, nil, nil
	}
	if users, err = s.store.FindUsers(ctx, q); err != nil {
		return nil, nil, problem.FromStore(err)
	}
	if len(users) > f.Limit {
		users = users[:f.Limit]
		place := q.Sort.PlaceOf(users[f.Limit-1])
		next = &place
	}
	return users, next, nil
}

// GetUser returns the data of a user that staff sees. Errors: ResourceNotFound, ServiceUnavailable.
func (s *Service) GetUser(ctx context.Context, id int64) (UserDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	d, err := s.profile(ctx, id)
	if errors.Is(err, models.ErrNotFound) {
		return d, problem.New(problem.ResourceNotFound)
	}
	if err == nil {
		d.Throttled, err = s.isThrottled(ctx, d.User)
	}
	return d, problem.FromStore(err)
}

// manageableUser returns a user that the principal may change. Errors: ResourceNotFound, RoleRequired,
// ServiceUnavailable.
func (s *Service) manageableUser(ctx context.Context, p Principal, id int64) (models.User, error) {
	u, err := s.userByID(ctx, id)
	if err == nil && (u.IsStaff || u.IsSuperuser) && !p.User.IsSuperuser {
		return u, problem.New(problem.RoleRequired)
	}
	return u, err
}

// byStaff returns an event that names the staff member who caused it.
func (s *Service) byStaff(p Principal, kind models.EventKind, userID int64, client Client, detail string) models.Event {
	e := s.event(kind, userID, client, detail)
	e.ActorID = &p.User.ID
	return e
}

// Invitation is a user to be invited; all but the address may be empty.
type Invitation struct {
	Email, Username, FirstName, LastName, Locale string
	IsStaff, IsSuperuser                         bool
}

// InviteUser creates an active user without a password and sends a mail whose link lets the user
// set one, so that only the user ever knows it. Errors: RoleRequired, ValidationFailed,
// UsernameTaken, EmailTaken, SessionRevoked, RateLimited, ServiceUnavailable.
func (s *Service) InviteUser(ctx context.Context, p Principal, in Invitation, client Client) (UserDetail, error) {
	if (in.IsStaff || in.IsSuperuser) && !p.User.IsSuperuser {
		return UserDetail{}, problem.New(problem.RoleRequired)
	}
	u := in.user(s.now())
	if err := newIdentity(&u); err != nil {
		return UserDetail{}, err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	withUsername(&u)
	err := s.forStaff(p).Tx(ctx, s.invitation(p, &u, client))
	if errors.Is(err, models.ErrConflict) {
		return UserDetail{}, s.nameConflict(ctx, u)
	}
	if err := resolved(err, func() bool { return s.isInvited(ctx, &u) }); err != nil {
		return UserDetail{}, s.limited(err)
	}
	s.wakeMail()
	return s.GetUser(ctx, u.ID)
}

// user returns the user who is created by the invitation.
func (in Invitation) user(now time.Time) models.User {
	return models.User{
		Username: in.Username, Email: in.Email, FirstName: in.FirstName, LastName: in.LastName, Locale: in.Locale,
		IsActive: true, IsStaff: in.IsStaff, IsSuperuser: in.IsSuperuser, DateJoined: now, SessionEpoch: randomEpoch(), Password: credentials.Unusable,
	}
}

// invitation returns the transaction that creates an invited user and queues the mail.
func (s *Service) invitation(p Principal, u *models.User, client Client) func(tx *models.Tx) error {
	limits := s.staffMailLimits(p, u.EmailNorm)
	event := changing(s.byStaff(p, models.EventInvited, 0, client, ""), grantedRoles(*u))
	m := s.mailTo(*u, mail.Invitation, client)
	m.ExpiresAt = m.CreatedAt.Add(invitationLife)
	return func(tx *models.Tx) error {
		if err := tx.CountUses(limits...); err != nil {
			return err
		}
		if err := createUser(tx, u, event); err != nil {
			return err
		}
		m.UserID = u.ID
		return tx.AddMails(m)
	}
}

// isInvited reports whether the user of an invitation has been stored, and reads the user if so. The
// random epoch distinguishes that user from one with the same address that another request has
// created.
func (s *Service) isInvited(ctx context.Context, u *models.User) bool {
	found, err := s.store.UserByEmail(ctx, u.EmailNorm)
	if err != nil || found.SessionEpoch != u.SessionEpoch {
		return false
	}
	*u = found
	return true
}

// DeleteUser removes a user permanently and queues a mail to the address. Errors: ResourceNotFound,
// RoleRequired, SuperuserLast, ServiceUnavailable.
func (s *Service) DeleteUser(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.changeManageable(ctx, p, id, func(u models.User) error {
		deleted := changing(s.byStaff(p, models.EventDeleted, id, client, ""), lostRoles(u))
		notices := s.notices(u, mail.AccountDeleted, client)
		err := s.forStaff(p).Tx(ctx, func(tx *models.Tx) error { return deleteUser(tx, u, notices, deleted) })
		return resolved(err, func() bool { return s.isDeleted(ctx, id) })
	})
	if err == nil {
		s.wakeMail()
	}
	return err
}

// RequestUserPasswordReset sends a user the link for a forgotten password, or the invitation again
// if the user has no password yet. Errors: ResourceNotFound, RoleRequired, UserUnreachable,
// RateLimited, ServiceUnavailable.
func (s *Service) RequestUserPasswordReset(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.changeManageable(ctx, p, id, func(u models.User) error {
		if !u.IsActive || u.Email == "" {
			return problem.New(problem.UserUnreachable)
		}
		kind, life, detail := mail.Reset, s.settings.ResetTTL, ""
		if !credentials.IsUsable(u.Password) {
			kind, life, detail = mail.Invitation, invitationLife, "an invitation"
		}
		m := s.mailTo(u, kind, client)
		m.ExpiresAt = m.CreatedAt.Add(life)
		limits, event := s.staffMailLimits(p, u.EmailNorm), s.byStaff(p, models.EventPasswordResetSent, id, client, detail)
		return s.mailLimitError(s.forStaff(p).Tx(ctx, func(tx *models.Tx) error {
			return runSteps(
				func() error { return tx.CountUses(limits...) },
				func() error { return tx.LockUser(u) },
				func() error { return tx.AddMails(m) },
				func() error { return tx.AddEvents(event) },
			)
		}))
	})
	if err == nil {
		s.wakeMail()
	}
	return err
}

// isThrottled reports whether a rate limit keeps the user from logging in or from changing the
// account.
func (s *Service) isThrottled(ctx context.Context, u models.User) (bool, error) {
	limit := s.settings.LoginFailuresPerAccount
	return s.store.IsRateLimited(ctx, s.now(), bounded([]models.RateLimitUse{
		use(limit, loginOfAccount, u.UsernameNorm), use(limit, loginOfAccount, u.EmailNorm), use(limit, passwordOfUser, subjectOf(u)),
		use(s.settings.PasswordsPerUser, passwordsOfUser, subjectOf(u)),
	})...)
}

// staffMailLimits returns the rate limits of a mail that a staff member has the server send to an
// address. They are counted in the transaction that queues the mail.
//
// The address has a limit of its own for such mails, so that a stranger who requests resets cannot
// keep them back. The staff member has one too: a stolen staff account could otherwise send mails
// from the operator's domain to any number of addresses.
func (s *Service) staffMailLimits(p Principal, emailNorm string) []models.RateLimitUse {
	recipient := Limit{N: s.settings.MailsPerRecipient.N, Per: s.settings.MailsPerRecipient.Per}
	return []models.RateLimitUse{
		use(recipient, mailsTo+"staff", emailNorm), use(s.settings.MailsPerStaff, mailsOfStaff, subjectOf(p.User)),
	}
}

// mailLimitError returns the contract's error if err is that of an exceeded limit, and err itself
// otherwise.
func (s *Service) mailLimitError(err error) error {
	var over *models.RateLimitExceeded
	if errors.As(err, &over) {
		return s.rateLimited(over)
	}
	return err
}

// ResetUserLoginLimit resets the rate limits that keep a user from logging in; see ownRateLimits.
// Errors: ResourceNotFound, RoleRequired, ServiceUnavailable.
func (s *Service) ResetUserLoginLimit(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	return s.changeManageable(ctx, p, id, func(u models.User) error {
		event := s.byStaff(p, models.EventLoginLimitReset, id, client, "")
		return s.forStaff(p).Tx(ctx, func(tx *models.Tx) error {
			return runSteps(
				func() error { return tx.LockUser(u) },
				func() error { return tx.ResetRateLimits(ownRateLimits(u)...) },
				func() error { return tx.AddEvents(event) },
			)
		})
	})
}

// ListUserSessions returns the live sessions of a user, newest first. Errors: ResourceNotFound,
// ServiceUnavailable.
func (s *Service) ListUserSessions(ctx context.Context, id int64) ([]models.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u, err := s.userByID(ctx, id)
	if err != nil || !u.IsActive {
		return nil, err
	}
	return s.List(ctx, u)
}

// RevokeAllUserSessions revokes every session of a user. Errors: ResourceNotFound, RoleRequired,
// ServiceUnavailable.
func (s *Service) RevokeAllUserSessions(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	return s.changeManageable(ctx, p, id, func(u models.User) error {
		if !u.IsActive { // an inactive user has no live sessions
			return nil
		}
		err := s.forStaff(p).Tx(ctx, func(tx *models.Tx) error {
			return revokeAllSessions(tx, u, audit.Event{Kind: models.EventSessionsRevoked, UserID: id, StaffID: p.User.ID, Client: client})
		})
		return resolved(err, func() bool { return s.hasNextEpoch(ctx, u) })
	})
}

// RevokeUserSession revokes one session of a user. Errors: ResourceNotFound (there is no such user,
// or the user has no such session), RoleRequired, ServiceUnavailable.
func (s *Service) RevokeUserSession(ctx context.Context, p Principal, id int64, session uuid.UUID, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	if _, err := s.manageableUser(ctx, p, id); err != nil {
		return err
	}
	return sessions.Revoke(ctx, s.forStaff(p), models.RevokedByStaff,
		audit.Event{Kind: models.EventSessionRevoked, UserID: id, StaffID: p.User.ID, SessionID: models.ID(session), Client: client})
}

// ListAllEvents returns the newest events of all users that match the query. next is the event
// before which the next page begins, or zero if there is none. Errors: ServiceUnavailable.
func (s *Service) ListAllEvents(ctx context.Context, q models.EventQuery) (list []models.Event, next uuid.UUID, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return s.pageOfEvents(ctx, q)
}
