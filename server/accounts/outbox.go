package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/language"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
)

// resend is a request in the outbox, which becomes a mail of another kind when it is sent.
const resend mail.Kind = "resend"

const (
	mailLease   = time.Minute      // longer than a sender may take
	mailPoll    = 2 * time.Second  // how soon a worker sees what another replica queued
	noticeLife  = 72 * time.Hour   // a notice that late helps nobody
	firstRetry  = 5 * time.Second  // then twice as long each time
	lastRetry   = 15 * time.Minute // but not longer than this
	keepMail    = 7 * 24 * time.Hour
	mailTime    = 30 * time.Second // bound on one delivery
	sendAtOnce  = 100
	noMailPause = 10 * time.Second // after an error of the database
)

// newMail shapes a mail. Its language is the caller's, until a user is known.
func (s *Service) newMail(kind mail.Kind, life time.Duration, client Client) models.Mail {
	now := s.now()
	return models.Mail{ID: models.ID(uuid.Must(uuid.NewV7())), Kind: string(kind), Locale: locale(client.AcceptLanguage),
		CreatedAt: now, NextAt: now, ExpiresAt: now.Add(life)}
}

// mailTo shapes a mail to a user's present address.
func (s *Service) mailTo(u models.User, kind mail.Kind, client Client) models.Mail {
	m := s.newMail(kind, noticeLife, client)
	m.UserID, m.Email, m.EmailNorm, m.Name = u.ID, u.Email, u.EmailNorm, u.FirstName
	if u.Locale != "" {
		m.Locale = u.Locale
	}
	return m
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Korean})

// locale picks the language of a mail from Accept-Language.
func locale(accept string) string {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return "en"
	}
	_, index, _ := languages.Match(tags...)
	return []string{"en", "ko"}[index]
}

// mailAllowed bounds the mails that anybody can have sent to an address: it is somebody's mailbox. The answer to the
// request is the same without a mail.
func (s *Service) mailAllowed(ctx context.Context, emailNorm string) (bool, error) {
	budget := s.settings.MailsPerRecipient
	if budget == 0 {
		return true, nil
	}
	n, newest, err := s.store.MailsTo(ctx, emailNorm, s.now().Add(-s.settings.MailBudgetPer))
	if err != nil {
		return false, err
	}
	return n < budget && s.now().Sub(newest) >= s.settings.MailPause, nil
}

// wakeMail tells this process's worker that there is something to send.
func (s *Service) wakeMail() {
	select {
	case s.mailWake <- struct{}{}:
	default:
	}
}

// SendMails is the mail worker: it sends what is due until ctx ends. Every replica runs one; a mail is sent by one of
// them, and by another one if that dies. report is told what went wrong; given up
// means that it will not be tried again.
func (s *Service) SendMails(ctx context.Context, sender mail.Sender, report func(m models.Mail, givenUp bool, err error)) {
	for {
		pause := mailPoll
		for range sendAtOnce {
			err := s.sendNext(ctx, sender, report)
			if errors.Is(err, models.ErrNotFound) {
				break
			}
			if err != nil {
				pause = noMailPause
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.mailWake:
		case <-time.After(pause):
		}
	}
}

// sendNext sends one mail that is due. ErrNotFound: there is none.
func (s *Service) sendNext(ctx context.Context, sender mail.Sender, report func(models.Mail, bool, error)) error {
	m, err := s.store.ClaimMail(ctx, s.now(), mailLease)
	if err != nil {
		return err
	}
	outcome, err := s.deliver(ctx, m, sender)
	// What was sent must be noted even if the process is told to stop meanwhile, or it is sent again.
	ctx, cancel := deadline(ctx)
	defer cancel()
	if err != nil {
		report(m, outcome != "", err)
	}
	if outcome == "" {
		s.observe("mail_retried")
		return s.store.RetryMail(ctx, m, s.now().Add(backOff(m.Attempts)))
	}
	s.observe("mail_" + outcome)
	return s.store.FinishMail(ctx, m, s.now(), outcome)
}

func backOff(attempts int) time.Duration {
	return min(firstRetry<<min(attempts-1, 10), lastRetry)
}

// deliver sends a mail. Without an outcome it is to be tried again. An error beside an outcome is for people.
func (s *Service) deliver(ctx context.Context, m models.Mail, sender mail.Sender) (string, error) {
	if !s.now().Before(m.ExpiresAt) {
		return models.MailExpired, errors.New("it could not be sent before it expired")
	}
	// A dialogue that is broken off when the process is told to stop may have delivered the mail already, and another
	// replica would send it again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mailTime)
	defer cancel()
	message, err := s.compose(ctx, m)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return models.MailDropped, nil
	case err != nil:
		return "", err
	}
	message.To = mailbox(message.To)
	err = sender.Send(ctx, message)
	switch {
	case errors.Is(err, mail.ErrPermanent):
		return models.MailRefused, err
	case err != nil:
		return "", err
	}
	return models.MailSent, nil
}

