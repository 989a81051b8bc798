package accounts

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/names"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/ratelimit"
)

// verifyLogin verifies the password of a login within the rate limits of the name and the client.
// rehash is a stronger hash to replace the stored one, or empty. knownUntil is the time until which
// the client's network is known for the name, or zero. Errors: CredentialsInvalid, RateLimited,
// ServiceUnavailable.
func (s sessionOperations) verifyLogin(ctx context.Context, in LoginInput, name names.Login) (u models.User, rehash models.PasswordHash, knownUntil time.Time, err error) {
	attempt, knownUntil, err := s.loginAttempt(ctx, name.Norm, in.Client)
	if err != nil {
		return u, "", knownUntil, s.limitError(err)
	}
	right, err := s.limiter.Verify(ctx, attempt, func() (right bool, err error) {
		u, err = s.userOfLogin(ctx, name)
		if err != nil && !errors.Is(err, models.ErrNotFound) {
			return false, problem.FromStore(err)
		}
		right, rehash, err = s.checkPassword(ctx, u, in.Password, in.Client)
		return right, err
	})
	switch {
	case err != nil:
		return u, "", knownUntil, s.limitError(err)
	case !right:
		return u, "", knownUntil, problem.New(problem.CredentialsInvalid)
	}
	return u, rehash, knownUntil, nil
}

// loginAttempt returns the limits of a login: those of the client and that of the name. Every name
// has a limit, whether or not a user has that name. The limit belongs to the name as typed, so a
// user's username and address have one each. If they shared one, an attacker could exhaust it with
// the username, see that the address is rejected too, and so learn that both belong to one account.
//
// An attacker can exhaust the limit of a name on purpose to keep the owner out, and again after
// each reset. So a network from which the owner has signed in or reset the password has its own
// limit for the name, which clients of other networks cannot exhaust. When the network's own limit
// is exhausted, further attempts count against the common limit of the name. Otherwise staff could
// not let the owner in, because they can reset only the common limit. The price: a client in the
// owner's network can see that it has more guesses than elsewhere, and so that the name exists.
//
// It also returns the time until which the client's network is known for the name, or zero. Errors:
// *ratelimit.Exceeded if the limiter remembers that the client has exceeded a limit, those of the
// store.
func (s sessionOperations) loginAttempt(ctx context.Context, name string, c Client) (ratelimit.Attempt, time.Time, error) {
	limit := s.settings.LoginFailuresPerAccount
	a := ratelimit.Attempt{
		Secret:   []models.RateLimitUse{limit.For(loginFailuresOfName, name)},
		Client:   s.settings.LoginFailuresPerClient.ForClient(loginFailuresOfClient, c.Network()),
		Verified: s.settings.PasswordsPerClient.ForClient(verifiedPasswordsOfClient, c.Network()),
	}
	if err := s.limiter.AllowFromMemory(slices.Concat(a.Client, a.Verified)...); err != nil {
		return a, time.Time{}, err
	}
	if limit.N == 0 { // then a known network makes no difference
		return a, time.Time{}, nil
	}
	knownUntil, err := s.limiter.KnownNetwork(ctx, name, c.Network().Narrow)
	if !knownUntil.IsZero() {
		own := limit.For(loginFailuresOfKnownNetwork, nameAndNetwork(name, c))
		a.Secret = []models.RateLimitUse{own, a.Secret[0]}
	}
	return a, knownUntil, err
}

func nameAndNetwork(name string, c Client) string { return name + "\x00" + c.Network().Narrow }

// addKnownNetwork records that the owner has used the client's network. knownUntil is the time
// until which the network is already recorded as known.
func (s *core) addKnownNetwork(ctx context.Context, u models.User, c Client, knownUntil time.Time) {
	if s.settings.LoginFailuresPerAccount.N == 0 {
		return
	}
	// An error is ignored: the login or the reset has succeeded, and without the record the next
	// login has only the common limit.
	_ = s.limiter.AddKnownNetwork(ctx, u, c.Network().Narrow, knownUntil)
}

// networkRateLimits returns the ids of the limits that the client's network has for the names of a user.
func networkRateLimits(u models.User, c Client) []uuid.UUID {
	return []uuid.UUID{
		ratelimit.ID(loginFailuresOfKnownNetwork, nameAndNetwork(u.UsernameNorm, c)), ratelimit.ID(loginFailuresOfKnownNetwork, nameAndNetwork(u.EmailNorm, c)),
	}
}
