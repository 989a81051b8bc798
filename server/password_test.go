package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// requestReset requests a reset and returns the token of the mail, the nth mail to the address.
func requestReset(t *testing.T, s *servertest.Server, email string, n int) string {
	t.Helper()
	post(s, "/accounts/password/reset", object{"email": email}).Want(t, http.StatusAccepted, "")
	return linkToken(t, s, email, n, mail.Reset)
}

func confirmReset(s *servertest.Server, token, next string) *servertest.Response {
	return post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": next})
}

func changePassword(c *servertest.Client, current, next string) *servertest.Response {
	return c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": current, "new_password": next})
}

// sessionsInEach starts a session of a user in every transport.
func sessionsInEach(s *servertest.Server, u servertest.User) []*servertest.Client {
	var list []*servertest.Client
	for _, transport := range transports {
		list = append(list, s.Login(u, transport))
	}
	return list
}

// wantEnded checks that the tokens of the sessions are rejected. The clients keep their tokens.
func wantEnded(t *testing.T, clients []*servertest.Client) {
	t.Helper()
	for _, c := range clients {
		c.Copy().Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		c.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, "session_revoked")
	}
}

func TestChangePasswordRevokesSessionsAndStartsNewOne(t *testing.T) {
	t.Attr("control", "58")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		others := sessionsInEach(s, u)
		bystander := s.Login(s.NewUser(), transport)
		reset := requestReset(t, s, u.Email, 1)
		next := address(newName())
		change := requestEmailChange(t, s, others[0], next, 1)
		c := s.Login(u, transport)
		old := c.Copy()
		likeLogin := shape(login(s.Anonymous(), u, transport))
		r := changePassword(c, u.Password, otherPassword).Want(t, http.StatusOK, "")
		if diff := cmp.Diff(likeLogin, shape(r)); diff != "" {
			t.Errorf("not like a login (-login +change):\n%s", diff)
		}
		wantEnded(t, append(others, old))
		if c.SessionID == old.SessionID || profileOf(t, c.Profile())["username"] != u.Username {
			t.Error("no new session of the same user")
		}
		c.RefreshTokens().Want(t, http.StatusOK, "")
		bystander.Profile().Want(t, http.StatusOK, "")
		signIn(s, u.Username, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, u.Username, otherPassword).Want(t, http.StatusOK, "")
		confirmReset(s, reset, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, change, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantMails(t, s, u.Email, mail.Reset, mail.EmailChangeNotice, mail.PasswordChanged)
	})
}

func TestChangePasswordRejectsInvalidRequests(t *testing.T) {
	t.Attr("control", "58")
	eachSession(t, func(t *testing.T, s *servertest.Server, u servertest.User, transport accounts.Transport) {
		c := s.Login(u, transport)
		before, user := s.Database.Dump(t), stored(t, s, u.Email)
		wantField(t, changePassword(c.Copy(), u.Password+"x", otherPassword), "/current_password", "password_wrong")
		wantFields(t, changePassword(c.Copy(), "x", "password1234"), "/current_password password_wrong", "/new_password password_common")
		for next, code := range map[string]string{"elevenchars": "too_short", strings.Repeat("z", 257): "too_long", "password1234": "password_common", u.Email: "password_common", "12345" + u.Username: "password_common"} {
			wantField(t, changePassword(c.Copy(), u.Password, next), "/new_password", code)
		}
		unchanged(t, s, before)
		for _, value := range []string{"", "AAAA", csrfOf(t, s.Login(s.NewUser(), transport))} {
			withoutBearer := servertest.Header("Authorization", "")
			if transport == accounts.Cookies || transport == accounts.ServerHeld {
				r := c.Copy().Do(http.MethodPost, "/accounts/password/change", object{"current_password": u.Password, "new_password": otherPassword}, servertest.Header("X-CSRFToken", value), withoutBearer)
				r.Want(t, http.StatusForbidden, "csrf_failed")
			}
		}
		if diff := cmp.Diff(user, stored(t, s, u.Email)); diff != "" {
			t.Errorf("the user was changed:\n%s", diff)
		}
		c.Profile().Want(t, http.StatusOK, "")
	})
}

