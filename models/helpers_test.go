package models_test

import (
	"context"
	"errors"
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
		Username: name, UsernameNorm: name, Email: name + "@example.com", EmailNorm: name + "@example.com", Password: models.PasswordHash("hash of " + name),
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

func (f *fixture) read(id uuid.UUID) models.SessionWithUser {
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

// The methods below make the writes that the operations of package accounts compose of the
// verbs of a transaction, for tests of other writes that run at the same time.

func (f *fixture) CreateUser(ctx context.Context, u *models.User) error {
	return f.Tx(ctx, func(tx *models.Tx) error { return tx.CreateUser(u) })
}

func (f *fixture) ChangeUser(ctx context.Context, u models.User, p models.UserPatch) error {
	return f.Tx(ctx, func(tx *models.Tx) error { return tx.ChangeUser(u, p) })
}

func (f *fixture) SetPassword(ctx context.Context, u models.User, hash models.PasswordHash) error {
	return f.changeAndEndLinks(ctx, u, models.UserPatch{Password: &hash, NextEpoch: true})
}

func (f *fixture) SetActive(ctx context.Context, u models.User, active bool) error {
	return f.changeAndEndLinks(ctx, u, models.UserPatch{IsActive: &active, NextEpoch: true})
}

func (f *fixture) changeAndEndLinks(ctx context.Context, u models.User, p models.UserPatch) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.ChangeUser(u, p) },
			func() error {
				return tx.EndTokens(models.TokenFilter{UserID: u.ID, ExceptPurpose: models.PurposeVerify})
			},
			func() error { return tx.CancelMails(u.EmailNorm, "reset", "invitation") },
			func() error { return tx.EndEmailChanges(models.EmailChanges{ActorID: u.ID}) },
		)
	})
}

func (f *fixture) DeleteUser(ctx context.Context, u models.User, events ...models.Event) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.DeleteUser(u) },
			func() error { return tx.DeleteRows(u, models.UserEvents) },
			func() error { return tx.ClearEvents(u.ID) },
			func() error { return tx.ForgetNetworks(u.UsernameNorm, u.EmailNorm) },
			func() error { return tx.EndEmailChanges(models.EmailChanges{ActorID: u.ID}) },
			func() error { return tx.DeleteRows(u, models.UserSessions, models.UserTokens, models.UserMails) },
			func() error { return tx.AddEvents(events...) },
		)
	})
}

// AddRegistration stores a registration and queues its mail.
func (f *fixture) AddRegistration(ctx context.Context, t models.OneTimeToken, m models.Mail) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.AddMails(m) },
			func() error { return tx.AddToken(t) },
		)
	})
}

// CompleteRegistration creates the user of a registration.
func (f *fixture) CompleteRegistration(ctx context.Context, s *models.Store, t models.OneTimeToken, u *models.User) error {
	return s.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.UseToken(t) },
			func() error {
				return tx.EndTokens(models.TokenFilter{EmailNorm: t.EmailNorm, Purpose: models.PurposeVerify})
			},
			func() error { return tx.CreateUser(u) },
			func() error { return tx.SetTokenUser(t, u.ID) },
		)
	})
}

// ResetPassword sets the password of a user as read with the token of a reset.
func (f *fixture) ResetPassword(ctx context.Context, s *models.Store, t models.OneTimeToken, u models.User, hash models.PasswordHash) error {
	return s.Tx(ctx, func(tx *models.Tx) error {
		now := tx.Now()
		return inOrder(
			func() error { return tx.UseToken(t) },
			func() error {
				return tx.ChangeUser(u, models.UserPatch{Password: &hash, EmailVerifiedAt: &now, NextEpoch: true})
			},
			func() error { return tx.EndTokens(models.TokenFilter{UserID: u.ID}) },
		)
	})
}

