package accounts_test

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
)

const (
	changePath  = "/accounts/email/change"
	resendPath  = "/accounts/email/change/resend"
	confirmPath = "/accounts/email/change/confirm"
)

// fieldCode returns the code of the first field of a problem, with its pointer.
func fieldCode(r *servertest.Response) string {
	errors, _ := r.JSON["errors"].([]any)
	if len(errors) == 0 {
		return ""
	}
	first, _ := errors[0].(map[string]any)
	return fmt.Sprint(first["pointer"], " ", first["code"])
}

// newSuperuser adds a superuser and signs in.
func newSuperuser(t *testing.T, s *servertest.Server) (servertest.User, *servertest.Client) {
	t.Helper()
	u := s.NewUser()
	s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, u.ID)
	return u, s.Login(u, accounts.Hybrid)
}

// startChange starts a change of the client's address and returns the token of its link.
func startChange(t *testing.T, s *servertest.Server, c *servertest.Client, to string) string {
	t.Helper()
	c.Do(http.MethodPost, changePath, map[string]any{"email": to}).Want(t, http.StatusAccepted, "")
	return servertest.Token(t, s.Mails.Wait(t, to, 1))
}

func pendingEmail(t *testing.T, c *servertest.Client) any {
	t.Helper()
	u, _ := c.Profile().Want(t, http.StatusOK, "").JSON["user"].(map[string]any)
	return u["pending_email"]
}

// A stranger starts a change of the stranger's account to the address of a victim, who opens the
// link. The victim does not know the stranger's password, so nothing is verified.
func TestConfirmEmailChangeRequiresPassword(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		stranger := s.NewUser()
		link := startChange(t, s, s.Login(stranger, accounts.Hybrid), "victim@example.com")
		confirm := func(body map[string]any) *servertest.Response {
			return s.Anonymous().Do(http.MethodPost, confirmPath, body)
		}
		settled(t, s.Database)
		before := s.Database.Dump(t)
		for want, body := range map[string]map[string]any{
			"/password required":       {"token": link},
			"/password password_wrong": {"token": link, "password": "the victim's password"},
		} {
			if r := confirm(body).Want(t, http.StatusUnprocessableEntity, "validation_failed"); fieldCode(r) != want {
				t.Errorf("got %s, want %s", fieldCode(r), want)
			}
		}
		for _, password := range []string{"", stranger.Password, "the victim's password"} { // the same for every password
			body := map[string]any{"token": link[1:] + "x"}
			if password != "" {
				body["password"] = password
			}
			confirm(body).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		}
		if after := s.Database.Dump(t); after != before {
			t.Errorf("rows changed from\n%s\nto\n%s", before, after)
		}
		must(t, s.Service.FlushEvents(t.Context()))
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'password_wrong' AND user_id = ?", stranger.ID); n != 1 {
			t.Errorf("got %d password_wrong events, want 1", n)
		}
		right := map[string]any{"token": link, "password": stranger.Password}
		confirm(right).Want(t, http.StatusNoContent, "")
		if u := userOf(t, s, stranger.ID); u.Email != "victim@example.com" || u.EmailVerifiedAt == nil {
			t.Errorf("%+v", u)
		}
		confirm(right).Want(t, http.StatusUnprocessableEntity, "link_invalid")
	})
}

// An address that another user has taken since is no valid link, and the token is not used up.
func TestConfirmEmailChangeRejectsTakenAddress(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		u, other := s.NewUser(), s.NewUser()
		link := startChange(t, s, s.Login(u, accounts.Hybrid), "moved@example.com")
		s.Database.Exec(t, "UPDATE users SET email_norm = 'moved@example.com' WHERE id = ?", other.ID)
		body := map[string]any{"token": link, "password": u.Password}
		s.Anonymous().Do(http.MethodPost, confirmPath, body).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		s.Database.Exec(t, "UPDATE users SET email_norm = email WHERE id = ?", other.ID)
		s.Anonymous().Do(http.MethodPost, confirmPath, body).Want(t, http.StatusNoContent, "")
	})
}

