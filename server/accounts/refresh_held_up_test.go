package accounts_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// A caller that has disconnected proves no theft.
func TestDisconnectedCallerProvesNoReuse(t *testing.T) {
	eachTransport(t, nil, func(t *testing.T, s *site, tr token.Transport) {
		r0 := s.login(tr)
		r2 := s.next(s.next(r0))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.unchanged(func() {
			_, err := s.replicas[0].Service.RefreshToken(ctx, s.input(r0))
			if !errors.Is(err, &problem.Error{Code: problem.ServiceUnavailable}) {
				t.Errorf("%v", err)
			}
		})
		// A rotation that has begun is completed regardless.
		s.age(r2, interval+margin)
		_, err := s.replicas[0].Service.RefreshToken(ctx, s.input(r2))
		if must(t, err); s.row(r2).Generation != 3 {
			t.Errorf("got generation %d, want 3", s.row(r2).Generation)
		}
	})
}

// The same over HTTP: the client disconnects while its request waits for a lock in the database.
func TestClientThatDisconnectsDuringRefreshProvesNoReuse(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		r0 := s.login(token.Body)
		r2 := s.next(s.next(r0))
		release := s.lock(r0)
		ctx, hangUp := context.WithCancel(context.Background())
		answered := make(chan error)
		c := s.at(r0)
		go func() {
			_, err := c.Try(http.MethodPost, "/accounts/refresh_token", c.RefreshBody(), func(r *http.Request) { *r = *r.WithContext(ctx) })
			answered <- err
		}()
		time.Sleep(200 * time.Millisecond)
		hangUp()
		if err := <-answered; err == nil {
			t.Fatal("the server responded while the row was locked")
		}
		time.Sleep(100 * time.Millisecond) // the server sees the connection end
		before := s.db.Dump(t)
		release()
		s.idle(c.Server)
		if after := s.db.Dump(t); after != before {
			t.Errorf("rows changed from\n%s\nto\n%s", before, after)
		}
		s.at(r2).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// lock locks the session's row, so that a write of it waits on every replica.
func (s *site) lock(c *servertest.Client) (release func()) {
	s.t.Helper()
	var held []*sql.Tx
	for _, door := range s.db.BackDoors() {
		tx, err := door.BeginTx(context.Background(), nil)
		must(s.t, err)
		_, err = tx.ExecContext(context.Background(), "UPDATE sessions SET ip = 'locked' WHERE id = ?", servertest.Args(id(c))...)
		must(s.t, err)
		held = append(held, tx)
	}
	return func() {
		for _, tx := range held {
			must(s.t, tx.Rollback())
		}
	}
}

// idle waits until the replica has logged the end of a refresh that failed or was rejected.
func (s *site) idle(r *servertest.Server) {
	s.t.Helper()
	for range 300 {
		for line := range strings.Lines(r.Log.String()) {
			if strings.Contains(line, `"operation":"refreshToken"`) && !strings.Contains(line, `"status":200`) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the server has not finished the request")
}

// A request that was held up for longer than M proves no theft either.
func TestLateDecisionProvesNoReuse(t *testing.T) {
	frozen := time.Now().UTC().Truncate(time.Microsecond)
	s := &site{t: t, db: servertest.NewDatabase(t, servertest.SQLite)}
	r := s.add(servertest.Options{Now: func() time.Time { return frozen }})
	s.user = r.NewUser()
	for _, tr := range transports {
		r0 := s.login(tr)
		s.next(s.next(r0))
		in := s.input(r0)
		in.Received = frozen.Add(-margin - time.Microsecond)
		s.unchanged(func() {
			_, err := r.Service.RefreshToken(context.Background(), in)
			var rule *problem.Error
			if !errors.As(err, &rule) || rule.Code != problem.ServiceUnavailable || rule.RetryAfter <= 0 {
				t.Errorf("%s: %v", tr, err)
			}
		})
		in.Received = frozen.Add(-margin)
		if _, err := r.Service.RefreshToken(context.Background(), in); !errors.Is(err, &problem.Error{Code: problem.RefreshReused}) {
			t.Errorf("%s: %v", tr, err)
		}
	}
}

// The same over HTTP: W = 2 s, so M is 0.4 s, and the row is locked for longer than that.
func TestRequestHeldUpByDatabaseProvesNoReuse(t *testing.T) {
	eachSite(t, []string{"ACCOUNTS_ROTATION_INTERVAL=2s"}, func(t *testing.T, s *site) {
		r0 := s.login(token.Body)
		r2 := s.next(s.next(r0))
		s.age(r2, 10*time.Second)
		release := s.lock(r0)
		answer := make(chan *servertest.Response)
		go func() { answer <- s.at(r0).RefreshTokens() }()
		time.Sleep(700 * time.Millisecond)
		release()
		wantUnavailable(t, <-answer)
		if l := s.row(r0); l.RevokedAt != nil || s.events(r0, "refresh_reused") != 0 {
			t.Error("the session was revoked")
		}
		s.at(r2).RefreshTokens().Want(t, http.StatusOK, "")
	})
}
