package servertest

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver "sqlite"
	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
)

// Engine is a kind of database.
type Engine string

// The engines on which every test of storage or sessions runs.
const (
	SQLite Engine = "sqlite"
	MySQL  Engine = "mysql"
)

// EachEngine runs a test on every engine. TEST_ENGINES lists the engines to use, for example
// TEST_ENGINES=sqlite.
func EachEngine(t *testing.T, f func(t *testing.T, engine Engine)) {
	t.Helper()
	wanted := strings.Split(cmp.Or(os.Getenv("TEST_ENGINES"), "sqlite,mysql"), ",")
	for _, engine := range []Engine{SQLite, MySQL} {
		if slices.Contains(wanted, string(engine)) {
			t.Run(string(engine), func(t *testing.T) { f(t, engine) })
		}
	}
}

// Database is an empty database of one test, which is removed when the test ends. SQL bypasses the
// server, so that tests can read rows and make them older.
type Database struct {
	Engine Engine
	URL    string // in the form of ACCOUNTS_DATABASE_URL
	SQL    *sql.DB

	pools        []*sql.DB     // SQL, and a connection pool for each other node
	nodes        []string      // the URL of each node of a cluster, starting with URL
	urlsReturned *atomic.Int64 // how many URLs NextURL has returned
	changes      *sql.Stmt     // set by Watch
}

// NextURL returns the URL at which the next replica reaches the database. On a cluster
// (scripts/with-galera.sh), the first replica uses the node of SQL, so the locks that a test takes
// through SQL block it. Each further replica uses the next node in turn. If a test has set URL to
// another one, such as that of a proxy, NextURL always returns URL.
func (d *Database) NextURL() string {
	if len(d.nodes) == 0 || d.URL != d.nodes[0] {
		return d.URL
	}
	return d.nodes[int(d.urlsReturned.Add(1)-1)%len(d.nodes)]
}

// BackDoors returns SQL and, on a cluster, a pool for each other node. A test that locks a row
// needs all of them, because a lock is effective only at its own node.
func (d *Database) BackDoors() []*sql.DB { return d.pools }

// NewDatabase creates an empty database.
func NewDatabase(t testing.TB, engine Engine) *Database {
	t.Helper()
	if engine == SQLite {
		return newSQLite(t)
	}
	return newMySQL(t)
}