// A user who was invited and has no password yet confirms with the token alone. Once a password is
// set, the earlier link does not work.
func TestConfirmEmailChangeOfUserWithoutPassword(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		_, asRoot := newSuperuser(t, s)
		invited := func(name string) (id int64, link, invitation string) {
			r := asRoot.Do(http.MethodPost, "/admin/users", map[string]any{"email": name + "@example.com"}).Want(t, http.StatusCreated, "")
			user, _ := r.JSON["user"].(map[string]any)
			number, _ := user["id"].(float64)
			id = int64(number)
			asRoot.Do(http.MethodPatch, "/admin/users/"+decimal(id), map[string]any{"email": "new-" + name + "@example.com"}).Want(t, http.StatusOK, "")
			return id, servertest.Token(t, s.Mails.Wait(t, "new-"+name+"@example.com", 1)), servertest.Token(t, s.Mails.Wait(t, name+"@example.com", 1))
		}
		id, link, _ := invited("ada")
		s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": link}).Want(t, http.StatusNoContent, "")
		if u := userOf(t, s, id); u.Email != "new-ada@example.com" {
			t.Errorf("%+v", u)
		}
		_, link, invitation := invited("bob")
		s.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", map[string]any{"token": invitation, "new_password": secret}).Want(t, http.StatusNoContent, "")
		for _, body := range []map[string]any{{"token": link}, {"token": link, "password": secret}} {
			s.Anonymous().Do(http.MethodPost, confirmPath, body).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		}
	})
}

// Guesses with links have one limit per user, regardless of the number of links. A right password
// is refunded. A stranger with a link cannot block the user's own password operations.
func TestConfirmEmailChangeLimitsGuesses(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, Settings: []string{"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m"}})
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		for i := range 5 {
			to := fmt.Sprintf("right%d@example.com", i)
			s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": startChange(t, s, c, to), "password": u.Password}).Want(t, http.StatusNoContent, "")
		}
		for i := range 3 {
			link := startChange(t, s, c, fmt.Sprintf("wrong%d@example.com", i))
			s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": link, "password": "a guess"}).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
		c.Copy().Do(http.MethodPost, "/accounts/reauthenticate", map[string]any{"password": u.Password}).Want(t, http.StatusOK, "")
		link := startChange(t, s, c, "late@example.com")
		s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": link, "password": u.Password}).Want(t, http.StatusTooManyRequests, "rate_limited")
		s.Clock.Advance(16 * time.Minute)
		s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": link, "password": u.Password}).Want(t, http.StatusNoContent, "")
	})
}

// duringRequest starts a server and calls f whenever the server reads the clock, the last time
// between the verification of a password and the transaction, until stop is called.
func duringRequest(t *testing.T, e servertest.Engine) (s *servertest.Server, call func(f func()), stop func()) {
	t.Helper()
	var hook atomic.Pointer[func()]
	s = servertest.Start(t, servertest.Options{Engine: e, Now: func() time.Time {
		// Within a transaction f would wait for its end.
		if f := hook.Load(); f != nil && !strings.Contains(string(debug.Stack()), "models.(*database).Tx") {
			(*f)()
		}
		return time.Now()
	}})
	return s, func(f func()) { hook.Store(&f) }, func() { hook.Store(nil) }
}

