package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/servertest"
)

// door is an operation that sets a new password. It is tried for an existing or a future user with
// the given name. The user must then be able to log in with the password.
type door struct {
	member string
	status int
	open   func(t *testing.T, s *servertest.Server, name string) func(password any) *servertest.Response
}

func doors() map[string]door {
	return map[string]door{
		"register": {"/password", http.StatusAccepted, func(_ *testing.T, s *servertest.Server, name string) func(any) *servertest.Response {
			return func(p any) *servertest.Response {
				return post(s, "/accounts/register", object{"email": address(name), "password": p})
			}
		}},
		"change": {"/new_password", http.StatusOK, func(t *testing.T, s *servertest.Server, name string) func(any) *servertest.Response {
			c := s.Login(newUser(t, s, name), accounts.BodyTokens)
			return func(p any) *servertest.Response {
				return c.Do(http.MethodPost, "/accounts/password/change", object{"current_password": password, "new_password": p})
			}
		}},
		"reset": {"/new_password", http.StatusNoContent, func(t *testing.T, s *servertest.Server, name string) func(any) *servertest.Response {
			newUser(t, s, name)
			token := requestReset(t, s, address(name), 1)
			return func(p any) *servertest.Response {
				return post(s, "/accounts/password/reset/confirm", object{"token": token, "new_password": p})
			}
		}},
	}
}

const long = "kq7 vZ2 pL9 xW4 tB6 mR1 sD8 hF3 gJ5 nC0 " // 40 random characters

// Each kind of new password that people and programs send has the expected result (corpus 4.4). An
// empty code means that the password is accepted unchanged.
func TestNewPasswordsOfEveryKindHaveExpectedResult(t *testing.T) {
	t.Attr("control", "2")
	t.Attr("control", "3")
	t.Attr("control", "4")
	emoji := strings.Repeat("🔑🔒🗝🔐🔏🔓🛡🔧🧿🎲🎯📎🌊🍞🎻🐎", 16)
	filler := strings.Repeat(long, 10)
	cases := []struct {
		name, code string
		of         func(name string) any
	}{
		{"empty", "required", constant("")}, {"one", "too_short", constant("x")}, {"7", "too_short", constant(filler[:7])}, {"8", "too_short", constant(filler[:8])}, {"11", "too_short", constant(filler[:11])},
		{"11 in 44 bytes", "too_short", constant("🔑🔒🗝🔐🔏🔓🛡⚙🧿🎲🎯")}, {"11 é", "too_short", constant("éèêëéèêëéèê")},
		{"12", "", constant(filler[:12])}, {"64", "", constant(filler[:64])}, {"71", "", constant(filler[:71])}, {"72", "", constant(filler[:72])}, {"73", "", constant(filler[:73])},
		{"255", "", constant(filler[:255])}, {"256", "", constant(filler[:256])}, {"257", "too_long", constant(filler[:257])}, {"1025 bytes", "too_long", constant(emoji + "x")}, {"1 kB", "too_long", constant(strings.Repeat("a", 1000))},
		{"12 spaces", "password_common", constant("            ")}, {"words and spaces", "", constant("a b o d a f u h")}, {"spaces around", "", constant("  " + filler[:20] + "  ")},
		{"64 emoji", "", constant(string([]rune(emoji)[:64]))}, {"256 emoji", "", constant(emoji)}, {"one letter", "password_common", constant("aaaaaaaaaaaa")},
		{"NFC", "", constant("caf\u00e9 cr\u00e8me br\u00fbl\u00e9e")}, {"NFD", "", constant("cafe\u0301 cre\u0300me bru\u0302le\u0301e")},
		{"newline", "", constant("two lines\nof a poem")}, {"controls", "", constant("bell \a and \x1b[31m red")}, {"zero-width", "", constant("zero\u200bwidth\ufeffjoiner")},
		{"NUL", "format_invalid", constant("correct horse\x00 battery")}, {"NUL behind it", "format_invalid", constant(filler[:40] + "\x00")},
		{"null", "type_invalid", constant(nil)}, {"number", "type_invalid", constant(123456789012)}, {"true", "type_invalid", constant(true)}, {"array", "type_invalid", constant([]string{filler[:20]})},
		{"object", "type_invalid", constant(object{"a": "b"})}, {"operator", "type_invalid", constant(object{"$ne": ""})},
		{"a common one, dressed", "password_common", constant("password12345678")}, {"in capitals", "password_common", constant("PASSWORD!!!!")}, {"backwards", "password_common", constant("!!drowssap12345")},
		{"digits that count", "password_common", constant("1234567890123")}, {"the product", "password_common", constant("Accounts2026!")},
		{"the address", "password_common", func(name string) any { return address(name) }}, {"the address backwards", "password_common", func(name string) any { return reversed(address(name)) }},
		{"the local part", "password_common", func(name string) any { return name + "2026!!!!" }}, {"in capitals, backwards", "password_common", func(name string) any { return "!!!!" + strings.ToUpper(reversed(name)) }},
		{"a common one, twice", "password_common", constant("passwordpassword")}, {"the product, twice", "password_common", constant("accountsaccounts")},
		{"letters in order", "password_common", constant("abcdefghijkl")}, {"digits in order", "password_common", constant("111122223333")},
		{"with symbols for letters", "password_common", constant("P@ssw0rdP@ssw0rd")}, {"the host", "password_common", constant("localhost2026")},
		{"the domain", "password_common", func(string) any { return "example12345" }},
	}
	eachEngine(t, func(t *testing.T, s *servertest.Server) {
		for way, d := range doors() {
			for i, c := range cases {
				name := fmt.Sprintf("walterscott%s%d", way, i)
				value := c.of(name)
				r := d.open(t, s, name)(value)
				if c.code != "" {
					if t.Run(way+" "+c.name, func(t *testing.T) { wantField(t, r, d.member, c.code) }); usersWith(t, s, address(name)) == 1 {
						signIn(s, address(name), password).Want(t, http.StatusOK, "") // the old one still works
					}
					continue
				}
				if r.Status != d.status {
					t.Errorf("%s, %s: %d %s", way, c.name, r.Status, r.Raw)
					continue
				}
				wantAsSent(t, s, name, value.(string))
			}
			d.open(t, s, newName())(strings.Repeat("a", 1<<20)).Want(t, http.StatusRequestEntityTooLarge, "body_too_large")
		}
	})
}

