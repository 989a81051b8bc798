package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

func TestExpiredLinksAreRejected(t *testing.T) {
	t.Attr("control", "54")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		u := s.NewUser()
		reset := requestReset(t, s, u.Email, 1)
		change := requestEmailChange(t, s, s.Login(u, accounts.Hybrid), address(newName()), 1)
		settle(t, s)
		s.Database.Exec(t, "UPDATE one_time_tokens SET expires_at = created_at")
		before := s.Database.Dump(t)
		verify(s, token, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		verify(s, token, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmReset(s, reset, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		confirmEmail(s, change, u.Password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantUnchanged(t, s, before)
		post(s, "/accounts/email/resend", object{"email": email}).Want(t, http.StatusAccepted, "")
		wantMails(t, s, email, mail.Verify)
	})
}

// Links are valid for exactly the configured lifetimes.
func TestLinksAreValidForConfiguredLifetimes(t *testing.T) {
	t.Attr("control", "54")
	now := time.Now().Truncate(time.Second)
	s := servertest.Start(t, servertest.Options{Now: func() time.Time { return now }, Settings: []string{"ACCOUNTS_VERIFY_TTL=30s", "ACCOUNTS_RESET_TTL=20s", "ACCOUNTS_EMAIL_CHANGE_TTL=10s"}})
	u, name := s.NewUser(), newName()
	c := s.Login(u, accounts.Hybrid)
	token := register(t, s, 1, object{"email": address(name), "password": password})
	reset := requestReset(t, s, u.Email, 1)
	change := requestEmailChange(t, s, c, address("new"+name), 1)
	settle(t, s)
	s.Database.Snapshot(t)
	for _, link := range []struct {
		life    time.Duration
		confirm func() *servertest.Response
	}{
		{10 * time.Second, func() *servertest.Response { return confirmEmail(s, change, u.Password) }},
		{20 * time.Second, func() *servertest.Response { return confirmReset(s, reset, otherPassword) }},
		{30 * time.Second, func() *servertest.Response { return verify(s, token, password) }},
	} {
		s.Clock.Advance(link.life - time.Second)
		if r := link.confirm(); r.Status >= 300 {
			t.Errorf("%v: %d %s", link.life, r.Status, r.Code())
		}
		settle(t, s)
		s.Database.Restore(t)
		s.Clock.Advance(time.Second)
		link.confirm().Want(t, http.StatusUnprocessableEntity, "link_invalid")
		s.Clock.Advance(-link.life)
	}
}

// Mail scanners open every link and load its page. This must change nothing.
func TestLoadingPageOfLinkChangesNothing(t *testing.T) {
	t.Attr("control", "61")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		u := s.NewUser()
		tokens := map[string]string{
			"/accounts/email/verify":           register(t, s, 1, object{"email": email, "password": password}),
			"/accounts/password/reset/confirm": requestReset(t, s, u.Email, 1),
			"/accounts/email/change/confirm":   requestEmailChange(t, s, s.Login(u, accounts.Hybrid), address(newName()), 1),
		}
		settle(t, s)
		before := s.Database.Dump(t)
		for path, token := range tokens {
			for _, method := range slices.Repeat([]string{http.MethodHead, http.MethodGet}, 5) {
				s.Anonymous().Do(method, path+"?token="+token+"&password="+password[:7], nil).Want(t, http.StatusMethodNotAllowed, "")
				for _, page := range []string{s.Config.VerifyURL, s.Config.ResetURL, s.Config.EmailChangeURL} {
					answer, err := open(method, page+"?token="+token+"#token="+token)
					if err != nil || answer != http.StatusOK {
						t.Errorf("%s %s: %d %v", method, page, answer, err)
					}
				}
			}
		}
		// A scanner that submits forms has the link, but not the password.
		for _, body := range []object{{}, {"password": ""}, {"password": otherPassword}, {"password": password + " "}} {
			body["token"] = tokens["/accounts/email/verify"]
			post(s, "/accounts/email/verify", body).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
		wantUnchanged(t, s, before)
		verify(s, tokens["/accounts/email/verify"], password).Want(t, http.StatusOK, "")
		confirmReset(s, tokens["/accounts/password/reset/confirm"], otherPassword).Want(t, http.StatusNoContent, "")
	})
}

// open requests a page as a browser does.
func open(method, url string) (int, error) {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// The token of a link cannot be guessed, and it cannot be derived from the database or from other
// tokens.
func TestLinkTokensAreRandomAndStoredAsHashes(t *testing.T) {
	t.Attr("control", "54")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		var tokens []string
		for range 10 {
			u := s.NewUser()
			tokens = append(tokens, register(t, s, 1, object{"email": address(newName()), "password": password}),
				requestReset(t, s, u.Email, 1), requestEmailChange(t, s, s.Login(u, accounts.BodyTokens), address(newName()), 1))
			if m := s.Mails.To(u.Email)[0]; m.ValidFor <= 0 || m.ValidFor > time.Hour {
				t.Errorf("the reset link is valid for %v, want at most an hour", m.ValidFor)
			}
		}
		dump := s.Database.Dump(t)
		seen := map[string]int{} // occurrences of a byte at a position
		for _, token := range tokens {
			raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
			if err != nil || len(raw) != 32 {
				t.Fatalf("the token has %d bytes (%v), want 32", len(raw), err)
			}
			for i, b := range raw {
				seen[fmt.Sprint(i, " ", b)]++
			}
			sum := sha256.Sum256([]byte(token))
			if s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE hash = ?", sum[:]) != 1 || strings.Contains(dump, token) || strings.Contains(dump, string(raw)) {
				t.Error("the database does not contain the hash of the token, or contains the token too")
			}
		}
		for place, n := range seen {
			if n > len(tokens)/2 {
				t.Errorf("%d of %d tokens have the same byte at one position: %s", n, len(tokens), place)
			}
		}
	})
}

