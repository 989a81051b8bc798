package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// likeness is the relation of a typed username or address to one that a user already has.
type likeness string

const (
	same    likeness = "the same"
	other   likeness = "another"
	refused likeness = "none"
)

// usernames lists typed usernames and how they relate to an existing one. A number in each keeps
// the rows apart (corpus 4.3).
var usernames = []struct {
	had, typed string
	want       likeness
}{
	{"ada%d", "ada%d", same}, {"ada%d", "ADA%d", same}, {"ada%d", "aDa%d", same}, {"ada%d", "ade%d", other},
	{"jos\u00e9%d", "jose\u0301%d", same}, {"jos\u00e9%d", "JOS\u00c9%d", same}, {"jos\u00e9%d", "JOSE\u0301%d", same}, {"jos\u00e9%d", "jose%d", other},
	{"istanbul%d", "\u0130stanbul%d", same}, {"istanbul%d", "i\u0307stanbul%d", same}, {"istanbul%d", "I\u0307STANBUL%d", same}, {"istanbul%d", "\u0131stanbul%d", other}, {"\u0131stanbul%d", "ISTANBUL%d", other},
	{"stra\u00dfe%d", "STRA\u1e9eE%d", same}, {"stra\u00dfe%d", "strasse%d", other}, {"sam%d", "\u017fam%d", refused}, {"kim%d", "\u212aim%d", same}, {"\u00e5sa%d", "\u212bsa%d", same},
	{"ada%d", "\uff41\uff44\uff41%d", same}, {"ada%d", "\u0430d\u0430%d", refused}, {"ada%d", "ad\u03b1%d", refused}, {"ace%d", "\u0430\u0441\u0435%d", same}, {"ada%d", "\u0251da%d", refused}, {"\u0434\u043e\u043c%d", "dom%d", other}, {"\u0441\u043e\u0442%d", "\u1c83\u1c82\u1c84%d", same},
	{"\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c2", "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3", same}, {"fi%d", "\ufb01%d", refused}, {"one%d", "one\u2460%d", refused},
	{"ada%d", "a\u200bda%d", refused}, {"ada%d", "a\u200cda%d", refused}, {"ada%d", "a\u200dda%d", refused}, {"ada%d", "\ufeffada%d", refused}, {"ada%d", "ad\u2060a%d", refused}, {"ada%d", "a\u00adda%d", refused},
	{"ada%d", "\u202eada%d", refused}, {"ada%d", "a\u2066da%d", refused}, {"ada%d", "a" + strings.Repeat("\u0301", 1000) + "da%d", refused}, {"ada%d", "ada\U0001f600%d", refused}, {"ada%d", "ada%d\x00", refused},
	{"ada%d", " ada%d", refused}, {"ada%d", "ada%d ", refused}, {"ada%d", "ad a%d", refused}, {"ada%d", "ada%d\u00a0", refused}, {"ada%d", "\u3000ada%d", refused}, {"ada%d", "ada%d\n", refused},
	{"ada%d", "ada%d" + strings.Repeat("a", 255), refused}, {"ada%d", "ada%d" + strings.Repeat("a", 10_000), refused}, {"ada%d", "ada%d@example.com", refused}, {"ada%d", "ada%d\uff20example.com", refused},
}

// isRefused reports whether the server rejects a name or an address as invalid.
func isRefused(r *servertest.Response) bool {
	return r.Status == http.StatusUnprocessableEntity || r.Status == http.StatusRequestEntityTooLarge
}

