package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
)

const (
	knownNetworkLife  = 30 * 24 * time.Hour
	knownNetworkRenew = 24 * time.Hour
)

// loginLimits holds the uses of rate limits that one login has made.
type loginLimits struct {
	guesses  []models.RateLimitUse // of the name and the client; refunded if the password was right
	verified []models.RateLimitUse // of the client; refunded only if no password was verified
	counted  time.Time             // when they were counted
	known    time.Time             // until when the client's network is known for the name, or zero
}

// limitLogin counts a login against its rate limits before the password is verified: those of the
// client and that of the name. An unknown name has a limit just as a known one has. The limit
// belongs to the name as typed: if a user's username and address shared one, exhausting it by the
// one would reveal through the other that both belong to one account.
//
// An attacker can exhaust the limit of a name on purpose to keep the owner out, and again after
// each reset. So a network from which the owner has signed in or reset the password has its own
// limit for the name, which clients of other networks cannot exhaust. Once it is exhausted the
// common limit counts, because staff can release only that one. A client in the owner's network can
// see that it has more guesses than elsewhere, and so that the name exists.
//
// Errors: RateLimited, ServiceUnavailable.
func (s *Service) limitLogin(ctx context.Context, name names.Login, c Client) (loginLimits, error) {
	failures := guesses(perClient(s.settings.LoginFailuresPerClient, loginOfClient, c))
	l := loginLimits{verified: s.verified(c)}
	clients := slices.Concat(failures, l.verified)
	if err := s.remembered(clients, s.now()); err != nil {
		return l, err
	}
	var err error
	if l.known, err = s.knownNetwork(ctx, name, c); err != nil {
		return l, err
	}
	accounts := []models.RateLimitUse{guess(s.settings.LoginFailuresPerAccount, loginOfAccount, name.Norm)}
	if !l.known.IsZero() {
		own := guess(s.settings.LoginFailuresPerAccount, loginOfKnown, nameAndNetwork(name.Norm, c))
		accounts = []models.RateLimitUse{own, accounts[0]}
	}
	var over error
	for _, account := range accounts {
		l.guesses = append(slices.Clone(failures), account)
		err := s.spend(ctx, append(clients, account)...)
		if l.counted = s.now(); !isOver(err, account.Kind) {
			return l, err
		}
		over = sooner(over, err)
	}
	// A 429 counts for the client too. Otherwise one client could poll an exhausted limit at no
	// cost, and exhaust it again as soon as the owner has released it.
	return l, later(s.spend(ctx, failures...), over)
}

// settleLogin refunds the limits according to the outcome of the verification.
func (s *Service) settleLogin(ctx context.Context, l loginLimits, outcome error) error {
	switch {
	case errors.Is(outcome, problem.New(problem.CredentialsInvalid)):
		s.settleGuesses(ctx, l.counted, l.guesses...)
		return nil
	case outcome == nil:
		return s.refund(ctx, l.guesses...)
	}
	return s.refund(ctx, slices.Concat(l.guesses, l.verified)...)
}

func nameAndNetwork(name string, c Client) string { return name + "\x00" + c.Network() }

// knownNetwork returns until when the client's network is known for the name, or zero. Errors:
// ServiceUnavailable.
func (s *Service) knownNetwork(ctx context.Context, name names.Login, c Client) (time.Time, error) {
	if s.settings.LoginFailuresPerAccount.N == 0 { // then it makes no difference
		return time.Time{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	until, err := s.store.KnownNetwork(ctx, name.Norm, c.Network(), s.now())
	return until, problem.FromStore(err)
}

// addKnownNetwork records that the owner has used the client's network. known is until when the
// network is already recorded as known.
func (s *Service) addKnownNetwork(ctx context.Context, u models.User, c Client, known time.Time) {
	now := s.now()
	until := now.Add(knownNetworkLife)
	if s.settings.LoginFailuresPerAccount.N == 0 || known.After(until.Add(-knownNetworkRenew)) {
		return
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	// An error is ignored: the login or the reset has succeeded, and without the record the next
	// login has only the common limit.
	_ = s.store.AddKnownNetwork(ctx, u, c.Network(), now, until)
}

// networkRateLimits returns the ids of the limits that the client's network has for the names of a user.
func networkRateLimits(u models.User, c Client) []models.ID {
	var off Limit
	return idsOf([]models.RateLimitUse{
		use(off, loginOfKnown, nameAndNetwork(u.UsernameNorm, c)), use(off, loginOfKnown, nameAndNetwork(u.EmailNorm, c)),
	})
}
