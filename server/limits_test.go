package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// loginFrom logs in from a client address.
func loginFrom(s *servertest.Server, ip, name, password string) *servertest.Response {
	return post(s, "/accounts/login", object{"username": name, "password": password}, from(ip))
}

// flood repeats requests in the given number of loops until the test ends.
func flood(t *testing.T, loops int, request func(loop int)) {
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range loops {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					request(i)
				}
			}
		})
	}
	t.Cleanup(func() { close(stop); all.Wait() })
}

// Requests from one client network exceed the capacity of the hasher, with correct passwords from
// one address or with wrong ones from many /64s of one /48. Logins from other networks still
// succeed.
func TestLoginFloodOfOneNetworkDoesNotBlockOthers(t *testing.T) {
	t.Attr("control", "186")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		for name, attack := range map[string]func(s *servertest.Server, mallory servertest.User, loop int){
			"right passwords": func(s *servertest.Server, mallory servertest.User, _ int) {
				loginFrom(s, "192.0.2.1", mallory.Username, mallory.Password)
			},
			"wrong ones of one /48": func(s *servertest.Server, _ servertest.User, loop int) {
				loginFrom(s, fmt.Sprintf("2001:db8:0:%x::1", loop), newName(), "a wrong one")
			},
		} {
			t.Run(name, func(t *testing.T) {
				s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true, Settings: []string{trusted},
					Hasher: credentials.NewHasher(credentials.Params{Memory: 8192, Time: 2, Threads: 1}, 1, 16, 800*time.Millisecond)})
				mallory, ada := s.NewUser(), s.NewUser()
				loops := map[bool]int{true: 36, false: 60}[name == "right passwords"]
				flood(t, loops, func(loop int) { attack(s, mallory, loop) })
				waitFor(t, func() bool { return s.Service.Stats(t.Context()).HashesWaiting == 16 })
				const logins = 20
				var all []*servertest.Response
				for range logins {
					all = append(all, loginFrom(s, "198.51.100.1", ada.Username, ada.Password))
					time.Sleep(100 * time.Millisecond)
				}
				if n := statuses(all)[http.StatusOK]; n < logins*95/100 {
					t.Errorf("got %v, want %d responses with 200", statuses(all), logins*95/100)
				}
			})
		}
	})
}

// Correct passwords count against the client's limit too, in every operation that requires a
// password. Other clients are not affected.
func TestCorrectPasswordsCountAgainstLimitOfClient(t *testing.T) {
	t.Attr("control", "186")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		again := func() *servertest.Response {
			return c.Copy().Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password})
		}
		again().Want(t, http.StatusOK, "")
		signIn(s, newName(), "a wrong one").Want(t, http.StatusUnauthorized, "credentials_invalid")
		wantLimited(t, again())
		if wait := wantLimited(t, signIn(s, u.Username, u.Password)); wait < 14*time.Minute {
			t.Errorf("Retry-After is %v, want about 15 minutes", wait)
		}
		loginFrom(s, "192.0.2.1", u.Username, u.Password).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_PASSWORDS_PER_CLIENT=3/15m", trusted)
}

// The number of sessions and events that a user can create per hour is limited. A reset by mail
// lifts the limit for login.
func TestSessionsAndEventsPerHourOfUserAreLimited(t *testing.T) {
	t.Attr("control", "186")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, other := s.NewUser(), s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		c.Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password}).Want(t, http.StatusOK, "")
		rows := func() int64 {
			return s.Database.Count(t, "SELECT COUNT(*) FROM sessions") + s.Database.Count(t, "SELECT COUNT(*) FROM events")
		}
		before := rows()
		for _, r := range []*servertest.Response{
			signIn(s, u.Username, u.Password), signIn(s, u.Email, u.Password), changePassword(c.Copy(), u.Password, otherPassword),
			c.Copy().Do(http.MethodPost, "/accounts/reauthenticate", object{"password": u.Password}),
		} {
			if wait := wantLimited(t, r); wait > time.Hour || wait < 59*time.Minute {
				t.Errorf("Retry-After is %v, want about an hour", wait)
			}
		}
		if rows() != before {
			t.Error("the rejected login added a session or an event")
		}
		if d, err := s.Service.GetUser(t.Context(), u.ID); err != nil || !d.Throttled {
			t.Errorf("the user is not shown to staff as throttled: %v", err)
		}
		signIn(s, u.Username, "a wrong one").Want(t, http.StatusUnauthorized, "credentials_invalid")
		signIn(s, other.Username, other.Password).Want(t, http.StatusOK, "")
		confirmReset(s, requestReset(t, s, u.Email, 1), otherPassword).Want(t, http.StatusNoContent, "")
		signIn(s, u.Username, otherPassword).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_PASSWORDS_PER_USER=2/1h")
}

