package accounts_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
)

// write is an operation that changes something, called by a principal that was authenticated
// earlier.
type write func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error

const rightPassword = "correct horse battery"

// ownWrites are the writes of a user to the user's own account, and staffWrites those of a staff
// member. TestEveryWriteOfPrincipalIsGuarded fails if one is missing.
var ownWrites = map[string]write{
	"UpdateProfile": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		name := "Eve"
		_, err := s.UpdateProfile(ctx, p, accounts.ProfileChange{FirstName: &name}, accounts.Client{})
		return err
	},
	"DeleteAccount": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.DeleteAccount(ctx, p, accounts.Client{})
	},
	"ChangeEmail": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.ChangeEmail(ctx, p, "eve@evil.example", accounts.Client{})
	},
	"CancelEmailChange": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.CancelEmailChange(ctx, p, accounts.Client{})
	},
	"ResendEmailChange": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.ResendEmailChange(ctx, p, accounts.Client{})
	},
	"ChangePassword": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		_, _, err := s.ChangePassword(ctx, p, rightPassword, "an entirely different one", accounts.Client{})
		return err
	},
	"Reauthenticate": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		_, err := s.Reauthenticate(ctx, p, rightPassword, accounts.Client{})
		return err
	},
	"RevokeSession": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.RevokeSession(ctx, p, p.Session.ID, accounts.Client{})
	},
	"RevokeAllSessions": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.RevokeAllSessions(ctx, p, false, accounts.Client{})
	},
	"RevokeAllSessions, all but this one": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		return s.RevokeAllSessions(ctx, p, true, accounts.Client{})
	},
}

var staffWrites = map[string]write{
	"InviteUser": func(ctx context.Context, s *accounts.Service, p accounts.Principal, _ servertest.User) error {
		_, err := s.InviteUser(ctx, p, accounts.Invitation{Email: "heir@evil.example", IsSuperuser: true}, accounts.Client{})
		return err
	},
	"UpdateUser": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		yes := true
		_, err := s.UpdateUser(ctx, p, target.ID, accounts.UserChange{IsSuperuser: &yes}, accounts.Client{})
		return err
	},
	"UpdateUser, the address": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		email := "eve@evil.example"
		_, err := s.UpdateUser(ctx, p, target.ID, accounts.UserChange{Email: &email}, accounts.Client{})
		return err
	},
	"DeleteUser": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		return s.DeleteUser(ctx, p, target.ID, accounts.Client{})
	},
	"RequestUserPasswordReset": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		return s.RequestUserPasswordReset(ctx, p, target.ID, accounts.Client{})
	},
	"ResetUserLoginLimit": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		return s.ResetUserLoginLimit(ctx, p, target.ID, accounts.Client{})
	},
	"RevokeAllUserSessions": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		return s.RevokeAllUserSessions(ctx, p, target.ID, accounts.Client{})
	},
	"RevokeUserSession": func(ctx context.Context, s *accounts.Service, p accounts.Principal, target servertest.User) error {
		return s.RevokeUserSession(ctx, p, target.ID, uuid.Must(uuid.NewV7()), accounts.Client{})
	},
}

// removal is a way in which an actor is removed between authentication and COMMIT. It has the codes
// that a write in flight gets: first a write that needs a role, then one of a user to the user's
// own account. An empty code means that the write succeeds.
type removal struct {
	remove     func(t *testing.T, s *servertest.Server, actor servertest.User, c *servertest.Client, root accounts.Principal)
	staff, own problem.Code
}

