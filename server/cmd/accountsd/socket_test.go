package main

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

func TestMySQLIsReachedThroughUnixSocket(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL {
			return
		}
		db := servertest.NewDatabase(t, e)
		var socket string
		if err := db.SQL.QueryRowContext(t.Context(), "SELECT @@socket").Scan(&socket); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(socket); err != nil {
			t.Skip("the database server has no socket on this machine: ", err)
		}
		u, err := url.Parse(db.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.Host, u.RawQuery = "localhost", url.Values{"socket": {socket}}.Encode()
		s := newShell(t, "ACCOUNTS_DATABASE_URL="+u.String(), "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey, "ACCOUNTS_AUTO_MIGRATE=true")
		s.create("ada")
		if list := s.mustRun("", "user", "list"); !strings.Contains(list, " ada ") {
			t.Error(list)
		}
		if r := s.run("", "backup", "x"); r.code != 1 || !strings.Contains(r.err, "mariadb-dump --socket="+socket+" --user=") {
			t.Error(r.err)
		}
	})
}
