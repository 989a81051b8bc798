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

// passwordOperations implements the operations of the tag password.
type passwordOperations struct {
	*core
	userLookup
	passwordChecks
	linkTokens
}

// userOf reads the principal's user with the password hash. Errors: SessionRevoked,
// ServiceUnavailable.
func (s userLookup) userOf(ctx context.Context, p Principal) (models.User, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	u, err := s.store.UserByID(ctx, p.User.ID)
	if errors.Is(err, models.ErrNotFound) || err == nil && (u.SessionEpoch != p.User.SessionEpoch || !u.IsActive) {
		return u, problem.New(problem.SessionRevoked)
	}
	return u, problem.FromStore(err)
}

// explainConflict returns the error of a change whose user has changed since the password was
// verified. If the session is still live, the client can repeat the request. Errors: SessionRevoked,
// ServiceUnavailable.
func (s userLookup) explainConflict(ctx context.Context, p Principal) error {
	if _, err := s.userOf(ctx, p); err != nil {
		return err
	}
	return problem.Unavailable(errUserChanged)
}

var errUserChanged = errors.New("the user was changed by another request at the same time")

// ChangePassword sets the password, revokes every session and every open link of the principal's
// user, and begins a new session in the same transport. No earlier token works any more. Errors:
// ValidationFailed, SessionRevoked, RateLimited, ServiceUnavailable.
func (s passwordOperations) ChangePassword(ctx context.Context, p Principal, current, next string, client Client) (Tokens, models.User, error) {
	u, err := s.confirmPassword(ctx, p, "current_password", current, client)
	if err != nil && !isFieldFault(err) {
		return Tokens{}, u, err
	}
	if err := problem.Join(err, onField("new_password", s.checkNewPassword(next, u))); err != nil {
		return Tokens{}, u, err
	}
	// Each change begins a session and sends a mail to the user's address, which may be a mailing
	// list's or a stranger's.
	changes := s.settings.RareActionsPerUser.ForUser(passwordChangesOfUser, u.ID)
	if err := s.allow(ctx, changes); err != nil {
		return Tokens{}, u, err
	}
	hash, err := s.hashPassword(ctx, client.Network(), next)
	if err != nil {
		return Tokens{}, u, s.refundUnlessDecided(ctx, hashError(err), changes)
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	after := u
	after.SessionEpoch++
	session, err := s.replacePassword(ctx, p, u, hash, sessions.NewSession{ID: sessions.NewID(), User: after, Transport: p.Transport(), Client: client})
	if err != nil {
		return Tokens{}, u, s.refundUnlessDecided(ctx, err, changes)
	}
	s.outbox.Wake()
	t, err := s.sessions.FirstTokens(session)
	return t, after, err
}

// replacePassword sets the new password and begins the session that replaces the user's other
// sessions. u is the user as read when the current password was verified. Errors: SessionRevoked,
// ServiceUnavailable.
func (s passwordOperations) replacePassword(ctx context.Context, p Principal, u models.User, hash models.PasswordHash, n sessions.NewSession) (session models.Session, err error) {
	notices := s.outbox.NewNotices(u, mail.PasswordChanged, n.Client)
	changed := audit.Event{Kind: models.EventPasswordChanged, UserID: u.ID, SessionID: p.Session.ID, Client: n.Client}
	err = s.forUser(p).Tx(ctx, func(tx *models.Tx) error {
		return runUntilError(
			func() error {
				now, err := lockUnchanged(tx, u, isInSameEpoch)
				if err != nil {
					return err
				}
				return changeUser(tx, now, models.UserPatch{Password: &hash}, changed)
			},
			func() (err error) {
				session, err = s.sessions.Add(tx, n)
				return err
			},
			func() error { return tx.AddMails(notices...) },
		)
	})
	if errors.Is(err, models.ErrNotFound) {
		return session, s.explainConflict(ctx, p)
	}
	return session, problem.FromStore(resolveUnknownCommit(err, func() bool { return s.hasSession(ctx, n.ID) }))
}

// hasSession reports whether the session's row exists.
func (s passwordOperations) hasSession(ctx context.Context, id uuid.UUID) bool {
	_, err := s.store.Session(ctx, id)
	return err == nil
}

// RequestPasswordReset queues a mail with a link to set a new password. Whether the address has an
// account is checked when the mail is sent: the request does the same for every address, and so
// takes the same time. Errors: ValidationFailed, RateLimited, ServiceUnavailable.
func (s passwordOperations) RequestPasswordReset(ctx context.Context, email string, client Client) error {
	return s.requestLink(ctx, mail.Reset, email, client)
}

// ConfirmPasswordReset sets a new password with the token of a reset mail, which works once. It revokes
// every session and every other open link of the user, and does not sign in. Errors: LinkInvalid,
// ValidationFailed, RateLimited, ServiceUnavailable.
func (s passwordOperations) ConfirmPasswordReset(ctx context.Context, value, password string, client Client) error {
	if s.hasher.IsFull(client.Network()) {
		return hashError(credentials.ErrBusy)
	}
	t, u, err := s.findReset(ctx, value)
	if err != nil {
		return err
	}
	if err := onField("new_password", s.checkNewPassword(password, u)); err != nil {
		return err
	}
	hash, err := s.hashPassword(ctx, client.Network(), password)
	if err != nil {
		return hashError(err)
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	err = retryAsRead(func() (_ models.User, err error) {
		t, u, err = s.findReset(ctx, value)
		return u, err
	}, func(models.User) (err error) {
		u, err = s.resetPassword(ctx, t, hash, client)
		return err
	})
	if err != nil {
		return err
	}
	s.addKnownNetwork(ctx, u, client, time.Time{})
	s.outbox.Wake()
	return nil
}

// findReset returns the open token of a reset and its user. Errors: LinkInvalid,
// ServiceUnavailable.
func (s passwordOperations) findReset(ctx context.Context, value string) (models.OneTimeToken, models.User, error) {
	t, err := s.findOpenToken(ctx, models.PurposeReset, value)
	if err != nil {
		return t, models.User{}, err
	}
	u, err := s.store.UserByID(ctx, t.UserID)
	if errors.Is(err, models.ErrNotFound) || err == nil && (!u.IsActive || u.EmailNorm != t.EmailNorm) {
		return t, u, problem.New(problem.LinkInvalid)
	}
	return t, u, problem.FromStore(err)
}

// resetPassword uses the token of a reset, sets the password, revokes every session and ends every
// other link of the user, and returns the user after the reset. The user is read in the transaction:
// neither a change of the profile nor a revocation of sessions, which a thief with a stolen session
// can make in a loop, may keep the owner from the reset. Errors: models.ErrNotFound if the token has
// been used, or the user is inactive or has another address.
func (s passwordOperations) resetPassword(ctx context.Context, t models.OneTimeToken, hash models.PasswordHash, client Client) (after models.User, err error) {
	var at time.Time
	err = s.store.Tx(ctx, func(tx *models.Tx) error {
		at = tx.Now()
		if err := tx.UseToken(t); err != nil {
			return err
		}
		u, err := tx.ReadUserForUpdate(t.UserID)
		if err != nil {
			return err
		}
		if !u.IsActive || u.EmailNorm != t.EmailNorm {
			return models.ErrNotFound
		}
		after, err = s.recoverAccount(tx, u, hash, client)
		return err
	})
	return after, resolveUnknownCommit(err, func() bool { return s.isUsedAt(ctx, t, at) })
}

// recoverAccount hands an account to the owner of its mailbox, who has chosen a new password. It also
// resets the rate limits of the user's logins, so that the user can log in although an attacker has
// exhausted them.
func (s passwordOperations) recoverAccount(tx *models.Tx, u models.User, hash models.PasswordHash, client Client) (models.User, error) {
	patch, after := s.resetPatch(u, hash)
	var forgotten []string // a stranger's network must not help to guess the owner's password
	if patch.Username != nil {
		forgotten = []string{u.EmailNorm}
	}
	limits := append(ownRateLimits(u), networkRateLimits(u, client)...)
	notice := s.outbox.NewMailTo(after, mail.PasswordChanged, client)
	return after, runUntilError(
		func() error {
			return changeUser(tx, u, patch, audit.Event{Kind: models.EventPasswordReset, UserID: u.ID, Client: client})
		},
		func() error { return tx.ForgetNetworks(forgotten...) },
		func() error { return tx.EndTokens(models.TokenFilter{UserID: u.ID}) }, // also the links that verify the address
		func() error { return tx.ResetRateLimits(limits...) },
		func() error { return tx.AddMails(notice) },
	)
}

// resetPatch returns what a reset changes of a user, and the user with the changed names. The link
// proves that the user owns the mailbox, so the address becomes verified.
//
// Where verification is optional, a stranger can have registered with the owner's address. A reset
// that verifies the address for the first time hands that account to the owner, so it clears what
// the stranger typed: the names and the language, and the username, which a generated one replaces.
// The owner can choose the old username again. Data of invited and imported users stays, because it
// was entered by staff or in Django.
func (s passwordOperations) resetPatch(u models.User, hash models.PasswordHash) (p models.UserPatch, after models.User) {
	after = u
	if u.EmailVerifiedAt == nil {
		if u.ImportedEpoch == nil && u.Password != "" {
			p, after = blankProfile(u)
		}
		now := s.now()
		p.EmailVerifiedAt = &now
	}
	p.Password = &hash
	return p, after
}
