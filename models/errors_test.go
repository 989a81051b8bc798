package models_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"gorm.io/gorm"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

func mysqlError(number uint16) error {
	return fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: number, Message: "secret text of the driver"})
}

// Every driver error is translated to its sentinel.
func TestDriverErrorsAreTranslated(t *testing.T) {
	for _, c := range []struct {
		kind error
		errs []error
	}{
		{models.ErrNotFound, []error{gorm.ErrRecordNotFound, sql.ErrNoRows}},
		{models.ErrConflict, []error{gorm.ErrDuplicatedKey, mysqlError(1062)}},
		{models.ErrTransient, []error{mysqlError(1213), mysqlError(1205), mysqlError(1020), mysqlError(1180)}},
		{models.ErrUnavailable, []error{
			mysqlError(1040), mysqlError(1045), mysqlError(1047), mysqlError(1053), mysqlError(1114), mysqlError(1290), mysqlError(1836), mysqlError(1927), mysqlError(4031),
			driver.ErrBadConn, mysql.ErrInvalidConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED,
			context.DeadlineExceeded, context.Canceled, &net.OpError{Op: "read", Err: syscall.ECONNRESET},
			fmt.Errorf("wrapped: %w", mysql.ErrInvalidConn), errors.New("sql: database is closed"),
		}},
		{models.ErrRefused, []error{mysqlError(1146), mysqlError(1406), mysqlError(1064)}},
	} {
		for _, err := range c.errs {
			got := models.Translate(err)
			if !errors.Is(got, c.kind) || !errors.Is(got, err) {
				t.Errorf("%v is %v, want %v", err, got, c.kind)
			}
			if got.Error() != "models: "+c.kind.Error() {
				t.Errorf("%v has the message %q", err, got)
			}
			if models.Cause(got) != err {
				t.Errorf("the cause of %v is %v", got, models.Cause(got))
			}
			if again := models.Translate(fmt.Errorf("in a transaction: %w", got)); !errors.Is(again, c.kind) {
				t.Errorf("translated twice: got %v", again)
			}
		}
	}
	if models.Translate(nil) != nil {
		t.Error("Translate(nil) returned an error")
	}
	if own := errors.New("a fault of ours"); models.Translate(own) != own {
		t.Error("Translate changed an error of another package")
	}
}

// No message contains a driver's text, because it may contain values.
func TestErrorsContainNoDriverText(t *testing.T) {
	const value = "hunter2@example.com"
	eachStore(t, func(t *testing.T, f *fixture) {
		f.db.Exec(t, map[servertest.Engine]string{
			servertest.SQLite: "CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, '" + value + "'); END",
			servertest.MySQL:  "CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '" + value + "'",
		}[f.db.Engine])
		s := f.login(f.user)
		_, err := f.RevokeReused(t.Context(), s.ID, 0, now(), tolerance, models.Event{ID: s.ID, UserID: 1, Kind: "x", CreatedAt: now()})
		if !errors.Is(err, models.ErrRefused) || strings.Contains(err.Error(), value) {
			t.Errorf("%v", err)
		}
		if !strings.Contains(models.Cause(err).Error(), value) {
			t.Errorf("the cause %v does not contain the value", models.Cause(err))
		}
		if f.read(s.ID).RevokedAt != nil {
			t.Error("the session was revoked without its event")
		}

		f.db.Exec(t, "DROP TABLE events")
		_, err = f.RevokeReused(t.Context(), s.ID, 0, now(), tolerance, models.Event{ID: s.ID, UserID: 1, Kind: "x", CreatedAt: now()})
		if err == nil || strings.Contains(err.Error(), "events") || f.read(s.ID).RevokedAt != nil {
			t.Errorf("%v", err)
		}
	})
}

