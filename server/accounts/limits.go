package accounts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// These functions give the package ratelimit the names that operations call it by.

// Limit is a [ratelimit.Limit].
type Limit = ratelimit.Limit

// requestsOf is the suffix of the kinds of limits per client.
const requestsOf = "_client"

// use is [ratelimit.Limit.For].
func use(b Limit, kind, subject string) models.RateLimitUse { return b.For(kind, subject) }

// guess is use, for uses that [Service.settleGuesses] settles.
func guess(b Limit, kind, subject string) models.RateLimitUse {
	u := b.For(kind, subject)
	u.Flight = 5 * time.Second
	return u
}

// perClient is [ratelimit.Limit.ForClient].
func perClient(b Limit, kind string, c Client) []models.RateLimitUse {
	return b.ForClient(strings.TrimSuffix(kind, requestsOf), c.Network(), c.WideNetwork())
}

// confirmation returns the uses for a guess at the token of a link.
func (s *Service) confirmation(client Client) []models.RateLimitUse {
	return perClient(s.settings.ConfirmationsPerClient, confirmOfClient, client)
}

// spend is [ratelimit.Limiter.Allow]. Errors: RateLimited, ServiceUnavailable.
func (s *Service) spend(ctx context.Context, list ...models.RateLimitUse) error {
	return s.limitError(s.limiter.Allow(ctx, list...))
}

// limited returns the contract's error for that of an exceeded limit or of the store.
func (s *Service) limited(err error) error {
	var over *models.RateLimitExceeded
	if errors.As(err, &over) {
		return s.rateLimited(over)
	}
	return s.limitError(err)
}

// refund is [ratelimit.Limiter.Refund].
func (s *Service) refund(ctx context.Context, list ...models.RateLimitUse) error {
	return problem.FromStore(s.limiter.Refund(ctx, list...))
}

// settleGuesses records that guesses, counted at the given time, turned out to be wrong.
func (s *Service) settleGuesses(ctx context.Context, counted time.Time, list ...models.RateLimitUse) {
	if list = bounded(list); len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second/2)
	defer cancel()
	_ = s.store.SettleUses(ctx, counted, list...) // the guesses are counted
}

// bounded returns the uses whose limit is switched on.
func bounded(list []models.RateLimitUse) []models.RateLimitUse {
	return slices.DeleteFunc(slices.Clone(list), func(u models.RateLimitUse) bool { return u.Limit == 0 })
}

func (s *Service) rateLimited(over *models.RateLimitExceeded) error {
	return s.limitError(&ratelimit.Exceeded{Kind: over.Kind, Until: over.Until, InFlight: over.InFlight})
}

// isOver reports whether err says that a limit of one of these kinds is exceeded.
func isOver(err error, kinds ...string) bool {
	var over *models.RateLimitExceeded
	return ratelimit.IsExceeded(err, kinds...) || errors.As(err, &over) && slices.Contains(kinds, over.Kind)
}
