package server_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/servertest"
)

// saveProfileInLoop changes the name of a user again and again, in several sessions, until stop is
// called. It returns after the first change.
func saveProfileInLoop(t *testing.T, s *servertest.Server, u servertest.User, sessions int) (stop func()) {
	t.Helper()
	done, first := make(chan struct{}), make(chan struct{}, sessions)
	var all sync.WaitGroup
	for n := range sessions {
		c := s.Login(u, accounts.BodyTokens)
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				_, _ = c.Try(http.MethodPatch, "/accounts/profile", object{"first_name": fmt.Sprintf("T%d-%d", n, i)}) // the session ends in between
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	<-first
	return sync.OnceFunc(func() { close(done); all.Wait() })
}

// A thief with a stolen session who saves the profile in a loop cannot keep the owner from a new
// password or from the deletion of the account, nor staff and the operator from their changes.
func TestProfileChangesInLoopBlockNoOtherChange(t *testing.T) {
	t.Attr("control", "181")
	withStaff(t, func(t *testing.T, s staffed) {
		asStaff := func(method, rest string, body any) func(servertest.User, *servertest.Client) int {
			return func(u servertest.User, _ *servertest.Client) int {
				return s.asRoot.Do(method, at(u, rest), body).Status
			}
		}
		for name, c := range map[string]struct {
			change func(u servertest.User, c *servertest.Client) int
			want   int
		}{
			"change of the password": {func(u servertest.User, c *servertest.Client) int {
				return changePassword(c, u.Password, otherPassword).Status
			}, http.StatusOK},
			"change of the address": {func(_ servertest.User, c *servertest.Client) int {
				return c.Do(http.MethodPost, "/accounts/email/change", object{"email": address(newName())}).Status
			}, http.StatusAccepted},
			"deletion of the account": {func(_ servertest.User, c *servertest.Client) int {
				return c.Do(http.MethodDelete, "/accounts/profile", nil).Status
			}, http.StatusNoContent},
			"reset that staff sends":   {asStaff(http.MethodPost, "/password_reset", nil), http.StatusAccepted},
			"limit that staff resets":  {asStaff(http.MethodDelete, "/login_limit", nil), http.StatusNoContent},
			"sessions that staff ends": {asStaff(http.MethodDelete, "/sessions", nil), http.StatusNoContent},
			"deactivation by staff":    {asStaff(http.MethodPatch, "", object{"is_active": false}), http.StatusOK},
			"name that staff gives":    {asStaff(http.MethodPatch, "", object{"last_name": "Lovelace"}), http.StatusOK},
			"role that staff grants":   {asStaff(http.MethodPatch, "", object{"is_staff": true}), http.StatusOK},
			"deletion by staff":        {asStaff(http.MethodDelete, "", nil), http.StatusNoContent},
			"password by the operator": {func(u servertest.User, _ *servertest.Client) int {
				if err := s.Service.SetPassword(t.Context(), u.Username, otherPassword); err != nil {
					t.Error(err)
				}
				return 0
			}, 0},
			"reset by mail": {func(u servertest.User, _ *servertest.Client) int {
				link := requestReset(t, s.Server, u.Email, 1)
				return confirmReset(s.Server, link, otherPassword).Status
			}, http.StatusNoContent},
		} {
			for range 3 {
				u := s.NewUser()
				owner := s.Login(u, accounts.BodyTokens)
				stop := saveProfileInLoop(t, s.Server, u, 3)
				if got := c.change(u, owner); got != c.want {
					t.Errorf("%s: got %d, want %d", name, got, c.want)
				}
				stop()
			}
		}
	})
}

// A user is not shown as throttled by the count of a limit that has been switched off since.
func TestLimitSwitchedOffThrottlesNoUser(t *testing.T) {
	withStaff(t, func(t *testing.T, s staffed) {
		id, now := ratelimit.ID("password_user", strconv.FormatInt(s.una.ID, 10)), time.Now().UTC()
		s.Database.Exec(t, "INSERT INTO rate_limits (id, kind, hits, last_at, ends_at) VALUES (?, 'password_user', 1, ?, ?)", id[:], now, now.Add(time.Hour))
		if throttled := s.asRoot.Do(http.MethodGet, at(s.una, ""), nil).JSON["user"].(object)["throttled"]; throttled != false {
			t.Errorf("throttled is %v", throttled)
		}
	})
}
