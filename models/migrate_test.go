package models_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm/schema"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

func TestMigrateCreatesSchemaInEmptyDatabase(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		db := servertest.NewDatabase(t, e)
		s := open(t, db)
		v, err := s.Schema(t.Context())
		ok(t, err)
		if v.OK() || v.Current != 0 || v.Needed < 3 {
			t.Fatalf("schema of an empty database: got %+v", v)
		}
		if got := tables(t, db); len(got) > 0 {
			t.Fatalf("Schema created the tables %v", got)
		}
		n, err := s.Migrate(t.Context())
		ok(t, err)
		if int64(n) != v.Needed {
			t.Errorf("%d migrations, want %d", n, v.Needed)
		}
		n, err = s.Migrate(t.Context())
		ok(t, err)
		if n != 0 {
			t.Errorf("the second run applied %d migrations, want 0", n)
		}
		v, err = s.Schema(t.Context())
		if ok(t, err); !v.OK() || v.Current != v.Needed {
			t.Errorf("got the schema %+v", v)
		}
	})
}

// undo contains the statements that undo each of the latest migrations. A new migration needs an
// entry.
var undo = map[int64][]string{
	6: {"DROP TABLE rate_limits"},
}

// undoMigrations undoes a migration and all later ones.
func (f *fixture) undoMigrations(first int64) {
	f.t.Helper()
	for version := f.db.Count(f.t, "SELECT MAX(version_id) FROM schema_versions"); version >= first; version-- {
		statements, known := undo[version]
		if !known {
			f.t.Fatalf("undo lacks migration %d", version)
		}
		for _, statement := range statements {
			if f.db.Engine == servertest.MySQL && strings.HasPrefix(statement, "DROP INDEX") {
				continue // removed with its column
			}
			f.db.Exec(f.t, statement)
		}
		f.db.Exec(f.t, "DELETE FROM schema_versions WHERE version_id = ?", version)
	}
}

// An older schema is recognized and migrated from its version; a newer one is left alone.
func TestMigrateUpgradesOlderSchemaOnly(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		f := newFixture(t, e)
		needed := f.db.Count(t, "SELECT MAX(version_id) FROM schema_versions")
		f.undoMigrations(needed)
		v, err := f.Schema(t.Context())
		if ok(t, err); v.OK() || v.Current != needed-1 {
			t.Errorf("got the schema %+v", v)
		}
		n, err := f.Migrate(t.Context())
		if ok(t, err); n != 1 {
			t.Errorf("%d migrations, want 1", n)
		}
		f.reload(f.user)

		f.db.Exec(t, "INSERT INTO schema_versions (version_id, is_applied) VALUES (?, 1)", needed+1)
		v, err = f.Schema(t.Context())
		if ok(t, err); !v.OK() || v.Current != needed+1 {
			t.Errorf("got the schema %+v", v)
		}
		n, err = f.Migrate(t.Context())
		if ok(t, err); n != 0 {
			t.Errorf("%d migrations were applied to a newer schema, want 0", n)
		}
	})
}

// Nine replicas start at once: each migration is applied once and no replica fails.
func TestConcurrentMigrationsAreAppliedOnce(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		db := servertest.NewDatabase(t, e)
		var wait sync.WaitGroup
		applied, start := make(chan int, 9), make(chan struct{})
		for range 9 {
			wait.Go(func() {
				<-start
				s, err := models.Open(context.Background(), options(t, db))
				if err != nil {
					t.Errorf("open: %v (%v)", err, models.Cause(err))
					return
				}
				defer func() { _ = s.Close() }()
				n, err := s.Migrate(context.Background())
				if err != nil {
					t.Errorf("migrate: %v (%v)", err, models.Cause(err))
				}
				applied <- n
			})
		}
		close(start)
		wait.Wait()
		close(applied)
		total := 0
		for n := range applied {
			total += n
		}
		needed := db.Count(t, "SELECT MAX(version_id) FROM schema_versions")
		if int64(total) != needed {
			t.Errorf("%d migrations in all, want %d", total, needed)
		}
		for _, row := range queryRows(t, db, "SELECT version_id, COUNT(*) FROM schema_versions GROUP BY version_id") {
			if row[1] != "1" {
				t.Errorf("migration %s is recorded %s times, want once", row[0], row[1])
			}
		}
	})
}

func makeLease(t *testing.T, s *models.Store) {
	t.Helper()
	ok(t, s.WithLease(t.Context(), func(context.Context) error { return nil }))
}

// holdLease inserts the lease row of a replica that has crashed.
func holdLease(t *testing.T, db *servertest.Database, life time.Duration) {
	t.Helper()
	db.Exec(t, "UPDATE migration_lease SET holder = 'dead', expires_at = ? WHERE id = 1", time.Now().UTC().Add(life))
}

