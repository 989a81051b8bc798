package django

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// Database is a live Django database, read in one consistent snapshot.
type Database struct {
	db      *sql.DB
	conn    *sql.Conn // holds the transaction
	table   string
	columns map[string][]string
	total   int64
	last    int64
}

const (
	connectTime = 5 * time.Second
	answerTime  = 2 * time.Minute // enough to count a large table
)

// OpenDatabase opens a MySQL or MariaDB database and starts a read-only transaction. If table is
// empty, the table of the users is found by its columns. OpenDatabase writes nothing, and
// concurrent writes of other clients are not visible to it.
func OpenDatabase(ctx context.Context, m models.MySQL, table string) (*Database, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.TLSConfig = m.User, m.Password, m.Network(), m.Addr, m.Name, m.TLS
	c.InterpolateParams = true
	c.Timeout, c.ReadTimeout, c.WriteTimeout = connectTime, answerTime, answerTime
	c.Logger = &mysql.NopLogger{}
	c.Params = map[string]string{"transaction_isolation": "'REPEATABLE-READ'"}
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	d, err := open(ctx, c)
	var unknown *mysql.MySQLError
	if errors.As(err, &unknown) && unknown.Number == unknownVariable { // MariaDB before 11.1
		c.Params = map[string]string{"tx_isolation": "'REPEATABLE-READ'"}
		d, err = open(ctx, c)
	}
	if err != nil {
		return nil, databaseError(err)
	}
	if err := d.find(ctx, table); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

const unknownVariable = 1193

func open(ctx context.Context, c *mysql.Config) (*Database, error) {
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	d := &Database{db: sql.OpenDB(connector)}
	if d.conn, err = d.db.Conn(ctx); err == nil {
		_, err = d.conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// databaseError returns an error that tells the operator that the Django database cannot be read.
// The reason in it is the driver's error, which can contain names of database users, hosts and
// tables, but no data from the tables.
func databaseError(err error) error {
	var said *mysql.MySQLError
	if errors.As(err, &said) {
		said.Message = replaceUnprintable(said.Message)
	}
	return fmt.Errorf("the Django database cannot be read: %w", err)
}

// Close ends the transaction.
func (d *Database) Close() error {
	if d.conn != nil {
		_ = d.conn.Close()
	}
	return d.db.Close()
}

// Table returns the name of the table of the users.
func (d *Database) Table() string { return d.table }

// Total returns the number of users.
func (d *Database) Total() int64 { return d.total }

// Greatest returns the greatest id that can be imported.
func (d *Database) Greatest() int64 { return d.last }

// find selects the table of the users, and fails if its ids are not integers.
func (d *Database) find(ctx context.Context, table string) error {
	d.columns = map[string][]string{}
	types := map[string]string{} // types of the id columns
	rows, err := d.conn.QueryContext(ctx, "SELECT table_name, LOWER(column_name), LOWER(data_type) FROM information_schema.columns WHERE table_schema = DATABASE()")
	if err != nil {
		return databaseError(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, column, kind string
		if err := rows.Scan(&name, &column, &kind); err != nil {
			return databaseError(err)
		}
		d.columns[name] = append(d.columns[name], column)
		if column == "id" {
			types[name] = kind
		}
	}
	if err := rows.Err(); err != nil {
		return databaseError(err)
	}
	if d.table, err = chooseTable(d.columns, table); err != nil {
		return err
	}
	if kind := types[d.table]; !strings.HasSuffix(kind, "int") {
		return fmt.Errorf("cannot import the ids of %s: they are %s, not whole numbers", d.table, kind)
	}
	counts := "SELECT COUNT(*), COALESCE(MAX(CASE WHEN id <= ? THEN id END), 0) FROM " + quote(d.table)
	err = d.conn.QueryRowContext(ctx, counts, int64(accounts.MaxImportedID)).Scan(&d.total, &d.last)
	if err != nil {
		return databaseError(err)
	}
	return nil
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Users calls f with the users in batches, in the order of their ids.
func (d *Database) Users(ctx context.Context, f func([]accounts.DjangoUser) error) error {
	var columns []string
	for _, c := range userColumns {
		if slices.Contains(d.columns[d.table], c) {
			columns = append(columns, c)
		}
	}
	query := "SELECT `" + strings.Join(columns, "`, `") + "` FROM " + quote(d.table) + " WHERE id > ? ORDER BY id LIMIT ?"
	return readPages(ctx, d.conn, query, func(rows *sql.Rows) (int64, accounts.DjangoUser, error) {
		u, err := scanUser(rows, columns)
		return u.ID, u, err
	}, f)
}

// scanUser reads a row. The table of a custom user model may lack some of the columns.
func scanUser(rows *sql.Rows, columns []string) (accounts.DjangoUser, error) {
	u := accounts.DjangoUser{IsActive: true}
	var lastLogin, dateJoined sql.NullString
	texts := map[string]*string{"username": &u.Username, "email": &u.Email, "first_name": &u.FirstName, "last_name": &u.LastName, "password": &u.Password}
	flags := map[string]*bool{"is_active": &u.IsActive, "is_staff": &u.IsStaff, "is_superuser": &u.IsSuperuser}
	into := make([]any, 0, len(columns))
	for _, c := range columns {
		switch {
		case texts[c] != nil:
			into = append(into, zeroIfNull[string]{texts[c]})
		case flags[c] != nil:
			into = append(into, zeroIfNull[bool]{flags[c]})
		case c == "last_login":
			into = append(into, &lastLogin)
		case c == "date_joined":
			into = append(into, &dateJoined)
		default:
			into = append(into, &u.ID)
		}
	}
	err := rows.Scan(into...)
	if lastLogin.Valid {
		u.LastLogin = parseTime(lastLogin.String)
	}
	if dateJoined.Valid {
		u.DateJoined = parseTime(dateJoined.String)
	}
	return u, err
}

// zeroIfNull scans NULL as the zero value.
type zeroIfNull[T any] struct{ into *T }

// Scan implements [sql.Scanner].
func (o zeroIfNull[T]) Scan(src any) error {
	var v sql.Null[T]
	err := v.Scan(src)
	*o.into = v.V
	return err
}

// Tokens calls f with the blacklisted tokens in batches, in the order of their ids.
func (d *Database) Tokens(ctx context.Context, f func([]accounts.DjangoToken) error) error {
	if d.columns[outstandingTokens] == nil || d.columns[blacklistedTokens] == nil {
		return nil
	}
	const query = "SELECT o.id, o.jti, o.user_id, o.expires_at FROM " + outstandingTokens + " o JOIN " + blacklistedTokens + " b ON b.token_id = o.id " +
		"WHERE o.id > ? ORDER BY o.id LIMIT ?"
	return readPages(ctx, d.conn, query, func(rows *sql.Rows) (id int64, t accounts.DjangoToken, err error) {
		var expires string
		err = rows.Scan(&id, &t.JTI, zeroIfNull[int64]{&t.UserID}, &expires)
		t.ExpiresAt = *parseTime(expires)
		return id, t, err
	}, f)
}

// Addresses calls f with the rows of django-allauth's table in batches, in the order of their ids.
func (d *Database) Addresses(ctx context.Context, f func([]accounts.DjangoAddress) error) error {
	for _, column := range []string{"id", "user_id", "email", "verified"} {
		if !slices.Contains(d.columns[addressTable], column) {
			return nil
		}
	}
	const query = "SELECT id, user_id, email, verified FROM " + addressTable + " WHERE id > ? ORDER BY id LIMIT ?"
	return readPages(ctx, d.conn, query, func(rows *sql.Rows) (id int64, a accounts.DjangoAddress, err error) {
		var user string // not a number if the table belongs to other users
		err = rows.Scan(&id, zeroIfNull[string]{&user}, zeroIfNull[string]{&a.Email}, zeroIfNull[bool]{&a.Verified})
		a.UserID = number([]byte(user))
		return id, a, err
	}, f)
}

// readPages calls f with the rows of a query, a batch at a time. The query's two parameters are the
// id to read after and the number of rows. scan also returns the row's id.
func readPages[T any](ctx context.Context, conn *sql.Conn, query string, scan func(*sql.Rows) (int64, T, error), f func([]T) error) error {
	for last := int64(math.MinInt64); ; {
		list, err := readPage(ctx, conn, query, &last, scan)
		if err != nil {
			return databaseError(err)
		}
		if len(list) == 0 {
			return nil
		}
		if err := f(list); err != nil {
			return err
		}
	}
}

func readPage[T any](ctx context.Context, conn *sql.Conn, query string, last *int64, scan func(*sql.Rows) (int64, T, error)) ([]T, error) {
	rows, err := conn.QueryContext(ctx, query, *last, batch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		id, each, err := scan(rows)
		if err != nil {
			return nil, err
		}
		*last, list = id, append(list, each)
	}
	return list, rows.Err()
}
