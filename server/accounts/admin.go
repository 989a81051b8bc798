package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/sessions"
)

// adminOperations implements the operations of the tag admin. Before each of them, the server has
// checked with [Principal.Permit] that the principal is a staff member. The operations themselves
// check which users that staff member may change: ordinary users, and other staff only if the
// principal is a superuser.
type adminOperations struct {
	*core
	userLookup
	linkTokens
}

// UserDetail is the data of a user that the user and staff see.
type UserDetail struct {
	models.Profile
	Throttled bool // see isThrottled; set for staff only
}

// ListUsers returns the users that match the filter. next is the place after which the next page
// begins, or nil if there is none. Errors: ServiceUnavailable.
func (s adminOperations) ListUsers(ctx context.Context, f UserFilter) (users []models.User, next *UserPlace, err error) {
	return s.listUsers(ctx, f)
}

// GetUser returns the data of a user that staff sees. Errors: ResourceNotFound, ServiceUnavailable.
func (s adminOperations) GetUser(ctx context.Context, id int64) (UserDetail, error) {
	ctx, cancel := models.Bound(ctx)
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
func (s adminOperations) manageableUser(ctx context.Context, p Principal, id int64) (models.User, error) {
	u, err := s.userByID(ctx, id)
	if err == nil && (u.IsStaff || u.IsSuperuser) && !p.User.IsSuperuser {
		return u, problem.New(problem.RoleRequired)
	}
	return u, err
}

// Invitation is a user to be invited. All members but Email may be empty.
type Invitation struct {
	Email, Username, FirstName, LastName, Locale string
	IsStaff, IsSuperuser                         bool
}

// InviteUser creates an active user without a password and sends a mail whose link lets the user
// set one, so that only the user ever knows it. Errors: RoleRequired, ValidationFailed,
// UsernameTaken, EmailTaken, SessionRevoked, RateLimited, ServiceUnavailable.
func (s adminOperations) InviteUser(ctx context.Context, p Principal, in Invitation, client Client) (UserDetail, error) {
	if (in.IsStaff || in.IsSuperuser) && !p.User.IsSuperuser {
		return UserDetail{}, problem.New(problem.RoleRequired)
	}
	u := in.user(s.now())
	if err := normalizeIdentity(&u); err != nil {
		return UserDetail{}, err
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	ensureUsername(&u)
	err := s.forStaff(p).Tx(ctx, s.invitation(p, &u, client))
	if errors.Is(err, models.ErrConflict) {
		return UserDetail{}, s.nameConflict(ctx, u)
	}
	if err := resolveUnknownCommit(err, func() bool { return s.isInvited(ctx, &u) }); err != nil {
		return UserDetail{}, s.limitError(err)
	}
	s.outbox.Wake()
	return s.GetUser(ctx, u.ID)
}

// user returns the user who is created by the invitation.
func (in Invitation) user(now time.Time) models.User {
	return models.User{
		Username: in.Username, Email: in.Email, FirstName: in.FirstName, LastName: in.LastName, Locale: in.Locale,
		IsActive: true, IsStaff: in.IsStaff, IsSuperuser: in.IsSuperuser, DateJoined: now, SessionEpoch: randomEpoch(),
	}
}

// invitation returns the transaction that creates an invited user and queues the mail.
func (s adminOperations) invitation(p Principal, u *models.User, client Client) func(tx *models.Tx) error {
	limits := s.staffMailLimits(p, u.EmailNorm)
	event := audit.Event{Kind: models.EventInvited, StaffID: p.User.ID, Client: client, Changes: audit.GrantedRoles(*u)}
	m := s.outbox.NewMailTo(*u, mail.Invitation, client)
	return func(tx *models.Tx) error {
		if err := ratelimit.Count(tx, limits...); err != nil {
			return err
		}
		if err := createUser(tx, u, event); err != nil {
			return err
		}
		m.UserID = u.ID
		return tx.AddMails(m)
	}
}

// isInvited reports whether the user of an invitation has been stored. If so, it reads the user
// into u. The random epoch distinguishes that user from one with the same address that another
// request has created.
func (s adminOperations) isInvited(ctx context.Context, u *models.User) bool {
	found, err := s.store.UserByEmail(ctx, u.EmailNorm)
	if err != nil || found.SessionEpoch != u.SessionEpoch {
		return false
	}
	*u = found
	return true
}

// UpdateUser changes a user. It ignores members that already have the requested value, and records
// no event for them. Errors: ResourceNotFound, RoleRequired, PreconditionFailed, ValidationFailed,
// UsernameTaken, EmailTaken, SuperuserLast, EmailUnverified, SessionRevoked, RateLimited,
// ServiceUnavailable.
func (s adminOperations) UpdateUser(ctx context.Context, p Principal, id int64, c UserChange, client Client) (UserDetail, error) {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err := s.changeManageable(ctx, p, id, func(u models.User) error {
		update, err := s.planUpdate(ctx, u, updateRequest{c, p, client})
		if err != nil || update.isEmpty() {
			return err
		}
		err = s.forStaff(p).Tx(ctx, func(tx *models.Tx) error {
			update, err := s.lockAndPlan(ctx, tx, update)
			if err != nil || update.isEmpty() {
				return err
			}
			return update.apply(tx)
		})
		if errors.Is(err, models.ErrConflict) { // the address is not changed here
			return problem.UsernameConflict()
		}
		return s.limitError(err)
	})
	if err != nil {
		return UserDetail{}, err
	}
	s.outbox.Wake()
	return s.GetUser(ctx, id)
}

// DeleteUser removes a user permanently and queues a mail to the address. Errors: ResourceNotFound,
// RoleRequired, SuperuserLast, SessionRevoked, ServiceUnavailable.
func (s adminOperations) DeleteUser(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err := s.changeManageable(ctx, p, id, func(u models.User) error {
		deleted := audit.Event{Kind: models.EventDeleted, UserID: id, StaffID: p.User.ID, Client: client, Changes: audit.LostRoles(u)}
		notices := s.outbox.NewNotices(u, mail.AccountDeleted, client)
		err := s.forStaff(p).Tx(ctx, func(tx *models.Tx) error { return deleteUser(tx, u, notices, deleted) })
		return resolveUnknownCommit(err, func() bool { return s.isDeleted(ctx, id) })
	})
	if err == nil {
		s.outbox.Wake()
	}
	return err
}

// RequestUserPasswordReset sends a user the link for a forgotten password, or the invitation again
// if the user has no password yet. Errors: ResourceNotFound, RoleRequired, UserUnreachable,
// SessionRevoked, RateLimited, ServiceUnavailable.
func (s adminOperations) RequestUserPasswordReset(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err := s.changeManageable(ctx, p, id, func(u models.User) error {
		if !u.IsActive || u.Email == "" {
			return problem.New(problem.UserUnreachable)
		}
		kind, detail := mail.Reset, ""
		if u.Password == "" {
			kind, detail = mail.Invitation, "an invitation"
		}
		m := s.outbox.NewMailTo(u, kind, client)
		limits, event := s.staffMailLimits(p, u.EmailNorm), audit.Event{Kind: models.EventPasswordResetSent, UserID: id, StaffID: p.User.ID, Client: client, Detail: detail}
		return s.limitError(s.forStaff(p).Tx(ctx, func(tx *models.Tx) error {
			return runUntilError(
				func() error { return ratelimit.Count(tx, limits...) },
				func() error { return lockWithoutChange(tx, u, hasSameMailbox) },
				func() error { return tx.AddMails(m) },
				func() error { return audit.Record(tx, event) },
			)
		}))
	})
	if err == nil {
		s.outbox.Wake()
	}
	return err
}

// lockWithoutChange locks a user for a write that changes no data of the user. It differs from
// [lockUnchanged] in that it also changes the row; see [models.Tx.LockUserAsRead]. Errors: those of
// lockUnchanged.
func lockWithoutChange(tx *models.Tx, u models.User, holds func(before, now models.User) bool) error {
	now, err := lockUnchanged(tx, u, holds)
	if err != nil {
		return err
	}
	return tx.LockUserAsRead(now)
}

// hasSameMailbox reports whether a mail to the user still reaches the same mailbox, and whether the
// roles are the same, which decide if the staff member may have the mail sent.
func hasSameMailbox(before, now models.User) bool {
	return before.EmailNorm == now.EmailNorm && before.IsActive == now.IsActive && hasSameRoles(before, now)
}

// isThrottled reports whether a rate limit keeps the user from logging in or from changing the
// account.
func (s adminOperations) isThrottled(ctx context.Context, u models.User) (bool, error) {
	limit := s.settings.LoginFailuresPerAccount
	return s.limiter.IsExceeded(ctx,
		limit.For(loginFailuresOfName, u.UsernameNorm), limit.For(loginFailuresOfName, u.EmailNorm), limit.ForUser(wrongPasswordsOfUser, u.ID),
		s.settings.PasswordsPerUser.ForUser(rightPasswordsOfUser, u.ID))
}

// staffMailLimits returns the rate limits of a mail that a staff member has the server send to an
// address. They are counted in the transaction that queues the mail.
//
// The address has a limit of its own for such mails, so that a stranger who requests resets cannot
// keep them back. The staff member has one too: a stolen staff account could otherwise send mails
// from the operator's domain to any number of addresses.
func (s adminOperations) staffMailLimits(p Principal, emailNorm string) []models.RateLimitUse {
	recipient := ratelimit.Limit{N: s.settings.MailsPerRecipient.N, Per: s.settings.MailsPerRecipient.Per}
	return []models.RateLimitUse{
		recipient.For(mailsTo+"staff", emailNorm), s.settings.MailsPerStaff.ForUser(mailsOfStaff, p.User.ID),
	}
}

// ResetUserLoginLimit resets the rate limits that keep a user from logging in; see ownRateLimits.
// Errors: ResourceNotFound, RoleRequired, SessionRevoked, ServiceUnavailable.
func (s adminOperations) ResetUserLoginLimit(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	return s.changeManageable(ctx, p, id, func(u models.User) error {
		event := audit.Event{Kind: models.EventLoginLimitReset, UserID: id, StaffID: p.User.ID, Client: client}
		return s.forStaff(p).Tx(ctx, func(tx *models.Tx) error { return resetLoginLimit(tx, u, event) })
	})
}

// ListUserSessions returns the live sessions of a user, newest first. Errors: ResourceNotFound,
// ServiceUnavailable.
func (s adminOperations) ListUserSessions(ctx context.Context, id int64) ([]models.Session, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	u, err := s.userByID(ctx, id)
	if err != nil || !u.IsActive {
		return nil, err
	}
	return s.sessions.List(ctx, u)
}

// RevokeAllUserSessions revokes every session of a user. Errors: ResourceNotFound, RoleRequired,
// ServiceUnavailable.
func (s adminOperations) RevokeAllUserSessions(ctx context.Context, p Principal, id int64, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	return s.changeManageable(ctx, p, id, func(u models.User) error {
		if !u.IsActive { // an inactive user has no live sessions
			return nil
		}
		err := s.forStaff(p).Tx(ctx, func(tx *models.Tx) error {
			return revokeAllSessions(tx, u, audit.Event{Kind: models.EventSessionsRevoked, UserID: id, StaffID: p.User.ID, Client: client})
		})
		return resolveUnknownCommit(err, func() bool { return s.hasNextEpoch(ctx, u) })
	})
}

// RevokeUserSession revokes one session of a user. Errors: ResourceNotFound (there is no such user,
// or the user has no such session), RoleRequired, ServiceUnavailable.
func (s adminOperations) RevokeUserSession(ctx context.Context, p Principal, id int64, session uuid.UUID, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	if _, err := s.manageableUser(ctx, p, id); err != nil {
		return err
	}
	return sessions.RevokeAndRecord(ctx, s.forStaff(p), models.RevokedByStaff,
		audit.Event{Kind: models.EventSessionRevoked, UserID: id, StaffID: p.User.ID, SessionID: session, Client: client})
}

// ListAllEvents returns the newest events of all users that match the query. next is the event
// before which the next page begins, or zero if there is none. Errors: ServiceUnavailable.
func (s adminOperations) ListAllEvents(ctx context.Context, q models.EventQuery) (list []models.Event, next uuid.UUID, err error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	return s.audit.List(ctx, q)
}
