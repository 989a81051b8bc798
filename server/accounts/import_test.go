package accounts_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// oldPassword is the password of the hashes in these tests; see credentials/django_test.go for
// their source.
const oldPassword = "l\u00e8tmein"

var djangoHashes = map[string]string{
	"pbkdf2_sha256": "pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
	"pbkdf2_sha1":   "pbkdf2_sha1$1000$seasalt$ljleU4wBmTtz/MoG5YTwxpM0d7I=",
	"scrypt":        "scrypt$1024$seasalt$8$5$ozpUt/qDR/QLBzi9csaWJofO252yHC+Oxl5cycNUQkna/BBjumDq5KMXPAq1Xi3sxxGWxqtAlQmEE+DSWNl+FQ==",
	"bcrypt":        "bcrypt$$2b$04$abcdefghijklmnopqrstuuanVo7Xut1CH8VGIGlz1JovQh9GJbbtG",
	"bcrypt_sha256": "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuulyx/yrfLnuLCi6gwFG5mrkJjuQKpL6S",
	"argon2id":      "argon2$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", // of "password"
	"argon2i":       "argon2$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",  // of "password"
}

var joined = time.Date(2020, 2, 3, 4, 5, 6, 789012000, time.UTC)

// djangoRow returns a user with the usual values of Django.
func djangoRow(id int64, username, email string) accounts.DjangoUser {
	at := joined
	return accounts.DjangoUser{ID: id, Username: username, Email: email, Password: djangoHashes["pbkdf2_sha256"], IsActive: true, DateJoined: &at}
}

// importAll runs an import in batches of two. The operator states that the addresses are verified.
func importAll(t *testing.T, s *servertest.Server, dry bool, rows ...accounts.DjangoUser) accounts.ImportReport {
	t.Helper()
	run := s.Service.NewImport(accounts.ImportOptions{Dry: dry, EmailsVerified: true})
	for batch := range slices.Chunk(rows, 2) {
		must(t, run.Users(t.Context(), batch))
	}
	return run.Report()
}

// found returns the lines of a report: the ids by the beginning of the text.
func found(r accounts.ImportReport) map[string][]int64 {
	lines := map[string][]int64{}
	for _, line := range slices.Concat(r.Applied, r.Refused) {
		text, _, _ := strings.Cut(line.Text, ":")
		lines[text] = line.IDs
	}
	return lines
}

func login(s *servertest.Server, name, password string) *servertest.Response {
	return s.Anonymous().Do(http.MethodPost, "/accounts/login", map[string]any{"username": name, "password": password, "token_transport": token.Body})
}

func wantLogin(t *testing.T, s *servertest.Server, name, password string, id int64) {
	t.Helper()
	r := login(s, name, password)
	user, _ := r.JSON["user"].(map[string]any)
	if r.Status != http.StatusOK || user["id"] != float64(id) {
		t.Errorf("%q logs in as %v, want %d (status %d)", name, user["id"], id, r.Status)
	}
}

func userOf(t *testing.T, s *servertest.Server, id int64) models.User {
	t.Helper()
	u, err := s.Store.UserByID(t.Context(), id)
	must(t, err)
	return u
}

// For every kind of hash in Django, the old password logs in by the username and by the address,
// and the hash is then replaced by one of this server. A wrong password does not log in and changes
// nothing.
func TestImportedHashesLogInAndAreReplaced(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		id := int64(100)
		for kind, hash := range djangoHashes {
			t.Run(kind, func(t *testing.T) {
				id++
				name, password := kind, oldPassword
				if strings.HasPrefix(kind, "argon2") {
					password = "password"
				}
				r := djangoRow(id, name, name+"@example.com")
				r.Password = hash
				if report := importAll(t, s, false, r); report.Imported != 1 || len(report.Applied)+len(report.Refused) != 0 {
					t.Fatalf("%+v", report)
				}
				login(s, name, "a wrong password").Want(t, http.StatusUnauthorized, "credentials_invalid")
				if u := userOf(t, s, id); u.Password.Reveal() != hash || u.ImportedEpoch == nil || *u.ImportedEpoch != u.SessionEpoch || u.EmailVerifiedAt == nil || !u.DateJoined.Equal(joined) {
					t.Fatalf("%+v", u)
				}
				wantLogin(t, s, name, password, id)
				if u := userOf(t, s, id); !strings.HasPrefix(u.Password.Reveal(), "$argon2id$v=19$m=64,t=1,p=1$") || *u.ImportedEpoch != u.SessionEpoch {
					t.Errorf("user after the login: got %+v", u)
				}
				wantLogin(t, s, strings.ToUpper(name)+"@Example.com", password, id)
			})
		}
	})
}

