package accounts_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/problem"
	"example.com/accounts/server/token"
)

// With W = 0 a token has one use. Of two requests at once, one succeeds and the other revokes the
// session.
func TestStrictProfileAcceptsTokenOnce(t *testing.T) {
	eachTransport(t, []string{"ACCOUNTS_ROTATION_INTERVAL=0"}, func(t *testing.T, s *site, tr token.Transport) {
		c := s.login(tr)
		for i := range 3 { // each use rotates, regardless of the token's age
			n := s.at(c)
			if n.RefreshTokens().Want(t, http.StatusOK, ""); held(n) == held(c) || s.row(c).Generation != int64(i+1) {
				t.Fatal("the refresh did not rotate the token")
			}
			c = n
		}
		var wait sync.WaitGroup
		answers := make(chan string, 2)
		for range 2 {
			x := s.at(c)
			wait.Go(func() {
				r := x.RefreshTokens(attempt)
				answers <- r.Code()
			})
		}
		wait.Wait()
		if a, b := <-answers, <-answers; a+b != reused {
			t.Errorf("got %q and %q, want one refresh_reused", a, b)
		}
		s.dead(c)
		if n := s.events(c, "refresh_reused"); n != 1 {
			t.Errorf("got %d refresh_reused events, want 1", n)
		}
		if s.row(c).Attempt != nil {
			t.Error("the strict profile stored an attempt")
		}
	})
}

// The strict profile has no M, so a held-up request is not excused.
func TestStrictProfileDoesNotExcuseHeldUpRequest(t *testing.T) {
	eachSite(t, []string{"ACCOUNTS_ROTATION_INTERVAL=0"}, func(t *testing.T, s *site) {
		c := s.login(token.Body)
		s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
		in := s.input(c)
		in.Received = in.Received.Add(-time.Hour)
		if _, err := s.replicas[0].Service.RefreshToken(context.Background(), in); !errors.Is(err, &problem.Error{Code: problem.RefreshReused}) {
			t.Errorf("%v", err)
		}
	})
}
