package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
)

// ProfileChange is a user's change of the own profile; nil leaves a member as it is.
type ProfileChange struct{ Username, FirstName, LastName, Locale *string }

// UpdateProfile changes the principal's profile. Errors: ValidationFailed, UsernameTaken,
// RateLimited, ServiceUnavailable.
func (s *Service) UpdateProfile(ctx context.Context, p Principal, c ProfileChange, client Client) (UserDetail, error) {
	if c.Username != nil && *c.Username == p.User.Username { // not a change, and an imported one may predate the rules
		c.Username = nil
	}
	change := models.ProfileChange{Username: c.Username, FirstName: c.FirstName, LastName: c.LastName, Locale: c.Locale}
	var username error
	if c.Username != nil {
		var norm string
		norm, username = newName(*c.Username)
		change.UsernameNorm = &norm
	}
	if err := problem.Join(username, newNames(changed(p.User.FirstName, c.FirstName), changed(p.User.LastName, c.LastName))); err != nil {
		return UserDetail{}, err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	var renames []models.RateLimitUse
	if c.Username != nil {
		// Each change of the username adds an entry to the security log and takes away the name by
		// which others find this user. Attempts are counted before they are made, and a username
		// that is taken counts too, so that a user cannot find out which usernames are taken.
		renames = append(renames, use(s.settings.RareActionsPerUser, renamesOfUser, subjectOf(p.User)))
		if err := s.spend(ctx, renames...); err != nil {
			return UserDetail{}, err
		}
	}
	if err := s.forUser(p).UpdateProfile(ctx, p.User.ID, change, s.profileEvents(ctx, p, c, client)); err != nil {
		switch {
		case errors.Is(err, models.ErrConflict): // a username is public, so this gives nothing away
			return UserDetail{}, problem.UsernameConflict()
		case errors.Is(err, models.ErrNotFound):
			return UserDetail{}, problem.New(problem.SessionRevoked)
		}
		return UserDetail{}, s.refundUnlessDecided(ctx, problem.FromStore(err), renames...)
	}
	return s.GetProfile(ctx, p)
}

// profileEvents returns a function that returns the events of a user's change of the own profile.
// Changes of the username are limited. Changes of the names and of the language are not, but their
// events are: a change above that limit is made without an event.
func (s *Service) profileEvents(ctx context.Context, p Principal, c ProfileChange, client Client) func(before models.User) []models.Event {
	record := len(profileChanges(p.User, c.applied(p.User))) > 0 && s.mayRecord(ctx, p.User, profileOfUser)
	return func(before models.User) (events []models.Event) {
		after := c.applied(before)
		if changes := usernameChange(before, after); len(changes) > 0 {
			events = append(events, changing(s.eventIn(p.Session.ID, models.EventUsernameChanged, p.User.ID, client, ""), changes))
		}
		if changes := profileChanges(before, after); len(changes) > 0 && record {
			events = append(events, changing(s.eventIn(p.Session.ID, models.EventProfileChanged, p.User.ID, client, ""), changes))
		}
		return events
	}
}

// applied returns the user after the change.
func (c ProfileChange) applied(u models.User) models.User {
	u.Username, u.FirstName, u.LastName, u.Locale = or(c.Username, u.Username), or(c.FirstName, u.FirstName), or(c.LastName, u.LastName), or(c.Locale, u.Locale)
	return u
}

// GetProfile returns the principal's user as stored now. Errors: SessionRevoked, ServiceUnavailable.
func (s *Service) GetProfile(ctx context.Context, p Principal) (UserDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	d, err := s.profile(ctx, p.User.ID)
	if errors.Is(err, models.ErrNotFound) { // deleted since the request was authenticated
		return d, problem.New(problem.SessionRevoked)
	}
	return d, problem.FromStore(err)
}

// profile reads the data of a user that users and staff see. Errors: models.ErrNotFound.
func (s *Service) profile(ctx context.Context, id int64) (UserDetail, error) {
	found, err := s.store.Profile(ctx, id, s.now())
	return UserDetail{User: found.User, HasPassword: found.HasPassword, PendingEmail: found.PendingEmail}, err
}

// DeleteAccount removes the principal's user permanently. The contract requires a recent
// authentication. Errors: SessionRevoked, SuperuserLast, ServiceUnavailable.
func (s *Service) DeleteAccount(ctx context.Context, p Principal, client Client) error {
	u, err := s.userOf(ctx, p)
	if err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	notices := s.notices(u, mail.AccountDeleted, client)
	err = s.forUser(p).Tx(ctx, func(tx *models.Tx) error { return deleteUser(tx, u, notices) })
	err = resolved(err, func() bool { return s.isGone(ctx, u.ID) })
	if errors.Is(err, models.ErrNotFound) {
		return s.changedMeanwhile(ctx, u)
	}
	s.wakeMail()
	return problem.FromStore(err)
}

// Export is the data stored about a user, without secrets.
type Export struct {
	At       time.Time
	User     UserDetail
	Sessions []models.Session
	Events   []models.Event
}

const maxExportedEvents = 1000 // clients read the others in pages

// ExportProfile returns the data stored about the principal's user. It is limited, because no other
// answer is as long. Errors: RateLimited, ServiceUnavailable.
func (s *Service) ExportProfile(ctx context.Context, p Principal) (Export, error) {
	if err := s.spend(ctx, use(s.settings.RareActionsPerUser, exportsOfUser, subjectOf(p.User))); err != nil {
		return Export{}, err
	}
	sessions, err := s.ListSessions(ctx, p)
	if err != nil {
		return Export{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	user, err := s.GetProfile(ctx, p)
	if err != nil {
		return Export{}, err
	}
	events, err := s.store.Events(ctx, models.EventQuery{UserID: &p.User.ID, Limit: maxExportedEvents})
	return Export{At: s.now(), User: user, Sessions: sessions, Events: events}, problem.FromStore(err)
}

// ChangeEmail sends a link to the new address and a notice to the present one. The contract
// requires a recent authentication. The present address stays in force until the link is confirmed.
//
// Whether another user has the new address is checked when the mail is sent, and only the owner of
// that address is informed. Errors: ValidationFailed, SessionRevoked, RateLimited,
// ServiceUnavailable.
func (s *Service) ChangeEmail(ctx context.Context, p Principal, email string, client Client) error {
	norm, err := newEmail(email)
	if err != nil {
		return err
	}
	u, err := s.userOf(ctx, p)
	if err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	change := s.emailChange(u, email, norm, client)
	change.Mails = s.mailBudget(mail.EmailChange, norm)
	queued, err := s.forUser(p).AddEmailChange(ctx, u, change, s.eventIn(p.Session.ID, models.EventEmailChangeRequested, u.ID, client, "to "+mail.Mask(email)))
	switch {
	case errors.Is(err, models.ErrNotFound):
		return s.changedMeanwhile(ctx, u)
	case isOver(err, changesOfUser):
		return s.limited(err)
	}
	return s.queued(queued, err)
}

// CancelEmailChange ends the pending change of the principal's address, also one that a staff
// member has started. It does nothing if no change is pending. Errors: SessionRevoked,
// ServiceUnavailable.
func (s *Service) CancelEmailChange(ctx context.Context, p Principal, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	err := s.withPendingEmail(ctx, p, func(_ models.User, pending models.OneTimeToken) error {
		return s.forUser(p).CancelEmailChange(ctx, pending, s.now(),
			s.eventIn(p.Session.ID, models.EventEmailChangeCanceled, p.User.ID, client, "to "+mail.Mask(pending.Email)))
	})
	if errors.Is(err, problem.New(problem.ResourceNotFound)) {
		return nil
	}
	return err
}

// ResendEmailChange sends a new link to the pending address, which replaces the older one. The mail
// counts against the same rate limits as one of ChangeEmail, so that resending leads to no more
// mails.
//
// A change that a staff member has started stays that staff member's: it still ends with the staff
// member's role and sessions. Errors: ResourceNotFound if no change is pending, SessionRevoked,
// RateLimited, ServiceUnavailable.
func (s *Service) ResendEmailChange(ctx context.Context, p Principal, client Client) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	var queued bool
	err := s.withPendingEmail(ctx, p, func(u models.User, pending models.OneTimeToken) (err error) {
		change := s.emailChange(u, pending.Email, pending.EmailNorm, client)
		change.Token.ActorID = pending.ActorID
		change.Mails = s.mailBudget(mail.EmailChange, pending.EmailNorm)
		queued, err = s.forUser(p).ResendEmailChange(ctx, u, pending, change)
		return s.mailLimitError(err)
	})
	return s.queued(queued, err)
}

// withPendingEmail makes a guarded change of the principal's pending change of address. Errors:
// ResourceNotFound if no change is pending, SessionRevoked, ServiceUnavailable.
func (s *Service) withPendingEmail(ctx context.Context, p Principal, change func(models.User, models.OneTimeToken) error) error {
	var pending models.OneTimeToken
	return guarded(func() (models.User, error) {
		u, err := s.userOf(ctx, p)
		if err != nil {
			return u, err
		}
		pending, err = s.store.PendingEmailChange(ctx, u.ID, s.now())
		if errors.Is(err, models.ErrNotFound) {
			return u, problem.New(problem.ResourceNotFound)
		}
		return u, problem.FromStore(err)
	}, func(u models.User) error { return change(u, pending) })
}

// emailChange prepares a pending change of a user's address: a link to the new address, and a
// notice to the present one. Such changes are limited, because each new address may be a stranger's
// mailbox and each change also sends a notice. The caller adds the limits of mails to the new
// address.
func (s *Service) emailChange(u models.User, email, norm string, client Client) models.EmailChange {
	link := s.mailTo(u, mail.EmailChange, client)
	link.Email, link.EmailNorm, link.ExpiresAt = email, norm, link.CreatedAt.Add(s.settings.EmailChangeTTL)
	t := s.oneTime(uuid.UUID(link.ID), models.PurposeEmailChange, link.CreatedAt, s.settings.EmailChangeTTL)
	t.UserID, t.Email, t.EmailNorm = u.ID, email, norm
	link.TokenID = &t.ID
	notices := s.notices(u, mail.EmailChangeNotice, client)
	for i := range notices {
		notices[i].NewEmail = email
	}
	limit := Limit{N: s.settings.MailsPerRecipient.N, Per: s.settings.MailsPerRecipient.Per}
	return models.EmailChange{Token: t, Mail: link, Notices: notices, Limits: []models.RateLimitUse{use(limit, changesOfUser, subjectOf(u))}}
}

// ConfirmEmailChange puts the new address into force. It requires the token of the link that was
// sent to the address, and the password of the user who changes the address.
//
// The threat: a stranger starts a change of the stranger's own account to the address of a victim,
// and the victim opens the link. Without the password, that click would verify the address for the
// stranger's account. Users without a password, such as invited ones, confirm with the token alone.
//
// The token is verified first, so that a caller without one learns nothing about a user, and
// consumed last, so that a wrong password does not use it up. Guesses at the password count like
// those of the signed-in user, so that many links do not permit more guesses.
//
// Errors: LinkInvalid (also if another user has the address by now), ValidationFailed (required,
// password_wrong), RateLimited, ServiceUnavailable.
func (s *Service) ConfirmEmailChange(ctx context.Context, value, password string, client Client) error {
	t, u, err := s.confirming(ctx, value)
	if err != nil {
		return err
	}
	if err := s.confirmByPassword(ctx, u, password, client); err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	now := s.now()
	err = s.store.ConfirmEmailChange(ctx, u, t, now, s.event(models.EventEmailChanged, t.UserID, client, "to "+mail.Mask(t.Email)))
	err = resolved(err, func() bool { return s.wasUsed(ctx, t, now) })
	switch {
	case errors.Is(err, models.ErrConflict):
		return problem.New(problem.LinkInvalid)
	case errors.Is(err, models.ErrNotFound):
		return s.confirmedMeanwhile(ctx, value)
	}
	return problem.FromStore(err)
}

// confirming returns the open token of a change of address and its user. Errors: LinkInvalid,
// ServiceUnavailable.
func (s *Service) confirming(ctx context.Context, value string) (models.OneTimeToken, models.User, error) {
	t, err := s.openToken(ctx, models.PurposeEmailChange, value)
	if err != nil {
		return t, models.User{}, err
	}
	u, err := s.store.UserByID(ctx, t.UserID)
	if errors.Is(err, models.ErrNotFound) || err == nil && !u.IsActive {
		return t, u, problem.New(problem.LinkInvalid)
	}
	return t, u, problem.FromStore(err)
}

// confirmByPassword verifies the password of the user of a link, if the user has one. Errors:
// ValidationFailed (required, password_wrong), RateLimited, ServiceUnavailable.
//
// Links have a limit of their own for each user: a stranger who got the link, because the user
// mistyped the address, must not be able to block the user's own password changes.
func (s *Service) confirmByPassword(ctx context.Context, u models.User, password string, client Client) error {
	if !credentials.IsUsable(u.Password) {
		return nil
	}
	entered := ownPassword{limit: passwordOfLink, field: "password", value: password, event: s.event("", u.ID, client, "with the link of an email change")}
	return s.verifyOwnPassword(ctx, u, entered, client)
}

// confirmedMeanwhile returns the error of a confirmation whose user or token has changed since the
// password was verified. If the link is still open, only the hash has changed, because a login at
// the same moment renewed it. The client can then repeat the request.
func (s *Service) confirmedMeanwhile(ctx context.Context, value string) error {
	if _, _, err := s.confirming(ctx, value); err != nil {
		return err
	}
	return problem.Unavailable(errors.New("the user was changed by another request at the same time"))
}
