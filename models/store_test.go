package models_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
)

// hold takes n connections of a pool at once, so that each is a different one.
func hold(t *testing.T, pool *sql.DB, n int) (conns []*sql.Conn) {
	t.Helper()
	for range n {
		c, err := pool.Conn(t.Context())
		ok(t, err)
		conns = append(conns, c)
	}
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return conns
}

// The required variables are set on every connection, not only on the first.
func TestEveryConnectionHasRequiredVariables(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		isolation := "transaction_isolation"
		names := map[string]bool{}
		for _, row := range f.query("SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'wsrep_sync_wait')") {
			names[row[0]] = true
		}
		if !names[isolation] {
			isolation = "tx_isolation"
		}
		if names["wsrep_sync_wait"] {
			t.Log("the server has wsrep_sync_wait")
		}
		for i, c := range hold(t, f.WritePool(), 5) {
			get := func(name string) (value string) {
				ok(t, c.QueryRowContext(t.Context(), "SELECT @@SESSION."+name).Scan(&value))
				return value
			}
			want := map[string]string{isolation: "READ-COMMITTED", "time_zone": "+00:00", "collation_connection": "utf8mb4_bin", "character_set_client": "utf8mb4"}
			if names["wsrep_sync_wait"] {
				want["wsrep_sync_wait"] = "7"
			}
			for name, value := range want {
				if got := get(name); got != value {
					t.Errorf("connection %d: %s is %s, want %s", i, name, got, value)
				}
			}
			for _, mode := range []string{"STRICT_TRANS_TABLES", "NO_ZERO_DATE", "ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION"} {
				if got := get("sql_mode"); !slices.Contains(strings.Split(got, ","), mode) {
					t.Errorf("connection %d: sql_mode lacks %s: %s", i, mode, got)
				}
			}
		}
		stats := f.Stats()
		if stats.MaxOpenConnections != 8 {
			t.Errorf("%d connections at most, want 8", stats.MaxOpenConnections)
		}
	})
}

// As many connections stay idle as may be open. With fewer, each burst would open and close
// connections.
func TestOpenConnectionsStayIdle(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		for _, c := range hold(t, f.WritePool(), 8) {
			ok(t, c.Close())
		}
		if idle := f.Stats().Idle; idle != 8 {
			t.Errorf("%d idle connections, want 8", idle)
		}
	})
}

// A value that does not fit is rejected, never truncated.
func TestValueTooLongIsRejected(t *testing.T) {
	eachMySQL(t, func(t *testing.T, f *fixture) {
		s := newSession(f.user, now())
		s.Transport = strings.Repeat("x", 17)
		if err := f.CreateSession(t.Context(), s, f.user.Password, "", 50, tolerance); !errors.Is(err, models.ErrRefused) {
			t.Errorf("%v", err)
		}
	})
}

func TestSQLiteConnectionsHavePragmas(t *testing.T) {
	eachSQLite(t, func(t *testing.T, f *fixture) {
		want := map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "1000"}
		conns := append(hold(t, f.WritePool(), 1), hold(t, f.ReadPool(), 4)...)
		for i, c := range conns {
			for name, value := range want {
				var got string
				if ok(t, c.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got)); got != value {
					t.Errorf("connection %d: %s is %s, want %s", i, name, got, value)
				}
			}
			_, err := c.ExecContext(t.Context(), "UPDATE users SET first_name = 'x'")
			if (err == nil) != (i == 0) {
				t.Errorf("connection %d: the write returned %v", i, err)
			}
		}
		if n := f.WritePool().Stats().MaxOpenConnections; n != 1 {
			t.Errorf("got %d write connections, want 1", n)
		}
	})
}

func eachSQLite(t *testing.T, f func(t *testing.T, f *fixture)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e == servertest.SQLite {
			t.Parallel()
			f(t, newFixture(t, e))
		}
	})
}

