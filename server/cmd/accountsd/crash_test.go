package main

import (
	"bytes"
	"net/http"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The binary is killed while clients rotate tokens, log in and log out. After the restart, every
// newest token that was acknowledged works, every acknowledged login is alive, and every session
// that was logged out stays revoked.
func TestKilledServerLosesNoAcknowledgedWrite(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := onDatabase(t, servertest.SQLite)
	s.create("ada")
	ada := servertest.User{User: models.User{Username: "ada"}, Password: goodPassword}
	start := func() (*servertest.Server, func()) {
		var output bytes.Buffer
		command := exec.Command(path, "serve")
		command.Env, command.Stdout, command.Stderr = s.env, &output, &output
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		kill := func() { _, _ = command.Process.Kill(), command.Wait() }
		t.Cleanup(kill)
		r := &running{Server: servertest.Dial(t, "http://"+s.setting("ACCOUNTS_ADDR")), t: t}
		for range 1000 {
			if r.status("/readyz") == http.StatusOK {
				return r.Server, kill
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("not ready\n%s", output.String())
		return nil, nil
	}
	server, kill := start()
	storm := &storm{t: t, db: s.db}
	for i := range 8 {
		storm.clients = append(storm.clients, server.Login(ada, transports[i%len(transports)]))
	}
	for range 2 {
		storm.run(server, ada, kill)
		server, kill = start()
		for i, c := range storm.clients {
			storm.clients[i] = c.At(server)
			storm.clients[i].RefreshTokens().Want(t, http.StatusOK, "")
			storm.clients[i].Profile().Want(t, http.StatusOK, "")
		}
		for _, c := range storm.ended {
			c.At(server).Profile().Want(t, http.StatusUnauthorized, "session_revoked")
			c.At(server).RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
		}
		if s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'refresh_reused'") != 0 {
			t.Fatal("a false alarm")
		}
	}
	t.Logf("%d rotations, %d sessions, %d log-outs, 2 kills", storm.rotations, len(storm.clients), len(storm.ended))
	kill()
}

// storm records the operations that have been acknowledged so far.
type storm struct {
	t         *testing.T
	db        *servertest.Database
	mu        sync.Mutex
	clients   []*servertest.Client
	ended     []*servertest.Client
	rotations int
}

func (s *storm) run(server *servertest.Server, u servertest.User, kill func()) {
	var wait sync.WaitGroup
	for _, c := range s.clients[:8] {
		wait.Go(func() { s.rotate(c) })
	}
	wait.Go(func() { s.login(server, u) })
	rotations, ended := s.count()
	for r, e := s.count(); r < rotations+20 || e < ended+1; r, e = s.count() {
		time.Sleep(5 * time.Millisecond)
	}
	kill()
	wait.Wait()
}

func (s *storm) count() (rotations, ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rotations, len(s.ended)
}

// rotate rotates the client's token until the server has stopped.
func (s *storm) rotate(c *servertest.Client) {
	for {
		id := uuid.MustParse(c.SessionID)
		s.db.Exec(s.t, "UPDATE sessions SET rotated_at = ? WHERE id = ?", time.Now().UTC().Add(-36*time.Second), id)
		r, err := c.Try(http.MethodPost, "/accounts/refresh_token", c.RefreshBody())
		if err != nil {
			return
		}
		if r.Status != http.StatusOK {
			s.t.Errorf("status %d %s", r.Status, r.Code())
			return
		}
		s.mu.Lock()
		s.rotations++
		s.mu.Unlock()
	}
}

// login starts sessions and ends every other one, because a user has at most 50.
func (s *storm) login(server *servertest.Server, u servertest.User) {
	for range 12 {
		for _, ends := range []bool{false, true} {
			c := server.Anonymous()
			r, err := c.Try(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password, "token_transport": token.Body})
			if err != nil {
				return
			}
			r.Want(s.t, http.StatusOK, "")
			if ends {
				r, err = c.Try(http.MethodPost, "/accounts/logout", c.RefreshBody())
			}
			s.mu.Lock()
			switch {
			case !ends:
				s.clients = append(s.clients, c)
			case err == nil && r.Status == http.StatusNoContent:
				s.ended = append(s.ended, c)
			}
			s.mu.Unlock()
		}
	}
}
