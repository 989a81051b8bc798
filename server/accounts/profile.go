package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// ProfileChange is what a user changes of the own profile; nil leaves a member as it is.
type ProfileChange struct{ Username, FirstName, LastName, Locale *string }

// UpdateProfile changes the principal's profile. Errors: ValidationFailed, UsernameTaken, RateLimited, ServiceUnavailable.
func (s *Service) UpdateProfile(ctx context.Context, p Principal, c ProfileChange, client Client) (UserDetail, error) {
	if c.Username != nil && *c.Username == p.User.Username { // nobody chooses it, and it may have been imported
		c.Username = nil
	}
	change := models.ProfileChange{Username: c.Username, FirstName: c.FirstName, LastName: c.LastName, Locale: c.Locale}
	var username error
	if c.Username != nil {
		var norm string
		norm, username = newName(*c.Username)
		change.UsernameNorm = &norm
	}
	if err := allFaults(username, newNames(c.FirstName, c.LastName)); err != nil {
		return UserDetail{}, err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	var renames []models.Spending
	if c.Username != nil {
		// Each change of the username adds an entry to the security log and takes away the name by
		// which others find this user. Attempts are counted before they are made, and a username that
		// is taken counts too, so that a user cannot find out which usernames are taken.
		renames = append(renames, use(s.settings.RareActionsPerUser, renamesOfUser, subjectOf(p.User)))
		if err := s.spend(ctx, renames...); err != nil {
			return UserDetail{}, err
		}
	}
	renamed := s.eventIn(p.Session.ID, models.EventUsernameChanged, p.User.ID, client, "")
	if err := s.forUser(p).UpdateProfile(ctx, p.User.ID, change, renamed); err != nil {
		switch {
		case errors.Is(err, models.ErrConflict): // a username is public, so this gives nothing away
			return UserDetail{}, usernameConflict()
		case errors.Is(err, models.ErrNotFound):
			return UserDetail{}, refuse(SessionRevoked)
		}
		return UserDetail{}, s.unjudged(ctx, storeError(err), renames...)
	}
	return s.Profile(ctx, p)
}

// Profile returns the principal's user as stored now. Errors: SessionRevoked, ServiceUnavailable.
func (s *Service) Profile(ctx context.Context, p Principal) (UserDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	u, err := s.userOf(ctx, p)
	if err != nil {
		return UserDetail{}, err
	}
	return s.profile(ctx, u)
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
	err = s.forUser(p).DeleteUser(ctx, u, s.notices(u, mail.AccountDeleted, client))
	err = resolved(err, func() bool { return s.isGone(ctx, u.ID) })
	if errors.Is(err, models.ErrNotFound) {
		return s.overtaken(ctx, u)
	}
	s.wakeMail()
	return storeError(err)
}

// Export is what is kept about a user, without secrets.
type Export struct {
	At       time.Time
	User     UserDetail
	Sessions []models.Session
	Events   []models.Event
}

const maxExportedEvents = 1000 // the others are read in pages

// ExportProfile collects it, which is the longest answer there is. Errors: RateLimited, ServiceUnavailable.
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
	user, err := s.Profile(ctx, p)
	if err != nil {
		return Export{}, err
	}
	events, err := s.store.Events(ctx, models.EventQuery{UserID: &p.User.ID, Limit: maxExportedEvents})
	return Export{At: s.now(), User: user, Sessions: sessions, Events: events}, storeError(err)
}

// ChangeEmail sends a link to the new address and a notice to the present one. The contract requires
// a recent authentication. The present address stays in force until the link is confirmed. Whether the new one has an account already is found out when the mail is
// sent, and told to its owner alone. Errors: ValidationFailed, SessionRevoked, RateLimited, ServiceUnavailable.
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
		return s.overtaken(ctx, u)
	case isOver(err, changesOfUser):
		return s.limited(err)
	}
	return s.queued(queued, err)
}

// CancelEmailChange ends the pending change of the principal's address. Errors: SessionRevoked, ServiceUnavailable.
func (s *Service) CancelEmailChange(ctx context.Context, p Principal, client Client) error {
	return errNotBuilt
}

// ResendEmailChange sends the mail of the pending change again. Errors: ResourceNotFound if no change is pending,
// SessionRevoked, RateLimited, ServiceUnavailable.
func (s *Service) ResendEmailChange(ctx context.Context, p Principal, client Client) error {
	return errNotBuilt
}

var errNotBuilt = errors.New("not built")

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
	limit := Budget{N: s.settings.MailsPerRecipient.N, Per: s.settings.MailsPerRecipient.Per}
	return models.EmailChange{Token: t, Mail: link, Notices: notices, Limits: []models.Spending{use(limit, changesOfUser, subjectOf(u))}}
}

// ConfirmEmailChange puts the new address into force. Errors: LinkInvalid (also if somebody else has the address by
// now), RateLimited, ServiceUnavailable.
func (s *Service) ConfirmEmailChange(ctx context.Context, value, password string, client Client) error {
	if err := s.spend(ctx, s.confirmation(client)...); err != nil {
		return err
	}
	t, err := s.openToken(ctx, models.PurposeEmailChange, value)
	if err != nil {
		return err
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	now := s.now()
	err = s.store.ChangeEmail(ctx, t, now, s.event(models.EventEmailChanged, t.UserID, client, "to "+mail.Mask(t.Email)))
	if errors.Is(err, models.ErrNotFound) || errors.Is(err, models.ErrConflict) {
		return refuse(LinkInvalid)
	}
	return storeError(resolved(err, func() bool { return s.wasUsed(ctx, t, now) }))
}
