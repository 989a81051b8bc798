package models_test

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

const tolerance = 2500 * time.Millisecond

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (%v)", err, models.Cause(err))
	}
}

// options returns the options that open a test's database.
func options(t testing.TB, db *servertest.Database) models.Options {
	t.Helper()
	o := models.Options{MaxConns: 8, Log: slog.New(slog.DiscardHandler)}
	if db.Engine == servertest.SQLite {
		o.SQLite = strings.TrimPrefix(db.URL, "sqlite:")
		return o
	}
	u, err := url.Parse(db.NextURL())
	ok(t, err)
	password, _ := u.User.Password()
	o.MySQL = &models.MySQL{Addr: u.Host, User: u.User.Username(), Password: password, Name: u.Path[1:], TLS: "false"}
	return o
}

func open(t testing.TB, db *servertest.Database) *models.Store {
	t.Helper()
	s, err := models.Open(t.Context(), options(t, db))
	ok(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fixture is a store with a current schema and one user.
type fixture struct {
	*models.Store
	t    *testing.T
	db   *servertest.Database
	user models.User
}

func eachStore(t *testing.T, f func(t *testing.T, f *fixture)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		f(t, newFixture(t, e))
	})
}

func newFixture(t *testing.T, e servertest.Engine) *fixture {
	t.Helper()
	f := &fixture{t: t, db: servertest.NewDatabase(t, e)}
	f.Store = open(t, f.db)
	_, err := f.Migrate(t.Context())
	ok(t, err)
	f.user = f.newUser("ada")
	return f
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (f *fixture) newUser(name string) models.User {
	f.t.Helper()
	u := models.User{
		Username: name, UsernameNorm: name, Email: name + "@example.com", EmailNorm: name + "@example.com", Password: "hash of " + name,
		IsActive: true, SessionEpoch: 1000, DateJoined: now(),
	}
	ok(f.t, f.CreateUser(f.t.Context(), &u))
	return u
}

func newSession(u models.User, at time.Time) models.Session {
	return models.Session{
		ID: uuid.Must(uuid.NewV7()), UserID: u.ID, Epoch: u.SessionEpoch, RotatedAt: at, CreatedAt: at, LastUsedAt: at,
		IdleExpiresAt: at.Add(time.Hour).Truncate(time.Second), ExpiresAt: at.Add(2 * time.Hour).Truncate(time.Second), Transport: "hybrid",
		UserAgent: "test", IP: "192.0.2.1",
	}
}

// login creates a session that begins now.
func (f *fixture) login(u models.User) models.Session {
	f.t.Helper()
	s := newSession(u, now())
	ok(f.t, f.CreateSession(f.t.Context(), s, u.Password, "", 50, tolerance))
	return s
}

func (f *fixture) read(id uuid.UUID) models.Live {
	f.t.Helper()
	l, err := f.Session(f.t.Context(), id)
	ok(f.t, err)
	return l
}

func (f *fixture) reload(u models.User) models.User {
	f.t.Helper()
	u, err := f.UserByUsername(f.t.Context(), u.UsernameNorm)
	ok(f.t, err)
	return u
}

func (f *fixture) query(query string, args ...any) (rows [][]string) {
	f.t.Helper()
	return queryRows(f.t, f.db, query, args...)
}

// queryRows returns the result of a query as text, with NULL as "".
func queryRows(t testing.TB, db *servertest.Database, query string, args ...any) (rows [][]string) {
	t.Helper()
	result, err := db.SQL.QueryContext(context.Background(), query, servertest.Args(args...)...)
	ok(t, err)
	defer func() { _ = result.Close() }()
	columns, err := result.Columns()
	ok(t, err)
	for result.Next() {
		values, row := make([]any, len(columns)), make([]*string, len(columns))
		for i := range values {
			values[i] = &row[i]
		}
		ok(t, result.Scan(values...))
		text := make([]string, len(columns))
		for i, v := range row {
			if v != nil {
				text[i] = *v
			}
		}
		rows = append(rows, text)
	}
	ok(t, result.Err())
	return rows
}