// Each spelling of a username is an existing name, a different name or invalid. All operations
// agree on which.
func TestOperationsAgreeOnSpellingsOfUsernames(t *testing.T) {
	t.Attr("control", "66")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		for i, c := range usernames {
			had, typed := numbered(c.had, i), numbered(c.typed, i)
			stranger := s.NewUser()
			owner, err := s.Service.CreateUser(t.Context(), accounts.NewUser{Username: had, Email: address(newName()), Password: password})
			if err != nil {
				t.Fatalf("%q: %v", had, err)
			}
			got := map[string]likeness{}
			got["login"] = other
			switch r := signIn(s, typed, password); r.Status {
			case http.StatusOK:
				got["login"] = same
			case http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge: // longer than any valid name
				got["login"] = refused
			}
			email := address(newName())
			r := post(s, "/accounts/register", object{"email": email, "password": otherPassword, "username": typed})
			got["register"] = refused
			if r.Status == http.StatusAccepted {
				got["register"] = other
				u := profileOf(t, verify(s, linkToken(t, s, email, 1, mail.Verify), otherPassword))
				if u["username"] != typed { // the name was taken
					got["register"] = same
				}
				deleteAccount(s.Login(servertest.User{User: stored(t, s, email), Password: otherPassword}, accounts.BodyTokens)).Want(t, http.StatusNoContent, "")
			}
			client := s.Login(stranger, accounts.BodyTokens)
			got["profile"] = map[int]likeness{http.StatusOK: other, http.StatusConflict: same, http.StatusUnprocessableEntity: refused, http.StatusRequestEntityTooLarge: refused}[patch(client, object{"username": typed}).Status]

			want := map[string]likeness{"login": c.want, "register": c.want, "profile": c.want}
			if c.want == refused && got["login"] == other {
				want["login"] = other // login reveals nothing about the validity of names
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%.60q for the existing %q (-want +got):\n%s", typed, had, diff)
			}
			if c.want == other { // both names exist now
				if u := profileOf(t, signIn(s, typed, stranger.Password)); u["id"] != float64(stranger.ID) {
					t.Errorf("%q logs in %v, want the other user", typed, u)
				}
			}
			if u := profileOf(t, signIn(s, had, password)); u["id"] != float64(owner.ID) {
				t.Errorf("%q logs in %v, want the owner", had, u)
			}
			s.Database.Exec(t, "UPDATE users SET username_norm = ? WHERE id = ?", newName(), stranger.ID)
		}
	})
}

// numbered inserts the number of the row into a spelling.
func numbered(spelling string, i int) string {
	if !strings.Contains(spelling, "%d") {
		return spelling
	}
	return fmt.Sprintf(spelling, i)
}

