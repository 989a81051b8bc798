package servertest

import (
	"context"
	"fmt"
	"testing"
)

// Change is a row that a transaction has inserted, updated or deleted. UserID is the user that the
// row belongs to, or 0 if it belongs to no user.
type Change struct {
	Seq       int64
	Table, Op string
	UserID    int64
}

func (c Change) String() string { return fmt.Sprintf("%s of %s of user %d", c.Op, c.Table, c.UserID) }

// Watch makes the database record every change from now on. This is much cheaper than a Dump before
// and after each request. It also records a row that is written without a difference, or changed
// and changed back.
func (d *Database) Watch(t testing.TB) {
	t.Helper()
	key, each := "INTEGER PRIMARY KEY AUTOINCREMENT", ""
	if d.Engine == MySQL {
		key, each = "BIGINT PRIMARY KEY AUTO_INCREMENT", "FOR EACH ROW "
	}
	d.Exec(t, "CREATE TABLE changes (seq "+key+", tbl VARCHAR(20) NOT NULL, op VARCHAR(10) NOT NULL, user_id BIGINT NOT NULL)")
	for _, table := range tables {
		owner := "user_id"
		if table == "users" {
			owner = "id"
		}
		for op, row := range map[string]string{"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"} {
			write := fmt.Sprintf("INSERT INTO changes (tbl, op, user_id) VALUES ('%s', '%s', %s.%s)", table, op, row, owner)
			if d.Engine == SQLite {
				write = "BEGIN " + write + "; END"
			}
			d.Exec(t, fmt.Sprintf("CREATE TRIGGER changes_%s_%s AFTER %s ON %s %s%s", table, op, op, table, each, write))
		}
	}
	var err error
	d.changes, err = d.SQL.PrepareContext(context.Background(), "SELECT seq, tbl, op, user_id FROM changes WHERE seq > ? ORDER BY seq")
	must(t, err)
	t.Cleanup(func() { _ = d.changes.Close() })
}

// Changes returns the changes after the one with number seq, in order.
func (d *Database) Changes(t testing.TB, seq int64) (list []Change) {
	t.Helper()
	rows, err := d.changes.QueryContext(context.Background(), seq)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var c Change
		must(t, rows.Scan(&c.Seq, &c.Table, &c.Op, &c.UserID))
		list = append(list, c)
	}
	must(t, rows.Err())
	return list
}