// AddEmailChange starts a change of a user's address.
func (f *fixture) AddEmailChange(ctx context.Context, u models.User, t models.OneTimeToken) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.ChangeUser(u, models.UserPatch{NewVersion: true}) },
			func() error {
				return tx.EndTokens(models.TokenFilter{UserID: u.ID, Purpose: models.PurposeEmailChange})
			},
			func() error { return tx.AddToken(t) },
		)
	})
}

// CancelEmailChange ends a pending change of a user's address.
func (f *fixture) CancelEmailChange(ctx context.Context, s *models.Store, u models.User, pending models.OneTimeToken, events ...models.Event) error {
	return s.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.ChangeUser(u, models.UserPatch{NewVersion: true}) },
			func() error { return tx.AddEvents(events...) },
			func() error { return tx.UseToken(pending) },
		)
	})
}

// ReplaceEmailChange replaces the link of a pending change of a user's address.
func (f *fixture) ReplaceEmailChange(ctx context.Context, u models.User, pending, next models.OneTimeToken) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		return inOrder(
			func() error { return tx.LockUserAsRead(u) },
			func() error { return tx.UseToken(pending) },
			func() error { return tx.AddToken(next) },
		)
	})
}

// ConfirmEmailChange puts a pending address into force.
func (f *fixture) ConfirmEmailChange(ctx context.Context, u models.User, t models.OneTimeToken) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		now := tx.Now()
		return inOrder(
			func() error { return tx.LockUserAsRead(u) },
			func() error { return tx.UseToken(t) },
			func() error {
				return tx.ChangeUser(u, models.UserPatch{Email: &t.Email, EmailNorm: &t.EmailNorm, EmailVerifiedAt: &now})
			},
			func() error { return tx.EndTokens(models.TokenFilter{UserID: u.ID}) },
		)
	})
}

func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// The methods below combine the verbs of sessions as the packages above do.

// at runs a transaction at the given instant.
func (f *fixture) at(ctx context.Context, now time.Time, do func(tx *models.Tx) error) error {
	return f.WithClock(func() time.Time { return now }).Tx(ctx, do)
}

// CreateSession adds the session of a login at the session's own time.
func (f *fixture) CreateSession(ctx context.Context, s models.Session, oldHash, rehash models.PasswordHash, limit int, tolerance time.Duration) error {
	u := models.User{ID: s.UserID, SessionEpoch: s.Epoch, Password: oldHash}
	return f.at(ctx, s.CreatedAt, func(tx *models.Tx) error {
		if err := tx.RecordLogin(u); err != nil {
			return err
		}
		if rehash != "" {
			if err := tx.ReplaceHash(u, rehash); err != nil {
				return err
			}
		}
		if err := tx.InsertSession(s, tolerance); err != nil {
			return err
		}
		_, err := tx.RevokeOldestSessions(u, limit, models.RevokedByEvictor)
		return err
	})
}

// Revoke revokes a session, and reports whether the user has it.
func (f *fixture) Revoke(ctx context.Context, id uuid.UUID, userID int64, now time.Time, reason string) (bool, error) {
	err := f.at(ctx, now, func(tx *models.Tx) error {
		_, err := tx.RevokeSession(id, userID, reason)
		return err
	})
	if errors.Is(err, models.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// KeepOnly revokes every session of a user except for one.
func (f *fixture) KeepOnly(ctx context.Context, id uuid.UUID, userID, epoch int64, now time.Time) error {
	u := models.User{ID: userID, SessionEpoch: epoch}
	return f.at(ctx, now, func(tx *models.Tx) error {
		if err := tx.MoveSession(id, u); err != nil {
			return err
		}
		return tx.RevokeAllSessions(u)
	})
}

// RevokeAllSessions revokes every session of a user, who may be a staff member.
func (f *fixture) RevokeAllSessions(ctx context.Context, userID, epoch int64) error {
	return f.Tx(ctx, func(tx *models.Tx) error {
		if err := tx.RevokeAllSessions(models.User{ID: userID, SessionEpoch: epoch}); err != nil {
			return err
		}
		return tx.EndEmailChanges(models.EmailChanges{ActorID: userID})
	})
}