// addresses lists typed addresses and how they relate to an existing one (corpora 4.3 and 4.5).
var addresses = []struct {
	had, typed string
	want       likeness
}{
	{"ada%d@b.example", "ada%d@b.example", same}, {"ada%d@b.example", "ADA%d@B.EXAMPLE", same}, {"Ada.L%d@B.example", "ada.l%d@b.example", same},
	{"ada%d@b.example", "ada%d+tag@b.example", other}, {"ada%d@b.example", "a.da%d@b.example", other}, {"oq%d@x.co", "-oQ/tmp%d@x.co", other}, {"a%d@x.co", "a%%0d%%0abcc%d@x.co", other},
	{"ada%d@b.example", "{{.}}%d@b.example", other}, {"ada%d@b.example", "${x}%d@b.example", other}, {"ada%d@b.example", "a%d@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "example", other},
	{"ada%d@b\u00fccher.example", "ada%d@xn--bcher-kva.example", same}, {"ada%d@xn--bcher-kva.example", "ada%d@B\u00dcCHER.example", same}, {"ada%d@b\u00fccher.example", "ADA%d@XN--BCHER-KVA.example", same},
	{"ada%d@b\u00fccher.example", "ada%d@bu\u0308cher.example", refused}, {"ada%d@kim.example", "ada%d@\u212aim.example", same}, {"ada%d@strasse.example", "ada%d@stra\u00dfe.example", other},
	{"ada%d@stra\u00dfe.example", "ada%d@STRA\u1e9eE.example", refused}, {"ada%d@istanbul.example", "ada%d@\u0130stanbul.example", refused}, {"ada%d@istanbul.example", "ada%d@\u0131stanbul.example", other},
	{"ada%d@b.example", "ada%d@\u0412.example", other}, {"ada%d@b.example", "ada%d@\uff42.example", refused}, {"ada%d@b.example", "ada%d@b\u3002example", refused}, {"ada%d@b.example", "ada%d@b\uff0eexample", refused},
	{"ada%d@b.example", "ada%d@b\u200b.example", refused}, {"ada%d@b.example", "ada%d@b\u200d.example", refused}, {"ada%d@b.example", "ada%d@b\u00ad.example", refused}, {"ada%d@b.example", "ada%d@b.example\u202e", refused},
	{"ada%d@b.example", "\uff41da%d@b.example", refused}, {"ada%d@b.example", "\u0430da%d@b.example", refused}, {"ada%d@b.example", "\u00e9da%d@b.example", refused}, {"ada%d@b.example", "a\u200bda%d@b.example", refused},
	{"ada%d@b.example", "ada%d\x00@b.example", refused}, {"ada%d@b.example", " ada%d@b.example", refused}, {"ada%d@b.example", "ada%d@b.example ", refused}, {"ada%d@b.example", "ada%d@b.example\u00a0", refused},
	{"ada%d@b.example", "Name <ada%d@b.example>", refused}, {"ada%d@b.example", "<ada%d@b.example>", refused}, {"ada%d@b.example", "ada%d@b.example (c)", refused}, {"ada%d@b.example", `"ada%d"@b.example`, refused},
	{"ada%d@b.example", `"ada%d@evil.example"@b.example`, refused}, {"ada%d@b.example", "ada%d@b", refused}, {"ada%d@b.example", "ada%d@[127.0.0.1]", refused}, {"ada%d@b.example", "ada%d@127.0.0.1", refused}, {"ada%d@b.example", "ada%d@localhost", refused},
	{"ada%d@b.example", "ada%d@b.example\r\nBcc: x@y.example", refused}, {"ada%d@b.example", "ada%d\r\nBcc: x@b.example", refused}, {"ada%d@b.example", "ada%d@b.example%%0d%%0aBcc:x@y.example", refused},
	{"ada%d@b.example", "ada%d@b.example\u2028Bcc: x@y.example", refused}, {"ada%d@b.example", "=?utf-8?q?ada%d=0d=0a?=@b.example", refused}, {"ada%d@b.example", "ada%d@b.example,c@d.example", refused}, {"ada%d@b.example", "ada%d@b.example;c", refused},
	{"ada%d@b.example", "ada%d@@b.example", refused}, {"ada%d@b.example", "ada%d@c@b.example", refused}, {"ada%d@b.example", "ada%d@b.example.", refused}, {"ada%d@b.example", ".ada%d@b.example", refused}, {"ada%d@b.example", "ada%d.@b.example", refused},
	{"ada%d@b.example", "ada..%d@b.example", refused}, {"ada%d@b.example", "ada%d@b..example", refused}, {"ada%d@b.example", "<script>%d@b.example", refused}, {"ada%d@b.example", strings.Repeat("a", 61) + "%d@b.example", other},
	{"ada%d@b.example", strings.Repeat("a", 65) + "%d@b.example", refused}, {"ada%d@b.example", "ada%d@" + strings.Repeat(strings.Repeat("b", 60)+".", 4) + "example", refused}, {"ada%d@b.example", "ada%d@" + strings.Repeat("b.", 5000) + "example", refused},
}

// Each spelling of an address is an existing address, a different address or invalid. All
// operations agree on which, as the mails show: they go to the owner, to the new address or are not
// sent.
func TestOperationsAgreeOnSpellingsOfAddresses(t *testing.T) {
	t.Attr("control", "66")
	t.Attr("control", "67")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		stranger := s.NewUser()
		client := s.Login(stranger, accounts.BodyTokens)
		for i, c := range addresses {
			had, typed := numbered(c.had, i), numbered(c.typed, i)
			owner := profileOf(t, verify(s, linkToken(t, s, mailboxOf(had), mailsAfter(s, had, func() {
				post(s, "/accounts/register", object{"email": had, "password": password}).Want(t, http.StatusAccepted, "")
			}), mail.Verify), password))
			if owner["email"] != had {
				t.Errorf("%q is shown as %v", had, owner["email"])
			}
			got := map[string]likeness{"login": other}
			switch r := signIn(s, typed, password); r.Status {
			case http.StatusOK:
				got["login"] = same
			case http.StatusUnprocessableEntity: // longer than any valid address
				got["login"] = refused
			}
			for name, ask := range map[string]func() *servertest.Response{
				"register": func() *servertest.Response {
					return post(s, "/accounts/register", object{"email": typed, "password": otherPassword})
				},
				"email change": func() *servertest.Response { return changeEmail(client, typed) },
				"reset":        func() *servertest.Response { return post(s, "/accounts/password/reset", object{"email": typed}) },
			} {
				got[name] = other
				settle(t, s)
				count := len(s.Mails.To(mailboxOf(had)))
				if isRefused(ask()) {
					got[name] = refused
				}
				settle(t, s)
				if n := len(s.Mails.To(mailboxOf(had))) - count; n == 1 {
					got[name] = same
				} else if n != 0 {
					t.Errorf("%s of %.80q: got %d mails to %q, want 0", name, typed, n, had)
				}
			}
			if r := post(s, "/accounts/email/resend", object{"email": typed}); isRefused(r) != (c.want == refused) {
				t.Errorf("resend to %.80q: got status %d", typed, r.Status)
			}
			want := map[string]likeness{"login": c.want, "register": c.want, "email change": c.want, "reset": c.want}
			if c.want == refused && got["login"] == other {
				want["login"] = other // login reveals nothing about the validity of names
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%.80q for the existing %q (-want +got):\n%s", typed, had, diff)
			}
		}
	})
}

// mailboxOf returns the address that a mail is sent to, with its domain in ASCII.
func mailboxOf(email string) string {
	return strings.NewReplacer("b\u00fccher", "xn--bcher-kva", "stra\u00dfe", "xn--strae-oqa", "B.example", "b.example").Replace(email)
}