// Existing users keep everything: the id and the names of a user who was not imported are taken,
// also in a dry run.
func TestImportKeepsExistingUsers(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		own := s.NewUser()
		rows := []accounts.DjangoUser{djangoRow(own.ID, "ada", "ada@example.com"), djangoRow(own.ID+1000, own.Username, own.Email), djangoRow(own.ID+1001, own.Email, "grace@example.com")}
		dry := importAll(t, s, true, rows...)
		r := importAll(t, s, false, rows...)
		if diff := cmp.Diff(dry, r); diff != "" {
			t.Errorf("-dry +run:\n%s", diff)
		}
		want := map[string][]int64{"id belongs to a user who was not imported": {own.ID}, "username belongs to another user": {own.ID + 1000},
			"e-mail address belongs to another user": {own.ID + 1000}, "username is another user's e-mail address": {own.ID + 1001}}
		if diff := cmp.Diff(want, found(r)); diff != "" || r.Imported != 2 || r.LeftOut() != 1 {
			t.Errorf("%+v\n%s", r, diff)
		}
		if diff := cmp.Diff(own.User, userOf(t, s, own.ID)); diff != "" {
			t.Errorf("the import changed an existing user:\n%s", diff)
		}
		wantLogin(t, s, own.Email, own.Password, own.ID)
		// New ids are beyond the greatest imported one, even if that user has been removed since.
		importAll(t, s, false, djangoRow(own.ID+5000, "last", ""))
		s.Database.Exec(t, "DELETE FROM users WHERE id = ?", own.ID+5000)
		if next := s.NewUser(); next.ID <= own.ID+5000 {
			t.Errorf("the next user has the ID %d", next.ID)
		}
	})
}

// A repeated run skips the users that an earlier run imported. It has the same result as an
// uninterrupted run, also if equal names are on both sides of the interruption.
func TestRepeatedImportSkipsImportedUsers(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		whole, broken := servertest.Start(t, servertest.Options{Engine: e}), servertest.Start(t, servertest.Options{Engine: e})
		importAll(t, whole, false, importCases...)
		first := importAll(t, broken, false, importCases[:6]...)
		epoch := userOf(t, broken, 1).SessionEpoch
		second := importAll(t, broken, false, importCases...)
		if first.Imported != 6 || second.ImportedBefore != 6 || second.Imported != len(importCases)-3-6 {
			t.Errorf("got the reports %+v and %+v", first, second)
		}
		if third := importAll(t, broken, false, importCases...); third.Imported != 0 || third.ImportedBefore != len(importCases)-3 || len(third.Applied) != 0 {
			t.Errorf("%+v", third)
		}
		if userOf(t, broken, 1).SessionEpoch != epoch {
			t.Error("a user was imported a second time")
		}
		for _, c := range importCases {
			if c.ID < 1 || c.ID > 1<<52 {
				continue
			}
			a, b := userOf(t, whole, c.ID), userOf(t, broken, c.ID)
			if a.Username != b.Username || a.UsernameNorm != b.UsernameNorm || a.Email != b.Email || a.EmailNorm != b.EmailNorm || a.Password != b.Password {
				t.Errorf("%+v\n%+v", a, b)
			}
		}
		once := djangoRow(3000, "twice", "twice@example.com") // in one batch and in the next
		for _, dry := range []bool{true, false} {
			if r := importAll(t, whole, dry, once, once, once); r.Imported != 1 || r.ImportedBefore != 2 || len(r.Applied)+len(r.Refused) != 0 {
				t.Errorf("dry %v: %+v", dry, r)
			}
		}
	})
}

