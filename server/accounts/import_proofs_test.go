package accounts_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// importProved runs an import from a source with django-allauth's table.
func importProved(t *testing.T, s *servertest.Server, o accounts.ImportOptions, addresses []accounts.DjangoAddress, rows ...accounts.DjangoUser) accounts.ImportReport {
	t.Helper()
	run := s.Service.NewImport(o)
	run.Addresses(addresses)
	must(t, run.Users(t.Context(), rows))
	return run.Report()
}

func asStaff(u *accounts.DjangoUser)     { u.IsStaff = true }
func asSuperuser(u *accounts.DjangoUser) { u.IsStaff, u.IsSuperuser = true, true }

// proofCases are users of a project with django-allauth, and the rows of its table.
var (
	proofCases = []accounts.DjangoUser{
		with(djangoRow(1, "proved", "Proved@B\u00fccher.example"), asSuperuser),
		with(djangoRow(2, "refuted", "cfo@corp.example"), asStaff),
		with(djangoRow(3, "unknown", "unknown@example.com"), asSuperuser),
		with(djangoRow(4, "other", "other@example.com"), asStaff), // has verified another address
		with(djangoRow(5, "bare", ""), asSuperuser),
		djangoRow(6, "squatter", "late@example.com"),
		with(djangoRow(7, "late", "late@example.com"), asStaff), // has verified the address that 6 typed
		djangoRow(8, "refuted2", "plain@example.com"),
	}
	proofRows = []accounts.DjangoAddress{
		{1, "proved@xn--bcher-kva.example", true}, {1, "old@example.com", false},
		{2, "cfo@corp.example", false}, {4, "mine@example.com", true}, {4, "other@example.com", false},
		{3, "no address", true}, {0, "unknown@example.com", true},
		{6, "late@example.com", false}, {7, "Late@example.com", false}, {7, "late@example.com", true}, {8, "plain@example.com", false},
	}
)

// An address counts as verified only if the source proves it, and a role is kept only with a
// verified address: a stranger can have typed a colleague's address in Django. The operator can
// state that other addresses are verified, but cannot override django-allauth.
func TestImportVerifiesOnlyProvenAddresses(t *testing.T) {
	t.Attr("control", "182")
	tests := map[string]struct {
		stated          bool
		verified, roles []int64
		report          map[string][]int64
	}{
		"as the source proves it": {false, []int64{1, 7}, []int64{1, 7}, map[string][]int64{
			"superuser in Django": {1}, "staff in Django": {7},
			"superuser or staff in Django, address not verified":    {2, 3, 4, 5},
			"e-mail address not verified in Django":                 {2, 3, 4, 8},
			"e-mail address empty or not valid":                     {5},
			"e-mail address is verified in Django for another user": {6},
		}},
		"as the operator states it": {true, []int64{1, 3, 7}, []int64{1, 3, 7}, map[string][]int64{
			"superuser in Django": {1, 3}, "staff in Django": {7},
			"superuser or staff in Django, address not verified":    {2, 4, 5},
			"e-mail address not verified in Django":                 {2, 4, 8},
			"e-mail address empty or not valid":                     {5},
			"e-mail address is verified in Django for another user": {6},
		}},
	}
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				s := servertest.Start(t, servertest.Options{Engine: e})
				dry := importProved(t, s, accounts.ImportOptions{Dry: true, EmailsVerified: test.stated}, proofRows, proofCases...)
				r := importProved(t, s, accounts.ImportOptions{EmailsVerified: test.stated}, proofRows, proofCases...)
				if diff := cmp.Diff(dry, r); diff != "" {
					t.Errorf("-dry +run:\n%s", diff)
				}
				if diff := cmp.Diff(test.report, found(r)); diff != "" {
					t.Errorf("report: -want +got:\n%s", diff)
				}
				var verified, roles []int64
				for _, row := range proofCases {
					u := userOf(t, s, row.ID)
					if u.EmailVerifiedAt != nil {
						verified = append(verified, u.ID)
					}
					if u.IsStaff || u.IsSuperuser {
						roles = append(roles, u.ID)
					}
					wantLogin(t, s, row.Username, oldPassword, row.ID)
				}
				if diff := cmp.Diff([][]int64{test.verified, test.roles}, [][]int64{verified, roles}); diff != "" {
					t.Errorf("verified users, users with a role: -want +got:\n%s", diff)
				}
				if u := userOf(t, s, 7); u.Email != "late@example.com" || userOf(t, s, 6).Email != "" {
					t.Errorf("%+v: the address does not belong to its owner", u)
				}
			})
		}
	})
}

// An imported user whose address is not verified logs in as in Django, also by the address. No
// notice is sent to a mailbox that may be a stranger's. A reset by mail verifies the address; after
// that a superuser can grant a role.
func TestResetVerifiesAddressOfImportedUser(t *testing.T) {
	t.Attr("control", "182")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		importProved(t, s, accounts.ImportOptions{}, []accounts.DjangoAddress{{1, "ada@example.com", false}}, with(djangoRow(1, "ada", "ada@example.com"), asStaff))
		wantLogin(t, s, "ADA@example.com", oldPassword, 1)
		root, err := s.Service.CreateUser(t.Context(), accounts.NewUser{Username: "root", Email: "root@example.com", Password: secret, Superuser: true})
		must(t, err)
		admin := s.Login(servertest.User{User: root, Password: secret}, token.Body)
		promote := func() *servertest.Response {
			return admin.Do(http.MethodPatch, "/admin/users/1", map[string]any{"is_staff": true})
		}
		promote().Want(t, http.StatusConflict, "email_unverified")
		ada := s.Login(servertest.User{User: userOf(t, s, 1), Password: oldPassword}, token.Body)
		ada.Do(http.MethodPost, "/accounts/password/change", map[string]any{"current_password": oldPassword, "new_password": secret}).Want(t, http.StatusOK, "")
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
			t.Errorf("%d notices were sent to an unverified address, want 0", n)
		}
		requestReset(t, s, "ada@example.com")
		link := servertest.Token(t, s.Mails.Wait(t, "ada@example.com", 1))
		s.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", map[string]any{"token": link, "new_password": "a password of the owner"}).Want(t, http.StatusNoContent, "")
		if userOf(t, s, 1).EmailVerifiedAt == nil {
			t.Error("the reset by mail did not verify the address")
		}
		promote().Want(t, http.StatusOK, "")
	})
}

// A stranger who has registered another user's username as an address does not lock that user out:
// an address takes precedence over a username only if it is verified.
func TestUnverifiedAddressDoesNotShadowUsername(t *testing.T) {
	t.Attr("control", "182")
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		squatter := with(djangoRow(2, "squatter", "kurt@example.com"), func(u *accounts.DjangoUser) {
			u.Password = djangoHashes["argon2id"] // of "password"
		})
		importProved(t, s, accounts.ImportOptions{}, nil, djangoRow(1, "kurt@example.com", "kurt.g@example.com"), squatter)
		wantLogin(t, s, "kurt@example.com", oldPassword, 1)
		wantLogin(t, s, "squatter", "password", 2)
		login(s, "kurt@example.com", "password").Want(t, http.StatusUnauthorized, "credentials_invalid")
		s.Database.Exec(t, "UPDATE users SET email_verified_at = date_joined WHERE id = 2")
		wantLogin(t, s, "kurt@example.com", "password", 2)
		wantLogin(t, s, "kurt.g@example.com", oldPassword, 1)
	})
}
