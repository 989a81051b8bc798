// Command sqlite executes the SQL on its standard input on a database file, also while a server
// uses it. The browser tests use it to create many users and to move times into the past. The
// sqlite3 shell is not installed everywhere.
//
//	sqlite FILE <statements.sql
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"

	_ "github.com/glebarez/go-sqlite" // registers the driver "sqlite"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "sqlite:", err)
		os.Exit(1)
	}
}

func run(args []string, statements io.Reader) (err error) {
	if len(args) != 1 {
		return errors.New("pass the name of one database file")
	}
	if _, err := os.Stat(args[0]); err != nil { // the driver would create a missing file
		return err
	}
	db, err := sql.Open("sqlite", args[0]+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	text, err := io.ReadAll(statements)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), string(text))
	return err
}