func TestCanceledContextOrClosedStoreIsUnavailable(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		for _, ctx := range []context.Context{gone, late} {
			if _, err := f.Session(ctx, s.ID); !errors.Is(err, models.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if _, err := f.Revoke(ctx, s.ID, f.user.ID, now(), "logout"); !errors.Is(err, models.ErrUnavailable) {
				t.Errorf("%v", err)
			}
		}
		ok(t, f.Close())
		for name, call := range map[string]func(context.Context) error{
			"Session":           func(ctx context.Context) error { _, err := f.Session(ctx, s.ID); return err },
			"Rotate":            func(ctx context.Context) error { _, err := f.Rotate(ctx, models.Rotation{ID: s.ID}); return err },
			"Touch":             func(ctx context.Context) error { _, err := f.Touch(ctx, s.ID, 0, now(), tolerance, nil); return err },
			"Revoke":            func(ctx context.Context) error { _, err := f.Revoke(ctx, s.ID, 1, now(), "x"); return err },
			"RevokeAllSessions": func(ctx context.Context) error { return f.RevokeAllSessions(ctx, 1, 1) },
			"KeepOnly":          func(ctx context.Context) error { return f.KeepOnly(ctx, s.ID, 1, 1, now()) },
			"Ping":              f.Ping,
			"CreateSession": func(ctx context.Context) error {
				return f.CreateSession(ctx, newSession(f.user, now()), "", "", 50, tolerance)
			},
			"UserByEmail": func(ctx context.Context) error { _, err := f.UserByEmail(ctx, "x"); return err },
		} {
			if err := call(t.Context()); !errors.Is(err, models.ErrUnavailable) {
				t.Errorf("%s of a closed store: got %v, want ErrUnavailable", name, err)
			}
		}
	})
}

// Opening fails if the server cannot be reached, or if it rejects the login.
func TestOpenFailsWithoutReachableMySQL(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return
		}
		o := options(t, servertest.NewDatabase(t, e))
		nobody, err := net.Listen("tcp", "127.0.0.1:0")
		ok(t, err)
		ok(t, nobody.Close())
		for _, change := range []func(*models.MySQL){
			func(m *models.MySQL) { m.Addr = nobody.Addr().String() },
			func(m *models.MySQL) { m.Password = "wrong password" },
		} {
			where := *o.MySQL
			change(&where)
			_, err := models.Open(t.Context(), models.Options{MySQL: &where, MaxConns: 2, Log: o.Log})
			if !errors.Is(err, models.ErrUnavailable) || strings.Contains(fmt.Sprint(err, models.Cause(err)), "wrong password") {
				t.Errorf("%v (%v)", err, models.Cause(err))
			}
		}
	})
}

// failing makes the next n writes of a table fail with an error number of the server. It also works
// for writes whose failure is detected late. The counter is not part of any transaction.
func (f *fixture) failing(table, when string, number, n int) {
	f.t.Helper()
	f.db.Exec(f.t, "CREATE TABLE IF NOT EXISTS failures (n INT NOT NULL) ENGINE=MyISAM")
	f.db.Exec(f.t, "DELETE FROM failures")
	f.db.Exec(f.t, "INSERT INTO failures VALUES (?)", n)
	f.db.Exec(f.t, "DROP TRIGGER IF EXISTS failing")
	f.db.Exec(f.t, fmt.Sprintf(`CREATE TRIGGER failing %s ON %s FOR EACH ROW BEGIN
		UPDATE failures SET n = n - 1;
		IF (SELECT n FROM failures) >= 0 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = %d, MESSAGE_TEXT = 'made up'; END IF;
	END`, when, table, number))
}

// A transaction that conflicts with another one is repeated as a whole, a bounded number of times.
func TestConflictingTransactionIsRepeated(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		for _, number := range []int{1213, 1205, 1020} {
			f.failing("sessions", "AFTER INSERT", number, models.MaxTries-1)
			before := f.db.Count(t, "SELECT COUNT(*) FROM sessions")
			s := newSession(f.user, now())
			ok(t, f.CreateSession(t.Context(), s, f.user.Password, "a better hash", 50, tolerance))
			if got := f.db.Count(t, "SELECT COUNT(*) FROM sessions"); got != before+1 {
				t.Errorf("%d: got %d sessions, want %d", number, got, before+1)
			}
			if l := f.read(s.ID); !l.User.LastLogin.Equal(s.CreatedAt) {
				t.Errorf("%d: the session was created without the time of the login", number)
			}

			f.failing("sessions", "AFTER INSERT", number, models.MaxTries)
			u := f.reload(f.user)
			err := f.CreateSession(t.Context(), newSession(u, now().Add(time.Second)), u.Password, "another hash", 50, time.Minute)
			if !errors.Is(err, models.ErrTransient) {
				t.Errorf("%d: %v", number, err)
			}
			if got := f.reload(u); !got.LastLogin.Equal(*u.LastLogin) || got.Password != u.Password {
				t.Errorf("%d: a part of the transaction was committed", number)
			}
			f.db.Exec(t, "UPDATE users SET password = ?", f.user.Password)
		}
	})
}