func TestMigrateTakesOverExpiredLease(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		db := servertest.NewDatabase(t, e)
		s := open(t, db)
		makeLease(t, s)
		holdLease(t, db, time.Hour)

		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		if n, err := s.Migrate(ctx); err == nil || n != 0 {
			t.Errorf("%d migrations were applied under the lease of another process, %v", n, err)
		}
		if slices.Contains(tables(t, db), "users") {
			t.Fatal("the schema was migrated under the lease of another process")
		}
		holdLease(t, db, time.Second)
		began := time.Now()
		n, err := s.Migrate(t.Context())
		ok(t, err)
		if took := time.Since(began); n == 0 || took < 500*time.Millisecond || took > 5*time.Second {
			t.Errorf("got %d migrations after %v, while a lease of 1 s was held", n, took)
		}
		if free := db.Count(t, "SELECT COUNT(*) FROM migration_lease WHERE expires_at < '2000-01-01'"); free != 1 {
			t.Error("the lease was not released")
		}
	})
}

// The holder of the lease renews it, and stops if the lease is lost.
func TestMigrateRenewsItsLease(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a renewal of the lease")
	}
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		t.Run("renewed", func(t *testing.T) {
			t.Parallel()
			db := servertest.NewDatabase(t, e)
			err := open(t, db).WithLease(t.Context(), func(ctx context.Context) error {
				before := leaseEnd(t, db)
				select {
				case <-ctx.Done():
					return errors.New("the lease was lost")
				case <-time.After(models.LeaseRenew + 2*time.Second):
				}
				if after := leaseEnd(t, db); !after.After(before) {
					t.Errorf("the lease ends at %v, not later than %v", after, before)
				}
				return nil
			})
			ok(t, err)
		})
		t.Run("lost", func(t *testing.T) {
			t.Parallel()
			db := servertest.NewDatabase(t, e)
			err := open(t, db).WithLease(t.Context(), func(ctx context.Context) error {
				holdLease(t, db, time.Hour)
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(models.LeaseRenew + 3*time.Second):
					return nil
				}
			})
			if !errors.Is(err, models.ErrUnavailable) {
				t.Errorf("the work continued without the lease: %v", err)
			}
			if db.Count(t, "SELECT COUNT(*) FROM migration_lease WHERE holder = 'dead' AND expires_at > '2000-01-01'") != 1 {
				t.Error("the lease of another process was released")
			}
		})
	})
}

func leaseEnd(t *testing.T, db *servertest.Database) (end time.Time) {
	t.Helper()
	ok(t, db.SQL.QueryRowContext(t.Context(), "SELECT expires_at FROM migration_lease").Scan(&end))
	return end
}

// A database that cannot be reached must not look like one without a schema.
func TestSchemaOfClosedStoreIsUnavailable(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		ok(t, f.Close())
		if v, err := f.Schema(t.Context()); !errors.Is(err, models.ErrUnavailable) {
			t.Errorf("got the schema %+v, %v, want ErrUnavailable", v, err)
		}
	})
}

func tables(t *testing.T, db *servertest.Database) (names []string) {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if db.Engine == servertest.MySQL {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
	}
	for _, row := range queryRows(t, db, query) {
		names = append(names, row[0])
	}
	return names
}

// The two dialects have the same migrations, under the same names.
func TestDialectsHaveTheSameMigrations(t *testing.T) {
	var names [2][]string
	for i, dialect := range []string{"sqlite", "mysql"} {
		files, err := os.ReadDir("migrations/" + dialect)
		ok(t, err)
		for _, f := range files {
			names[i] = append(names[i], f.Name())
			text, err := os.ReadFile("migrations/" + dialect + "/" + f.Name())
			ok(t, err)
			ddl := strings.Count(string(text), "CREATE TABLE") + strings.Count(string(text), "ALTER TABLE")
			if ddl > 1 || strings.Contains(string(text), "+goose Down") {
				t.Errorf("%s/%s: want one DDL statement per file and no down migration", dialect, f.Name())
			}
		}
	}
	if diff := cmp.Diff(names[0], names[1]); diff != "" || len(names[0]) == 0 {
		t.Error(diff)
	}
}

// column describes a column as a model requires it.
type column struct{ Name, Type, Null string }