// A login that renews the hash between the comparison and the write does not make the confirmation
// fail: the password is the same.
func TestConfirmEmailChangeSucceedsDuringRehash(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s, call, stop := duringRequest(t, e)
		u := s.NewUser()
		hashes := []models.PasswordHash{userOf(t, s, u.ID).Password}
		for range 20 { // more of the same password than a request reads the clock
			hashes = append(hashes, userOf(t, s, s.NewUser().ID).Password)
		}
		link := startChange(t, s, s.Login(u, accounts.Hybrid), "moved@example.com")
		s.StopMails()
		var reads atomic.Int64
		call(func() {
			s.Database.Exec(t, "UPDATE users SET password = ? WHERE id = ?", hashes[int(reads.Add(1))%len(hashes)], u.ID)
		})
		err := s.Service.ConfirmEmailChange(t.Context(), link, u.Password, accounts.Client{})
		stop()
		if err != nil || reads.Load() == 0 {
			t.Errorf("got %v after %d reads of the clock", err, reads.Load())
		}
		if got := userOf(t, s, u.ID); got.Email != "moved@example.com" || got.Password == hashes[0] {
			t.Errorf("the address is %s; the hash was replaced: %v", got.Email, got.Password != hashes[0])
		}
	})
}

// A confirmation writes nothing if the password was replaced between the comparison and the write.
func TestConfirmEmailChangeFailsIfPasswordWasReplaced(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s, call, stop := duringRequest(t, e)
		u := s.NewUser()
		link := startChange(t, s, s.Login(u, accounts.Hybrid), "moved@example.com")
		s.StopMails()
		call(func() {
			s.Database.Exec(t, "UPDATE users SET version = version + 1, session_epoch = session_epoch + 1 WHERE id = ?", u.ID) // as every new password
		})
		err := s.Service.ConfirmEmailChange(t.Context(), link, u.Password, accounts.Client{})
		stop()
		if got := userOf(t, s, u.ID); codeOf(err) != problem.ServiceUnavailable || got.Email != u.Email || pendingTokens(t, s, u.ID) != 1 {
			t.Errorf("got %v, the address %s and %d open links, want 503 and no change", err, got.Email, pendingTokens(t, s, u.ID))
		}
		must(t, s.Service.ConfirmEmailChange(t.Context(), link, u.Password, accounts.Client{}))
		if n := pendingTokens(t, s, u.ID); n != 0 {
			t.Errorf("%d links are open after the confirmation, want 0", n)
		}
	})
}

// pendingTokens returns the number of open links of a user.
func pendingTokens(t *testing.T, s *servertest.Server, id int64) int64 {
	t.Helper()
	return s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", id)
}

// A canceled change is not pending, and its links do not work. Canceling is idempotent, and
// recorded only if something was pending.
func TestCancelEmailChangeIsIdempotent(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		_, asRoot := newSuperuser(t, s)
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		canceled := func() int64 {
			return s.Database.Count(t, "SELECT COUNT(*) FROM events WHERE kind = 'email_change_canceled' AND user_id = ? AND actor_id IS NULL", u.ID)
		}
		settled(t, s.Database)
		before := s.Database.Dump(t)
		c.Do(http.MethodDelete, changePath, nil).Want(t, http.StatusNoContent, "")
		if after := s.Database.Dump(t); after != before {
			t.Errorf("rows changed from\n%s\nto\n%s", before, after)
		}
		for i, start := range []func(to string) string{
			func(to string) string { return startChange(t, s, c, to) },
			func(to string) string {
				asRoot.Do(http.MethodPatch, "/admin/users/"+decimal(u.ID), map[string]any{"email": to}).Want(t, http.StatusOK, "")
				return servertest.Token(t, s.Mails.Wait(t, to, 1))
			},
		} {
			to := fmt.Sprintf("moved%d@example.com", i)
			link := start(to)
			if got := pendingEmail(t, c); got != to {
				t.Errorf("pending is %v, want %s", got, to)
			}
			for range 2 {
				c.Do(http.MethodDelete, changePath, nil).Want(t, http.StatusNoContent, "")
			}
			if got := pendingEmail(t, c); got != nil || canceled() != int64(i+1) {
				t.Errorf("pending is %v after the cancellation, with %d events", got, canceled())
			}
			s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": link, "password": u.Password}).Want(t, http.StatusUnprocessableEntity, "link_invalid")
			c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusNotFound, "resource_not_found")
		}
	})
}

