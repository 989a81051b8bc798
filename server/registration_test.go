package server_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

var generated = regexp.MustCompile(`^user-[a-z2-7]{8}$`)

func TestRegisteredUserLogsInAfterVerification(t *testing.T) {
	t.Attr("control", "6")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		eachTransport(t, func(t *testing.T, transport accounts.Transport) {
			name := newName()
			email := address(name)
			r := post(s, "/accounts/register", object{"email": email, "password": password, "username": name, "first_name": "Ada", "last_name": "Lovelace"}).Want(t, http.StatusAccepted, "")
			wantAccepted(t, r)
			m := s.Mails.Wait(t, email, 1)
			token := servertest.Token(t, m)
			if m.Kind != mail.Verify || m.Link != s.Config.VerifyURL+"#token="+token+"&lang=en" || len(token) != 43 || m.ValidFor != 24*time.Hour || m.Name != "" {
				t.Errorf("unexpected mail: %+v", m)
			}
			unknown := comparableResponse(signIn(s, address(newName()), password))
			for _, n := range []string{name, email} {
				for _, p := range []string{password, otherPassword} {
					if diff := cmp.Diff(unknown, comparableResponse(signIn(s, n, p).Want(t, http.StatusUnauthorized, "credentials_invalid"))); diff != "" {
						t.Errorf("the response to a login before verification differs (-unknown +pending):\n%s", diff)
					}
				}
			}
			if usersWith(t, s, email) != 0 {
				t.Error("a user exists before the verification")
			}
			c := s.Anonymous()
			r = c.Do(http.MethodPost, "/accounts/email/verify", object{"token": token, "password": password, "token_transport": transport})
			first := profileOf(t, r)
			want := login(s.Anonymous(), servertest.User{User: stored(t, s, email), Password: password}, transport).Want(t, http.StatusOK, "")
			if diff := cmp.Diff(shape(want), shape(r)); diff != "" {
				t.Errorf("the response differs from that of a login (-login +verification):\n%s", diff)
			}
			if first["username"] != name || first["email"] != email || first["first_name"] != "Ada" || first["email_verified"] != true || first["is_active"] != true || first["is_staff"] != false || first["is_superuser"] != false {
				t.Errorf("user %v", first)
			}
			first["has_password"], first["pending_email"] = true, nil // members that only the profile has
			if diff := cmp.Diff(first, profileOf(t, c.Profile()), cmp.FilterPath(func(p cmp.Path) bool { return strings.Contains(p.GoString(), "last_login") }, cmp.Ignore())); diff != "" {
				t.Errorf("profile (-verification +profile):\n%s", diff)
			}
			c.RefreshTokens().Want(t, http.StatusOK, "")
			wantMails(t, s, email, mail.Verify)
		})
	})
}

// shape returns the names of a response's members and cookies.
func shape(r *servertest.Response) []string {
	list := slices.Sorted(maps.Keys(r.JSON))
	for _, c := range r.Cookies() {
		list = append(list, fmt.Sprintf("cookie %s %v HttpOnly %v %s", c.Name, c.MaxAge >= 0, c.HttpOnly, c.Path))
	}
	slices.Sort(list)
	return append(list, r.Header.Get("Cache-Control"), r.Text("token_transport"))
}

// Registering a hundred addresses reveals nothing about which of them have an account. Each owner
// gets one mail.
func TestHundredRegistrationsRevealNoAccount(t *testing.T) {
	t.Attr("control", "1")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		answers, want := map[string]bool{}, map[string]mail.Kind{}
		for range 100 {
			known, unknown := s.NewUser().Email, address(newName())
			want[known], want[unknown] = mail.AlreadyRegistered, mail.Verify
			for _, email := range []string{known, unknown} {
				r := post(s, "/accounts/register", object{"email": email, "password": otherPassword})
				answers[comparableResponse(r.Want(t, http.StatusAccepted, ""))] = true
			}
		}
		if len(answers) != 1 {
			t.Errorf("got %d different responses, want 1: %v", len(answers), slices.Collect(maps.Keys(answers)))
		}
		for email, kind := range want {
			wantMails(t, s, email, kind)
		}
	})
}