// A token is accepted for its own purpose only, and altered tokens are rejected.
func TestLinkTokenIsAcceptedForItsPurposeOnly(t *testing.T) {
	t.Attr("control", "56")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
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
					t.Errorf("%s with %q: got %d %s, want link_invalid", purpose, token, r.Status, r.Code())
				}
			}
		}
		wantUnchanged(t, s, before)
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
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		victim, thief := s.NewUser(), s.NewUser()
		own := requestReset(t, s, thief.Email, 1)
		settle(t, s)
		before := s.Database.Dump(t)
		for member, value := range map[string]any{"user_id": victim.ID, "id": victim.ID, "email": victim.Email, "username": victim.Username, "purpose": "reset"} {
			r := post(s, "/accounts/password/reset/confirm", object{"token": own, "new_password": otherPassword, member: value})
			wantField(t, r, "/"+member, "field_unknown")
		}
		wantUnchanged(t, s, before)
		next := address(newName())
		change := requestEmailChange(t, s, s.Login(thief, accounts.BodyTokens), next, 1)
		s.Login(victim, accounts.Hybrid).Do(http.MethodPost, "/accounts/email/change/confirm", object{"token": change, "password": thief.Password}).Want(t, http.StatusNoContent, "")
		own = requestReset(t, s, next, 2)
		s.Login(victim, accounts.Hybrid).Do(http.MethodPost, "/accounts/password/reset/confirm", object{"token": own, "new_password": otherPassword}).Want(t, http.StatusNoContent, "")
		if u := profileOf(t, signIn(s, victim.Email, victim.Password)); u["id"] != float64(victim.ID) {
			t.Errorf("the victim's credentials log in %v", u)
		}
		if u := profileOf(t, signIn(s, thief.Username, otherPassword)); u["id"] != float64(thief.ID) {
			t.Errorf("the thief's credentials log in %v", u)
		}
	})
}

// Guesses at links are limited to ten per minute, counted over all operations that take a link.
func TestGuessesAtLinksAreRateLimited(t *testing.T) {
	t.Attr("control", "56")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
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
			t.Errorf("%d guesses were accepted, want 10", judged)
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