// wanted derives the columns from the model. A column is nullable if its field can be nil.
func wanted(t *testing.T, e servertest.Engine, model any) (list []column) {
	t.Helper()
	s, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
	ok(t, err)
	types := map[servertest.Engine]map[string]string{
		servertest.SQLite: {"string": "TEXT", "PasswordHash": "TEXT", "text": "TEXT", "int": "INTEGER", "MailPriority": "INTEGER", "int64": "INTEGER", "bool": "BOOLEAN", "Time": "DATETIME", "UUID": "BLOB", "bytes": "BLOB", "hash": "BLOB"},
		servertest.MySQL:  {"string": "varchar", "PasswordHash": "varchar", "text": "text", "int": "int", "MailPriority": "int", "int64": "bigint", "bool": "tinyint(1)", "Time": "datetime(6)", "UUID": "binary(16)", "bytes": "binary(16)", "hash": "binary(32)"},
	}[e]
	for _, field := range s.Fields {
		if !field.Creatable { // read from another table
			continue
		}
		kind, null := field.FieldType, "no"
		if kind.Kind() == reflect.Pointer {
			kind, null = kind.Elem(), "yes"
		}
		name := kind.Name()
		if kind.Kind() == reflect.Int { // also a named type
			name = "int"
		}
		if kind == reflect.TypeFor[[]byte]() {
			name, null = "bytes", "yes"
			if field.Name == "Hash" {
				name, null = "hash", "no"
			}
		}
		if field.Name == "Search" { // longer than the varchars of its parts
			name = "text"
		}
		if kind == reflect.TypeFor[models.Changes]() { // JSON
			name, null = "text", "yes"
		}
		list = append(list, column{field.DBName, types[name], null})
	}
	sortColumns(list)
	return list
}

func sortColumns(list []column) {
	slices.SortFunc(list, func(a, b column) int { return strings.Compare(a.Name, b.Name) })
}

func columns(t *testing.T, f *fixture, table string) (list []column) {
	t.Helper()
	if f.db.Engine == servertest.SQLite {
		for _, row := range f.query(`SELECT name, type, CASE "notnull" WHEN 1 THEN 'no' ELSE 'yes' END FROM pragma_table_info('` + table + `')`) {
			list = append(list, column{row[0], row[1], row[2]})
		}
	} else {
		for _, row := range f.query("SELECT column_name, column_type, LOWER(is_nullable), COALESCE(collation_name, '') FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?", table) {
			kind, _, isText := strings.Cut(row[1], "(")
			if !isText || kind != "varchar" {
				kind = row[1]
			}
			if strings.HasPrefix(kind, "bigint") || strings.HasPrefix(kind, "int") {
				kind, _, _ = strings.Cut(kind, "(") // older servers add a width
			}
			if kind == "varchar" && row[3] != "utf8mb4_bin" {
				t.Errorf("%s.%s has the collation %s, want utf8mb4_bin", table, row[0], row[3])
			}
			list = append(list, column{row[0], kind, row[2]})
		}
	}
	sortColumns(list)
	return list
}

func TestColumnsEqualModels(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for table, model := range map[string]any{
			"users": &models.User{}, "sessions": &models.Session{}, "events": &models.Event{},
			"one_time_tokens": &models.OneTimeToken{}, "outbox": &models.Mail{},
		} {
			if diff := cmp.Diff(wanted(t, f.db.Engine, model), columns(t, f, table)); diff != "" {
				t.Errorf("%s (- model, + table):\n%s", table, diff)
			}
		}
	})
}

// There is no column for a token, the hash of a token or a secret.
func TestSessionsHaveNoColumnForTokens(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		for _, c := range columns(t, f, "sessions") {
			for _, word := range []string{"token", "hash", "secret", "key", "jti"} {
				if strings.Contains(c.Name, word) {
					t.Errorf("the table has a column %s", c.Name)
				}
			}
		}
	})
}

// Each canonical name is unique, and no other column is.
func TestCanonicalNamesAreUnique(t *testing.T) {
	t.Attr("control", "66")
	eachStore(t, func(t *testing.T, f *fixture) {
		for i, change := range []func(*models.User){
			func(u *models.User) { u.EmailNorm = "other@example.com" },
			func(u *models.User) { u.UsernameNorm = "other" },
		} {
			u := f.user
			u.ID = 0
			change(&u)
			if err := f.CreateUser(t.Context(), &u); !errors.Is(err, models.ErrConflict) {
				t.Errorf("%d: %v", i, err)
			}
		}
		for i, name := range []string{"jose", "jos\u00e9", "JOSE", "jose\u0301", "stra\u00dfe", "strasse", "\u0430da", "a_a", "a a"} {
			u := f.user
			u.ID, u.UsernameNorm, u.EmailNorm = 0, name, fmt.Sprintf("%s%d@example.com", name, i)
			ok(t, f.CreateUser(t.Context(), &u))
			found, err := f.UserByUsername(t.Context(), name)
			if ok(t, err); found.ID != u.ID {
				t.Errorf("%q finds user %d, want %d", name, found.ID, u.ID)
			}
		}
	})
}