// Fifty writers and fifty readers at once wait in a queue, and none gets "database is locked".
func TestSQLiteQueuesConcurrentWriters(t *testing.T) {
	eachSQLite(t, func(t *testing.T, f *fixture) {
		sessions := make([]models.Session, 50)
		for i := range sessions {
			sessions[i] = f.login(f.user)
		}
		var wait sync.WaitGroup
		for _, s := range sessions {
			wait.Go(func() {
				for range 10 {
					if _, err := f.Touch(context.Background(), s.ID, 0, now(), tolerance, nil); err != nil {
						t.Errorf("touch: %v (%v)", err, models.Cause(err))
					}
				}
				n := newSession(f.user, now())
				if err := f.CreateSession(context.Background(), n, f.user.Password, "", 1000, tolerance); err != nil {
					t.Errorf("login: %v (%v)", err, models.Cause(err))
				}
			})
			wait.Go(func() {
				for range 20 {
					if _, err := f.Session(context.Background(), s.ID); err != nil {
						t.Errorf("read: %v (%v)", err, models.Cause(err))
					}
				}
			})
		}
		wait.Wait()
		if n := f.db.Count(t, "SELECT COUNT(*) FROM sessions"); n != 100 {
			t.Errorf("%d sessions, want 100", n)
		}
	})
}

// A second process, such as a command, writes to the same file at the same time.
func TestSQLiteAcceptsSecondProcess(t *testing.T) {
	eachSQLite(t, func(t *testing.T, f *fixture) {
		other := open(t, f.db)
		s := f.login(f.user)
		var wait sync.WaitGroup
		for _, store := range []*models.Store{f.Store, other} {
			wait.Go(func() {
				for range 100 {
					if _, err := store.Touch(context.Background(), s.ID, 0, now(), tolerance, nil); err != nil {
						t.Errorf("%v (%v)", err, models.Cause(err))
					}
				}
			})
		}
		wait.Wait()
	})
}

// The file contains password hashes. Only its owner can access it and the files next to it.
func TestSQLiteFilesArePrivate(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.SQLite {
			return
		}
		dir := filepath.Join(t.TempDir(), "made", "for 100% #1?")
		path := filepath.Join(dir, "accounts.db")
		s, err := models.Open(t.Context(), models.Options{SQLite: path, MaxConns: 2})
		ok(t, err)
		defer func() { _ = s.Close() }()
		_, err = s.Migrate(t.Context())
		ok(t, err)
		entries, err := os.ReadDir(dir)
		ok(t, err)
		var names []string
		for _, entry := range entries {
			info, err := entry.Info()
			ok(t, err)
			names = append(names, entry.Name())
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %v, want 0600", entry.Name(), info.Mode())
			}
		}
		if !slices.Equal(names, []string{"accounts.db", "accounts.db-shm", "accounts.db-wal"}) {
			t.Errorf("got the files %v", names)
		}
		info, err := os.Stat(dir)
		if ok(t, err); info.Mode().Perm() != 0o700 {
			t.Errorf("the folder has the mode %v, want 0700", info.Mode())
		}
	})
}

// Times are read as they were written: in UTC, to the microsecond, with any number of digits.
func TestTimesAreReadAsWritten(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		base := time.Now().UTC().Truncate(time.Second)
		for _, fraction := range []time.Duration{0, time.Microsecond, 999999 * time.Microsecond, 500 * time.Millisecond, 120 * time.Millisecond, 123456 * time.Microsecond} {
			at := base.Add(fraction)
			s := newSession(f.user, at)
			ok(t, f.CreateSession(t.Context(), s, f.user.Password, "", 50, time.Minute))
			l := f.read(s.ID)
			for name, pair := range map[string][2]time.Time{
				"rotated_at": {l.RotatedAt, s.RotatedAt}, "created_at": {l.CreatedAt, s.CreatedAt}, "last_used_at": {l.LastUsedAt, s.LastUsedAt},
				"idle_expires_at": {l.IdleExpiresAt, s.IdleExpiresAt}, "expires_at": {l.ExpiresAt, s.ExpiresAt}, "last_login": {*l.User.LastLogin, at},
				"date_joined": {l.User.DateJoined, f.user.DateJoined},
			} {
				if got, want := pair[0], pair[1]; !got.Equal(want) || got.Location() != time.UTC {
					t.Errorf("%s: %v, want %v", name, got, want)
				}
			}
			list, err := f.Sessions(t.Context(), f.user.ID, f.user.SessionEpoch, at, 50)
			ok(t, err)
			if i := slices.IndexFunc(list, func(x models.Session) bool { return x.ID == s.ID }); i < 0 || !list[i].RotatedAt.Equal(at) || list[i].RotatedAt.Location() != time.UTC {
				t.Errorf("the list of sessions has other times")
			}
		}
	})
}

