package accounts

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// profileOperations implements the operations of the tag profile.
type profileOperations struct {
	*core
	userLookup
	passwordChecks
	linkTokens
}

// ProfileChange is a user's change of the own profile; nil leaves a member as it is.
type ProfileChange struct{ Username, FirstName, LastName, Locale *string }

// UpdateProfile changes the principal's profile. Errors: ValidationFailed, UsernameTaken,
// RateLimited, ServiceUnavailable.
func (s profileOperations) UpdateProfile(ctx context.Context, p Principal, c ProfileChange, client Client) (UserDetail, error) {
	if c.Username != nil && *c.Username == p.User.Username { // not a change, and an imported one may predate the rules
		c.Username = nil
	}
	if c == (ProfileChange{}) {
		return s.GetProfile(ctx, p)
	}
	patch, err := c.patch(p.User)
	if err != nil {
		return UserDetail{}, err
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	renames := s.renameUses(p, c)
	if err := s.allow(ctx, renames...); err != nil {
		return UserDetail{}, err
	}
	record := s.mayRecordProfile(ctx, p, c)
	err = s.forUser(p).Tx(ctx, func(tx *models.Tx) error {
		before, err := tx.ReadUserForUpdate(p.User.ID) // so that the second of two concurrent changes sees the values of the first
		if err != nil {
			return err
		}
		return changeUser(tx, before, patch, s.profileEvents(p, before, c.apply(before), record, client)...)
	})
	switch {
	case errors.Is(err, models.ErrConflict): // a username is public, so this gives nothing away
		return UserDetail{}, problem.UsernameConflict()
	case errors.Is(err, models.ErrNotFound):
		return UserDetail{}, problem.New(problem.SessionRevoked)
	case err != nil:
		return UserDetail{}, s.refundUnlessDecided(ctx, problem.FromStore(err), renames...)
	}
	return s.readProfile(ctx, p)
}

// renameUses returns the uses of rate limits by a change of the username, or nil if the username
// stays. Renames are limited, because each adds an entry to the security log and takes away the
// name by which others find this user. A rename is counted before it is tried, and also counts if
// the username is taken, so that a user cannot find out which usernames are taken.
func (s profileOperations) renameUses(p Principal, c ProfileChange) []models.RateLimitUse {
	if c.Username == nil {
		return nil
	}
	return []models.RateLimitUse{s.settings.RareActionsPerUser.ForUser(renamesOfUser, p.User.ID)}
}

// mayRecordProfile reports whether a change of the names or the language is recorded. Such changes
// are not limited, but their events are: a change beyond that limit is made without an event.
func (s profileOperations) mayRecordProfile(ctx context.Context, p Principal, c ProfileChange) bool {
	return len(audit.ProfileChanges(p.User, c.apply(p.User))) > 0 && s.mayRecord(ctx, p.User, profileEventsOfUser)
}

// patch checks the change of a user's profile and returns it for the store. Errors:
// ValidationFailed.
func (c ProfileChange) patch(u models.User) (models.UserPatch, error) {
	patch := models.UserPatch{Username: c.Username, FirstName: c.FirstName, LastName: c.LastName, Locale: c.Locale}
	var username error
	if c.Username != nil {
		var norm string
		if norm, username = parseNewUsername(*c.Username); username == nil {
			patch.UsernameNorm = &norm
		}
	}
	return patch, problem.Join(username, checkPersonNames(ifChanged(u.FirstName, c.FirstName), ifChanged(u.LastName, c.LastName)))
}

// onlyChanged returns the change without the members that the user already has.
func (c ProfileChange) onlyChanged(u models.User) ProfileChange {
	return ProfileChange{
		Username: ifChanged(u.Username, c.Username), FirstName: ifChanged(u.FirstName, c.FirstName), LastName: ifChanged(u.LastName, c.LastName),
		Locale: ifChanged(u.Locale, c.Locale),
	}
}

// apply returns the user after the change.
func (c ProfileChange) apply(u models.User) models.User {
	u.Username, u.FirstName, u.LastName, u.Locale = *cmp.Or(c.Username, &u.Username), *cmp.Or(c.FirstName, &u.FirstName), *cmp.Or(c.LastName, &u.LastName), *cmp.Or(c.Locale, &u.Locale)
	return u
}

// blankProfile returns the patch that clears a user's profile, and the user after that change: with
// a generated username, and without names and language.
func blankProfile(u models.User) (models.UserPatch, models.User) {
	username, none := ensureUsername(&models.User{}).Username, ""
	c := ProfileChange{Username: &username, FirstName: &none, LastName: &none, Locale: &none}
	patch, _ := c.patch(u) // a generated username is valid
	after := c.apply(u)
	after.UsernameNorm = *patch.UsernameNorm
	return patch, after
}

// profileEvents returns the events of a user's change of the own profile. If record is not set, it
// omits the event of changed names and of a changed language.
func (s profileOperations) profileEvents(p Principal, before, after models.User, record bool, client Client) (events []audit.Event) {
	if changes := audit.UsernameChange(before, after); len(changes) > 0 {
		events = append(events, audit.Event{Kind: models.EventUsernameChanged, UserID: before.ID, SessionID: p.Session.ID, Client: client, Changes: changes})
	}
	if changes := audit.ProfileChanges(before, after); len(changes) > 0 && record {
		events = append(events, audit.Event{Kind: models.EventProfileChanged, UserID: before.ID, SessionID: p.Session.ID, Client: client, Changes: changes})
	}
	return events
}

// GetProfile returns the principal's user, as it was read to authenticate this request. Only for a
// user with a pending change of the address it reads more. Errors: SessionRevoked,
// ServiceUnavailable.
func (s profileOperations) GetProfile(ctx context.Context, p Principal) (UserDetail, error) {
	if until := p.User.EmailChangeUntil; until != nil && p.At.Before(*until) {
		return s.readProfile(ctx, p)
	}
	return UserDetail{Profile: p.Profile}, nil
}

// readProfile reads the principal's user as stored now. Errors: SessionRevoked,
// ServiceUnavailable.
func (s profileOperations) readProfile(ctx context.Context, p Principal) (UserDetail, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	d, err := s.profile(ctx, p.User.ID)
	if errors.Is(err, models.ErrNotFound) { // deleted since the request was authenticated
		return d, problem.New(problem.SessionRevoked)
	}
	return d, problem.FromStore(err)
}

// profile reads the data of a user that users and staff see. Errors: models.ErrNotFound.
func (s userLookup) profile(ctx context.Context, id int64) (UserDetail, error) {
	found, err := s.store.Profile(ctx, id, s.now())
	return UserDetail{Profile: found}, err
}

// DeleteAccount removes the principal's user permanently. The contract requires a recent
// authentication. Errors: SessionRevoked, SuperuserLast, ServiceUnavailable.
func (s profileOperations) DeleteAccount(ctx context.Context, p Principal, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err := s.changeOwnUser(ctx, p, func(u models.User) error {
		notices := s.outbox.NewNotices(u, mail.AccountDeleted, client)
		err := s.forUser(p).Tx(ctx, func(tx *models.Tx) error { return deleteUser(tx, u, notices) })
		return resolveUnknownCommit(err, func() bool { return s.isDeleted(ctx, u.ID) })
	})
	if err != nil {
		return err
	}
	s.outbox.Wake()
	return nil
}

// changeOwnUser makes a guarded change of the principal's user, as read with the password hash.
// Errors: SessionRevoked, ServiceUnavailable.
func (s profileOperations) changeOwnUser(ctx context.Context, p Principal, change func(models.User) error) error {
	return retryAsRead(func() (models.User, error) { return s.userOf(ctx, p) }, change)
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
func (s profileOperations) ExportProfile(ctx context.Context, p Principal) (Export, error) {
	if err := s.allow(ctx, s.settings.RareActionsPerUser.ForUser(exportsOfUser, p.User.ID)); err != nil {
		return Export{}, err
	}
	return s.export(ctx, p.User, func(ctx context.Context) (UserDetail, error) { return s.readProfile(ctx, p) })
}

// export returns the data stored about a user. read returns the profile. Errors: those of read;
// ServiceUnavailable.
func (s userLookup) export(ctx context.Context, u models.User, read func(context.Context) (UserDetail, error)) (Export, error) {
	sessions, err := s.sessions.List(ctx, u)
	if err != nil {
		return Export{}, err
	}
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	user, err := read(ctx)
	if err != nil {
		return Export{}, err
	}
	events, err := s.store.Events(ctx, models.EventQuery{UserID: &u.ID, Limit: maxExportedEvents})
	return Export{At: s.now(), User: user, Sessions: sessions, Events: events}, problem.FromStore(err)
}

// ListEvents returns the newest events of the principal's user that match the query. next is the
// event before which the next page begins, or zero if there is none. Errors: ServiceUnavailable.
func (s profileOperations) ListEvents(ctx context.Context, p Principal, q models.EventQuery) (page []models.Event, next uuid.UUID, err error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	q.UserID = &p.User.ID
	return s.audit.List(ctx, q)
}

// ChangeEmail sends a link to the new address and a notice to the present one. The contract
// requires a recent authentication. The present address stays in force until the link is confirmed.
//
// Whether another user has the new address is checked when the mail is sent, and only the owner of
// that address is informed. Errors: ValidationFailed, SessionRevoked, RateLimited,
// ServiceUnavailable.
func (s profileOperations) ChangeEmail(ctx context.Context, p Principal, email string, client Client) error {
	norm, err := parseNewEmail(email)
	if err != nil {
		return err
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	limit := s.recipientLimit(mail.EmailChange, norm)
	requested := audit.Event{Kind: models.EventEmailChangeRequested, UserID: p.User.ID, SessionID: p.Session.ID, Client: client, Detail: "to " + mail.Mask(email)}
	var queued bool
	err = s.changeOwnUser(ctx, p, func(u models.User) error {
		c := s.newEmailChange(u, email, norm, client)
		err := s.forUser(p).Tx(ctx, func(tx *models.Tx) (err error) {
			if err := ratelimit.Count(tx, c.limits...); err != nil {
				return err
			}
			now, err := lockUnchanged(tx, u, isInSameEpoch)
			if err != nil {
				return err
			}
			if err := changeUser(tx, now, models.UserPatch{NewVersion: true}, requested); err != nil {
				return err
			}
			queued, err = c.start(tx, limit)
			return err
		})
		return s.limitError(err)
	})
	return s.answerMailRequest(queued, err)
}

// CancelEmailChange ends the pending change of the principal's address, also one that a staff
// member has started. It does nothing if no change is pending. Errors: SessionRevoked,
// ServiceUnavailable.
func (s profileOperations) CancelEmailChange(ctx context.Context, p Principal, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err := s.changePendingEmail(ctx, p, func(u models.User, pending models.OneTimeToken) error {
		canceled := audit.Event{Kind: models.EventEmailChangeCanceled, UserID: u.ID, SessionID: p.Session.ID, Client: client, Detail: "to " + mail.Mask(pending.Email)}
		return s.forUser(p).Tx(ctx, func(tx *models.Tx) error {
			now, err := lockUnchanged(tx, u, isInSameEpoch)
			if err != nil {
				return err
			}
			if err := changeUser(tx, now, models.UserPatch{NewVersion: true}, canceled); err != nil {
				return err
			}
			return tx.UseToken(pending)
		})
	})
	if errors.Is(err, problem.New(problem.ResourceNotFound)) {
		return nil
	}
	return err
}

// ResendEmailChange sends a new link to the pending address, which replaces the older one. Without a
// mail, because the address has had too many, the older link stays valid. The mail counts against
// the same rate limits as one of ChangeEmail, so that resending leads to no more mails. The notice to
// the present address is not repeated.
//
// A change that a staff member has started stays that staff member's: it still ends with the staff
// member's role and sessions. Errors: ResourceNotFound if no change is pending, SessionRevoked,
// RateLimited, ServiceUnavailable.
func (s profileOperations) ResendEmailChange(ctx context.Context, p Principal, client Client) error {
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	var queued bool
	err := s.changePendingEmail(ctx, p, func(u models.User, pending models.OneTimeToken) error {
		c := s.newEmailChange(u, pending.Email, pending.EmailNorm, client)
		c.token.ActorID = pending.ActorID
		limit := s.recipientLimit(mail.EmailChange, pending.EmailNorm)
		err := s.forUser(p).Tx(ctx, func(tx *models.Tx) (err error) {
			if err := ratelimit.Count(tx, c.limits...); err != nil {
				return err
			}
			if err := lockWithoutChange(tx, u, isInSameEpoch); err != nil {
				return err
			}
			queued, err = c.replace(tx, pending, limit)
			return err
		})
		return s.limitError(err)
	})
	return s.answerMailRequest(queued, err)
}

// changePendingEmail makes a guarded change of the principal's pending change of address. Errors:
// ResourceNotFound if no change is pending, SessionRevoked, ServiceUnavailable.
func (s profileOperations) changePendingEmail(ctx context.Context, p Principal, change func(models.User, models.OneTimeToken) error) error {
	return s.changeOwnUser(ctx, p, func(u models.User) error {
		pending, err := s.store.PendingEmailChange(ctx, u.ID, s.now())
		if errors.Is(err, models.ErrNotFound) {
			return problem.New(problem.ResourceNotFound)
		}
		if err != nil {
			return err
		}
		return change(u, pending)
	})
}

// ConfirmEmailChange puts the new address into force. It requires the token of the link that was
// sent to the address, and the password of the user who changes the address.
//
// The threat: a stranger starts a change of the stranger's own account to the address of a victim,
// and the victim opens the link. Without the password, that click would verify the address for the
// stranger's account. Users without a password, such as invited ones, confirm with the token alone.
//
// The token is verified first, so that a caller without one learns nothing about a user, and used
// last, so that a wrong password does not use it up. Wrong passwords count per user and not per
// link, so that many links do not permit more guesses.
//
// Errors: LinkInvalid (also if another user has the address by now), ValidationFailed (required,
// password_wrong), RateLimited, ServiceUnavailable.
func (s profileOperations) ConfirmEmailChange(ctx context.Context, value, password string, client Client) error {
	t, u, err := s.findEmailChange(ctx, value)
	if err != nil {
		return err
	}
	if err := s.confirmByPassword(ctx, u, password, client); err != nil {
		return err
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err = s.setEmail(ctx, t, u, client)
	switch {
	case errors.Is(err, models.ErrConflict):
		return problem.New(problem.LinkInvalid)
	case errors.Is(err, models.ErrNotFound):
		return s.explainLinkConflict(ctx, value)
	}
	return problem.FromStore(err)
}
