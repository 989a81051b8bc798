package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/outbox"
	"example.com/accounts/server/problem"
)

// linkTokens requests mails with links, and finds the tokens of links.
type linkTokens struct{ *core }

// requestLink queues a mail with a link that anyone can request for an address. Errors:
// ValidationFailed, RateLimited, ServiceUnavailable.
func (s linkTokens) requestLink(ctx context.Context, kind mail.Kind, email string, client Client) error {
	if err := s.outbox.CheckBacklog(ctx, kind); err != nil {
		return err
	}
	norm, err := parseEmail(email)
	if err != nil {
		return err
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	if err := s.allow(ctx, s.settings.RegistrationsPerClient.ForClient(string(kind), client.Network())...); err != nil {
		return err
	}
	m := s.outbox.NewRequest(kind, email, norm, client)
	return s.answerMailRequest(s.outbox.QueueAlone(ctx, m, s.recipientLimit(kind, norm)))
}

// findOpenToken returns the token that has the value and can still be used. Errors: LinkInvalid,
// ServiceUnavailable.
func (s linkTokens) findOpenToken(ctx context.Context, purpose, value string) (models.OneTimeToken, error) {
	t, err := s.findToken(ctx, purpose, value)
	if err == nil && t.UsedAt != nil {
		return t, problem.New(problem.LinkInvalid)
	}
	return t, err
}

// findToken returns the token that has the value, even if it has been used. Errors: LinkInvalid,
// ServiceUnavailable.
//
// A matching hash is not enough: an attacker who has a leaked secret and the id of a row can
// compute the value of its link. A value counts only if a secret of the present key ring derives
// it, so that removing a secret invalidates its links.
func (s linkTokens) findToken(ctx context.Context, purpose, value string) (models.OneTimeToken, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	t, err := s.store.Token(ctx, purpose, outbox.HashOf(value))
	if errors.Is(err, models.ErrNotFound) || err == nil && !s.now().Before(t.ExpiresAt) {
		return t, problem.New(problem.LinkInvalid)
	}
	if err == nil && !slices.Contains(s.ring.OneTimes(t.ID), value) {
		return t, problem.New(problem.LinkInvalid)
	}
	return t, problem.FromStore(err)
}

// isUsedAt reports whether a token was used at that instant, and so by the transaction of that
// instant.
func (s linkTokens) isUsedAt(ctx context.Context, t models.OneTimeToken, at time.Time) bool {
	found, err := s.store.TokenByID(ctx, t.Purpose, t.ID)
	return err == nil && found.UsedAt != nil && found.UsedAt.Equal(at)
}