// Stored times compare as times, with any number of digits. SQLite stores text.
func TestStoredTimesCompareAsTimes(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		base := time.Now().UTC().Truncate(time.Second)
		s := newSession(f.user, base)
		ok(t, f.CreateSession(t.Context(), s, f.user.Password, "", 50, time.Minute))
		instants := []time.Duration{-time.Second, -time.Microsecond, 0, time.Microsecond, 9 * time.Microsecond, 10 * time.Microsecond, 99999 * time.Microsecond,
			100 * time.Millisecond, 123450 * time.Microsecond, 123456 * time.Microsecond, 500 * time.Millisecond, 999999 * time.Microsecond, time.Second}
		for _, end := range instants {
			f.db.Exec(t, "UPDATE sessions SET idle_expires_at = ? WHERE id = ?", base.Add(end), s.ID)
			for _, at := range instants {
				done, err := f.Touch(t.Context(), s.ID, 0, base.Add(at), time.Minute, nil)
				if ok(t, err); done != (at < end) {
					t.Errorf("a session that ends at %v is live at %v: %v", end, at, done)
				}
			}
		}
	})
}

func TestClockIsThatOfDatabase(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		at, has, err := f.Clock(t.Context())
		ok(t, err)
		l := f.read(f.login(f.user).ID)
		if has != (f.db.Engine == servertest.MySQL) || l.DBNow.IsZero() == has {
			t.Fatalf("the store has a clock of the database: %v, %v", has, l.DBNow)
		}
		for _, got := range []time.Time{at, l.DBNow} {
			if off := time.Since(got); has && (off < -5*time.Second || off > 5*time.Second || got.Location() != time.UTC) {
				t.Errorf("the clock returned %v", got)
			}
		}
	})
}

// The hot statements find their row by the primary key.
func TestHotStatementsUseThePrimaryKey(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		var s models.Session
		for range 20 {
			s = f.login(f.newUser("u" + fmt.Sprint(time.Now().UnixNano())))
		}
		f.read(s.ID)
		_, err := f.Touch(t.Context(), s.ID, 0, now(), tolerance, nil)
		ok(t, err)
		for _, before := range []time.Time{{}, now()} {
			_, err = f.Rotate(t.Context(), models.Rotation{ID: s.ID, Now: now(), RotatedBefore: before, Tolerance: tolerance})
			ok(t, err)
		}
		if f.db.Engine == servertest.MySQL {
			f.db.Exec(t, "ANALYZE TABLE sessions, users")
		}
		queries := f.HotQueries()
		if len(queries) != 4 {
			t.Errorf("got %d prepared statements, want 4", len(queries))
		}
		for _, q := range queries {
			f.wantPrimaryKey(q, s)
		}
	})
}

// wantPrimaryKey checks that a query uses the primary key. The values must be those of an existing
// row that matches: MySQL reads the row to explain the query, and has no plan if none matches.
func (f *fixture) wantPrimaryKey(query string, s models.Session) {
	f.t.Helper()
	key := fmt.Sprintf("x'%x'", s.ID[:])
	query = strings.NewReplacer("user_id = ?", fmt.Sprint("user_id = ", s.UserID), "s.id = ?", "s.id = "+key, " id = ?", " id = "+key, "generation = ?", "generation = 0",
		"transport = ?", "transport = '"+s.Transport+"'", "expires_at = ?", "expires_at = '"+s.ExpiresAt.Format(time.DateTime)+"'", "rotated_at <= ?", "rotated_at <= '2099-01-01 00:00:00'",
		"BETWEEN ? AND ?", "BETWEEN '2000-01-01 00:00:00' AND '2099-01-01 00:00:00'", "?", "'2026-01-01 00:00:00'").Replace(query)
	if f.db.Engine == servertest.SQLite {
		var plan []string
		for _, row := range f.query("EXPLAIN QUERY PLAN " + query) {
			plan = append(plan, row[3])
			if strings.HasPrefix(row[3], "SCAN") {
				f.t.Errorf("%s\n%s", row[3], query)
			}
		}
		if all := strings.Join(plan, "\n"); !strings.Contains(all, "USING PRIMARY KEY (id=?)") || !strings.Contains(all, "u USING INTEGER PRIMARY KEY") {
			f.t.Errorf("%s\n%s", all, query)
		}
		return
	}
	rows := f.query("EXPLAIN FORMAT=TRADITIONAL " + query)
	if len(rows) != 2 {
		f.t.Errorf("%v\n%s", rows, query)
	}
	for _, row := range rows {
		if !slices.Contains(row, "PRIMARY") || slices.Contains(row, "ALL") || slices.Contains(row, "index") {
			f.t.Errorf("%v\n%s", row, query)
		}
	}
}
