package models

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
)

// migrator brings the schema up to date.
type migrator struct{ *database }

//go:embed migrations
var migrations embed.FS

const (
	leaseLife  = 30 * time.Second
	leaseRenew = leaseLife / 3
	leasePoll  = 200 * time.Millisecond
)

// Schema holds the current version of the schema and the version that this program needs.
// Migrations only expand the schema, so a program also works with a newer schema than it needs.
type Schema struct{ Current, Needed int64 }

// OK reports whether this program can work with the schema.
func (v Schema) OK() bool { return v.Current >= v.Needed }

// Schema reads the version of the schema. It changes nothing.
func (s migrator) Schema(ctx context.Context) (Schema, error) {
	v := Schema{Needed: needed}
	err := s.readPool().QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&v.Current)
	if isNoTable(err) {
		return v, nil
	}
	return v, translate(err)
}

// needed is the number of the newest migration. A test checks that both dialects have the same
// numbers.
var needed = func() int64 {
	entries, err := fs.ReadDir(migrations, "migrations/sqlite")
	if err != nil {
		panic(err)
	}
	var newest int64
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			panic(err)
		}
		newest = max(newest, v)
	}
	return newest
}()

// Migrate brings the schema up to date and returns the number of migrations applied. Any number of
// replicas may call it at the same time. One of them migrates, under a lease that it renews, and
// the others wait.
func (s migrator) Migrate(ctx context.Context) (int, error) {
	if v, err := s.Schema(ctx); err != nil || v.OK() {
		return 0, err
	}
	// goose holds one connection throughout, and renewing the lease needs a second one.
	s.pool().SetMaxOpenConns(max(2, s.conns))
	defer s.pool().SetMaxOpenConns(max(1, s.conns))
	applied := 0
	err := s.withLease(ctx, func(ctx context.Context) error {
		provider, err := s.goose()
		if err != nil {
			return err
		}
		results, err := provider.Up(ctx)
		applied = len(results)
		return translate(err)
	})
	return applied, err
}

func (s migrator) goose() (*goose.Provider, error) {
	dialect, folder := goose.DialectSQLite3, "migrations/sqlite"
	if s.mysql {
		dialect, folder = goose.DialectMySQL, "migrations/mysql"
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, s.pool(), files, goose.WithIsolateDDL(true), goose.WithDisableGlobalRegistry(true))
}

// withLease runs f while this process holds the lease row, and cancels the context of f if the
// lease is lost. A transaction or a row lock could not keep two replicas from migrating at once,
// because MySQL's DDL commits implicitly. GET_LOCK does not work across the nodes of a Galera
// cluster.
func (s migrator) withLease(ctx context.Context, f func(context.Context) error) error {
	holder := uuid.NewString()
	if err := s.makeLease(ctx); err != nil {
		return err
	}
	for {
		held, err := s.takeLease(ctx, holder)
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
		s.keepLease(ctx, holder, lost)
	}()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx)) // report the lost lease rather than "context canceled"
	}
	lost(nil)
	<-done
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseRenew)
	defer cancel()
	return errors.Join(err, s.releaseLease(release, holder))
}

func (s migrator) makeLease(ctx context.Context) error {
	when := "DATETIME"
	if s.mysql {
		when = "DATETIME(6)"
	}
	db := s.db.WithContext(ctx)
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

// takeLease acquires or renews the lease and reports whether this holder has it. It uses the
// database's clock, if there is one.
func (s migrator) takeLease(ctx context.Context, holder string) (bool, error) {
	now, ok, err := s.Clock(ctx)
	if err != nil {
		return false, err
	}
	if !ok {
		now = s.db.NowFunc()
	}
	var held bool
	err = retry(ctx, func() error {
		result := s.db.WithContext(ctx).Exec("UPDATE migration_lease SET holder = ?, expires_at = ? WHERE id = 1 AND (holder = ? OR expires_at < ?)",
			holder, now.Add(leaseLife), holder, now)
		held = result.RowsAffected == 1
		return result.Error
	})
	return held, err
}

func (s migrator) keepLease(ctx context.Context, holder string, lost context.CancelCauseFunc) {
	for lastHeld := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaseRenew):
		}
		held, err := s.renewLease(ctx, holder)
		switch {
		case err == nil && held:
			lastHeld = time.Now()
		case err == nil, time.Since(lastHeld) > leaseLife-leaseRenew:
			lost(fmt.Errorf("models: the migration lease was lost: %w", errors.Join(ErrUnavailable, err)))
			return
		}
	}
}

// renewLease renews the lease with a timeout that leaves enough time to stop the work before
// another replica takes the lease.
func (s migrator) renewLease(ctx context.Context, holder string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew/2)
	defer cancel()
	return s.takeLease(ctx, holder)
}

func (s migrator) releaseLease(ctx context.Context, holder string) error {
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Exec("UPDATE migration_lease SET expires_at = ? WHERE id = 1 AND holder = ?", time.Unix(0, 0).UTC(), holder).Error
	})
}