// A request that fails because of a database error counts against no limit, because clients repeat
// it until the database is back. MySQL triggers cause the errors.
func TestDatabaseErrorsCountAgainstNoLimit(t *testing.T) {
	t.Attr("control", "186")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		if engine != servertest.MySQL {
			return
		}
		s := servertest.Start(t, servertest.Options{Engine: engine, Settings: []string{
			"ACCOUNTS_PASSWORDS_PER_USER=5/1h", "ACCOUNTS_RARE_ACTIONS_PER_USER=2/1h",
		}})
		faulty := func(event string, request func() *servertest.Response, times int) {
			s.Database.Exec(t, "CREATE TRIGGER fault BEFORE "+event+" FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114")
			for range times {
				request().Want(t, http.StatusServiceUnavailable, "service_unavailable")
			}
			s.Database.Exec(t, "DROP TRIGGER fault")
			request().Want(t, http.StatusOK, "")
		}
		u := s.NewUser()
		faulty("INSERT ON sessions", func() *servertest.Response { return signIn(s, u.Username, u.Password) }, 6)
		c, name := s.Login(s.NewUser(), accounts.Hybrid), newName()
		faulty("UPDATE ON users", func() *servertest.Response { return patch(c, object{"username": name}) }, 3)
		c = s.Login(u, accounts.Hybrid)
		faulty("INSERT ON sessions", func() *servertest.Response { return changePassword(c.Copy(), u.Password, otherPassword) }, 2)
	})
}

// A client polls a name whose limit is exceeded and exceeds it again after each reset. The owner
// can still log in from the network of the reset, and each 429 counts against the attacking client.
func TestOwnerLogsInFromKnownNetworkDespiteAttack(t *testing.T) {
	t.Attr("control", "188")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		const owner, attacker = "198.51.100.1", "192.0.2.1"
		u := s.NewUser()
		attack := func() (last *servertest.Response) {
			for range 11 {
				last = loginFrom(s, attacker, u.Username, "a wrong one")
				loginFrom(s, attacker, u.Email, "a wrong one")
			}
			return last
		}
		for n := range 2 {
			wantLimited(t, attack())
			wantLimited(t, loginFrom(s, "203.0.113.9", u.Username, u.Password))
			token := requestReset(t, s, u.Email, 2*n+1)
			post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": fmt.Sprint(otherPassword, n)}, from(owner)).Want(t, http.StatusNoContent, "")
			s.Mails.Wait(t, u.Email, 2*n+2)
			wantLimited(t, attack())
			for _, name := range []string{u.Username, u.Email, otherSpelling(u.Email)} {
				loginFrom(s, owner, name, fmt.Sprint(otherPassword, n)).Want(t, http.StatusOK, "")
			}
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=10/15m", trusted)
}

// A reset that returns an account to the owner of its address also replaces the username. For the
// address, it makes the owner's network known and forgets the network of the stranger's
// registration.
func TestOwnerLogsInAfterResetTakesAccountFromSquatter(t *testing.T) {
	t.Attr("control", "188")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		const owner, squatter = "198.51.100.1", "192.0.2.1"
		email := address(newName())
		register(t, s, 1, object{"email": email, "password": password})
		loginFrom(s, squatter, email, password).Want(t, http.StatusOK, "")
		token := requestReset(t, s, email, 2)
		post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": otherPassword}, from(owner)).Want(t, http.StatusNoContent, "")
		for range 3 {
			loginFrom(s, squatter, email, "a wrong one").Want(t, http.StatusUnauthorized, "credentials_invalid")
		}
		wantLimited(t, loginFrom(s, squatter, email, "a wrong one"))
		loginFrom(s, owner, email, otherPassword).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional", "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m", trusted)
}

// Each 429 counts against the client, so the client is soon rejected regardless of the name.
func TestRejectedLoginsCountAgainstClient(t *testing.T) {
	t.Attr("control", "188")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		for range 20 { // five are verified, fifteen are rejected
			loginFrom(s, "192.0.2.1", u.Username, "a wrong one")
		}
		settleGuesses(t, s)
		confirmReset(s, requestReset(t, s, u.Email, 1), otherPassword).Want(t, http.StatusNoContent, "")
		for range 10 {
			wantLimited(t, loginFrom(s, "192.0.2.1", u.Username, "a wrong one"))
		}
		loginFrom(s, "203.0.113.9", u.Username, otherPassword).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=5/15m", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=20/15m", trusted)
}