func newSQLite(t testing.TB) *Database {
	path := filepath.Join(t.TempDir(), "accounts.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return &Database{Engine: SQLite, URL: "sqlite:" + path, SQL: db, pools: []*sql.DB{db}}
}

// databaseCount counts the databases, so that on a cluster each starts at another node.
var databaseCount atomic.Int64

func newMySQL(t testing.TB) *Database {
	servers := strings.Fields(cmp.Or(os.Getenv("TEST_GALERA_URLS"), os.Getenv("TEST_MYSQL_URL")))
	if len(servers) == 0 {
		t.Fatal("TEST_MYSQL_URL is not set: run `make test`, or `scripts/with-mysql.sh -- go test ./...`, or leave MySQL out by TEST_ENGINES=sqlite")
	}
	name := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	first := int(databaseCount.Add(1))
	d := &Database{Engine: MySQL, urlsReturned: &atomic.Int64{}}
	var admin *sql.DB
	for i := range servers {
		u, err := url.Parse(servers[(first+i)%len(servers)])
		must(t, err)
		node := dial(t, u, strings.TrimPrefix(u.Path, "/"))
		if i == 0 {
			admin = node
			_, err = admin.ExecContext(context.Background(), "CREATE DATABASE "+name)
			must(t, err)
		} else { // a read waits for replication, which connecting does not: after it, this node has the database
			_, err = node.ExecContext(context.Background(), "SELECT 1 FROM information_schema.schemata LIMIT 1")
			must(t, errors.Join(err, node.Close()))
		}
		d.pools = append(d.pools, dial(t, u, name))
		u.Path = "/" + name
		d.nodes = append(d.nodes, u.String())
	}
	d.SQL = d.pools[0]
	d.URL = d.nodes[0]
	t.Cleanup(func() {
		for _, door := range d.pools {
			_ = door.Close()
		}
		_, _ = admin.ExecContext(context.Background(), "DROP DATABASE "+name)
		_ = admin.Close()
	})
	return d
}

func dial(t testing.TB, u *url.URL, name string) *sql.DB {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName, c.ParseTime, c.Loc = u.User.Username(), "tcp", u.Host, name, true, time.UTC
	c.Passwd, _ = u.User.Password()
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	if os.Getenv("TEST_GALERA_URLS") != "" {
		c.Params["wsrep_sync_wait"] = "7" // makes the writes of replicas at other nodes visible
	}
	connector, err := mysql.NewConnector(c)
	must(t, err)
	return sql.OpenDB(connector)
}

// Exec runs a statement without the server.
func (d *Database) Exec(t testing.TB, query string, args ...any) {
	t.Helper()
	_, err := d.SQL.ExecContext(context.Background(), query, Args(args...)...)
	must(t, err)
}

// Count returns the single number that a query selects.
func (d *Database) Count(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	must(t, d.SQL.QueryRowContext(context.Background(), query, Args(args...)...).Scan(&n))
	return n
}

// Args returns the arguments of a statement for SQL. An id becomes the 16 bytes that the column
// holds; models does the same for its own connections.
func Args(args ...any) []any {
	args = slices.Clone(args)
	for i, a := range args {
		if id, ok := a.(uuid.UUID); ok {
			args[i] = id[:]
		}
	}
	return args
}

// Age makes the current generation of every session older, as if it had started earlier by this
// duration.
func (d *Database) Age(t testing.TB, by time.Duration) {
	t.Helper()
	d.shift(t, "rotated_at", -by)
}

func (d *Database) shift(t testing.TB, column string, by time.Duration) {
	ctx := context.Background()
	rows, err := d.SQL.QueryContext(ctx, "SELECT id, "+column+" FROM sessions")
	must(t, err)
	times := map[[16]byte]time.Time{}
	for rows.Next() {
		var id []byte
		var at time.Time
		must(t, rows.Scan(&id, &at))
		times[[16]byte(id)] = at
	}
	must(t, rows.Err())
	must(t, rows.Close())
	for id, at := range times {
		d.Exec(t, "UPDATE sessions SET "+column+" = ? WHERE id = ?", at.Add(by).UTC(), id[:])
	}
}

var tables = []string{"users", "sessions", "events", "one_time_tokens", "outbox"}

// Snapshot stores every row as it is now. Restore returns to this state, as often as a test needs
// it: it reverts rows that requests changed, removed or added, so that used tokens are valid again.
func (d *Database) Snapshot(t testing.TB) {
	t.Helper()
	for _, table := range tables {
		d.Exec(t, "DROP TABLE IF EXISTS kept_"+table)
		d.Exec(t, "CREATE TABLE kept_"+table+" AS SELECT * FROM "+table)
	}
}

// Restore restores the rows of the last Snapshot.
func (d *Database) Restore(t testing.TB) {
	t.Helper()
	tx, err := d.SQL.BeginTx(context.Background(), nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	for _, table := range tables {
		_, err := tx.ExecContext(context.Background(), "DELETE FROM "+table)
		must(t, err)
		_, err = tx.ExecContext(context.Background(), "INSERT INTO "+table+" SELECT * FROM kept_"+table)
		must(t, err)
	}
	must(t, tx.Commit())
}

// Dump returns every value of every table as text, to search for secrets and changes.
func (d *Database) Dump(t testing.TB) string {
	t.Helper()
	var dump strings.Builder
	for _, table := range tables {
		rows, err := d.SQL.QueryContext(context.Background(), "SELECT * FROM "+table+" ORDER BY id")
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			must(t, rows.Scan(values...))
			for i, column := range columns {
				_, _ = fmt.Fprintf(&dump, "%s.%s=%s\n", table, column, text(*values[i].(*any)))
			}
		}
		must(t, rows.Err())
		must(t, rows.Close())
	}
	return dump.String()
}

func text(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