// A user who was deleted here is not imported again: neither the account, nor its old password, nor
// a used refresh token.
func TestDeletedUserIsNotImportedAgain(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		row, stays := djangoRow(1, "ada", "ada@example.com"), djangoRow(2, "grace", "grace@example.com")
		importAll(t, s, false, row, stays)
		s.Login(servertest.User{User: userOf(t, s, 1), Password: oldPassword}, token.Body).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		for _, dry := range []bool{true, false} {
			r := importAll(t, s, dry, row, stays)
			if diff := cmp.Diff(map[string][]int64{"was deleted from this service": {1}}, found(r)); diff != "" || r.ImportedBefore != 1 || r.LeftOut() != 1 {
				t.Errorf("dry %v: %+v\n%s", dry, r, diff)
			}
		}
		login(s, "ada", oldPassword).Want(t, http.StatusUnauthorized, "credentials_invalid")
		own := s.NewUser()
		s.Login(own, token.Body).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens WHERE user_id = ?", own.ID); n != 0 {
			t.Errorf("%d tokens of a user who was not imported are left, want 0", n)
		}
	})
}

// A user without an address can log in, gets no mails, and can add an address.
func TestImportedUserWithoutAddressCanAddOne(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		importAll(t, s, false, djangoRow(1, "ada", ""))
		client := func(password string) *servertest.Client {
			c := s.Anonymous()
			c.Do(http.MethodPost, "/accounts/login", map[string]any{"username": "ada", "password": password, "token_transport": token.Body}).Want(t, http.StatusOK, "")
			return c
		}
		c := client(oldPassword)
		if u, _ := c.Profile().Want(t, http.StatusOK, "").JSON["user"].(map[string]any); u["email"] != nil || u["email_verified"] != false {
			t.Errorf("%v", u)
		}
		for _, name := range []string{"#1", "@", "#1@"} {
			login(s, name, oldPassword).Want(t, http.StatusUnauthorized, "credentials_invalid")
		}
		for _, address := range []string{"#1", "", "#1@"} {
			s.Anonymous().Do(http.MethodPost, "/accounts/password/reset", map[string]any{"email": address}).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
		c.Do(http.MethodPost, "/accounts/password/change", map[string]any{"current_password": oldPassword, "new_password": secret}).Want(t, http.StatusOK, "")
		c = client(secret)
		c.Do(http.MethodPost, "/accounts/email/change", map[string]any{"email": "ada@example.com"}).Want(t, http.StatusAccepted, "")
		link := s.Mails.Wait(t, "ada@example.com", 1)
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE email = '' OR email_norm LIKE '#%'"); n != 0 {
			t.Errorf("%d mails without a recipient were queued, want 0", n)
		}
		s.Anonymous().Do(http.MethodPost, "/accounts/email/change/confirm", map[string]any{"token": servertest.Token(t, link), "password": secret}).Want(t, http.StatusNoContent, "")
		if u := userOf(t, s, 1); u.Email != "ada@example.com" || u.EmailNorm != "ada@example.com" || u.EmailVerifiedAt == nil {
			t.Errorf("%+v", u)
		}
		wantLogin(t, s, "ada@example.com", secret, 1)
		importAll(t, s, false, djangoRow(2, "grace", ""))
		s.Login(servertest.User{User: userOf(t, s, 2), Password: oldPassword}, token.Body).Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
		if n := s.Database.Count(t, "SELECT COUNT(*) FROM outbox WHERE email = '' OR email_norm LIKE '#%'"); n != 0 {
			t.Errorf("%d mails without a recipient were queued, want 0", n)
		}
	})
}

// A user whose hash cannot be verified sets a new password with a reset mail.
func TestImportedUserWithoutPasswordResetsIt(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	r := djangoRow(1, "ada", "ada@example.com")
	r.Password = "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3"
	importAll(t, s, false, r)
	for _, password := range []string{oldPassword, "!", r.Password} {
		login(s, "ada", password).Want(t, http.StatusUnauthorized, "credentials_invalid")
	}
	requestReset(t, s, "ada@example.com")
	reset := servertest.Token(t, s.Mails.Wait(t, "ada@example.com", 1))
	s.Anonymous().Do(http.MethodPost, "/accounts/password/reset/confirm", map[string]any{"token": reset, "new_password": secret}).Want(t, http.StatusNoContent, "")
	wantLogin(t, s, "ada", secret, 1)
}