// A known network has its own limit. Beyond it, the common limit counts. The network is forgotten
// after 30 days.
func TestKnownNetworkHasItsOwnLimitAndExpires(t *testing.T) {
	t.Attr("control", "188")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		tries := func(ip string) int {
			for n := range 20 {
				if loginFrom(s, ip, u.Username, "a wrong one").Status == http.StatusTooManyRequests {
					return n
				}
			}
			return 20
		}
		loginFrom(s, "198.51.100.1", u.Email, u.Password).Want(t, http.StatusOK, "") // with the user's other name
		if n := tries("198.51.100.1"); n != 6 {
			t.Errorf("got %d guesses from a known network, want its 3 and the common 3", n)
		}
		if n := tries("198.51.100.2"); n != 0 {
			t.Errorf("got %d guesses from another network, want 0", n)
		}
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM rate_limits WHERE kind = 'known_network'"); n != 2 {
			t.Errorf("got %d rows, want one per name", n)
		}
		if _, err := s.Service.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Database.Exec(t, "DELETE FROM rate_limits WHERE kind <> 'known_network'")
		if n := tries("198.51.100.1"); n != 6 {
			t.Errorf("got %d guesses after a cleanup, want 6", n)
		}
		s.Database.Exec(t, "DELETE FROM rate_limits WHERE kind <> 'known_network'")
		s.Database.Exec(t, "UPDATE rate_limits SET ends_at = ?", time.Now().UTC().Add(-time.Second)) // 30 days later
		if n := tries("198.51.100.1"); n != 3 {
			t.Errorf("got %d guesses from a network that has expired, want 3", n)
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m", trusted)
}

// After a deletion, a rename or a change of address, the known network of a name's previous owner
// is not known for its next owner.
func TestKnownNetworkIsNotInheritedByNextOwnerOfName(t *testing.T) {
	t.Attr("control", "188")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		const home = "198.51.100.1"
		guesses := func(name string) int {
			defer s.Database.Exec(t, "DELETE FROM rate_limits WHERE kind <> 'known_network'")
			for n := range 20 {
				if loginFrom(s, home, name, "a wrong one").Status == http.StatusTooManyRequests {
					return n
				}
			}
			return 20
		}
		gone, renamed, moved, next := s.NewUser(), s.NewUser(), s.NewUser(), s.NewUser()
		for _, u := range []servertest.User{gone, renamed, moved} {
			loginFrom(s, home, u.Username, u.Password).Want(t, http.StatusOK, "")
		}
		deleteAccount(s.Login(gone, accounts.Hybrid)).Want(t, http.StatusNoContent, "")
		if n := guesses(gone.Username); n != 3 {
			t.Errorf("got %d guesses at the name of a deleted user, want 3", n)
		}
		patch(s.Login(renamed, accounts.Hybrid), object{"username": newName()}).Want(t, http.StatusOK, "")
		patch(s.Login(next, accounts.Hybrid), object{"username": renamed.Username}).Want(t, http.StatusOK, "")
		if n := guesses(renamed.Username); n != 3 {
			t.Errorf("got %d guesses at a name that another user has now, want 3", n)
		}
		away := address(newName())
		for _, change := range []struct {
			u  servertest.User
			to string
		}{{moved, away}, {next, moved.Email}} {
			c := s.Login(servertest.User{User: stored(t, s, change.u.Email), Password: change.u.Password}, accounts.Hybrid)
			changeEmail(c, change.to).Want(t, http.StatusAccepted, "")
			settle(t, s)
			mails := s.Mails.To(change.to)
			confirmEmail(s, servertest.Token(t, mails[len(mails)-1]), change.u.Password).Want(t, http.StatusNoContent, "")
		}
		if n := guesses(moved.Email); n != 3 {
			t.Errorf("got %d guesses at an address that another user has now, want 3", n)
		}
	}, "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=3/15m", trusted)
}

