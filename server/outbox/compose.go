package outbox

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// errNoSecret is the error of a mail whose link was made with a secret that the operator has
// removed.
var errNoSecret = errors.New("the secret that its link was made with is no longer configured")

// compose returns the message of a queued mail. It determines the recipient and the content now,
// not when the mail was requested. Errors: models.ErrNotFound if there is no recipient or the mail
// has lost its purpose; errNoSecret.
func (o *Outbox) compose(ctx context.Context, m models.Mail) (mail.Message, error) {
	message := mail.Message{
		Kind: mail.Kind(m.Kind), To: m.Email, Locale: m.Locale, Name: m.Name, NewEmail: m.NewEmail,
		ID: m.PublicID(), Date: m.CreatedAt, ValidFor: m.ExpiresAt.Sub(m.CreatedAt),
	}
	switch message.Kind {
	case Resend:
		return o.composeResend(ctx, m, message)
	case mail.Verify, mail.EmailChange:
		return o.composeToNewAddress(ctx, m, message)
	case mail.Reset, mail.Invitation:
		return o.composeReset(ctx, m, message)
	case mail.PasswordChanged, mail.EmailChangeNotice, mail.AlreadyRegistered:
		message.Link, message.ValidFor = pageURL(o.Reset.Page, "", message.Locale), 0
	case mail.EmailChanged, mail.AccountDeleted, mail.Test: // no link
	}
	return message, nil
}

// composeResend sends the mail of the newest registration that waits for verification again.
func (o *Outbox) composeResend(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	registration, err := o.Store.PendingRegistration(ctx, m.EmailNorm, o.Now())
	if err != nil {
		return message, err
	}
	m.TokenID, m.UserID = &registration.ID, registration.UserID
	message.Kind, message.To = mail.Verify, registration.Email
	return o.composeToNewAddress(ctx, m, message)
}

// composeToNewAddress returns the mail whose link proves that the reader owns the address. If a user
// other than the mail's has the address by now, the message instead informs that user, with the
// name, language and spelling of the account, and contains nothing that a stranger typed.
func (o *Outbox) composeToNewAddress(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	owner, err := o.Store.UserByEmail(ctx, m.EmailNorm)
	switch {
	case err == nil && owner.ID != m.UserID:
		message.Kind, message.Link = mail.AlreadyRegistered, pageURL(o.Reset.Page, "", owner.Locale)
		message.To, message.Name, message.Locale, message.ValidFor = owner.Email, verifiedName(owner), owner.Locale, 0
		return message, nil
	case err != nil && !errors.Is(err, models.ErrNotFound):
		return message, err
	case m.TokenID == nil: // the user who had the address does not have it anymore
		return message, models.ErrNotFound
	}
	message.Name = "" // the address is not verified until the link is used
	return o.addLink(ctx, message, *m.TokenID)
}

// addLink adds the link and how long it is valid. A link can expire before its mail does: a
// registration may have waited for a while when its mail is sent again. The link's host comes from
// the configuration alone: an attacker could otherwise use a Host header to have the owner's link
// lead to the attacker's host. Errors: models.ErrNotFound if the token is no longer open;
// errNoSecret.
func (o *Outbox) addLink(ctx context.Context, message mail.Message, id uuid.UUID) (mail.Message, error) {
	k := o.kinds[string(message.Kind)]
	t, err := o.Store.TokenByID(ctx, k.purpose, id)
	if err != nil {
		return message, err
	}
	if t.UsedAt != nil || !o.Now().Before(t.ExpiresAt) {
		return message, models.ErrNotFound
	}
	for _, value := range o.Ring.OneTimes(id) {
		if bytes.Equal(HashOf(value), t.Hash) {
			message.Link, message.ValidFor = pageURL(k.page, value, message.Locale), t.ExpiresAt.Sub(message.Date)
			return message, nil
		}
	}
	return message, errNoSecret
}

// pageURL returns the URL of a page with the token and the language behind the #: browsers do not
// send that part to a server, nor in a Referer header. The language is that of the mail; a language
// that a stranger typed does not get into the link.
func pageURL(page, token, locale string) string {
	var parameters []string
	if token != "" {
		parameters = append(parameters, "token="+token)
	}
	if locale != "" {
		parameters = append(parameters, "lang="+mail.Language(locale))
	}
	if parameters == nil {
		return page
	}
	return page + "#" + strings.Join(parameters, "&")
}
