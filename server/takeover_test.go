package server_test

import (
	"net/http"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// wantAddress checks the fields of a user's address that staff members see.
func wantAddress(t *testing.T, r *servertest.Response, email string, verified bool, pending any) {
	t.Helper()
	user := r.Want(t, http.StatusOK, "").JSON["user"].(object)
	if user["email"] != email || user["email_verified"] != verified || user["pending_email"] != pending {
		t.Errorf("got %v verified %v, pending %v; want %s %v, %v", user["email"], user["email_verified"], user["pending_email"], email, verified, pending)
	}
}

// A staff member cannot make an unverified address appear verified. So the staff member can neither
// persuade a superuser to promote the account nor take it over by a password reset.
func TestStaffMemberCannotMakeAddressVerified(t *testing.T) {
	t.Attr("control", "182")
	withStaff(t, func(t *testing.T, s staffed) {
		fresh := s.inviteUser() // has never signed in
		moved := address(newName())
		wantAddress(t, edit(s.asSam, fresh, object{"email": moved, "first_name": "Carla"}), fresh.Email, false, moved)
		wantMails(t, s.Server, fresh.Email, mail.Invitation)
		post(s.Server, "/accounts/password/reset", object{"email": moved}).Want(t, http.StatusAccepted, "")
		settle(t, s.Server)
		wantMails(t, s.Server, moved, mail.EmailChange) // and no link that sets a password
		link := linkToken(t, s.Server, moved, 1, mail.EmailChange)
		post(s.Server, "/accounts/email/change/confirm", object{"token": link}).Want(t, http.StatusNoContent, "") // no password is set yet
		wantAddress(t, s.asSam.Do(http.MethodGet, at(fresh, ""), nil), moved, true, nil)

		// The owner of the new mailbox could take over the account of a user who has signed in.
		edit(s.asSam, s.una, object{"email": address(newName())}).Want(t, http.StatusForbidden, "role_required")
		another := address(newName())
		wantAddress(t, edit(s.asRoot, s.una, object{"email": another}), s.una.Email, true, another)
		wantMails(t, s.Server, s.una.Email, mail.EmailChangeNotice)
		if m := s.Mails.To(s.una.Email)[0]; m.NewEmail != another {
			t.Errorf("notice: got %+v", m)
		}
		s.asUna.Profile().Want(t, http.StatusOK, "")
		// The owner's password reset cancels it.
		confirmReset(s.Server, requestReset(t, s.Server, s.una.Email, 2), otherPassword).Want(t, http.StatusNoContent, "")
		wantAddress(t, s.asSam.Do(http.MethodGet, at(s.una, ""), nil), s.una.Email, true, nil)
		confirmEmail(s.Server, linkToken(t, s.Server, another, 1, mail.EmailChange), otherPassword).Want(t, http.StatusUnprocessableEntity, "link_invalid")
	})
}

// inviteUser returns an inviteUser user who has never set a password.
func (s staffed) inviteUser() servertest.User {
	s.t.Helper()
	email := address(newName())
	s.asSam.Do(http.MethodPost, "/admin/users", object{"email": email}).Want(s.t, http.StatusCreated, "")
	s.Mails.Wait(s.t, email, 1)
	return servertest.User{User: stored(s.t, s.Server, email)}
}

// A missing last login does not prove that an account is unused: simplejwt records none, and a user
// with a password may be about to log in for the first time. Staff members must not be able to take
// over such accounts.
func TestStaffMemberCannotTakeOverAccountInUse(t *testing.T) {
	t.Attr("control", "182")
	withStaff(t, func(t *testing.T, s staffed) {
		for name, change := range map[string]string{
			"with a password":        "UPDATE users SET first_name = 'Una' WHERE id = ?",
			"imported":               "UPDATE users SET imported_epoch = session_epoch WHERE id = ?",
			"imported, no password":  "UPDATE users SET imported_epoch = session_epoch, password = '' WHERE id = ?",
			"signed in, no password": "UPDATE users SET last_login = date_joined, password = '' WHERE id = ?",
		} {
			t.Run(name, func(t *testing.T) {
				u := newUser(t, s.Server, newName())
				s.Database.Exec(t, change, u.ID)
				edit(s.asSam, u, object{"email": address(newName())}).Want(t, http.StatusForbidden, "role_required")
				edit(s.asRoot, u, object{"email": address(newName())}).Want(t, http.StatusOK, "")
			})
		}
	}, "ACCOUNTS_MAILS_PER_STAFF=0")
}

// Mails to one address that staff members cause are limited.
func TestMailsOfStaffToOneAddressAreRateLimited(t *testing.T) {
	t.Attr("control", "182")
	withStaff(t, func(t *testing.T, s staffed) {
		moved := address(newName())
		for _, status := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
			edit(s.asRoot, newUser(t, s.Server, newName()), object{"email": moved}).Want(t, status, "")
		}
	}, "ACCOUNTS_MAILS_PER_RECIPIENT=2/1h")
}