// Of several concurrent changes of the password from one session, one succeeds: its password and
// its new session are valid.
func TestOneOfConcurrentPasswordChangesSucceeds(t *testing.T) {
	life(t, func(t *testing.T, s *servertest.Server) {
		const n = 10
		u := s.NewUser()
		c := s.Login(u, accounts.BodyTokens)
		clients := make([]*servertest.Client, n)
		for i := range clients {
			clients[i] = c.Copy()
		}
		answers := parallel(n, func(i int) *servertest.Response {
			return changePassword(clients[i], u.Password, otherPassword+strings.Repeat("!", i))
		})
		got := statuses(answers)
		if got[http.StatusOK] != 1 || got[http.StatusUnauthorized]+got[http.StatusUnprocessableEntity] != n-1 {
			t.Fatalf("answers by status: %v", got)
		}
		for i, r := range answers {
			if r.Status == http.StatusOK {
				clients[i].Profile().Want(t, http.StatusOK, "")
				signIn(s, u.Username, otherPassword+strings.Repeat("!", i)).Want(t, http.StatusOK, "")
			}
		}
		wantMails(t, s, u.Email, mail.PasswordChanged)
	})
}

func TestResetSetsPasswordAndRevokesSessions(t *testing.T) {
	t.Attr("control", "54")
	t.Attr("control", "55")
	t.Attr("control", "62")
	life(t, func(t *testing.T, s *servertest.Server) {
		u, next := s.NewUser(), address(newName())
		sessions := sessionsInEach(s, u)
		change := requestEmailChange(t, s, sessions[0], next, 1)
		old := requestReset(t, s, u.Email, 2)
		token := requestReset(t, s, u.Email, 3)
		before := stored(t, s, u.Email)
		confirmReset(s, old, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid") // a newer link replaces the older one
		for value, code := range map[string]string{"x": "too_short", "password1234": "password_common", u.Email: "password_common"} {
			wantField(t, confirmReset(s, token, value), "/new_password", code) // uses up nothing
		}
		if diff := cmp.Diff(before, stored(t, s, u.Email)); diff != "" {
			t.Errorf("the user was changed:\n%s", diff)
		}
		sessions[0].Profile().Want(t, http.StatusOK, "")                                    // the request for a mail ends no session
		nothing(t, confirmReset(s, token, otherPassword).Want(t, http.StatusNoContent, "")) // the reset does not sign the user in
		wantEnded(t, sessions)
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ? AND used_at IS NULL", u.ID); n != 0 {
			t.Errorf("%d links are still open", n)
		}
		signIn(s, u.Email, u.Password).Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, u.Email, otherPassword).Want(t, http.StatusOK, "")
		confirmReset(s, token, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, change, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		signIn(s, u.Email, otherPassword).Want(t, http.StatusOK, "")
		wantMails(t, s, u.Email, mail.EmailChangeNotice, mail.Reset, mail.Reset, mail.PasswordChanged)
	})
}

// The token of a link cannot be guessed, and it cannot be derived from the database or from other
// tokens.
func TestLinkTokensAreRandomAndStoredAsHashes(t *testing.T) {
	t.Attr("control", "54")
	life(t, func(t *testing.T, s *servertest.Server) {
		var tokens []string
		for range 10 {
			u := s.NewUser()
			tokens = append(tokens, register(t, s, 1, object{"email": address(newName()), "password": password}),
				requestReset(t, s, u.Email, 1), requestEmailChange(t, s, s.Login(u, accounts.BodyTokens), address(newName()), 1))
			if m := s.Mails.To(u.Email)[0]; m.ValidFor <= 0 || m.ValidFor > time.Hour {
				t.Errorf("a reset link for %v", m.ValidFor)
			}
		}
		dump := s.Database.Dump(t)
		seen := map[string]int{} // occurrences of a byte at a position
		for _, token := range tokens {
			raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
			if err != nil || len(raw) != 32 {
				t.Fatalf("a token of %d bytes (%v)", len(raw), err)
			}
			for i, b := range raw {
				seen[fmt.Sprint(i, " ", b)]++
			}
			sum := sha256.Sum256([]byte(token))
			if s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE hash = ?", sum[:]) != 1 || strings.Contains(dump, token) || strings.Contains(dump, string(raw)) {
				t.Error("not its hash is stored, or more than that")
			}
		}
		for place, n := range seen {
			if n > len(tokens)/2 {
				t.Errorf("%d of %d tokens have the same byte at a place: %s", n, len(tokens), place)
			}
		}
	})
}