// mailsAfter calls f, which sends one mail to the address, and returns the number of that mail.
func mailsAfter(s *servertest.Server, email string, f func()) int {
	n := len(s.Mails.To(mailboxOf(email)))
	f()
	return n + 1
}

// Malformed text is rejected before the server looks for a user of that name.
func TestMalformedTextIsRejectedBeforeLookup(t *testing.T) {
	t.Attr("control", "66")
	s := servertest.Start(t, servertest.Options{})
	u := newUser(t, s, "ada")
	c := s.Login(u, accounts.BodyTokens)
	before := s.Database.Dump(t)
	for _, raw := range []string{`ada\ud800`, `\udc00ada`, `ada\ud800\ud800`, "ada\xff", "ada\xc0\x80", "ada\xed\xa0\x80", "ada\xf4\x90\x80\x80", "ada\x00", "ada\n", `ada\x41`, `ada\u00`} {
		for path, body := range map[string]string{
			"/accounts/register": `{"email":"grace@example.com","password":"` + password + `","username":"` + raw + `"}`, "/accounts/email/resend": `{"email":"` + raw + `@example.com"}`,
			"/accounts/login": `{"username":"` + raw + `","password":"` + password + `"}`, "/accounts/password/reset": `{"email":"` + raw + `@example.com"}`, "/accounts/email/change": `{"email":"` + raw + `@example.com"}`,
		} {
			c.Copy().Do(http.MethodPost, path, body).Want(t, http.StatusBadRequest, "request_malformed")
		}
		c.Copy().Do(http.MethodPatch, "/accounts/profile", `{"username":"`+raw+`"}`).Want(t, http.StatusBadRequest, "request_malformed")
	}
	wantUnchanged(t, s, before)
}

const (
	mixedDomain    = "c\u043erp.example"   // with a Cyrillic о
	mixedASCII     = "xn--crp-sed.example" // mixedDomain in the ASCII form that mail programs write
	cyrillicDomain = "почта.example"       // a single script
	koreanDomain   = "회사.example"          // a single script
)

// Every operation that sets an address rejects a domain that mixes scripts, in Unicode and in ASCII
// form, and accepts a domain in a single script.
func TestNewAddressWithLookAlikeDomainIsRejected(t *testing.T) {
	t.Attr("control", "203")
	withStaff(t, func(t *testing.T, s staffed) {
		ways := map[string]struct {
			status int
			set    func(email string) *servertest.Response
		}{
			"register": {http.StatusAccepted, func(email string) *servertest.Response {
				return post(s.Server, "/accounts/register", object{"email": email, "password": password})
			}},
			"change": {http.StatusAccepted, func(email string) *servertest.Response {
				return s.asUna.Do(http.MethodPost, "/accounts/email/change", object{"email": email})
			}},
			"invitation": {http.StatusCreated, func(email string) *servertest.Response {
				return s.asRoot.Do(http.MethodPost, "/admin/users", object{"email": email})
			}},
		}
		for _, w := range ways {
			for _, domain := range []string{mixedDomain, mixedASCII, "mail." + mixedDomain} {
				wantField(t, w.set(newName()+"@"+domain), "/email", "format_invalid")
			}
			for _, domain := range []string{cyrillicDomain, koreanDomain} {
				w.set(newName()+"@"+domain).Want(t, w.status, "")
			}
		}
		for _, domain := range []string{mixedDomain, mixedASCII} {
			wantField(t, edit(s.asRoot, s.una, object{"email": newName() + "@" + domain}), "/email", "format_invalid")
		}
	})
}

// An existing account with such an address keeps working: its owner can log in and reset the
// password.
func TestExistingAddressWithLookAlikeDomainKeepsWorking(t *testing.T) {
	t.Attr("control", "203")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		u := newUser(t, s, newName())
		s.Database.Exec(t, "UPDATE users SET email = ?, email_norm = ? WHERE id = ?", "cfo@"+mixedDomain, "cfo@"+mixedASCII, u.ID)
		for _, email := range []string{"cfo@" + mixedDomain, "CFO@" + mixedASCII} {
			signIn(s, email, password).Want(t, http.StatusOK, "")
		}
		token := requestReset(t, s, "cfo@"+mixedASCII, 1)
		post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": password + ", anew"}).Want(t, http.StatusNoContent, "")
		c := s.Login(servertest.User{User: u.User, Password: password + ", anew"}, accounts.BodyTokens)
		c.Do(http.MethodPatch, "/accounts/profile", object{"first_name": "Carla"}).Want(t, http.StatusOK, "")
	})
}
