package accounts

import (
	"context"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/problem"
)

// SendMails sends the mails that are due until ctx ends; see [outbox.Outbox.Send].
func (s systemOperations) SendMails(ctx context.Context, sender mail.Sender, report func(outbox.Fault)) {
	s.outbox.Send(ctx, sender, report)
}

// recipientLimit returns the rate limit of mails that anyone can request for an address, which may
// be another person's mailbox. If the limit is exceeded, the request is answered as usual, and no
// mail is queued.
//
// Resets and resends each have a limit of their own. Otherwise an attacker who signs up with the
// owner's address again and again would keep the owner from a password reset, and an attacker who
// requests resends for a registration that does not exist would keep the owner from signing up.
// Notices have no limit here: the changes of the password or the address that cause them are
// limited.
func (s linkTokens) recipientLimit(kind mail.Kind, emailNorm string) models.RateLimitUse {
	group := "register"
	if kind == mail.Reset || kind == outbox.Resend {
		group = string(kind)
	}
	return s.settings.MailsPerRecipient.For(mailsTo+group, emailNorm)
}

// answerMailRequest returns the error that answers a request for a mail. The answer does not reveal
// queued, which is false if a rate limit prevented the mail.
func (s linkTokens) answerMailRequest(queued bool, err error) error {
	if err != nil {
		return problem.FromStore(err)
	}
	if !queued {
		s.count(metrics.RateLimited)
	}
	s.outbox.Wake()
	return nil
}