func constant(value any) func(string) any { return func(string) any { return value } }

func reversed(s string) string {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return string(b)
}

// wantAsSent checks that the user can log in with exactly this password, and not with a similar
// one.
func wantAsSent(t *testing.T, s *servertest.Server, name, typed string) {
	t.Helper()
	try := func(p string) *servertest.Response { return signIn(s, address(name), p) }
	if usersWith(t, s, address(name)) == 0 { // a registration
		token := linkToken(t, s, address(name), 1, mail.Verify)
		verify(s, token, typed).Want(t, http.StatusOK, "")
	}
	try(typed).Want(t, http.StatusOK, "")
	runes := []rune(typed)
	for _, other := range []string{typed + " ", " " + typed, strings.TrimSpace(typed), string(runes[:len(runes)-1]), string(runes[1:]), strings.ToUpper(typed), strings.ToLower(typed),
		strings.NewReplacer("e\u0301", "\u00e9", "\u00e9", "e\u0301", "\n", " ", "\u200b", "").Replace(typed), typed + "\x00", typed[:min(len(typed), 72)]} {
		if other != typed && other != "" {
			try(other).Want(t, http.StatusUnauthorized, "credentials_invalid")
		}
	}
}

// A password that violates a rule is rejected before any hash is computed, so that sending it costs
// the server nothing.
func TestInvalidNewPasswordIsRejectedBeforeHashing(t *testing.T) {
	t.Attr("control", "2")
	hasher := credentials.NewHasher(servertest.FastHash, 1, 10, time.Minute)
	s := servertest.Start(t, servertest.Options{Hasher: hasher})
	for way, d := range doors() {
		try := d.open(t, s, newName())
		before := hasher.Stats().Computed
		for _, p := range []string{"", "elevenchars", "password12345678", strings.Repeat("🔑", 257), strings.Repeat("a", 1000), "correct horse\x00 battery"} {
			try(p).Want(t, http.StatusUnprocessableEntity, "validation_failed")
		}
		want := int64(0)
		if way == "change" { // it verifies the current password first, unless the contract rejects the new one
			want = 2
		}
		if computed := hasher.Stats().Computed - before; computed != want {
			t.Errorf("%s: %d hashes, want %d", way, computed, want)
		}
	}
}

// A username in another script is compared by its Latin look-alike, so a password made of the
// username is rejected in either script.
func TestPasswordMadeOfUsernameIsRejectedInEveryScript(t *testing.T) {
	t.Attr("control", "2")
	s := servertest.Start(t, servertest.Options{})
	for _, typed := range []string{"сорокасорока", "СОРОКАСОРОКА1985", "copokacopoka"} {
		r := post(s, "/accounts/register", object{"email": address(newName()), "username": "Сорокасорока", "password": typed})
		wantField(t, r, "/password", "password_common")
	}
}

// A password is used exactly as sent. It is not trimmed, case-folded, normalized or truncated, as
// bcrypt does after 72 bytes.
func TestPasswordIsUsedExactlyAsSent(t *testing.T) {
	t.Attr("control", "4")
	s := servertest.Start(t, servertest.Options{})
	long := strings.Repeat("a", 72)
	for typed, others := range map[string][]string{
		"  pässwörter sind schön\t": {"pässwörter sind schön", "pässwörter sind schön\t", "  pa\u0308sswo\u0308rter sind scho\u0308n\t", "  pässwörter sind schön\t ", "  PÄSSWÖRTER SIND SCHÖN\t"},
		long + "X":                  {long + "Y", long, long + "x", long + "XX"},
		"nothing behind it":         {"nothing behind it\x00", "nothing behind it\n", "nothing behind it\u200b"},
	} {
		email := address(newName())
		token := register(t, s, 1, object{"email": email, "password": typed})
		for _, other := range others {
			wantField(t, verify(s, token, other), "/password", "password_wrong")
		}
		verify(s, token, typed).Want(t, http.StatusOK, "")
		for _, other := range others {
			signIn(s, email, other).Want(t, http.StatusUnauthorized, "credentials_invalid")
		}
		signIn(s, email, typed).Want(t, http.StatusOK, "")
	}
	wantField(t, post(s, "/accounts/register", object{"email": address(newName()), "password": password + "\x00" + password}), "/password", "format_invalid")
}