// An IPv6 client is counted by its /64 and by its /48 in every limit per client. A /48 may use as
// much as eight clients.
func TestIPv6ClientIsCountedByBothOfItsNetworks(t *testing.T) {
	t.Attr("control", "189")
	none := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	requests := map[string]func(s *servertest.Server, o servertest.Option) *servertest.Response{
		"login": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return post(s, "/accounts/login", object{"username": newName(), "password": password}, o)
		},
		"register": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return post(s, "/accounts/register", object{"email": address(newName()), "password": password}, o)
		},
		"reset": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return post(s, "/accounts/password/reset", object{"email": address(newName())}, o)
		},
		"resend": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return post(s, "/accounts/email/resend", object{"email": address(newName())}, o)
		},
		"verify": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return post(s, "/accounts/email/verify", object{"token": none, "password": password}, o)
		},
		"confirm a reset": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return post(s, "/accounts/password/reset/confirm", object{"token": none, "new_password": password}, o)
		},
		"confirm an address": func(s *servertest.Server, o servertest.Option) *servertest.Response {
			return confirmEmail(s, none, password, o)
		},
	}
	for name, request := range requests {
		for _, login := range []string{"LOGIN_FAILURES_PER_CLIENT", "PASSWORDS_PER_CLIENT"} {
			if name != "login" && login != "LOGIN_FAILURES_PER_CLIENT" {
				continue
			}
			t.Run(name+" "+login, func(t *testing.T) {
				s := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{trusted,
					"ACCOUNTS_" + login + "=2/15m", "ACCOUNTS_REGISTRATIONS_PER_CLIENT=2/1h", "ACCOUNTS_CONFIRMATIONS_PER_CLIENT=2/1m"}})
				ask := func(format string, i int) bool {
					return request(s, from(fmt.Sprintf(format, i))).Status != http.StatusTooManyRequests
				}
				if !ask("2001:db8:1:ffff::%x", 1) || !ask("2001:db8:1:ffff::%x", 2) || ask("2001:db8:1:ffff::%x", 3) {
					t.Error("two addresses of one /64 do not share the limit of a client")
				}
				n := 0
				for i := range 20 {
					if ask("2001:db8:1:%x::1", i) {
						n++
					}
				}
				if n != 14 { // two were sent before
					t.Errorf("got %d requests of one /48, want 14", n)
				}
				if !ask("2001:db8:2:%x::1", 1) {
					t.Error("the limit of one /48 applies to another /48")
				}
			})
		}
	}
}

// Changes of the password are limited, because each sends a mail and the address may be a mailing
// list.
func TestPasswordChangesAreRateLimited(t *testing.T) {
	t.Attr("control", "190")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := s.NewUser()
		c, word := s.Login(u, accounts.BodyTokens), u.Password
		for i := range 3 {
			wantField(t, changePassword(c, word, "short"), "/new_password", "too_short") // not counted
			next := fmt.Sprint(otherPassword, i)
			changePassword(c, word, next).Want(t, http.StatusOK, "")
			word = next
		}
		if wait := wantLimited(t, changePassword(c, word, otherPassword)); wait < 59*time.Minute {
			t.Errorf("Retry-After is %v, want about an hour", wait)
		}
		if kinds := mailKinds(t, s, u.Email); len(kinds) != 3 {
			t.Errorf("mails: got %v, want 3", kinds)
		}
		signIn(s, u.Username, word).Want(t, http.StatusOK, "")
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=3/1h")
}

