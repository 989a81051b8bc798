package ratelimit

import (
	"context"
	"errors"
	"time"

	"example.com/accounts/models"
)

const (
	knownNetworkLife  = 30 * 24 * time.Hour // since the last login or reset from the network
	knownNetworkRenew = 24 * time.Hour      // a network that was renewed more recently is not written again
)

// KnownNetwork returns the time until which a network is known for a name in canonical form, or the
// zero time. A known network is one from which the owner of the name has signed in or reset the
// password. It takes the same time whether or not a user has the name.
func (l *Limiter) KnownNetwork(ctx context.Context, name, network string) (time.Time, error) {
	ctx, cancel := models.Bound(ctx)
	defer cancel()
	return l.store.KnownNetwork(ctx, name, network, l.now())
}

// AddKnownNetwork makes a network known for all names of a user. knownUntil is the time until which
// it is known already. It does nothing if the user is gone, is inactive or has changed a name since
// u was read, because the name may belong to another user now.
func (l *Limiter) AddKnownNetwork(ctx context.Context, u models.User, network string, knownUntil time.Time) error {
	until := l.now().Add(knownNetworkLife)
	if knownUntil.After(until.Add(-knownNetworkRenew)) {
		return nil
	}
	ctx, cancel := models.Detach(ctx)
	defer cancel()
	return l.store.Tx(ctx, func(tx *models.Tx) error {
		now, err := tx.ReadUserForUpdate(u.ID)
		if errors.Is(err, models.ErrNotFound) {
			return nil
		}
		if err != nil || !now.IsActive || now.UsernameNorm != u.UsernameNorm || now.EmailNorm != u.EmailNorm {
			return err
		}
		return tx.AddKnownNetwork(namesOf(u), network, until)
	})
}

// namesOf returns the names that a user can sign in with.
func namesOf(u models.User) []string {
	if u.EmailNorm == "" || u.EmailNorm == u.UsernameNorm {
		return []string{u.UsernameNorm}
	}
	return []string{u.UsernameNorm, u.EmailNorm}
}
