package accounts

import (
	"context"

	"example.com/accounts/models"
	"example.com/accounts/server/ratelimit"
)

// clientLimit is a rate limit per client, with the kind that it is counted by.
type clientLimit struct {
	kind string
	of   func(Limits) ratelimit.Limit
}

// clientLimits are the rate limits that the contract declares for whole operations (x-rate-limit).
// The other limits per client depend on what an operation finds, so the operations count them.
var clientLimits = map[string]clientLimit{
	"confirmations_per_client": {confirmOfClient, func(l Limits) ratelimit.Limit { return l.ConfirmationsPerClient }},
}

// IsClientLimit reports whether the contract may declare a rate limit with this name for an
// operation.
func IsClientLimit(name string) bool {
	_, known := clientLimits[name]
	return known
}

// LimitClient calls an operation within the client's rate limits with these names. It counts the
// request before the call, and refunds it if the operation returns ServiceUnavailable, because the
// request could then not be carried out. Errors: RateLimited, ServiceUnavailable, those of the
// operation.
func (s systemOperations) LimitClient(ctx context.Context, names []string, c Client, operation func() error) error {
	var uses []models.RateLimitUse
	for _, name := range names {
		limit := clientLimits[name]
		uses = append(uses, limit.of(s.settings.Limits).ForClient(limit.kind, c.Network())...)
	}
	if err := s.allow(ctx, uses...); err != nil {
		return err
	}
	if err := operation(); err != nil {
		return s.refundUnlessDecided(ctx, err, uses...)
	}
	return nil
}