// removals holds the ways to remove an actor between authentication and COMMIT, each with the codes
// that a write in flight gets.
var removals = map[string]removal{
	"deactivated": {func(t *testing.T, s *servertest.Server, actor servertest.User, _ *servertest.Client, root accounts.Principal) {
		no := false
		_, err := s.Service.UpdateUser(t.Context(), root, actor.ID, accounts.UserChange{IsActive: &no}, accounts.Client{})
		must(t, err)
	}, problem.SessionRevoked, problem.SessionRevoked},
	"demoted": {func(t *testing.T, s *servertest.Server, actor servertest.User, _ *servertest.Client, root accounts.Principal) {
		no := false
		_, err := s.Service.UpdateUser(t.Context(), root, actor.ID, accounts.UserChange{IsSuperuser: &no}, accounts.Client{})
		must(t, err)
	}, problem.RoleRequired, ""},
	"deleted": {func(t *testing.T, s *servertest.Server, actor servertest.User, _ *servertest.Client, root accounts.Principal) {
		must(t, s.Service.DeleteUser(t.Context(), root, actor.ID, accounts.Client{}))
	}, problem.SessionRevoked, problem.SessionRevoked},
	"all sessions ended": {func(t *testing.T, s *servertest.Server, actor servertest.User, _ *servertest.Client, root accounts.Principal) {
		must(t, s.Service.RevokeAllUserSessions(t.Context(), root, actor.ID, accounts.Client{}))
	}, problem.SessionRevoked, problem.SessionRevoked},
	"this session ended": {func(t *testing.T, s *servertest.Server, actor servertest.User, c *servertest.Client, root accounts.Principal) {
		must(t, s.Service.RevokeUserSession(t.Context(), root, actor.ID, uuid.MustParse(c.SessionID), accounts.Client{}))
	}, problem.SessionRevoked, problem.SessionRevoked},
	"logged out": {func(t *testing.T, _ *servertest.Server, _ servertest.User, c *servertest.Client, _ accounts.Principal) {
		c.Copy().Logout().Want(t, http.StatusNoContent, "")
	}, problem.SessionRevoked, problem.SessionRevoked},
}

// principal authenticates a client, as the server does at the beginning of a request.
func principal(t *testing.T, s *servertest.Server, c *servertest.Client) accounts.Principal {
	t.Helper()
	credential, err := s.Service.Credential(accounts.Bearer, c.Access)
	must(t, err)
	p, err := s.Service.Authenticate(t.Context(), credential)
	must(t, err)
	return p
}

// A write in flight fails once its session or role has ended: a superuser who is being removed cannot
// promote an accomplice.
func TestWriteInFlightFailsAfterActorIsRemoved(t *testing.T) {
	t.Attr("control", "181")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		superuser := func() servertest.User {
			u := s.NewUser()
			s.Database.Exec(t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, true, u.ID)
			return u
		}
		root := principal(t, s, s.Login(superuser(), accounts.Hybrid))
		try := func(name string, do write, r string, want problem.Code) {
			t.Run(r+"/"+name, func(t *testing.T) {
				actor, target := superuser(), s.NewUser()
				c := s.Login(actor, accounts.Hybrid)
				p := principal(t, s, c)
				must(t, s.Service.ChangeEmail(t.Context(), p, "pending-"+actor.Email, accounts.Client{}))
				removals[r].remove(t, s, actor, c, root)
				before := guardedRows(t, s)
				err := do(t.Context(), s.Service, p, target)
				if got := codeOf(err); got != want {
					t.Fatalf("%v, want code %q", err, want)
				}
				if after := guardedRows(t, s); want != "" && after != before {
					t.Errorf("rows changed from\n%s\nto\n%s", before, after)
				}
			})
		}
		for r, removal := range removals {
			for name, do := range staffWrites {
				try(name, do, r, removal.staff)
			}
			for name, do := range ownWrites {
				try(name, do, r, removal.own)
			}
		}
	})
}

// A rejected write leaves no trace, not even that of its guard.
func TestRejectedWriteChangesNoRow(t *testing.T) {
	t.Attr("control", "181")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		root, una := s.NewUser(), s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, root.ID)
		c := s.Login(root, accounts.Hybrid)
		before := s.Database.Dump(t)
		for _, path := range []string{"/accounts/sessions/", "/admin/users/" + decimal(una.ID) + "/sessions/", "/admin/users/" + decimal(root.ID) + "/sessions/"} {
			c.Do(http.MethodDelete, path+uuid.Must(uuid.NewV7()).String(), nil).Want(t, http.StatusNotFound, "resource_not_found")
		}
		c.Do(http.MethodPatch, "/accounts/profile", map[string]any{"username": una.Username}).Want(t, http.StatusConflict, "username_taken")
		c.Do(http.MethodPatch, "/admin/users/"+decimal(una.ID), map[string]any{"username": root.Username}).Want(t, http.StatusConflict, "username_taken")
		c.Do(http.MethodDelete, "/admin/users/"+decimal(root.ID), nil).Want(t, http.StatusConflict, "superuser_last")
		c.Do(http.MethodPost, "/admin/users", map[string]any{"email": una.Email}).Want(t, http.StatusConflict, "email_taken")
		if after := s.Database.Dump(t); after != before {
			t.Errorf("rows changed from\n%s\nto\n%s", before, after)
		}
	})
}