// A mail that waits when its change is canceled is not sent.
func TestCancelEmailChangeDropsWaitingMail(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		held := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		u := held.NewUser()
		c := held.Login(u, accounts.Hybrid)
		c.Do(http.MethodPost, changePath, map[string]any{"email": "moved@example.com"}).Want(t, http.StatusAccepted, "")
		c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusAccepted, "")
		c.Do(http.MethodDelete, changePath, nil).Want(t, http.StatusNoContent, "")
		s := servertest.Start(t, servertest.Options{Engine: e, Database: held.Database})
		outcomes := settled(t, s.Database)
		if outcomes[models.MailDropped] != 2 || len(s.Mails.To("moved@example.com")) != 0 {
			t.Errorf("got the outcomes %v and the mails %v, want two dropped mails", outcomes, s.Mails.To("moved@example.com"))
		}
	})
}

// The link of a resent mail replaces the one before. The notice to the present address is not
// repeated.
func TestResendEmailChangeReplacesLink(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusNotFound, "resource_not_found")
		first := startChange(t, s, c, "moved@example.com")
		c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusAccepted, "")
		second := servertest.Token(t, s.Mails.Wait(t, "moved@example.com", 2))
		settled(t, s.Database)
		notices := slices.DeleteFunc(s.Mails.To(u.Email), func(m mail.Message) bool { return m.Kind != mail.EmailChangeNotice })
		if got := pendingEmail(t, c); got != "moved@example.com" || first == second || len(notices) != 1 {
			t.Errorf("pending is %v, with %d notices, want 1", got, len(notices))
		}
		s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": first, "password": u.Password}).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": second, "password": u.Password}).Want(t, http.StatusNoContent, "")
		c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusNotFound, "resource_not_found")
	})
}

// Changes and resends together lead to no more mails to an address, and of a user, than changes
// alone. A stranger's mailbox gets one mail a minute and five an hour, from any number of users.
func TestResendEmailChangeIsRateLimited(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, Settings: []string{"ACCOUNTS_MAILS_PER_RECIPIENT=5/1h"}})
		const victim = "victim@example.com"
		for range 3 {
			c := s.Login(s.NewUser(), accounts.Hybrid)
			c.Do(http.MethodPost, changePath, map[string]any{"email": victim}).Want(t, http.StatusAccepted, "")
			for range 4 {
				c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusAccepted, "")
			}
			r := c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusTooManyRequests, "rate_limited")
			if r.Header.Get("Retry-After") == "" {
				t.Error("the response has no Retry-After")
			}
			c.Do(http.MethodPost, changePath, map[string]any{"email": victim}).Want(t, http.StatusTooManyRequests, "rate_limited")
			if got := pendingEmail(t, c); got != victim {
				t.Errorf("pending is %v, want the address of the victim", got)
			}
		}
		settled(t, s.Database)
		if n := len(s.Mails.To(victim)); n != 1 {
			t.Errorf("got %d mails in a minute, want 1", n)
		}
		for range 5 {
			c := s.Login(s.NewUser(), accounts.Hybrid)
			for _, path := range []string{changePath, resendPath} {
				var body any
				if path == changePath {
					body = map[string]any{"email": victim}
				}
				s.Database.Exec(t, "UPDATE rate_limits SET last_at = ? WHERE kind LIKE 'mail%'", s.Clock.Now().Add(-2*time.Minute))
				c.Do(http.MethodPost, path, body).Want(t, http.StatusAccepted, "")
				settled(t, s.Database) // a link that is replaced before its mail is sent is not sent
			}
		}
		if n := len(s.Mails.To(victim)); n != 5 {
			t.Errorf("got %d mails in an hour, want 5", n)
		}
	})
}