// Known and unknown addresses get the same response and one mail, which only the owner can read.
// The existing account does not change.
func TestRegistrationAnswersAlikeForKnownAddresses(t *testing.T) {
	t.Attr("control", "1")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		active, inactive, unknown := s.NewUser(), s.NewUser(), address(newName())
		setActive(t, s, inactive, false)
		c := s.Login(active, accounts.Hybrid)
		before := stored(t, s, active.Email)
		want := comparableResponse(post(s, "/accounts/register", object{"email": unknown, "password": otherPassword}))
		for _, email := range []string{active.Email, otherSpelling(active.Email), inactive.Email} {
			r := post(s, "/accounts/register", object{"email": email, "password": otherPassword, "username": "mallory", "first_name": "Mallory"}).Want(t, http.StatusAccepted, "")
			if diff := cmp.Diff(want, comparableResponse(r)); diff != "" {
				t.Errorf("%s: the response differs (-unknown +known):\n%s", email, diff)
			}
		}
		// The mail to the owner contains nothing that the stranger entered.
		wantMails(t, s, active.Email, mail.AlreadyRegistered, mail.AlreadyRegistered)
		wantMails(t, s, inactive.Email, mail.AlreadyRegistered)
		for _, m := range append(s.Mails.To(active.Email), s.Mails.To(inactive.Email)...) {
			if m.Name == "Mallory" || m.Link != s.Config.ResetURL || m.ValidFor != 0 {
				t.Errorf("the mail is addressed to the name %q, with the link %s", m.Name, m.Link)
			}
		}
		wantMails(t, s, unknown, mail.Verify)
		if diff := cmp.Diff(before, stored(t, s, active.Email)); diff != "" {
			t.Errorf("the registration changed the existing user:\n%s", diff)
		}
		c.Profile().Want(t, http.StatusOK, "")
		signIn(s, active.Email, otherPassword).Want(t, http.StatusUnauthorized, "credentials_invalid")
	})
}

func TestRequestedUsernameIsAssignedIfFree(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		taken, both := s.NewUser().Username, newName()
		pending := register(t, s, 1, object{"email": address("second" + both), "password": password, "username": both})
		first := register(t, s, 1, object{"email": address("first" + both), "password": password, "username": both})
		if got := profileOf(t, verify(s, first, password))["username"]; got != both {
			t.Errorf("username %v, want the free %s", got, both)
		}
		if got := profileOf(t, verify(s, pending, password))["username"]; !generated.MatchString(got.(string)) {
			t.Errorf("username %v, want a generated one because the requested one has been taken", got)
		}
		for _, userPatch := range []string{taken, strings.ToUpper(taken), fullwidth(taken), ""} {
			body := object{"email": address(newName()), "password": password}
			if userPatch != "" {
				body["username"] = userPatch
			}
			if got := profileOf(t, verify(s, register(t, s, 1, body), password))["username"]; !generated.MatchString(got.(string)) {
				t.Errorf("requested %q: username %v, want a generated one", userPatch, got)
			}
		}
	})
}

// fullwidth returns the same letters as typed with an East Asian keyboard.
func fullwidth(s string) string {
	return strings.Map(func(r rune) rune { return r + 0xfee0 }, s)
}

// The registration that is verified first gets the address, regardless of the order of
// registration. A stranger cannot verify, because the mails go to the owner.
func TestFirstVerifiedRegistrationGetsAddress(t *testing.T) {
	t.Attr("control", "61")
	t.Attr("control", "62")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		squatters := register(t, s, 1, object{"email": email, "password": otherPassword, "first_name": "Mallory", "username": "m" + newName()})
		owners := register(t, s, 2, object{"email": email, "password": password, "first_name": "Ada"})
		settle(t, s)
		before := s.Database.Dump(t)
		for _, link := range []string{squatters, owners} { // another password is rejected and uses up nothing
			wantField(t, verify(s, link, "nobody's password at all"), "/password", "password_wrong")
		}
		wantUnchanged(t, s, before)
		if u := profileOf(t, verify(s, owners, password)); u["first_name"] != "Ada" {
			t.Errorf("user %v", u)
		}
		after := s.Database.Dump(t)
		verify(s, squatters, otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantUnchanged(t, s, after)
		signIn(s, email, otherPassword).Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, email, password).Want(t, http.StatusOK, "")
		if n := usersWith(t, s, email); n != 1 {
			t.Errorf("got %d users, want 1", n)
		}
	})
}