// A request that ends all other sessions moves its own session to the next epoch. Another request
// of that session, in flight at that moment, must not be answered that the session has ended.
func TestRequestsOfKeptSessionAreNotRejected(t *testing.T) {
	t.Attr("control", "181")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, HoldMail: true})
		for name, do := range map[string]write{"own": ownWrites["UpdateProfile"], "staff": staffWrites["UpdateUser"]} {
			actor := s.NewUser()
			s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, actor.ID)
			p := principal(t, s, s.Login(actor, accounts.Hybrid))
			must(t, s.Service.RevokeAllSessions(t.Context(), p, true, accounts.Client{}))
			if err := do(t.Context(), s.Service, p, s.NewUser()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// guardedRows are the rows that a rejected write must not change. Rate limits may count it.
func guardedRows(t *testing.T, s *servertest.Server) string {
	t.Helper()
	var rows strings.Builder
	for table := range strings.SplitSeq(s.Database.Dump(t), "\n") {
		if !strings.HasPrefix(table, "rate_limits") {
			rows.WriteString(table + "\n")
		}
	}
	return rows.String()
}

func codeOf(err error) problem.Code {
	var rule *problem.Error
	if errors.As(err, &rule) {
		return rule.Code
	}
	if err != nil {
		return problem.Code(err.Error())
	}
	return ""
}

func decimal(id int64) string { return strconv.FormatInt(id, 10) }

// A new role works in sessions that begin after it. A superuser who changes their own roles keeps
// the session.
func TestGrantedRoleRevokesOlderSessions(t *testing.T) {
	t.Attr("control", "183")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e})
		root, una := s.NewUser(), s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, root.ID)
		asRoot, asUna := s.Login(root, accounts.Hybrid), s.Login(una, accounts.BodyTokens)
		edit := func(id int64, body map[string]any) {
			asRoot.Do(http.MethodPatch, "/admin/users/"+decimal(id), body).Want(t, http.StatusOK, "")
		}
		edit(una.ID, map[string]any{"is_superuser": true})
		asUna.Copy().Do(http.MethodGet, "/admin/users", nil).Want(t, http.StatusUnauthorized, revoked)
		asUna.Copy().RefreshTokens().Want(t, http.StatusUnauthorized, revoked)
		asUna = s.Login(una, accounts.BodyTokens)
		edit(una.ID, map[string]any{"is_superuser": false}) // losing a role takes effect in the row that every request reads
		asUna.Profile().Want(t, http.StatusOK, "")
		mobile := s.Login(root, accounts.BodyTokens)
		edit(root.ID, map[string]any{"is_staff": true})
		asRoot.Profile().Want(t, http.StatusOK, "")
		asRoot.RefreshTokens().Want(t, http.StatusOK, "")
		mobile.Profile().Want(t, http.StatusUnauthorized, revoked)
	})
}

// A granted role cancels a change of address that a staff member started while the user was an
// ordinary one, and so does the first sign-in. Otherwise the mailbox that a staff member chose
// could take over the account with its later privileges.
func TestGrantedRoleCancelsEmailChangeByStaff(t *testing.T) {
	t.Attr("control", "182")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, Settings: oldService()})
		root := s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, root.ID)
		asRoot := s.Login(root, accounts.Hybrid)
		for name, end := range map[string]func(u servertest.User){
			"a role": func(u servertest.User) {
				asRoot.Do(http.MethodPatch, "/admin/users/"+decimal(u.ID), map[string]any{"is_staff": true}).Want(t, http.StatusOK, "")
			},
			"the first sign-in": func(u servertest.User) { s.Login(u, accounts.Hybrid) },
			"the first sign-in by a token of the old service": func(u servertest.User) {
				s.Database.Exec(t, "UPDATE users SET imported_epoch = session_epoch WHERE id = ?", u.ID)
				exchange(s.Anonymous(), oldToken(u)).Want(t, http.StatusOK, "")
			},
		} {
			t.Run(name, func(t *testing.T) {
				u := s.NewUser()
				moved := "moved-" + u.Email
				r := asRoot.Do(http.MethodPatch, "/admin/users/"+decimal(u.ID), map[string]any{"email": moved}).Want(t, http.StatusOK, "")
				if pending := r.JSON["user"].(map[string]any)["pending_email"]; pending != moved {
					t.Errorf("pending_email: got %s, want the new address", r.Raw)
				}
				link := servertest.Token(t, s.Mails.Wait(t, moved, 1))
				end(u)
				s.Anonymous().Do(http.MethodPost, "/accounts/email/change/confirm", map[string]any{"token": link}).Want(t, http.StatusUnprocessableEntity, "link_invalid")
				asRoot.Do(http.MethodGet, "/admin/users/"+decimal(u.ID), nil).Want(t, http.StatusOK, "")
			})
		}
	})
}

