package accounts

import (
	"context"
	"errors"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// emailChange is a change of a user's address that the new mailbox must confirm.
type emailChange struct {
	token   models.OneTimeToken
	link    models.Mail           // to the new address
	notices []models.Mail         // to the present address
	limits  []models.RateLimitUse // the limits that the change counts against
}

// newEmailChange prepares a change of a user's address: a link to the new address, and a notice to
// the present one. Such changes are limited, because each new address may be a stranger's mailbox
// and each change also sends a notice. The caller adds the limits of mails to the new address.
func (s linkTokens) newEmailChange(u models.User, email, norm string, client Client) emailChange {
	link := s.outbox.NewMailTo(u, mail.EmailChange, client)
	link.Email, link.EmailNorm = email, norm
	t := s.outbox.NewToken(models.PurposeEmailChange, link)
	t.UserID, t.Email, t.EmailNorm = u.ID, email, norm
	link.TokenID = &t.ID
	notices := s.outbox.NewNotices(u, mail.EmailChangeNotice, client)
	for i := range notices {
		notices[i].NewEmail = email
	}
	limit := ratelimit.Limit{N: s.settings.MailsPerRecipient.N, Per: s.settings.MailsPerRecipient.Per}
	return emailChange{token: t, link: link, notices: notices, limits: []models.RateLimitUse{limit.ForUser(emailChangesOfUser, u.ID)}}
}

// start stores the change, which ends the user's older ones, and queues the mails. It reports
// whether it queued the link. If the limit of mails to the new address is exceeded, it does not,
// and the link of an earlier change to the same address stays valid. That is no error: the user
// must not learn that others have requested mails to that address.
func (c emailChange) start(tx *models.Tx, limit models.RateLimitUse) (queued bool, err error) {
	if queued, err = outbox.QueueWithin(tx, c.link, limit); err != nil {
		return false, err
	}
	kept := ""
	if !queued {
		if kept, err = c.pendingAddress(tx); err != nil {
			return false, err
		}
	}
	if err := tx.EndTokens(models.TokenFilter{UserID: c.token.UserID, Purpose: models.PurposeEmailChange, ExceptEmailNorm: kept}); err != nil {
		return false, err
	}
	if kept == "" {
		if err := c.addToken(tx); err != nil {
			return false, err
		}
	}
	return queued, tx.AddMails(c.notices...)
}

// addToken stores the token of the link, and at the user until when it is pending.
func (c emailChange) addToken(tx *models.Tx) error {
	if err := tx.SetEmailChangeUntil(c.token.UserID, c.token.ExpiresAt); err != nil {
		return err
	}
	return tx.AddToken(c.token)
}

// pendingAddress returns the new address if a change to it is pending already, and else "".
func (c emailChange) pendingAddress(tx *models.Tx) (string, error) {
	started, err := tx.UserTokens(c.token.UserID, models.PurposeEmailChange)
	for _, t := range started {
		if t.EmailNorm == c.token.EmailNorm && t.UsedAt == nil && tx.Now().Before(t.ExpiresAt) {
			return t.EmailNorm, nil
		}
	}
	return "", err
}

// replace replaces the link of a pending change and queues its mail. If the limit of mails to the
// address is exceeded, it returns false and the pending link stays valid.
//
// It also writes the row of the pending link. If the staff member who started the change is removed
// at the same time, the removal either ends the pending link first, or waits for this transaction and
// finds the new one. Errors: models.ErrNotFound if the pending link is used or expired.
func (c emailChange) replace(tx *models.Tx, pending models.OneTimeToken, limit models.RateLimitUse) (queued bool, err error) {
	if queued, err = outbox.QueueWithin(tx, c.link, limit); err != nil || !queued {
		return false, err
	}
	if err := tx.UseToken(pending); err != nil {
		return false, err
	}
	return true, c.addToken(tx)
}

// findEmailChange returns the open token of a change of address and its user. Errors: LinkInvalid,
// ServiceUnavailable.
func (s profileOperations) findEmailChange(ctx context.Context, value string) (models.OneTimeToken, models.User, error) {
	t, err := s.findOpenToken(ctx, models.PurposeEmailChange, value)
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
func (s profileOperations) confirmByPassword(ctx context.Context, u models.User, password string, client Client) error {
	if u.Password == "" {
		return nil
	}
	entered := ownPassword{limit: wrongPasswordsOfLink, field: "password", value: password, event: audit.Event{UserID: u.ID, Client: client, Detail: "with the link of an email change"}}
	return s.verifyOwnPassword(ctx, u, entered, client)
}

// setEmail puts the address of a link into force. It locks the user before the token, in the same
// order as the other changes of an address. Errors: models.ErrNotFound if the token is used or
// expired, or if the password that was verified for u is no longer the user's; models.ErrConflict if
// another user has the address.
func (s profileOperations) setEmail(ctx context.Context, t models.OneTimeToken, u models.User, client Client) error {
	var at time.Time
	changed := audit.Event{Kind: models.EventEmailChanged, UserID: u.ID, Client: client, Detail: "to " + mail.Mask(t.Email)}
	err := s.store.Tx(ctx, func(tx *models.Tx) error {
		at = tx.Now()
		locked, err := tx.ReadUserForUpdate(u.ID)
		if err != nil {
			return err
		}
		if locked.SessionEpoch != u.SessionEpoch || !locked.IsActive { // each new password changes the epoch
			return models.ErrNotFound
		}
		if err := tx.UseToken(t); err != nil {
			return err
		}
		return changeUser(tx, locked, models.UserPatch{Email: &t.Email, EmailNorm: &t.EmailNorm, EmailVerifiedAt: &at}, changed)
	})
	return resolveUnknownCommit(err, func() bool { return s.isUsedAt(ctx, t, at) })
}

// explainLinkConflict returns the error of a confirmation whose user or token has changed since the
// password was verified. If the link is still open, the client can repeat the request. Errors:
// LinkInvalid, ServiceUnavailable.
func (s profileOperations) explainLinkConflict(ctx context.Context, value string) error {
	if _, _, err := s.findEmailChange(ctx, value); err != nil {
		return err
	}
	return problem.Unavailable(errUserChanged)
}