// A stranger registers the owner's address first and causes the only mail for the next minute. The
// owner registers too and opens the stranger's link with their own password. The account gets the
// data that the owner entered.
func TestOwnerWithLinkOfStrangersRegistrationGetsOwnData(t *testing.T) {
	t.Attr("control", "61")
	t.Attr("control", "62")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		name := newName()
		email := address(name)
		link := register(t, s, 1, object{"email": email, "password": otherPassword, "first_name": "Mallory", "username": "m" + name})
		for _, typed := range []string{"tpyo" + name, name} { // the owner registers again to correct a typing error
			post(s, "/accounts/register", object{"email": email, "password": password, "first_name": "Ada", "username": typed}, from("192.0.2.1")).Want(t, http.StatusAccepted, "")
			s.Clock.Advance(time.Second)
		}
		for range 10 { // the stranger continues
			post(s, "/accounts/register", object{"email": email, "password": otherPassword + newName()}).Want(t, http.StatusAccepted, "")
		}
		wantMails(t, s, email, mail.Verify)
		u := profileOf(t, verify(s, link, password))
		if u["first_name"] != "Ada" || u["username"] != name {
			t.Errorf("user %v", u)
		}
		if again := profileOf(t, verify(s, link, password)); again["id"] != u["id"] { // the first response may have been lost
			t.Errorf("user %v", again)
		}
		wantField(t, verify(s, link, otherPassword), "/password", "password_wrong")
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE used_at IS NULL"); n != 0 {
			t.Errorf("%d links are still open, want 0", n)
		}
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h", "ACCOUNTS_REGISTRATIONS_PER_CLIENT=20/1h", trusted)
}

// Requests to resend the mail of a registration that does not exist send no mail and do not count
// against the limit of mails for a registration.
func TestResendWithoutRegistrationSendsNothing(t *testing.T) {
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		const often, apart = 6, 61 * time.Second
		for range often {
			post(s, "/accounts/email/resend", object{"email": email}).Want(t, http.StatusAccepted, "")
			s.Clock.Advance(apart)
		}
		token := register(t, s, 1, object{"email": email, "password": password})
		s.Clock.Advance(-often * apart) // a login compares the clock with the database's
		verify(s, token, password).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h")
}

// Opening the link of a verified registration again starts another session, because the first
// response may have been lost. It undoes neither a change of the password nor a deactivation.
func TestVerifyingAgainStartsAnotherSession(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		c := s.Anonymous()
		c.Do(http.MethodPost, "/accounts/email/verify", object{"token": token, "password": password}).Want(t, http.StatusOK, "")
		again := s.Anonymous()
		again.Do(http.MethodPost, "/accounts/email/verify", object{"token": token, "password": password}).Want(t, http.StatusOK, "")
		if c.SessionID == again.SessionID {
			t.Error("the second verification returned the first session")
		}
		c.Profile().Want(t, http.StatusOK, "")
		wantField(t, verify(s, token, otherPassword), "/password", "password_wrong")
		u := servertest.User{User: stored(t, s, email), Password: password}
		setActive(t, s, u, false)
		before := s.Database.Dump(t)
		verify(s, token, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		wantUnchanged(t, s, before)
		setActive(t, s, u, true)
		c = s.Login(u, accounts.Hybrid)
		c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": password, "new_password": otherPassword}).Want(t, http.StatusOK, "")
		wantField(t, verify(s, token, password), "/password", "password_wrong")
		verify(s, token, otherPassword).Want(t, http.StatusOK, "")
	})
}

func TestResendRepeatsMailOfPendingRegistration(t *testing.T) {
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		pending, unknown, known := address(newName()), address(newName()), s.NewUser().Email
		token := register(t, s, 1, object{"email": pending, "password": password})
		var first string
		for _, email := range []string{unknown, known, pending, otherSpelling(pending)} {
			r := post(s, "/accounts/email/resend", object{"email": email}).Want(t, http.StatusAccepted, "")
			wantAccepted(t, r)
			if first == "" {
				first = comparableResponse(r)
			}
			if diff := cmp.Diff(first, comparableResponse(r)); diff != "" {
				t.Errorf("%s: the response differs:\n%s", email, diff)
			}
		}
		wantMails(t, s, unknown)
		wantMails(t, s, known)
		wantMails(t, s, otherSpelling(pending)) // mails go to the spelling that was registered
		wantMails(t, s, pending, mail.Verify, mail.Verify, mail.Verify)
		if again := linkToken(t, s, pending, 2, mail.Verify); again != token {
			t.Error("the second mail has another link than the first, which may have been opened already")
		}
		verify(s, token, password).Want(t, http.StatusOK, "")
		post(s, "/accounts/email/resend", object{"email": pending}).Want(t, http.StatusAccepted, "")
		wantMails(t, s, pending, mail.Verify, mail.Verify, mail.Verify)
		wantField(t, post(s, "/accounts/email/resend", object{"email": "ada@localhost"}), "/email", "format_invalid")
	})
}