// A change that a staff member started stays that staff member's when the user has it resent: it
// ends with the staff member's role.
func TestResentEmailChangeEndsWithStaffMember(t *testing.T) {
	t.Attr("control", "181")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		boss, asBoss := newSuperuser(t, s)
		_, asRoot := newSuperuser(t, s)
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		asBoss.Do(http.MethodPatch, "/admin/users/"+decimal(u.ID), map[string]any{"email": "moved@example.com"}).Want(t, http.StatusOK, "")
		s.Mails.Wait(t, "moved@example.com", 1)
		c.Do(http.MethodPost, resendPath, nil).Want(t, http.StatusAccepted, "")
		link := servertest.Token(t, s.Mails.Wait(t, "moved@example.com", 2))
		asRoot.Do(http.MethodPatch, "/admin/users/"+decimal(boss.ID), map[string]any{"is_superuser": false}).Want(t, http.StatusOK, "")
		if got := pendingEmail(t, c); got != nil {
			t.Errorf("pending is %v, want nothing", got)
		}
		s.Anonymous().Do(http.MethodPost, confirmPath, map[string]any{"token": link, "password": u.Password}).Want(t, http.StatusUnprocessableEntity, "link_invalid")
	})
}

// The profile shows whether the user has a password, the pending address and the language. null
// clears the language.
func TestProfileShowsStoredData(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		patch := func(body map[string]any) map[string]any {
			user, _ := c.Do(http.MethodPatch, "/accounts/profile", body).Want(t, http.StatusOK, "").JSON["user"].(map[string]any)
			return user
		}
		if got := patch(map[string]any{"locale": "ko"}); got["locale"] != "ko" || got["has_password"] != true || got["pending_email"] != nil {
			t.Errorf("%v", got)
		}
		startChange(t, s, c, "moved@example.com")
		if got := patch(map[string]any{"first_name": "Ada"}); got["locale"] != "ko" || got["pending_email"] != "moved@example.com" {
			t.Errorf("%v", got)
		}
		if got := patch(map[string]any{"locale": nil}); got["locale"] != nil || got["first_name"] != "Ada" {
			t.Errorf("%v", got)
		}
		if stored := userOf(t, s, u.ID); stored.Locale != "" {
			t.Errorf("the stored language is %q, want none", stored.Locale)
		}
		s.Database.Exec(t, "UPDATE users SET password = '' WHERE id = ?", u.ID)
		if user, _ := c.Profile().JSON["user"].(map[string]any); user["has_password"] != false {
			t.Errorf("%v", user)
		}
	})
}

// Of two changes at the same moment that require the same version, one is made and one is rejected
// with 412.
func TestOneOfConcurrentChangesWithIfMatchSucceeds(t *testing.T) {
	eachSite(t, nil, func(t *testing.T, s *site) {
		_, asRoot := newSuperuser(t, s.replicas[0])
		path := "/admin/users/" + decimal(s.user.ID)
		for round := range 50 {
			tag := s.at(asRoot).Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "").Header.Get("ETag")
			var statuses [2]int
			var tags [2]string
			var both sync.WaitGroup
			start := make(chan struct{})
			for i := range 2 {
				c := s.at(asRoot)
				both.Go(func() {
					<-start
					r := c.Do(http.MethodPatch, path, map[string]any{"first_name": fmt.Sprint(round, " ", i)}, servertest.Header("If-Match", tag))
					statuses[i], tags[i] = r.Status, r.Header.Get("ETag")
					if r.Status != http.StatusOK && r.Code() != "precondition_failed" {
						t.Errorf("round %d: got %d %s, want 200 or 412", round, r.Status, r.Raw)
					}
				})
			}
			close(start)
			both.Wait()
			if statuses[0]+statuses[1] != http.StatusOK+http.StatusPreconditionFailed || slices.Contains(tags[:], tag) {
				t.Fatalf("round %d: got statuses %v and tags %v after %s, want one 200 and one 412", round, statuses, tags, tag)
			}
		}
	})
}
