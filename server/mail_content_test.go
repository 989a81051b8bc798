package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// User input appears in a mail as text only: the mail has one recipient, the usual headers and no
// markup from the input.
func TestUserInputAppearsInMailAsTextOnly(t *testing.T) {
	t.Attr("control", "67")
	dir := t.TempDir()
	files, err := mail.NewFiles(dir, "Accounts <no-reply@example.com>", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, servertest.Options{Mail: files})
	for i, name := range []string{
		"Ada", "<script>alert(1)</script>", "<script>alert(1)", "</title><script src=//evil.example>", "<img src=x onerror=alert(1)>", "{{.}}", "{{.Link}}", "{{template \"greeting\"}}", "${jndi:ldap://evil.example/a}", "${7*7}", "%s%n",
		"=?utf-8?q?=0d=0aBcc:_x=40y.example?=", "you won, see https://evil.example/", strings.Repeat("n", 150),
	} {
		for _, email := range []string{"a+tag%d@b.example", "A%d@B.EXAMPLE", "-oQ/tmp%d@b.example", "{{.}}%d@b.example", "${x}%d@b.example", "a%%0d%%0aBcc%d@b.example", "o'brien&co%d@b\u00fccher.example"} {
			email = fmt.Sprintf(email, i)
			agent := servertest.Header("User-Agent", "<script>alert(2)</script> {{.}}")
			post(s, "/accounts/register", object{"email": email, "password": password, "first_name": name, "last_name": name}, agent).Want(t, http.StatusAccepted, "")
			settle(t, s)
			to := strings.NewReplacer("b\u00fccher", "xn--bcher-kva", "B.EXAMPLE", "b.example").Replace(email)
			wantPlainMail(t, dir, to, name)
		}
	}
	for _, hidden := range []string{"\u202eevil", "\u2028Bcc: x@y.example", "a\u0085Bcc: x@y.example", "a\u200bb"} {
		post(s, "/accounts/register", object{"email": "ada@b.example", "password": password, "first_name": hidden}).Want(t, http.StatusUnprocessableEntity, "validation_failed")
	}
}

// wantPlainMail checks the only mail in a folder and removes the file.
func wantPlainMail(t *testing.T, dir, to, name string) {
	t.Helper()
	list, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
	if len(list) != 1 {
		t.Fatalf("got %d mails to %s, want 1", len(list), to)
	}
	raw, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(list[0]); err != nil {
		t.Fatal(err)
	}
	m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	for header, values := range m.Header {
		headers = append(headers, fmt.Sprintf("%s %d", header, len(values)))
	}
	slices.Sort(headers)
	want := []string{"Auto-Submitted 1", "Content-Language 1", "Content-Type 1", "Date 1", "From 1", "Message-Id 1", "Mime-Version 1", "Subject 1", "To 1"}
	if diff := cmp.Diff(want, headers); diff != "" || m.Header.Get("To") != "<"+to+">" {
		t.Errorf("%q: To is %q, headers (-want +got):\n%s", name, m.Header.Get("To"), diff)
	}
	_, html, found := strings.Cut(string(raw), "text/html")
	if !found || strings.Contains(html, "<script") || strings.Contains(html, "<img") || strings.Contains(string(raw), "evil.example") || strings.Contains(html, "alert(2)") {
		t.Errorf("%q to %s: the mail contains markup from the input:\n%s", name, to, raw)
	}
	if n := strings.Count(string(raw), "#token="); n != 3 { // in the text, and in the href and the text of the HTML
		t.Errorf("%q: the mail contains the link %d times, want 3", name, n)
	}
}

func TestMailsAreInLanguageOfUser(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, c := range []struct{ locale, accept, want string }{
		{"", "", "en"}, {"", "ko-KR,ko;q=0.9,en;q=0.8", "ko"}, {"", "fr,ko;q=0.1", "ko"}, {"", "de", "en"}, {"", ";;;", "en"}, {"", strings.Repeat("ko,", 3000), "ko"},
		{"ko", "en", "ko"}, {"en", "ko", "en"}, {"ko-KR", "", "ko-KR"},
	} {
		email := address(newName())
		body := object{"email": email, "password": password}
		if c.locale != "" {
			body["locale"] = c.locale
		}
		accept := servertest.Header("Accept-Language", c.accept)
		post(s, "/accounts/register", body, accept).Want(t, http.StatusAccepted, "")
		m := s.Mails.Wait(t, email, 1)
		if m.Locale != c.want {
			t.Errorf("locale %q, Accept-Language %.30q: a mail in %q, want %q", c.locale, c.accept, m.Locale, c.want)
		}
		// The owner's choice then applies to all mails, regardless of the language of later
		// requests.
		verify(s, servertest.Token(t, m), password).Want(t, http.StatusOK, "")
		post(s, "/accounts/password/reset", object{"email": email}, servertest.Header("Accept-Language", "de")).Want(t, http.StatusAccepted, "")
		if m := s.Mails.Wait(t, email, 2); m.Locale != c.want {
			t.Errorf("locale %q, Accept-Language %.30q: then a mail in %q, want %q", c.locale, c.accept, m.Locale, c.want)
		}
	}
}