// Single statements are repeated, too.
func TestConflictingStatementIsRepeated(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		f.failing("users", "BEFORE UPDATE", 1213, 2)
		ok(t, f.RevokeAllSessions(t.Context(), f.user.ID, f.user.SessionEpoch))
		if got := f.reload(f.user).SessionEpoch; got != f.user.SessionEpoch+1 {
			t.Errorf("got epoch %d, want %d", got, f.user.SessionEpoch+1)
		}
		f.failing("sessions", "BEFORE UPDATE", 1205, 2)
		found, err := f.Revoke(t.Context(), s.ID, f.user.ID, now(), models.RevokedByLogout)
		if ok(t, err); !found {
			t.Error("the session was not found")
		}
		f.failing("sessions", "BEFORE UPDATE", 1213, 1)
		if _, err := f.Rotate(t.Context(), models.Rotation{ID: s.ID}); err != nil { // matches no row
			t.Errorf("%v", err)
		}
	})
}

// Errors that a repetition cannot fix are not repeated, including those of a guard.
func TestPermanentErrorsAreNotRepeated(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		tries, err := f.RunStatements(t.Context(), "UPDATE nothing SET x = 1")
		if tries != 1 || err == nil {
			t.Errorf("got %d tries and %v, want 1 and an error", tries, err)
		}
		err = f.TxNotFound(t.Context(), "UPDATE users SET first_name = 'changed'")
		if !errors.Is(err, models.ErrNotFound) || f.reload(f.user).FirstName != "" {
			t.Errorf("%v", err)
		}
	})
}

// A transaction whose context ends before COMMIT fails with ErrUnavailable, not with an internal
// error.
func TestTransactionAfterDeadlineIsUnavailable(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		if err := f.TxOutOfTime("UPDATE users SET first_name = 'changed'"); !errors.Is(err, models.ErrUnavailable) || f.reload(f.user).FirstName != "" {
			t.Errorf("%v", err)
		}
	})
}

// This is a real deadlock: two transactions lock the same two rows in opposite orders. The store's
// transaction is smaller, so the server rolls it back, and the store repeats it.
func TestTransactionIsRepeatedAfterDeadlock(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		s := f.login(f.user)
		other, err := f.db.SQL.BeginTx(t.Context(), nil)
		ok(t, err)
		for i := range 50 { // makes this transaction the larger one
			id := uuid.UUID{byte(i), 1}
			_, err := other.ExecContext(t.Context(), "INSERT INTO events (id, user_id, kind, detail, ip, user_agent, created_at) VALUES (?, 1, '', '', '', '', NOW())", id[:])
			ok(t, err)
		}
		_, err = other.ExecContext(t.Context(), "UPDATE users SET first_name = 'x' WHERE id = ?", f.user.ID)
		ok(t, err)
		kept := make(chan error)
		go func() {
			kept <- f.KeepOnly(context.Background(), s.ID, f.user.ID, f.user.SessionEpoch, now()) // the session, then the user
		}()
		for waiting := int64(0); waiting == 0; {
			time.Sleep(10 * time.Millisecond)
			waiting = f.db.Count(t, `SELECT COUNT(*) FROM information_schema.innodb_trx x JOIN information_schema.processlist p
				ON p.id = x.trx_mysql_thread_id WHERE p.db = DATABASE() AND x.trx_state = 'LOCK WAIT'`)
		}
		_, err = other.ExecContext(t.Context(), "UPDATE sessions SET ip = 'x' WHERE id = ?", s.ID[:])
		if err != nil {
			t.Fatalf("the server rolled back the transaction of the test, not that of the store: %v", err)
		}
		ok(t, other.Commit())
		ok(t, <-kept)
		if l := f.read(s.ID); l.Epoch != f.user.SessionEpoch+1 || l.User.SessionEpoch != l.Epoch || l.IP != "x" {
			t.Errorf("got the epochs %d and %d", l.Epoch, l.User.SessionEpoch)
		}
	})
}

func eachMySQL(t *testing.T, f func(t *testing.T, f *fixture)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e == servertest.MySQL {
			t.Parallel()
			f(t, newFixture(t, e))
		}
	})
}
