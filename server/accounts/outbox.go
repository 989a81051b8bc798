package accounts

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/language"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
)

// resend is a request in the outbox, which becomes a mail of another kind when it is sent.
const resend mail.Kind = "resend"

const (
	noticeLife = 72 * time.Hour // a later notice is useless
	keepMail   = 7 * 24 * time.Hour
)

// newMail prepares a mail that a stranger has requested. Its language is the caller's until a user
// is known.
func (s *Service) newMail(kind mail.Kind, life time.Duration, client Client) models.Mail {
	now := s.now()
	return models.Mail{ID: models.ID(uuid.Must(uuid.NewV7())), Kind: string(kind), Priority: requestPriority(kind),
		Locale: locale(client.AcceptLanguage), CreatedAt: now, NextAt: now, ExpiresAt: now.Add(life)}
}

// requestPriority returns the priority of a mail that a stranger has requested.
func requestPriority(kind mail.Kind) models.MailPriority {
	if kind == mail.Reset {
		return models.PriorityReset
	}
	return models.PriorityRegistration
}

// notices returns the mail that informs a user of a change, if the user has verified the address.
// An unverified address may be another person's mailbox, which notices could flood.
func (s *Service) notices(u models.User, kind mail.Kind, client Client) []models.Mail {
	if u.EmailVerifiedAt == nil {
		return nil
	}
	return []models.Mail{s.mailTo(u, kind, client)}
}

// mailTo prepares a mail to a user's present address.
func (s *Service) mailTo(u models.User, kind mail.Kind, client Client) models.Mail {
	m := s.newMail(kind, noticeLife, client)
	m.Priority = models.PriorityKnown
	m.UserID, m.Email, m.EmailNorm, m.Name = u.ID, u.Email, u.EmailNorm, provedName(u)
	if u.Locale != "" {
		m.Locale = u.Locale
	}
	return m
}

// provedName returns the name that a mail addresses the user with: the first name if the user has
// verified the address. Otherwise another person can have typed both, and the name would be a
// message to a stranger.
func provedName(u models.User) string {
	if u.EmailVerifiedAt == nil {
		return ""
	}
	return u.FirstName
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Korean})

// locale returns the language of a mail for the header Accept-Language.
func locale(accept string) string {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return "en"
	}
	_, index, _ := languages.Match(tags...)
	return []string{"en", "ko"}[index]
}

// mailBudget returns the rate limit of mails that anyone can request for an address, because it may
// be another person's mailbox. The answer to the request is the same without a mail.
//
// Resets and resends each have a limit of their own. Otherwise an attacker who signs up with the
// owner's address again and again would keep the owner from a password reset, and an attacker who
// requests resends for a registration that does not exist would keep the owner from signing up.
// Notices have no limit here: the changes of the password or the address that cause them are
// limited.
func (s *Service) mailBudget(kind mail.Kind, emailNorm string) models.RateLimitUse {
	group := "register"
	if kind == mail.Reset || kind == resend {
		group = string(kind)
	}
	return use(s.settings.MailsPerRecipient, mailsTo+group, emailNorm)
}

// queued returns the answer to a request for a mail. It is the same if a rate limit prevented the
// mail.
func (s *Service) queued(queued bool, err error) error {
	if err != nil {
		return problem.FromStore(err)
	}
	if !queued {
		s.observe("rate_limited")
	}
	s.wakeMail()
	return nil
}

// wakeMail tells the senders of this process that there may be something to send.
func (s *Service) wakeMail() {
	select {
	case s.mailWake <- struct{}{}:
	default:
	}
}

// compose returns the message of a queued mail. The recipient and the content are determined now,
// not when the mail was requested. Errors: models.ErrNotFound if there is no recipient, or nothing
// to say any more; errNoSecret.
func (s *Service) compose(ctx context.Context, m models.Mail) (mail.Message, error) {
	message := mail.Message{Kind: mail.Kind(m.Kind), To: m.Email, Locale: m.Locale, Name: m.Name, NewEmail: m.NewEmail, ID: m.PublicID(),
		Date: m.CreatedAt, ValidFor: m.ExpiresAt.Sub(m.CreatedAt)}
	switch message.Kind {
	case mail.Verify:
		return s.composeVerify(ctx, m, message)
	case resend:
		t, err := s.store.PendingRegistration(ctx, m.EmailNorm, s.now())
		if err != nil {
			return message, err
		}
		m.TokenID, m.UserID, message.Kind, message.To = &t.ID, t.UserID, mail.Verify, t.Email
		return s.composeVerify(ctx, m, message)
	case mail.Reset, mail.Invitation:
		return s.composeReset(ctx, m, message)
	case mail.EmailChange:
		return s.unlessOwned(ctx, m, message, models.PurposeEmailChange, s.settings.EmailChangeURL)
	case mail.PasswordChanged, mail.EmailChangeNotice, mail.AlreadyRegistered:
		message.Link, message.ValidFor = link(s.settings.ResetURL, "", message.Locale), 0
	case mail.EmailChanged, mail.AccountDeleted: // no link
	}
	return message, nil
}