// A stranger has registered with the owner's address. The owner's first reset clears the data that
// the stranger entered.
func TestFirstResetClearsDataOfStranger(t *testing.T) {
	t.Attr("control", "184")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		name := newName()
		email := address(name)
		register(t, s, 1, object{"email": email, "password": password, "username": name, "first_name": "Evil", "last_name": "Person", "locale": "ko"})
		squatter := s.Login(servertest.User{User: stored(t, s, email), Password: password}, accounts.Hybrid)
		far, now := "203.0.113.66", s.Clock.Now()
		if err := s.Store.Tx(t.Context(), func(tx *models.Tx) error {
			return tx.AddKnownNetwork([]string{email}, far, now.Add(time.Hour))
		}); err != nil {
			t.Fatal(err)
		}
		confirmReset(s, requestReset(t, s, email, 2), otherPassword).Want(t, http.StatusNoContent, "")
		squatter.Profile().Want(t, http.StatusUnauthorized, "session_revoked")
		if until, err := s.Store.KnownNetwork(t.Context(), email, far, now); err != nil || !until.IsZero() {
			t.Errorf("the network of the stranger's registration is known until %v, %v", until, err)
		}
		u := stored(t, s, email)
		if u.FirstName != "" || u.LastName != "" || u.Locale != "" || !generated.MatchString(u.Username) || u.UsernameNorm != u.Username || u.EmailVerifiedAt == nil {
			t.Errorf("the account of the owner is %+v", u)
		}
		owner := s.Login(servertest.User{User: u, Password: otherPassword}, accounts.Hybrid)
		change := object{"username": name, "first_name": "Vera", "last_name": "Owner"}
		owner.Do(http.MethodPatch, "/accounts/profile", change).Want(t, http.StatusOK, "")
		// A later reset keeps what the owner has entered.
		confirmReset(s, requestReset(t, s, email, 4), password).Want(t, http.StatusNoContent, "")
		if u := stored(t, s, email); u.Username != name || u.FirstName != "Vera" || u.LastName != "Owner" {
			t.Errorf("after the second reset: got %+v", u)
		}
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional")
}

// The first reset keeps data that was entered by staff members or imported from Django.
func TestFirstResetKeepsDataOfInvitedAndImportedUsers(t *testing.T) {
	t.Attr("control", "184")
	withStaff(t, func(t *testing.T, s staffed) {
		name := newName()
		email := address(name)
		s.asSam.Do(http.MethodPost, "/admin/users", object{"email": email, "username": name, "first_name": "Grace", "locale": "ko"}).Want(t, http.StatusCreated, "")
		confirmReset(s.Server, linkToken(t, s.Server, email, 1, mail.Invitation), otherPassword).Want(t, http.StatusNoContent, "")
		imported := newUser(t, s.Server, newName())
		s.Database.Exec(t, "UPDATE users SET email_verified_at = NULL, imported_epoch = session_epoch WHERE id = ?", imported.ID)
		confirmReset(s.Server, requestReset(t, s.Server, imported.Email, 1), otherPassword).Want(t, http.StatusNoContent, "")
		if u := stored(t, s.Server, email); u.Username != name || u.FirstName != "Grace" || u.Locale != "ko" {
			t.Errorf("invited user: got %+v", u)
		}
		if u := stored(t, s.Server, imported.Email); u.Username != imported.Username || u.FirstName != imported.FirstName {
			t.Errorf("imported user: got %+v", u)
		}
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional")
}