// A client that requests a mail to another person must not be able to choose the target of its
// link.
func TestClientCannotChooseTargetOfLink(t *testing.T) {
	t.Attr("control", "57")
	s := servertest.Start(t, servertest.Options{})
	header := func(values ...string) servertest.Option {
		return func(r *http.Request) {
			for i := 0; i < len(values); i += 2 {
				r.Header.Add(values[i], values[i+1])
			}
		}
	}
	for name, evil := range map[string]servertest.Option{
		"Host":                func(r *http.Request) { r.Host = "evil.example" },
		"Host with a port":    func(r *http.Request) { r.Host = "evil.example:8080" },
		"absolute target":     func(r *http.Request) { r.URL.Opaque = "//evil.example" + r.URL.Path },
		"both":                func(r *http.Request) { r.Host, r.URL.Opaque = "evil.example", "//evil.example"+r.URL.Path },
		"X-Forwarded-Host":    header("X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "666", "X-Forwarded-Prefix", "/evil"),
		"X-Forwarded-Host ×2": header("X-Forwarded-Host", "localhost", "X-Forwarded-Host", "evil.example"),
		"Forwarded":           header("Forwarded", "host=evil.example;proto=https"),
		"less common headers": header("X-Host", "evil.example", "X-Original-Host", "evil.example", "X-Forwarded-Server", "evil.example", "X-HTTP-Host-Override", "evil.example", "X-Original-URL", "http://evil.example/"),
		"Referer":             header("Referer", s.URL+"@evil.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			u, fresh, next := s.NewUser(), address(newName()), address(newName())
			post(s, "/accounts/register", object{"email": fresh, "password": password}, evil).Want(t, http.StatusAccepted, "")
			post(s, "/accounts/email/resend", object{"email": fresh}, evil).Want(t, http.StatusAccepted, "")
			post(s, "/accounts/password/reset", object{"email": u.Email}, evil).Want(t, http.StatusAccepted, "")
			s.Mails.Wait(t, u.Email, 1) // otherwise the notice of the change is sent first
			s.Login(u, accounts.BodyTokens).Do(http.MethodPost, "/accounts/email/change", object{"email": next}, evil).Want(t, http.StatusAccepted, "")
			for page, m := range map[string]mail.Message{
				s.Config.VerifyURL: s.Mails.Wait(t, fresh, 2), s.Config.ResetURL: s.Mails.Wait(t, u.Email, 1), s.Config.EmailChangeURL: s.Mails.Wait(t, next, 1),
			} {
				if m.Link != page+"#token="+servertest.Token(t, m)+"&lang=en" || strings.Contains(fmt.Sprint(m), "evil") {
					t.Errorf("the mail has a link to %s", m.Link)
				}
			}
		})
	}
}

// The owner of an unverified address is unknown. Notices about the account are not sent to it,
// because a user could otherwise flood the mailbox of another person.
func TestNoticesAreNotSentToUnverifiedAddress(t *testing.T) {
	t.Attr("control", "65")
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": password})
		c := s.Login(servertest.User{User: stored(t, s, email), Password: password}, accounts.Hybrid)
		change := func(from, to string) {
			c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": from, "new_password": to}).Want(t, http.StatusOK, "")
		}
		change(password, otherPassword)
		changeEmail(c, address(newName())).Want(t, http.StatusAccepted, "")
		wantMails(t, s, email, mail.Verify)
		verify(s, token, otherPassword).Want(t, http.StatusOK, "")
		change(otherPassword, password)
		wantMails(t, s, email, mail.Verify, mail.PasswordChanged)
	}, "ACCOUNTS_EMAIL_VERIFICATION=optional")
}