func TestClosedRegistrationRejectsNewUsers(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		closed := servertest.Start(t, servertest.Options{Database: s.Database, Settings: []string{"ACCOUNTS_REGISTRATION=closed"}})
		settle(t, s)
		before := s.Database.Dump(t)
		for _, body := range []object{{"email": address(newName()), "password": password}, {"email": email, "password": otherPassword}} {
			post(closed, "/accounts/register", body).Want(t, http.StatusForbidden, "registration_closed")
		}
		wantUnchanged(t, s, before)
		verify(closed, token, password).Want(t, http.StatusOK, "") // a registration from before is still accepted
	})
}

// No address becomes an account without a mail to it.
func TestAddressBecomesNoAccountWithoutMail(t *testing.T) {
	t.Attr("control", "61")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, email := s.NewUser(), address(newName())
		changeEmail(s.Login(u, accounts.Hybrid), email).Want(t, http.StatusAccepted, "") // the only mail of this minute
		post(s, "/accounts/register", object{"email": email, "password": password}).Want(t, http.StatusAccepted, "")
		if n := usersWith(t, s, email); n != 0 {
			t.Errorf("got %d users, want 0", n)
		}
		wantMails(t, s, email, mail.EmailChange) // before the clock passes the lease of the mail
		s.Clock.Advance(time.Minute)
		post(s, "/accounts/register", object{"email": email, "password": password}).Want(t, http.StatusAccepted, "")
		wantMails(t, s, email, mail.EmailChange, mail.Verify)
		if n := usersWith(t, s, email); n != 1 {
			t.Errorf("got %d users, want 1", n)
		}
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional", "ACCOUNTS_MAILS_PER_RECIPIENT=5/1h")
}

func TestOptionalVerificationPermitsLoginBeforeIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		name := newName()
		email := address(name)
		token := register(t, s, 1, object{"email": email, "password": password, "username": name})
		if u := profileOf(t, signIn(s, name, password)); u["email_verified"] != false || u["username"] != name {
			t.Errorf("user %v", u)
		}
		before := stored(t, s, email)
		post(s, "/accounts/register", object{"email": email, "password": otherPassword, "username": newName()}).Want(t, http.StatusAccepted, "")
		wantMails(t, s, email, mail.Verify, mail.AlreadyRegistered)
		if diff := cmp.Diff(before, stored(t, s, email)); diff != "" {
			t.Errorf("another registration changed the user:\n%s", diff)
		}
		post(s, "/accounts/email/resend", object{"email": email}).Want(t, http.StatusAccepted, "")
		if linkToken(t, s, email, 3, mail.Verify) != token {
			t.Error("the repeated mail has another link")
		}
		u := servertest.User{User: before, Password: password}
		setActive(t, s, u, false)
		verify(s, token, password).Want(t, http.StatusUnprocessableEntity, "link_invalid")
		if stored(t, s, email).IsActive {
			t.Error("the link activated a deactivated user")
		}
		setActive(t, s, u, true)
		if u := profileOf(t, verify(s, token, password)); u["email_verified"] != true {
			t.Errorf("user %v", u)
		}
		second := register(t, s, 1, object{"email": address("second" + name), "password": password, "username": strings.ToUpper(name)})
		if u := profileOf(t, verify(s, second, password)); !generated.MatchString(u["username"].(string)) {
			t.Errorf("user %v: want a generated username because the requested one is taken", u)
		}
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional")
}