// Known, unknown, inactive and unverified addresses get the same response. Only an active account
// gets a mail.
func TestResetRequestAnswersAlikeForUnknownAddresses(t *testing.T) {
	t.Attr("control", "53")
	life(t, func(t *testing.T, s *servertest.Server) {
		active, inactive, pending, unknown := s.NewUser(), s.NewUser(), address(newName()), address(newName())
		setActive(t, s, inactive, false)
		register(t, s, 1, object{"email": pending, "password": password})
		c, before := s.Login(active, accounts.Hybrid), stored(t, s, active.Email)
		first := post(s, "/accounts/password/reset", object{"email": unknown}).Want(t, http.StatusAccepted, "")
		wantAccepted(t, first)
		for _, email := range []string{active.Email, inactive.Email, pending, shouted(active.Email)} {
			r := post(s, "/accounts/password/reset", object{"email": email}).Want(t, http.StatusAccepted, "")
			if diff := cmp.Diff(alike(first), alike(r)); diff != "" {
				t.Errorf("%s: the answer differs:\n%s", email, diff)
			}
		}
		wantMails(t, s, unknown)
		wantMails(t, s, inactive.Email)
		wantMails(t, s, pending, mail.Verify)
		wantMails(t, s, shouted(active.Email)) // mails go to the stored spelling of the address
		wantMails(t, s, active.Email, mail.Reset, mail.Reset)
		wantField(t, post(s, "/accounts/password/reset", object{"email": "x@y"}), "/email", "format_invalid")
		before.LockCount += 2 // two mails were queued
		if diff := cmp.Diff(before, stored(t, s, active.Email)); diff != "" {
			t.Errorf("asking has changed the user:\n%s", diff)
		}
		c.Profile().Want(t, http.StatusOK, "")
		signIn(s, active.Email, active.Password).Want(t, http.StatusOK, "")
	})
}

// A reset link is rejected after the user is deactivated or deleted.
func TestResetLinkOfDisabledUserIsRejected(t *testing.T) {
	life(t, func(t *testing.T, s *servertest.Server) {
		u, gone := s.NewUser(), s.NewUser()
		token, orphan := requestReset(t, s, u.Email, 1), requestReset(t, s, gone.Email, 1)
		settle(t, s)
		setActive(t, s, u, false)
		deleteAccount(s.Login(gone, accounts.BodyTokens)).Want(t, http.StatusNoContent, "")
		settle(t, s)
		before := s.Database.Dump(t)
		confirmReset(s, token, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmReset(s, orphan, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		unchanged(t, s, before)
		setActive(t, s, u, true)
		signIn(s, u.Email, u.Password).Want(t, http.StatusOK, "")
	})
}

func TestOneOfConcurrentUsesOfResetLinkSucceeds(t *testing.T) {
	t.Attr("control", "54")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		replicas := []*servertest.Server{s, servertest.Start(t, servertest.Options{Engine: engine, Database: s.Database, HoldMail: true})}
		u := s.NewUser()
		token := requestReset(t, s, u.Email, 1)
		const n = 20
		answers := parallel(n, func(i int) *servertest.Response {
			return confirmReset(replicas[i%2], token, otherPassword+strings.Repeat("!", i))
		})
		if got := statuses(answers); got[http.StatusNoContent] != 1 || got[http.StatusUnprocessableEntity] != n-1 {
			t.Fatalf("answers by status: %v", got)
		}
		for i, r := range answers {
			want := http.StatusUnauthorized
			if r.Status == http.StatusNoContent {
				want = http.StatusOK
			}
			signIn(s, u.Email, otherPassword+strings.Repeat("!", i)).Want(t, want, "")
		}
		wantMails(t, s, u.Email, mail.Reset, mail.PasswordChanged)
	})
}

