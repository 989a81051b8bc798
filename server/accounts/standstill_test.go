package accounts_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/metrics"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// A client sent a request before the process stood still, and the server reads it afterwards. The
// same process also acts as the other replica that worked during the standstill, because SQLite has
// only one.
func TestRequestReadAfterStandstillCountsAsHeldUp(t *testing.T) {
	t.Attr("control", "195")
	const m = 800 * time.Millisecond // W is 4 s
	settings := append(oldService(), "ACCOUNTS_ROTATION_INTERVAL=4s")
	eachTransport(t, settings, func(t *testing.T, s *site, tr token.Transport) {
		first := s.login(tr)
		next := s.next(first)
		s.age(next, interval)
		imported := s.imported()

		for _, r := range s.replicas {
			r.Service.StandStill(m + time.Second)
		}
		woke := time.Now()
		s.unchanged(func() { wantUnavailable(t, s.at(first).RefreshTokens()) })
		s.unchanged(func() { wantUnavailable(t, s.at(next).RefreshTokens()) })
		s.unchanged(func() { wantUnavailable(t, s.at(first).RefreshTokens(attempt)) })
		legacy := oldToken(imported)
		s.unchanged(func() { wantUnavailable(t, exchange(s.replicas[0].Anonymous(), legacy)) })
		s.at(next).Profile().Want(t, http.StatusOK, "")
		if s.replicas[0].Counter(metrics.StoodStill) == "0" {
			t.Error("the metrics do not count the standstill")
		}
		if took := time.Since(woke); took > m {
			t.Logf("this machine is slow: %v", took)
		}

		time.Sleep(time.Until(woke.Add(m + 200*time.Millisecond)))
		exchange(s.replicas[0].Anonymous(), legacy).Want(t, http.StatusOK, "")
		current := s.at(next)
		current.RefreshTokens().Want(t, http.StatusOK, "")
		s.age(current, interval)
		s.at(next).RefreshTokens().Want(t, http.StatusUnauthorized, reused)
	})
}

// The decision table allows for a standstill that is no longer than M and a beat. The strict
// profile has no M.
func TestShortStandstillIsNotExcused(t *testing.T) {
	t.Attr("control", "195")
	for _, test := range []struct {
		interval string
		period   time.Duration
	}{{"30s", 4 * time.Second}, {"0", time.Hour}} {
		s := newSite(t, servertest.SQLite, 1, "ACCOUNTS_ROTATION_INTERVAL="+test.interval)
		c := s.login(token.Body)
		s.replicas[0].Service.StandStill(test.period)
		s.at(c).RefreshTokens().Want(t, http.StatusOK, "")
	}
}

// A legacy token whose request was held up is not exchanged, and works afterwards.
func TestHeldUpExchangeDoesNotUseToken(t *testing.T) {
	t.Attr("control", "199")
	eachSite(t, oldService(), func(t *testing.T, s *site) {
		r, raw := s.replicas[0], oldToken(s.imported())
		c, err := r.Service.ExchangeableCredential(accounts.RequestBody, raw)
		must(t, err)
		exchangeReceived := func(ago time.Duration) error {
			_, err := r.Service.RefreshToken(t.Context(), accounts.RefreshInput{Credential: c, Received: r.Clock.Now().Add(-ago)})
			return err
		}
		s.unchanged(func() {
			if err := exchangeReceived(margin + time.Millisecond); !errors.Is(err, &problem.Error{Code: problem.ServiceUnavailable}) {
				t.Errorf("%v", err)
			}
		})
		must(t, exchangeReceived(margin/2))
	})
}

// The strict profile has no M.
func TestStrictProfileDoesNotExcuseHeldUpExchange(t *testing.T) {
	t.Attr("control", "199")
	s := newSite(t, servertest.SQLite, 1, append(oldService(), "ACCOUNTS_ROTATION_INTERVAL=0")...)
	r := s.replicas[0]
	c, err := r.Service.ExchangeableCredential(accounts.RequestBody, oldToken(s.imported()))
	must(t, err)
	_, err = r.Service.RefreshToken(t.Context(), accounts.RefreshInput{Credential: c, Received: r.Clock.Now().Add(-time.Hour)})
	must(t, err)
}
