package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// composeReset returns the mail of a reset or an invitation. It creates the token when the mail is
// sent, with the mail's own id, so that a mail that is sent twice has the same link. Errors:
// models.ErrNotFound if the address has no active user; those of addResetToken.
func (o *Outbox) composeReset(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	u, err := o.Store.UserByEmail(ctx, m.EmailNorm)
	if err == nil && !u.IsActive {
		err = models.ErrNotFound
	}
	if err != nil {
		return message, err
	}
	t := o.NewToken(models.PurposeReset, m)
	t.UserID, t.Email, t.EmailNorm = u.ID, u.Email, u.EmailNorm
	if err := o.Store.Tx(ctx, func(tx *models.Tx) error { return addResetToken(tx, u, t) }); err != nil {
		return message, err
	}
	message.To, message.Name = u.Email, verifiedName(u)
	if u.Locale != "" {
		message.Locale = u.Locale
	}
	return o.addLink(ctx, message, t.ID)
}

// addResetToken stores the token of a reset, whose id is that of its mail. The newest request
// invalidates the user's older tokens, also if they are stored later, because mails may be
// delivered out of order. The token is stored once.
//
// It locks the user, so that two workers store two tokens one after the other. It also checks that
// the mail is still queued: a link must not be created after the event that ended all links. If the
// user was invited and has no password yet, the token lives at least as long as the open invitation
// that it replaces. Errors: models.ErrConflict if the user has changed since u was read, so that the
// next attempt reads the user again; models.ErrNotFound if the mail has been dropped.
//
// A change of the profile does not matter: a thief with a stolen session could otherwise keep the
// reset from the owner by changes in a loop.
func addResetToken(tx *models.Tx, u models.User, t models.OneTimeToken) error {
	now, err := tx.ReadUserForUpdate(u.ID)
	if errors.Is(err, models.ErrNotFound) || err == nil && !isSameRecipient(u, now) {
		return models.ErrConflict
	}
	if err != nil {
		return err
	}
	if err := tx.LockUserAsRead(now); err != nil { // changes the row, which a cluster certifies
		return err
	}
	queued, err := tx.QueuedMails(u.EmailNorm, linksOnDelivery()...)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(queued, func(m models.Mail) bool { return m.ID == t.ID }) {
		return models.ErrNotFound
	}
	stored, err := tx.UserTokens(u.ID, t.Purpose)
	if err != nil || slices.ContainsFunc(stored, func(each models.OneTimeToken) bool { return each.ID == t.ID }) {
		return err
	}
	if u.Password == "" {
		t.ExpiresAt = invitationEnd(t, stored, queued)
	}
	return replaceTokens(tx, t, stored)
}

// invitationEnd returns the expiry of a reset token that replaces the link of an invitation. The
// token does not expire before that link would have. Otherwise a stranger who requests a reset for
// the address of an invited user would leave the user an hour instead of days. The invitation may
// still wait in the outbox, without a token.
func invitationEnd(t models.OneTimeToken, stored []models.OneTimeToken, queued []models.Mail) time.Time {
	end := t.ExpiresAt
	for _, each := range stored {
		if each.UsedAt == nil && each.ExpiresAt.After(end) {
			end = each.ExpiresAt
		}
	}
	for _, m := range queued {
		if m.Kind == string(mail.Invitation) && m.ExpiresAt.After(end) {
			end = m.ExpiresAt
		}
	}
	return end
}

// replaceTokens stores t and ends the older tokens of the same user. If one of them is newer, t is
// the one that is ended.
func replaceTokens(tx *models.Tx, t models.OneTimeToken, stored []models.OneTimeToken) error {
	for _, each := range stored {
		switch {
		case each.CreatedAt.After(t.CreatedAt):
			t.UsedAt = &t.CreatedAt
		case each.UsedAt == nil && tx.Now().Before(each.ExpiresAt):
			// ErrNotFound: the token has been used since it was read.
			if err := tx.UseToken(each); err != nil && !errors.Is(err, models.ErrNotFound) {
				return err
			}
		}
	}
	return tx.AddToken(t)
}

// isSameRecipient reports whether the mail of a reset still reaches the owner of the account, and no
// event has ended the links of the user since.
func isSameRecipient(before, now models.User) bool {
	return before.SessionEpoch == now.SessionEpoch && before.EmailNorm == now.EmailNorm && before.IsActive == now.IsActive
}
