package models

import (
	"context"
	"embed"
	"io/fs"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
)

// versionTable is the table in which goose records the migrations that have been applied.
const versionTable = "schema_versions"

//go:embed migrations
var migrations embed.FS

// Schema holds the current version of the schema and the version that this program needs.
// Migrations only expand the schema, so a program also works with a newer schema than it needs.
type Schema struct{ Current, Needed int64 }

// OK reports whether this program can work with the schema.
func (v Schema) OK() bool { return v.Current >= v.Needed }

// migrator brings the schema up to date.
type migrator struct{ *database }

// Schema reads the version of the schema. It changes nothing.
func (s migrator) Schema(ctx context.Context) (Schema, error) {
	v := Schema{Needed: needed}
	err := s.reads.WithContext(ctx).Raw("SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable+" WHERE is_applied").Row().Scan(&v.Current)
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
	s.pool.SetMaxOpenConns(max(2, s.conns))
	defer s.pool.SetMaxOpenConns(max(1, s.conns))
	applied := 0
	err := (&lease{store: s.database, holder: uuid.NewString()}).do(ctx, func(ctx context.Context) error {
		provider, err := newProvider(s.database)
		if err != nil {
			return err
		}
		results, err := provider.Up(ctx)
		applied = len(results)
		return translate(err)
	})
	return applied, err
}

func newProvider(s *database) (*goose.Provider, error) {
	dialect, folder := goose.DialectSQLite3, "migrations/sqlite"
	if s.mysql {
		dialect, folder = goose.DialectMySQL, "migrations/mysql"
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, s.pool, files, goose.WithIsolateDDL(true), goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
}
