package accounts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"example.com/accounts/models"
)

const (
	knownNetworkLife  = 30 * 24 * time.Hour
	knownNetworkRenew = 24 * time.Hour
)

// loginLimits are the uses that one login has spent.
type loginLimits struct {
	guesses  []models.Spending // of the account and the client; given back if the password was right
	verified []models.Spending // of the client; given back only if nothing was verified
	known    time.Time         // until when the client's network is known for the name, or zero
}

// limitLogin spends the limits of a login before the password is verified: those of the client and
// that of the name. An unknown name has one just as a known one has. It is that of the name as typed:
// if the username and the address of a user shared one, exhausting it by one name would show by the
// other that both belong to one account.
//
// The threat to the name's limit is a client that exhausts it on purpose and keeps the owner out, again
// after each reset. So a network from which the owner has signed in or reset the password has a limit
// of its own for the name, which clients of other networks cannot exhaust. When it is exhausted, the
// common limit counts, because staff can release only that one. A client in the owner's network can see
// that it has more guesses than elsewhere, and so that the name exists.
//
// Errors: RateLimited, Unavailable.
func (s *Service) limitLogin(ctx context.Context, name loginName, c Client) (loginLimits, error) {
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
	accounts := []models.Spending{guess(s.settings.LoginFailuresPerAccount, loginOfAccount, name.norm)}
	if !l.known.IsZero() {
		own := guess(s.settings.LoginFailuresPerAccount, loginOfKnown, nameAndNetwork(name.norm, c))
		accounts = []models.Spending{own, accounts[0]}
	}
	for _, account := range accounts {
		l.guesses = append(slices.Clone(failures), account)
		if err = s.spend(ctx, append(clients, account)...); !isOver(err, account.Kind) {
			return l, err
		}
	}
	// A 429 counts for the client too. Otherwise one client could poll an exhausted limit at no cost, and
	// exhaust it again as soon as the owner has released it.
	return l, cmp.Or(s.spend(ctx, failures...), err)
}

// settleLogin gives back what the outcome of the verification says.
func (s *Service) settleLogin(ctx context.Context, l loginLimits, outcome error) error {
	switch {
	case errors.Is(outcome, refuse(InvalidCredentials)):
		return nil
	case outcome == nil:
		return s.refund(ctx, l.guesses...)
	}
	return s.refund(ctx, slices.Concat(l.guesses, l.verified)...)
}

func nameAndNetwork(name string, c Client) string { return name + "\x00" + c.Network() }

// knownNetwork returns until when the client's network is known for the name, or zero. Errors: Unavailable.
func (s *Service) knownNetwork(ctx context.Context, name loginName, c Client) (time.Time, error) {
	if s.settings.LoginFailuresPerAccount.N == 0 { // then it makes no difference
		return time.Time{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	until, err := s.store.KnownNetwork(ctx, name.norm, c.Network(), s.now())
	return until, storeError(err)
}

// addKnownNetwork notes that the owner has been at the client's network. known is until when that is noted already.
func (s *Service) addKnownNetwork(ctx context.Context, u models.User, c Client, known time.Time) {
	now := s.now()
	until := now.Add(knownNetworkLife)
	if s.settings.LoginFailuresPerAccount.N == 0 || known.After(until.Add(-knownNetworkRenew)) {
		return
	}
	ctx, cancel := deadline(ctx)
	defer cancel()
	// The login or the reset has succeeded; without the note the next one has the common limit.
	_ = s.store.AddKnownNetwork(ctx, u, c.Network(), now, until)
}

// knownLimits are the limits that the client's network has for the names of a user.
func knownLimits(u models.User, c Client) []models.ID {
	var off Budget
	return idsOf([]models.Spending{
		use(off, loginOfKnown, nameAndNetwork(u.UsernameNorm, c)), use(off, loginOfKnown, nameAndNetwork(u.EmailNorm, c)),
	})
}
