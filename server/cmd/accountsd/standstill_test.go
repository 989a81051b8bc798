package main

import (
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/accounts/server/servertest"
)

// A replica is stopped for longer than W+M while requests wait in its sockets, and their clients
// continue at another replica. When it resumes, it treats none of them as theft, and every session
// stays alive.
func TestResumedReplicaDetectsNoFalseReuse(t *testing.T) {
	t.Attr("control", "195")
	const w, m = 4 * time.Second, 800 * time.Millisecond
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		if engine == servertest.SQLite {
			return // SQLite has one replica by design
		}
		t.Parallel()
		db := servertest.NewDatabase(t, engine)
		settings := []string{"ACCOUNTS_ROTATION_INTERVAL=" + w.String(), "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=0"}
		stopped := startReplica(t, db, "", settings...)
		other := startReplica(t, db, stopped.URL, settings...)
		ada := stopped.newUser(t, "ada")
		waiting, active := make([]*servertest.Client, 16), make([]*servertest.Client, 16)
		for i := range waiting {
			waiting[i] = stopped.Login(ada, transports[i%len(transports)])
			active[i] = waiting[i].Copy().At(other.Server)
		}
		time.Sleep(w + m) // until the tokens are due for rotation

		var answers sync.WaitGroup
		ask := func(i int) {
			answers.Go(func() {
				r, err := waiting[i].Try(http.MethodPost, "/accounts/refresh_token", waiting[i].RefreshBody())
				if err != nil || r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
					t.Errorf("request %d is answered %+v, %v", i, r, err)
				}
			})
		}
		signal := func(s syscall.Signal) {
			if err := stopped.command.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		signal(syscall.SIGSTOP)
		time.Sleep(100 * time.Millisecond) // until every thread has stopped
		for i := range waiting {
			ask(i)
		}
		for i, c := range active {
			rotated := fmt.Sprint(c.RefreshTokens().Want(t, http.StatusOK, "").JSON["generation"])
			if rotated != "1" {
				t.Errorf("session %d has generation %s", i, rotated)
			}
		}
		time.Sleep(w + 2*m)
		signal(syscall.SIGCONT)
		answers.Wait()
		if t.Failed() {
			t.Logf("%d sessions were revoked for reuse", db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'refresh_reused'"))
			return
		}
		for _, c := range active {
			c.Profile().Want(t, http.StatusOK, "")
			c.RefreshTokens().Want(t, http.StatusOK, "")
		}
		if n := db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'refresh_reused'"); n != 0 {
			t.Errorf("%d false alarms", n)
		}
		time.Sleep(2 * m) // the stopped replica serves again
		for _, c := range active {
			c.Copy().At(stopped.Server).RefreshTokens().Want(t, http.StatusOK, "")
		}
	})
}