// compose makes the message of a queued mail: who it is for and what it says is decided now, not when it was asked
// for. ErrNotFound: there is nobody to tell, or nothing any more.
func (s *Service) compose(ctx context.Context, m models.Mail) (mail.Message, error) {
	message := mail.Message{Kind: mail.Kind(m.Kind), To: m.Email, Locale: m.Locale, Name: m.Name, NewEmail: m.NewEmail, ID: m.ID.String(),
		Date: m.CreatedAt, ValidFor: m.ExpiresAt.Sub(m.CreatedAt)}
	switch message.Kind {
	case mail.Verify:
		return s.composeVerify(ctx, m, message)
	case resend:
		t, err := s.store.PendingRegistration(ctx, m.EmailNorm, s.now())
		if err != nil {
			return message, err
		}
		m.TokenID, m.UserID, message.Kind, message.To, message.Name = &t.ID, t.UserID, mail.Verify, t.Email, t.FirstName
		return s.composeVerify(ctx, m, message)
	case mail.Reset:
		return s.composeReset(ctx, m, message)
	case mail.EmailChange:
		if known, err := s.known(ctx, m.EmailNorm, m.UserID); err != nil || known {
			message.Kind = mail.AlreadyRegistered
			return message, err
		}
		return s.withLink(ctx, message, models.PurposeEmailChange, s.settings.EmailChangeURL, *m.TokenID)
	case mail.PasswordChanged, mail.EmailChangeNotice, mail.AlreadyRegistered, mail.AccountDeleted: // nothing to look up
	}
	return message, nil
}

// composeVerify: the owner of an address that has an account hears that, and gets no link.
func (s *Service) composeVerify(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	if known, err := s.known(ctx, m.EmailNorm, m.UserID); err != nil || known || m.TokenID == nil {
		message.Kind = mail.AlreadyRegistered
		return message, err
	}
	return s.withLink(ctx, message, models.PurposeVerify, s.settings.VerifyURL, *m.TokenID)
}

// known says whether somebody else than the user has the address.
func (s *Service) known(ctx context.Context, emailNorm string, userID int64) (bool, error) {
	u, err := s.store.UserByEmail(ctx, emailNorm)
	if errors.Is(err, models.ErrNotFound) {
		return false, nil
	}
	return u.ID != userID, err
}

// composeReset makes the token now, under the mail's own id: sent twice, it is the same link.
func (s *Service) composeReset(ctx context.Context, m models.Mail, message mail.Message) (mail.Message, error) {
	u, err := s.store.UserByEmail(ctx, m.EmailNorm)
	if err != nil {
		return message, err
	}
	if !u.IsActive {
		return message, models.ErrNotFound
	}
	t := s.oneTime(uuid.UUID(m.ID), models.PurposeReset, m.CreatedAt, s.settings.ResetTTL)
	t.UserID, t.Email, t.EmailNorm = u.ID, u.Email, u.EmailNorm
	if err := s.store.AddResetToken(ctx, t); err != nil {
		return message, err
	}
	message.To, message.Name = u.Email, u.FirstName
	if u.Locale != "" {
		message.Locale = u.Locale
	}
	return s.withLink(ctx, message, models.PurposeReset, s.settings.ResetURL, t.ID)
}

// withLink adds the link. The token is behind a #, which browsers send to no server and put into no Referer. The
// host comes from the configuration alone: a Host header would let a stranger have the owner's link sent to himself.
// ErrNotFound: the token is no longer open.
func (s *Service) withLink(ctx context.Context, message mail.Message, purpose, page string, id models.ID) (mail.Message, error) {
	for _, value := range s.ring.OneTimes(uuid.UUID(id)) {
		t, err := s.store.Token(ctx, purpose, hashOf(value))
		if errors.Is(err, models.ErrNotFound) {
			continue // it was made under another secret of the ring
		}
		if err != nil {
			return message, err
		}
		if t.UsedAt != nil || !s.now().Before(t.ExpiresAt) {
			break
		}
		message.Link = page + "#token=" + value
		return message, nil
	}
	return message, models.ErrNotFound
}