// The invitations that a staff member may send per hour are limited, for one address and in total.
func TestInvitationsAreRateLimitedPerAddressAndStaffMember(t *testing.T) {
	t.Attr("control", "190")
	withStaff(t, func(t *testing.T, s staffed) {
		invite := func(email string) *servertest.Response {
			return s.asRoot.Do(http.MethodPost, "/admin/users", object{"email": email})
		}
		email := address(newName())
		for range 2 {
			r := invite(email).Want(t, http.StatusCreated, "")
			settle(t, s.Server)
			s.asRoot.Do(http.MethodDelete, fmt.Sprintf("/admin/users/%.0f", r.JSON["user"].(object)["id"]), nil).Want(t, http.StatusNoContent, "")
		}
		before := s.Database.Count(t, "SELECT COUNT(*) FROM users")
		wantLimited(t, invite(email))
		if s.Database.Count(t, "SELECT COUNT(*) FROM users") != before {
			t.Error("a user was created without an invitation")
		}
		if kinds := mailKinds(t, s.Server, email); !slices.Equal(kinds, []mail.Kind{mail.Invitation, mail.Invitation}) {
			t.Errorf("mails: got %v, want 2 invitations", kinds)
		}
		for range 2 {
			invite(address(newName())).Want(t, http.StatusCreated, "")
		}
		wantLimited(t, invite(address(newName())))
		wantLimited(t, s.asRoot.Do(http.MethodPost, at(s.una, "/password_reset"), nil))
		s.asSam.Do(http.MethodPost, at(s.una, "/password_reset"), nil).Want(t, http.StatusAccepted, "") // another staff member
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=2/1h", "ACCOUNTS_MAILS_PER_STAFF=4/1h")
}

// An attempt to take a username in use counts like any other change of the username. Otherwise a
// user could probe for the usernames of others.
func TestAttemptsAtTakenUsernamesAreRateLimited(t *testing.T) {
	t.Attr("control", "194")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u, other := s.NewUser(), s.NewUser()
		c := s.Login(u, accounts.Hybrid)
		for range 3 {
			patch(c, object{"username": other.Username}).Want(t, http.StatusConflict, "username_taken")
		}
		wantLimited(t, patch(c, object{"username": other.Username}))
		wantLimited(t, patch(c, object{"username": newName()}))
		patch(c, object{"username": u.Username, "first_name": "Ada"}).Want(t, http.StatusOK, "") // the user's own
	}, "ACCOUNTS_RARE_ACTIONS_PER_USER=3/1h")
}

// If a reset, a staff member or the operator lifts the limit of an account on one replica, it is
// lifted on all replicas at once.
func TestLiftedLimitIsLiftedOnEveryReplica(t *testing.T) {
	t.Attr("control", "198")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		settings := []string{"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=2/15m", "ACCOUNTS_PASSWORDS_PER_USER=100/1h", trusted}
		a := servertest.Start(t, servertest.Options{Engine: engine, Settings: settings})
		b := servertest.Start(t, servertest.Options{Engine: engine, Settings: settings, Database: a.Database, HoldMail: true})
		staff := a.NewUser()
		a.Database.Exec(t, "UPDATE users SET is_staff = ? WHERE id = ?", true, staff.ID)
		asStaff := a.Login(staff, accounts.Hybrid)
		for name, release := range map[string]func(u servertest.User){
			"a reset": func(u servertest.User) {
				confirmReset(a, requestReset(t, a, u.Email, 1), otherPassword).Want(t, http.StatusNoContent, "")
			},
			"staff": func(u servertest.User) {
				asStaff.Do(http.MethodDelete, fmt.Sprintf("/admin/users/%d/login_limit", u.ID), nil).Want(t, http.StatusNoContent, "")
			},
			"an operator": func(u servertest.User) {
				if err := a.Service.SetPassword(t.Context(), u.Username, otherPassword); err != nil {
					t.Fatal(err)
				}
			},
		} {
			u := a.NewUser()
			for range 2 {
				loginFrom(b, "192.0.2.1", u.Username, "a wrong one").Want(t, http.StatusUnauthorized, "credentials_invalid")
			}
			wantLimited(t, loginFrom(b, "192.0.2.1", u.Username, u.Password))
			release(u)
			word := otherPassword
			if name == "staff" {
				word = u.Password
			}
			if r := loginFrom(b, "192.0.2.1", u.Username, word); r.Status != http.StatusOK {
				t.Errorf("%s: the next login on another replica: got status %d, want 200", name, r.Status)
			}
		}
	})
}