func TestRegistrationRejectsInvalidMembers(t *testing.T) {
	t.Attr("control", "2")
	t.Attr("control", "3")
	t.Attr("control", "67")
	s := servertest.Start(t, servertest.Options{})
	before := s.Database.Dump(t)
	good := object{"email": "augusta@lovelace.example", "password": password, "first_name": "Augusta", "last_name": "King-Noel"}
	for _, c := range []struct{ member, value, code string }{
		{"password", "elevenchars", "too_short"}, {"password", "ééééééééééé", "too_short"},
		{"password", strings.Repeat("zq", 128) + "x", "too_long"}, {"password", strings.Repeat("😀", 257), "too_long"},
		{"password", "password1234", "password_common"}, {"password", "PASSWORD!!!!", "password_common"}, {"password", "augusta@lovelace.example", "password_common"},
		{"password", "12345augusta", "password_common"}, {"password", "lovelace2026", "password_common"}, {"password", "augustaking-noel", "password_common"}, {"password", "accounts1234", "password_common"},
		{"password", "            ", "password_common"}, {"password", "accountsaccounts", "password_common"}, {"password", strings.Repeat("😀", 256), "password_common"},
		{"email", "augusta", "format_invalid"}, {"email", "a@localhost", "format_invalid"}, {"email", "a@b@c.example", "format_invalid"}, {"email", "A <a@b.example>", "format_invalid"}, {"email", "a@b.example\r\nBcc: x@y.example", "format_invalid"},
		{"email", `"a b"@c.example`, "format_invalid"}, {"email", "a@[127.0.0.1]", "format_invalid"}, {"email", "a@127.0.0.1", "format_invalid"}, {"email", "ａ@b.example", "format_invalid"}, {"email", strings.Repeat("a", 65) + "@b.example", "format_invalid"},
		{"username", "a@b", "format_invalid"}, {"username", "a b", "format_invalid"}, {"username", "a\u202eb", "format_invalid"}, {"username", "\u200b", "format_invalid"},
		{"first_name", "a\nb", "format_invalid"}, {"last_name", "\x7f", "format_invalid"}, {"locale", "ko_KR", "format_invalid"}, {"locale", "../../etc/passwd", "format_invalid"},
	} {
		body := maps.Clone(good)
		body[c.member] = c.value
		wantField(t, post(s, "/accounts/register", body), "/"+c.member, c.code)
	}
	wantUnchanged(t, s, before)
	for _, fine := range []string{strings.Repeat("zq7 vbn3-xkc9 wmt", 15) + "z", strings.Repeat("😀🔒🗝🔐🔏🔓🛡🔧🧿🎲🎯📎🌊🍞🎻🐎", 16), " r t y b w k ", "twelve chars"} {
		post(s, "/accounts/register", object{"email": address(newName()), "password": fine}).Want(t, http.StatusAccepted, "")
	}
}

// Fifty concurrent registrations of one address reveal nothing, and exactly one of the links
// creates the one user.
func TestConcurrentRegistrationsOfOneAddressCreateOneUser(t *testing.T) {
	t.Attr("control", "7")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		replicas := []*servertest.Server{s, servertest.Start(t, servertest.Options{Engine: engine, Database: s.Database, HoldMail: true})}
		const n = 50
		local := newName()
		passwordOf := func(i int) string { return fmt.Sprintf("%s %d", password, i) }
		answers := parallel(n, func(i int) *servertest.Response {
			email := local + []string{"@example.com", "@EXAMPLE.com", "@Example.Com"}[i%3]
			return post(replicas[i%2], "/accounts/register", object{"email": email, "password": passwordOf(i), "username": local, "first_name": strconv.Itoa(i)})
		})
		if got := statuses(answers); got[http.StatusAccepted] != n {
			t.Fatalf("responses by status: got %v, want only 202", got)
		}
		settle(t, s)
		mails := s.Mails.To(address(local))
		if len(mails) != n {
			t.Fatalf("got %d mails, want one per registration", len(mails))
		}
		verified := parallel(n, func(i int) *servertest.Response {
			token := servertest.Token(t, mails[i])
			hash := sha256.Sum256([]byte(token))
			mine := s.Database.Count(t, "SELECT CAST(first_name AS DECIMAL) FROM one_time_tokens WHERE hash = ?", hash[:])
			return verify(replicas[i%2], token, passwordOf(int(mine)))
		})
		if got := statuses(verified); got[http.StatusOK] != 1 || got[http.StatusUnprocessableEntity] != n-1 {
			t.Errorf("verifications by status: %v, want one 200", got)
		}
		if got := usersWith(t, s, address(local)); got != 1 {
			t.Errorf("got %d users, want 1", got)
		}
		if got := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE used_at IS NULL"); got != 0 {
			t.Errorf("%d links are still open, want 0", got)
		}
	})
}

// Internationalized addresses work. Mails go to the domain's ASCII form, and the account shows the
// address as entered.
func TestInternationalizedAddressWorks(t *testing.T) {
	t.Attr("control", "66")
	s := servertest.Start(t, servertest.Options{})
	typed, ascii := "Ada.Lovelace@Bücher.example", "Ada.Lovelace@xn--bcher-kva.example"
	post(s, "/accounts/register", object{"email": typed, "password": password}).Want(t, http.StatusAccepted, "")
	if u := profileOf(t, verify(s, linkToken(t, s, ascii, 1, mail.Verify), password)); u["email"] != typed {
		t.Errorf("user %v", u)
	}
	for _, name := range []string{typed, ascii, strings.ToLower(ascii), strings.ToUpper(typed)} {
		signIn(s, name, password).Want(t, http.StatusOK, "")
	}
	requestReset(t, s, ascii, 2)
}
