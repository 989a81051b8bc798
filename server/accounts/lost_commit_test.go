package accounts_test

import (
	"net/http"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// The answer to COMMIT is lost. If the write was applied, the operation succeeds: a retry would be
// rejected because the session has ended or the username is taken. If it was not applied, the same
// request works afterwards.
func TestWriteWithLostCommitSucceedsIfApplied(t *testing.T) {
	t.Attr("control", "197")
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		root := f.replicas[0].NewUser()
		f.db.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, root.ID)
		asRoot := f.replicas[0].Login(root, accounts.Hybrid).At(f.far)
		for name, request := range map[string]func(u servertest.User, c *servertest.Client) (send func() *servertest.Response, status int){
			"password change": func(u servertest.User, c *servertest.Client) (func() *servertest.Response, int) {
				body := map[string]any{"current_password": u.Password, "new_password": "an entirely different one"}
				return func() *servertest.Response { return c.Do(http.MethodPost, "/accounts/password/change", body) }, http.StatusOK
			},
			"invitation": func(u servertest.User, _ *servertest.Client) (func() *servertest.Response, int) {
				body := map[string]any{"email": "invited-" + u.Email, "username": "invited-" + u.Username}
				return func() *servertest.Response { return asRoot.Do(http.MethodPost, "/admin/users", body) }, http.StatusCreated
			},
			"deletion of the own account": func(_ servertest.User, c *servertest.Client) (func() *servertest.Response, int) {
				return func() *servertest.Response { return c.Do(http.MethodDelete, "/accounts/profile", nil) }, http.StatusNoContent
			},
			"deletion by staff": func(u servertest.User, _ *servertest.Client) (func() *servertest.Response, int) {
				path := "/admin/users/" + decimal(u.ID)
				return func() *servertest.Response { return asRoot.Do(http.MethodDelete, path, nil) }, http.StatusNoContent
			},
			"log-out everywhere": func(_ servertest.User, c *servertest.Client) (func() *servertest.Response, int) {
				return func() *servertest.Response { return c.Do(http.MethodDelete, "/accounts/sessions", nil) }, http.StatusNoContent
			},
			"log-out of all others": func(u servertest.User, c *servertest.Client) (func() *servertest.Response, int) {
				f.replicas[0].Login(u, token.Body)
				return func() *servertest.Response {
					return c.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil)
				}, http.StatusNoContent
			},
			"log-out by staff": func(u servertest.User, _ *servertest.Client) (func() *servertest.Response, int) {
				path := "/admin/users/" + decimal(u.ID) + "/sessions"
				return func() *servertest.Response { return asRoot.Do(http.MethodDelete, path, nil) }, http.StatusNoContent
			},
		} {
			for outcome, fault := range map[string]fault{"made": cutAfter, "never made": cutBefore} {
				t.Run(name+"/"+outcome, func(t *testing.T) {
					f := f.in(t)
					u := f.replicas[0].NewUser()
					send, status := request(u, f.replicas[0].Login(u, token.Hybrid).At(f.far))
					f.proxy.next("COMMIT", fault)
					r := send()
					f.proxy.happened(1)
					if fault == cutBefore {
						wantUnavailable(t, r)
						r = send()
					}
					r.Want(t, status, "")
				})
			}
		}
	})
}

// The tokens of a password change whose COMMIT was not acknowledged work.
func TestPasswordChangeWithLostCommitReturnsValidTokens(t *testing.T) {
	t.Attr("control", "197")
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		u := f.replicas[0].NewUser()
		c := f.replicas[0].Login(u, token.Body).At(f.far)
		f.proxy.next("COMMIT", cutAfter)
		c.Do(http.MethodPost, "/accounts/password/change", map[string]any{"current_password": u.Password, "new_password": "an entirely different one"}).Want(t, http.StatusOK, "")
		f.proxy.happened(1)
		c.Profile().Want(t, http.StatusOK, "")
		c.RefreshTokens().Want(t, http.StatusOK, "")
		if n := f.db.Count(t, "SELECT COUNT(*) FROM sessions WHERE user_id = ? AND epoch = (SELECT session_epoch FROM users WHERE id = ?)", u.ID, u.ID); n != 1 {
			t.Errorf("got %d live sessions, want 1", n)
		}
	})
}