// A token on simplejwt's blacklist counts as used. One that has expired is not stored. The expiry
// in the blacklist need not be the token's own: it can be from before the project set another one,
// or be unreadable.
func TestImportedBlacklistedTokensCountAsUsed(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		soon := s.Clock.Now().Add(time.Hour).UTC().Truncate(time.Second)
		batch := []accounts.DjangoToken{{JTI: "one", UserID: 7, ExpiresAt: soon}, {JTI: "two", ExpiresAt: soon}, {JTI: "old", UserID: 7, ExpiresAt: soon.Add(-2 * time.Hour)}, {UserID: 7, ExpiresAt: soon}, {JTI: "unreadable", UserID: 7}}
		for _, dry := range []bool{true, false, false} {
			run := s.Service.NewImport(accounts.ImportOptions{Dry: dry, EmailsVerified: true})
			must(t, run.Tokens(t.Context(), batch))
			if n := run.Report().Tokens; n != 3 {
				t.Errorf("got %d tokens, want 3", n)
			}
			if n := s.Database.Count(t, "SELECT COUNT(*) FROM one_time_tokens"); dry != (n == 0) || n > 3 {
				t.Errorf("got %d rows", n)
			}
		}
		s.Clock.Advance(399 * 24 * time.Hour) // ACCOUNTS_LEGACY_JWT_UNTIL is at most 400d ahead
		_, err := s.Service.CleanUp(t.Context())
		must(t, err)
		for _, jti := range []string{"one", "unreadable"} {
			hash := sha256.Sum256([]byte("jti:" + jti))
			used, err := s.Store.Token(t.Context(), models.PurposeLegacyRefresh, hash[:])
			if err != nil || used.UserID != 7 || used.UsedAt == nil {
				t.Errorf("%s: %+v %v", jti, used, err)
			}
		}
	})
}

// Without the database, the import returns ServiceUnavailable, and imports no part of the batch.
func TestImportWithoutDatabaseImportsNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	run := s.Service.NewImport(accounts.ImportOptions{})
	must(t, run.Users(t.Context(), []accounts.DjangoUser{djangoRow(1, "ada", "")}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run.Users(ctx, []accounts.DjangoUser{djangoRow(2, "grace", ""), djangoRow(3, "alan", "")})
	if !errors.Is(err, &problem.Error{Code: problem.ServiceUnavailable}) {
		t.Errorf("%v", err)
	}
	if r := run.Report(); r.Read != 1 || r.Imported != 1 || s.Database.Count(t, "SELECT COUNT(*) FROM users") != 1 {
		t.Errorf("%+v", r)
	}
}

// Two runs at once, while a user signs up: the later one finds a name taken, and plans its batch
// again.
func TestConcurrentImportsPlanTakenNamesAgain(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: e})
		var rows []accounts.DjangoUser
		for id := range int64(400) {
			rows = append(rows, djangoRow(id+1000, fmt.Sprint("person", id), fmt.Sprintf("person%d@example.com", id)))
		}
		must(t, s.Service.NewImport(accounts.ImportOptions{Dry: true}).Begin(t.Context(), 5000))
		if first := s.NewUser(); first.ID > 1000 {
			t.Errorf("the dry run reserved IDs: the next user has the ID %d", first.ID)
		}
		must(t, s.Service.NewImport(accounts.ImportOptions{}).Begin(t.Context(), rows[len(rows)-1].ID))
		reports := make(chan accounts.ImportReport, 2)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				run := s.Service.NewImport(accounts.ImportOptions{})
				if err := run.Begin(context.Background(), rows[len(rows)-1].ID); err != nil {
					t.Error(err)
				}
				for batch := range slices.Chunk(rows, 10) {
					if err := run.Users(context.Background(), batch); err != nil {
						t.Error(err)
						break
					}
				}
				reports <- run.Report()
			})
		}
		for i := range 20 {
			u, err := s.Service.CreateUser(t.Context(), accounts.NewUser{Username: fmt.Sprint("person", 20*i+19), Email: fmt.Sprintf("own%d@example.com", i), Password: secret})
			if err == nil && u.ID < 1400 {
				t.Errorf("a new user has the ID %d of an imported user", u.ID)
			}
			if err != nil && !errors.Is(err, &problem.Error{Code: problem.UsernameTaken}) {
				t.Error(err)
			}
		}
		all.Wait()
		a, b := <-reports, <-reports
		if a.Imported+b.Imported != 400 || a.ImportedBefore+b.ImportedBefore != 400 || s.Database.Count(t, "SELECT COUNT(*) FROM users WHERE imported_epoch IS NOT NULL") != 400 {
			t.Errorf("got the reports %+v and %+v", a, b)
		}
	})
}
