package server_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

func ready(s *servertest.Server) *servertest.Response {
	return s.Anonymous().Do(http.MethodGet, "/readyz", nil)
}

// However many readiness checks there are, they write one row once every few seconds.
func TestReadinessChecksWriteOnceInFewSeconds(t *testing.T) {
	t.Attr("control", "207")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		start := time.Now()
		var at atomic.Int64 // also read by the server's workers
		s := servertest.Start(t, servertest.Options{Engine: e, Now: func() time.Time { return start.Add(time.Duration(at.Load())) }})
		written := func() (last string) {
			if err := s.Database.SQL.QueryRowContext(t.Context(), "SELECT CAST(MAX(last_at) AS CHAR) FROM rate_limits WHERE kind = 'ready'").Scan(&last); err != nil {
				t.Fatal(err)
			}
			return last
		}
		seen := map[string]bool{}
		for i := range 3 {
			for range 20 { // within one second
				at.Add(int64(50 * time.Millisecond))
				ready(s).Want(t, http.StatusOK, "")
				seen[written()] = true
			}
			at.Add(int64(4 * time.Second))
			if len(seen) != i+1 {
				t.Errorf("got %d writes in %d rounds, want one per round", len(seen), i+1)
			}
			if e == servertest.MySQL { // MySQL's clock does not follow the test's
				break
			}
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM rate_limits"); n != 1 {
			t.Errorf("got %d rows, want 1", n)
		}
	})
}

// A database that answers reads but rejects writes is not ready: its disk is full, or it has become
// a replica.
func TestServerIsNotReadyIfDatabaseRejectsWrites(t *testing.T) {
	t.Attr("control", "207")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e != servertest.MySQL { // TestServerIsNotReadyOnFullDisk covers SQLite
			return
		}
		s := servertest.Start(t, servertest.Options{Engine: e})
		c := s.Login(s.NewUser(), token.Body)
		for _, number := range []int{1114, 1290} { // ER_RECORD_FILE_FULL; ER_OPTION_PREVENTS_STATEMENT (--read-only)
			for _, event := range []string{"INSERT", "UPDATE"} {
				s.Database.Exec(t, fmt.Sprintf("CREATE TRIGGER no_%[1]s BEFORE %[1]s ON rate_limits FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = %[2]d", event, number))
			}
			other := servertest.Start(t, servertest.Options{Database: s.Database, Engine: e})
			ready(other).Want(t, http.StatusServiceUnavailable, "service_unavailable")
			c.Profile().Want(t, http.StatusOK, "")
			for _, event := range []string{"INSERT", "UPDATE"} {
				s.Database.Exec(t, "DROP TRIGGER no_"+event)
			}
			ready(other).Want(t, http.StatusServiceUnavailable, "service_unavailable") // the cached result
			time.Sleep(1100 * time.Millisecond)
			ready(other).Want(t, http.StatusOK, "")
		}
		ready(s).Want(t, http.StatusOK, "")
	})
}