// composeVerify returns the mail of a registration. It has the link only if no other user has the
// address.
func (s *Service) composeVerify(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	return s.unlessOwned(ctx, m, message, models.PurposeVerify, s.settings.VerifyURL)
}

// unlessOwned adds the link, unless a user other than the mail's has the address. Then the message
// instead informs that user, with the name, language and spelling of the account, and contains
// nothing that a stranger typed.
func (s *Service) unlessOwned(ctx context.Context, m models.Mail, message mail.Message, purpose, page string) (mail.Message, error) {
	owner, err := s.store.UserByEmail(ctx, m.EmailNorm)
	switch {
	case err == nil && owner.ID != m.UserID:
		message.Kind, message.Link = mail.AlreadyRegistered, link(s.settings.ResetURL, "", owner.Locale)
		message.To, message.Name, message.Locale, message.ValidFor = owner.Email, provedName(owner), owner.Locale, 0
		return message, nil
	case err != nil && !errors.Is(err, models.ErrNotFound):
		return message, err
	case m.TokenID == nil: // the user who had the address does not have it any more
		return message, models.ErrNotFound
	}
	message.Name = "" // the address is not verified until the link is used
	return s.withLink(ctx, message, purpose, page, *m.TokenID)
}

// link returns the URL of a page with the token and the language behind the #: browsers do not send
// that part to a server, nor in a Referer header. The language is that of the mail; a language that
// a stranger typed does not get into the link.
func link(page, token, locale string) string {
	var told []string
	if token != "" {
		told = append(told, "token="+token)
	}
	if locale != "" {
		told = append(told, "lang="+mail.Language(locale))
	}
	if told == nil {
		return page
	}
	return page + "#" + strings.Join(told, "&")
}

// resetUser returns the user to whom the link of a reset is sent. Errors: models.ErrNotFound if the
// address has no active user.
func (s *Service) resetUser(ctx context.Context, m models.Mail) (models.User, error) {
	u, err := s.store.UserByEmail(ctx, m.EmailNorm)
	if err == nil && !u.IsActive {
		return u, models.ErrNotFound
	}
	return u, err
}

// composeReset creates the token when the mail is sent, with the mail's own id, so that a mail that
// is sent twice has the same link.
func (s *Service) composeReset(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	u, err := s.resetUser(ctx, m)
	if err != nil {
		return message, err
	}
	t := s.newToken(uuid.UUID(m.ID), models.PurposeReset, m.CreatedAt, m.ExpiresAt.Sub(m.CreatedAt))
	t.UserID, t.Email, t.EmailNorm = u.ID, u.Email, u.EmailNorm
	if err := s.store.AddResetToken(ctx, u, t); err != nil {
		return message, err // ErrConflict: a change of the user came in between; the next attempt reads it
	}
	message.To, message.Name = u.Email, provedName(u)
	if u.Locale != "" {
		message.Locale = u.Locale
	}
	return s.withLink(ctx, message, models.PurposeReset, s.settings.ResetURL, t.ID)
}

// withLink adds the link and how long it is valid. A link can expire before its mail does: a
// registration may have waited for a while when its mail is sent again. The link's host comes from
// the configuration alone: an attacker could otherwise use a Host header to have the owner's link
// lead to the attacker's host. Errors: models.ErrNotFound if the token is no longer open;
// errNoSecret.
func (s *Service) withLink(ctx context.Context, message mail.Message, purpose, page string, id models.ID) (mail.Message, error) {
	t, err := s.store.TokenByID(ctx, purpose, id)
	if err != nil {
		return message, err
	}
	if t.UsedAt != nil || !s.now().Before(t.ExpiresAt) {
		return message, models.ErrNotFound
	}
	for _, value := range s.ring.OneTimes(uuid.UUID(id)) {
		if bytes.Equal(hashOf(value), t.Hash) {
			message.Link, message.ValidFor = link(page, value, message.Locale), t.ExpiresAt.Sub(message.Date)
			return message, nil
		}
	}
	return message, errNoSecret
}

// errNoSecret is the error if an operator removed a secret too soon.
var errNoSecret = errors.New("the secret that its link was made with is no longer configured")