// A pending change of address that a staff member started ends with that staff member's role and
// sessions. A change that the user has started since stays.
func TestRemovedStaffMemberLosesPendingEmailChanges(t *testing.T) {
	t.Attr("control", "181")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		s := servertest.Start(t, servertest.Options{Engine: e, Settings: []string{"ACCOUNTS_CONFIRMATIONS_PER_CLIENT=0"}})
		root := s.NewUser()
		s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, root.ID)
		asRoot := s.Login(root, accounts.Hybrid)
		ends := maps.Clone(removals)
		delete(ends, "this session ended") // others of the staff member go on
		delete(ends, "logged out")
		ends["password changed"] = removal{remove: func(t *testing.T, s *servertest.Server, _ servertest.User, c *servertest.Client, _ accounts.Principal) {
			change := map[string]any{"current_password": rightPassword, "new_password": "an entirely different one"}
			c.Copy().Do(http.MethodPost, "/accounts/password/change", change).Want(t, http.StatusOK, "")
		}}
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				boss, u, own := s.NewUser(), s.NewUser(), s.NewUser()
				s.Database.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, boss.ID)
				asBoss, asOwn := s.Login(boss, accounts.Hybrid), s.Login(own, accounts.Hybrid)
				for _, target := range []servertest.User{u, own} {
					asBoss.Do(http.MethodPatch, "/admin/users/"+decimal(target.ID), map[string]any{"email": "evil-" + target.Email}).Want(t, http.StatusOK, "")
				}
				asOwn.Do(http.MethodPost, "/accounts/email/change", map[string]any{"email": "my-" + own.Email}).Want(t, http.StatusAccepted, "")
				links := map[string]string{} // a change that has ended sends none
				for _, address := range []string{"evil-" + u.Email, "my-" + own.Email} {
					links[address] = servertest.Token(t, s.Mails.Wait(t, address, 1))
				}
				end.remove(t, s, boss, asBoss, principal(t, s, asRoot))
				for address, status := range map[string]int{"evil-" + u.Email: http.StatusUnprocessableEntity, "my-" + own.Email: http.StatusNoContent} {
					if r := s.Anonymous().Do(http.MethodPost, "/accounts/email/change/confirm", map[string]any{"token": links[address], "password": rightPassword}); r.Status != status {
						t.Errorf("%s: got status %d, want %d", address, r.Status, status)
					}
				}
			})
		}
	})
}

// A grant is on its way through a slow database while its actor is removed on another replica.
// Nothing is granted after the removal has been answered.
func TestRemovedSuperuserGrantsNoRole(t *testing.T) {
	t.Attr("control", "181")
	eachFaulty(t, nil, func(t *testing.T, f *faulty) {
		superuser := func() servertest.User {
			u := f.replicas[0].NewUser()
			f.db.Exec(t, "UPDATE users SET is_superuser = ? WHERE id = ?", true, u.ID)
			return u
		}
		root := principal(t, f.replicas[0], f.replicas[0].Login(superuser(), accounts.Hybrid))
		granted, rejected := 0, 0
		for name, removal := range removals {
			for round := range 8 {
				boss, heir := superuser(), f.replicas[0].NewUser()
				c := f.replicas[0].Login(boss, accounts.Hybrid)
				far := c.Copy().At(f.far)
				isSuperuser := func() int64 {
					return f.db.Count(t, "SELECT COUNT(*) FROM users WHERE id = ? AND is_superuser", heir.ID)
				}
				done := make(chan int)
				f.proxy.Delay(20 * time.Millisecond)
				go func() {
					done <- far.Do(http.MethodPatch, "/admin/users/"+decimal(heir.ID), map[string]any{"is_superuser": true}).Status
				}()
				time.Sleep(time.Duration(30*round) * time.Millisecond) // the removal hits another point of the request in each round
				removal.remove(t, f.replicas[0], boss, c, root)
				before := isSuperuser()
				status := <-done
				f.proxy.Delay(0)
				if after := isSuperuser(); after != before {
					t.Errorf("%s, round %d: the role was granted after the removal, with status %d", name, round, status)
				}
				if status == http.StatusOK {
					granted++
				} else {
					rejected++
				}
			}
		}
		t.Logf("%d were granted before the removal, %d rejected", granted, rejected)
	})
}
