package accounts_test

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
)

// callAtOnce makes n calls at once, over all replicas, and returns how many succeeded. The others
// must return one of the codes.
func (s *site) callAtOnce(n int, call func(service *accounts.Service) error, codes ...problem.Code) int64 {
	s.t.Helper()
	var succeeded atomic.Int64
	var wait sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-start
			err := call(s.replicas[i%len(s.replicas)].Service)
			if err == nil {
				succeeded.Add(1)
				return
			}
			for _, code := range codes {
				if errors.Is(err, problem.New(code)) {
					return
				}
			}
			s.t.Errorf("%v (%v)", err, models.Cause(err))
		})
	}
	close(start)
	wait.Wait()
	return succeeded.Load()
}

// Of several requests with the link of a reset at the same moment, one sets the password. It ends
// every other link of the user, also one that verifies the address, and none of another user.
func TestResetLinkWorksOnce(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		r := s.replicas[0]
		startChange(t, r, r.Login(s.user, accounts.Hybrid), "moved@example.com")
		requestReset(t, r, s.user.Email)
		link := servertest.Token(t, r.Mails.Wait(t, s.user.Email, 2)) // after the notice of the change
		other := r.NewUser()
		startChange(t, r, r.Login(other, accounts.Hybrid), "other@example.com")
		s.db.Exec(t, `INSERT INTO one_time_tokens (id, purpose, hash, user_id, email, email_norm, username, first_name, last_name, locale, password, created_at, expires_at)
			SELECT '0123456789abcdef', 'verify', '0123456789abcdef', user_id, email, email_norm, '', '', '', '', '', created_at, expires_at FROM one_time_tokens WHERE user_id = ? AND purpose = 'reset'`, s.user.ID)
		before := userOf(t, r, s.user.ID)
		won := s.callAtOnce(8, func(service *accounts.Service) error {
			return service.ConfirmPasswordReset(t.Context(), link, "another horse battery", accounts.Client{})
		}, problem.LinkInvalid)
		after := userOf(t, r, s.user.ID)
		if won != 1 || after.SessionEpoch != before.SessionEpoch+1 || after.Version != before.Version+1 || after.EmailVerifiedAt == nil {
			t.Errorf("%d of 8 requests set the password; epoch %d after %d", won, after.SessionEpoch, before.SessionEpoch)
		}
		if n := s.db.Count(t, "SELECT COUNT(*) FROM outbox WHERE user_id = ? AND kind = 'password_changed'", s.user.ID); n != 1 {
			t.Errorf("got %d notices, want 1", n)
		}
		if pendingTokens(t, r, s.user.ID) != 0 || pendingTokens(t, r, other.ID) != 1 {
			t.Errorf("%d links of the user are open and %d of another user, want 0 and 1", pendingTokens(t, r, s.user.ID), pendingTokens(t, r, other.ID))
		}
	})
}

// Several requests with the links of two registrations of one address at the same moment create one
// user, and end both registrations.
func TestRegistrationLinksCreateOneUser(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		r := s.replicas[0]
		var links []string
		for n := range 2 {
			register(t, r, "new@example.com")
			links = append(links, servertest.Token(t, r.Mails.Wait(t, "new@example.com", n+1)))
		}
		var turn atomic.Int64
		s.callAtOnce(8, func(service *accounts.Service) error {
			_, _, err := service.VerifyEmail(t.Context(), accounts.VerifyInput{Token: links[turn.Add(1)%2], Password: secret, Transport: accounts.BodyTokens})
			return err
		}, problem.LinkInvalid)
		users := s.db.Count(t, "SELECT COUNT(*) FROM users WHERE email_norm = 'new@example.com' AND email_verified_at IS NOT NULL")
		open := s.db.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE email_norm = 'new@example.com' AND used_at IS NULL")
		registered := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'registered' AND user_id = (SELECT id FROM users WHERE email_norm = 'new@example.com')")
		if users != 1 || open != 0 || registered != 1 {
			t.Errorf("got %d users, %d open registrations and %d events, want 1, 0 and 1", users, open, registered)
		}
	})
}

// A link whose address another user has is not used up.
func TestVerifyEmailOfTakenAddressDoesNotUseLink(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		register(t, s, "new@example.com")
		body := map[string]any{"token": servertest.Token(t, s.Mails.Wait(t, "new@example.com", 1)), "password": secret}
		other := s.NewUser()
		s.Database.Exec(t, "UPDATE users SET email_norm = 'new@example.com', password = '' WHERE id = ?", other.ID)
		s.Anonymous().Do(http.MethodPost, "/accounts/email/verify", body).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		s.Database.Exec(t, "UPDATE users SET email_norm = email WHERE id = ?", other.ID)
		s.Anonymous().Do(http.MethodPost, "/accounts/email/verify", body).Want(t, http.StatusOK, "")
	})
}

// Of several cancellations at the same moment, all succeed, and one ends the change: there is one
// event, and one new version.
func TestConcurrentCancelEmailChangeEndsItOnce(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		r := s.replicas[0]
		c := r.Login(s.user, accounts.Hybrid)
		startChange(t, r, c, "moved@example.com")
		p, before := principal(t, r, c), userOf(t, r, s.user.ID)
		n := s.callAtOnce(4, func(service *accounts.Service) error {
			return service.CancelEmailChange(t.Context(), p, accounts.Client{})
		})
		events := s.db.Count(t, "SELECT COUNT(*) FROM events WHERE user_id = ? AND kind = 'email_change_canceled'", s.user.ID)
		if after := userOf(t, r, s.user.ID); n != 4 || events != 1 || after.Version != before.Version+1 || pendingTokens(t, r, s.user.ID) != 0 {
			t.Errorf("%d of 4 requests succeeded, with %d events and version %d after %d", n, events, after.Version, before.Version)
		}
	})
}

// A change of the user between the read and the write does not make a request fail: the change is
// decided again. One that ends all sessions does.
func TestEmailChangeIsDecidedAgainAfterConflict(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s, call, stop := duringRequest(t, e)
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		s.StopMails()
		p := principal(t, s, c)
		once := func(query string) func() {
			var done atomic.Bool
			return func() {
				if done.CompareAndSwap(false, true) {
					s.Database.Exec(t, query, u.ID)
				}
			}
		}
		call(once("UPDATE users SET version = version + 1 WHERE id = ?"))
		must(t, s.Service.ChangeEmail(t.Context(), p, "moved@example.com", accounts.Client{}))
		call(once("UPDATE users SET version = version + 1 WHERE id = ?"))
		must(t, s.Service.ResendEmailChange(t.Context(), p, accounts.Client{}))
		call(once("UPDATE users SET version = version + 1, session_epoch = session_epoch + 1 WHERE id = ?"))
		err := s.Service.CancelEmailChange(t.Context(), p, accounts.Client{})
		stop()
		if codeOf(err) != problem.SessionRevoked || pendingTokens(t, s, u.ID) != 1 {
			t.Errorf("got %v and %d open links, want session_revoked and 1", err, pendingTokens(t, s, u.ID))
		}
	})
}