// A token is accepted for its own purpose only, and altered tokens are rejected.
func TestLinkTokenIsAcceptedForItsPurposeOnly(t *testing.T) {
	t.Attr("control", "56")
	life(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.BodyTokens)
		tokens := map[string]string{
			"verify": register(t, s, 1, object{"email": address(newName()), "password": password}),
			"change": requestEmailChange(t, s, c, address(newName()), 1),
			"reset":  requestReset(t, s, u.Email, 2), // the first mail is the notice of the change
		}
		settle(t, s)
		before := s.Database.Dump(t)
		confirm := map[string]func(token string) *servertest.Response{
			"verify": func(token string) *servertest.Response { return verify(s, token, password) },
			"reset":  func(token string) *servertest.Response { return confirmReset(s, token, otherPassword) },
			"change": func(token string) *servertest.Response {
				return confirmEmail(s, token, u.Password)
			},
		}
		for purpose, use := range confirm {
			own := tokens[purpose]
			raw, err := base64.RawURLEncoding.DecodeString(own)
			if err != nil {
				t.Fatal(err)
			}
			list := []string{c.Access, c.Refresh, "x", " " + own, own + " ", own + "=", own[:42], own + "A", own[1:], strings.ToUpper(own), strings.Repeat("A", 43), base64.StdEncoding.EncodeToString(raw) + "=", string(lastBit(own)), c.SessionID, "%", "' OR 1=1 --"}
			for other, token := range tokens {
				if other != purpose {
					list = append(list, token)
				}
			}
			for _, token := range list {
				if r := use(token); r.Code() != "link_invalid" && !isTooLong(r, "/token") {
					t.Errorf("%s by %q: %d %s", purpose, token, r.Status, r.Code())
				}
			}
		}
		unchanged(t, s, before)
		for _, purpose := range []string{"reset", "verify"} { // the reset invalidates the link of the change
			if r := confirm[purpose](tokens[purpose]); r.Status >= 300 {
				t.Errorf("%s: %d %s", purpose, r.Status, r.Code())
			}
		}
	})
}

// A link works only for the user it was sent to, regardless of other data in the request.
func TestLinkWorksForItsUserOnly(t *testing.T) {
	t.Attr("control", "56")
	life(t, func(t *testing.T, s *servertest.Server) {
		victim, thief := s.NewUser(), s.NewUser()
		own := requestReset(t, s, thief.Email, 1)
		settle(t, s)
		before := s.Database.Dump(t)
		for member, value := range map[string]any{"user_id": victim.ID, "id": victim.ID, "email": victim.Email, "username": victim.Username, "purpose": "reset"} {
			r := post(s, "/accounts/password/reset/confirm", object{"token": own, "new_password": otherPassword, member: value})
			wantField(t, r, "/"+member, "field_unknown")
		}
		unchanged(t, s, before)
		next := address(newName())
		change := requestEmailChange(t, s, s.Login(thief, accounts.BodyTokens), next, 1)
		s.Login(victim, accounts.Hybrid).Do(http.MethodPost, "/accounts/email/change/confirm", object{"token": change, "password": thief.Password}).Want(t, http.StatusNoContent, "")
		own = requestReset(t, s, next, 2)
		s.Login(victim, accounts.Hybrid).Do(http.MethodPost, "/accounts/password/reset/confirm", object{"token": own, "new_password": otherPassword}).Want(t, http.StatusNoContent, "")
		if u := profileOf(t, signIn(s, victim.Email, victim.Password)); u["id"] != float64(victim.ID) {
			t.Errorf("user %v", u)
		}
		if u := profileOf(t, signIn(s, thief.Username, otherPassword)); u["id"] != float64(thief.ID) {
			t.Errorf("user %v", u)
		}
	})
}

// Guesses at links are limited to ten per minute, counted over all operations that take a link.
func TestGuessesAtLinksAreRateLimited(t *testing.T) {
	t.Attr("control", "56")
	life(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		own := requestReset(t, s, u.Email, 1)
		judged := 0
		for i := range 1000 {
			r := confirmReset(s, fmt.Sprintf("%s%04d", own[:39], i), otherPassword)
			if r.Status == http.StatusUnprocessableEntity {
				judged++
			} else {
				wantLimited(t, r)
			}
		}
		if judged != 10 {
			t.Errorf("%d guesses were judged", judged)
		}
		wantLimited(t, confirmReset(s, own, otherPassword))
		s.Clock.Advance(time.Minute)
		confirmReset(s, own, otherPassword).Want(t, http.StatusNoContent, "") // the guesses used up nothing
	}, "ACCOUNTS_CONFIRMATIONS_PER_CLIENT=10/1m")
}

// isTooLong reports whether a request was rejected only because one field is longer than the
// contract allows.
func isTooLong(r *servertest.Response, pointer string) bool {
	list, _ := r.JSON["errors"].([]any)
	return r.Code() == "validation_failed" && len(list) == 1 && list[0].(object)["pointer"] == pointer && list[0].(object)["code"] == "too_long"
}

// lastBit returns another spelling of the same bytes for a decoder that ignores the unused last
// bits of base64.
func lastBit(token string) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := []byte(token)
	b[len(b)-1] = alphabet[strings.IndexByte(alphabet, b[len(b)-1])^1]
	return b
}
