package models

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	leaseLife  = 30 * time.Second
	leaseRenew = leaseLife / 3
	leasePoll  = 200 * time.Millisecond
)

// lease is the right to migrate, which one process has at a time. It is a row that names the holder
// and expires. A transaction or a row lock could not keep two replicas from migrating at once,
// because MySQL's DDL commits implicitly. GET_LOCK does not work across the nodes of a Galera
// cluster.
type lease struct {
	store  *database
	holder string
}

// do waits for the lease, runs f, and releases the lease. It cancels the context of f if the lease
// is lost.
func (l *lease) do(ctx context.Context, f func(context.Context) error) error {
	if err := l.create(ctx); err != nil {
		return err
	}
	for {
		held, err := l.take(ctx)
		if err != nil {
			return err
		}
		if held {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leasePoll):
		}
	}
	ctx, lost := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.keep(ctx, lost)
	}()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx)) // report the lost lease rather than "context canceled"
	}
	lost(nil)
	<-done
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
	defer cancel()
	return errors.Join(err, l.release(release))
}

func (l *lease) create(ctx context.Context) error {
	when := "DATETIME"
	if l.store.mysql {
		when = "DATETIME(6)"
	}
	db := l.store.db.WithContext(ctx)
	err := retry(ctx, func() error {
		return db.Exec("CREATE TABLE IF NOT EXISTS migration_lease (id INTEGER NOT NULL PRIMARY KEY, holder VARCHAR(36) NOT NULL, expires_at " + when + " NOT NULL)").Error
	})
	if err != nil {
		return err
	}
	err = retry(ctx, func() error {
		return db.Exec("INSERT INTO migration_lease (id, holder, expires_at) SELECT 1, '', ? WHERE NOT EXISTS (SELECT 1 FROM migration_lease WHERE id = 1)", time.Unix(0, 0).UTC()).Error
	})
	if errors.Is(err, ErrConflict) { // another replica was faster
		return nil
	}
	return err
}

// take acquires or renews the lease and reports whether this holder has it. It uses the
// database's clock, if there is one.
func (l *lease) take(ctx context.Context) (bool, error) {
	now, ok, err := l.store.Clock(ctx)
	if err != nil {
		return false, err
	}
	if !ok {
		now = l.store.db.NowFunc()
	}
	var held bool
	err = retry(ctx, func() error {
		result := l.store.db.WithContext(ctx).Exec("UPDATE migration_lease SET holder = ?, expires_at = ? WHERE id = 1 AND (holder = ? OR expires_at < ?)",
			l.holder, now.Add(leaseLife), l.holder, now)
		held = result.RowsAffected == 1
		return result.Error
	})
	return held, err
}

func (l *lease) keep(ctx context.Context, lost context.CancelCauseFunc) {
	for lastHeld := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaseRenew):
		}
		held, err := l.renew(ctx)
		switch {
		case err == nil && held:
			lastHeld = time.Now()
		case err == nil, time.Since(lastHeld) > leaseLife-leaseRenew:
			lost(fmt.Errorf("models: the migration lease was lost: %w", errors.Join(ErrUnavailable, err)))
			return
		}
	}
}

// renew renews the lease with a timeout that leaves enough time to stop the work before
// another replica takes the lease.
func (l *lease) renew(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew/2)
	defer cancel()
	return l.take(ctx)
}

func (l *lease) release(ctx context.Context) error {
	return retry(ctx, func() error {
		return l.store.db.WithContext(ctx).Exec("UPDATE migration_lease SET expires_at = ? WHERE id = 1 AND holder = ?", time.Unix(0, 0).UTC(), l.holder).Error
	})
}
