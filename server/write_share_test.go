package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// While a row is locked, the writes of one client network wait, even after their clients have
// disconnected. Beyond its share the network's requests are rejected at once, and other networks
// can still read. After the lock is released, both networks can write again.
func TestWaitingWritesOfOneNetworkAreBounded(t *testing.T) {
	t.Attr("control", "186")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		flooding, other := s.Login(u, accounts.BodyTokens), s.Login(s.NewUser(), accounts.BodyTokens)
		rename := func(c *servertest.Client, ip string) *servertest.Response {
			return c.Do(http.MethodPatch, "/accounts/profile", object{"first_name": "Ada"}, from(ip))
		}
		unlock := lockUser(t, s, u.ID)
		flood := func() {
			var all sync.WaitGroup
			for i := range 300 { // more than the server lets wait
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
					defer cancel()
					_, _ = flooding.Try(http.MethodPatch, "/accounts/profile", object{"first_name": "Ada"},
						from(fmt.Sprintf("2001:db8:1:%x::1", i)), func(r *http.Request) { *r = *r.WithContext(ctx) })
				})
			}
			all.Wait()
		}
		var took time.Duration
		for try := 0; try == 0 || took > time.Second && try < 8; try++ { // on a busy machine few requests reach the database
			flood()
			began := time.Now()
			refused := rename(flooding, "2001:db8:1:ffff::1").Want(t, http.StatusServiceUnavailable, "service_unavailable")
			if after, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || after != 1 {
				t.Errorf("Retry-After %q", refused.Header.Get("Retry-After"))
			}
			took = time.Since(began)
		}
		if took > time.Second {
			t.Errorf("the request was rejected only after %v", took)
		}
		other.Do(http.MethodGet, "/accounts/profile", nil, from("2001:db8:2::1")).Want(t, http.StatusOK, "")
		unlock()
		rename(other, "2001:db8:2::1").Want(t, http.StatusOK, "")
		waitFor(t, func() bool { return rename(flooding, "2001:db8:1::1").Status == http.StatusOK })
	}, trusted, "ACCOUNTS_DB_MAX_CONNS=4")
}

// lockUser blocks all other writes of a user's row, and on SQLite of any row, until unlock is
// called.
func lockUser(t *testing.T, s *servertest.Server, id int64) (unlock func()) {
	t.Helper()
	ctx := context.Background()
	conn, err := s.Database.SQL.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	begin := "BEGIN"
	if s.Database.Engine == servertest.SQLite {
		begin = "BEGIN IMMEDIATE"
	}
	for _, query := range []string{begin, fmt.Sprintf("UPDATE users SET last_name = 'L' WHERE id = %d", id)} {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			t.Fatal(err)
		}
	}
	unlock = sync.OnceFunc(func() {
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
		_ = conn.Close()
	})
	t.Cleanup(unlock)
	return unlock
}
