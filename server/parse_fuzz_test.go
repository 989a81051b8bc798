package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
)

// Every document that the strict decoder accepts has the same value for encoding/json. The decoder
// also accepts the value as another program would write it.
func FuzzStrictJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `null`, `[]`, `"a"`, `-0`, `1e400`, `9007199254740993`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"A":1,"a":2}`, `{"a":{"b":1,"b":1}}`, `{}{}`, `{} x`, ` {} `,
		"\ufeff{}", `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ude00\ud83d"}`, `{"a":"\\ud800"}`, `{"a":"\u0000"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", `{"a":NaN}`, `{/**/}`, `{a:1}`,
		`{"a":"\x"}`, "{\x00}", "", strings.Repeat("[", 33), strings.Repeat("[", 33) + strings.Repeat("]", 33), strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32),
		"[" + strings.Repeat("{},", 1000) + "{}]", `{"":1,"":2}`, `{"a":"\ud800\ud800\udc00"}`, `"\uD800\uDC00"`, `"\`, `"\u`, `{"a":1,}`, `[1,]`, `01`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseStrictJSON(raw)
		if err != nil {
			return
		}
		want, twice := secondReader(t, raw)
		if twice {
			t.Errorf("%q is accepted although a member occurs twice", raw)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, and encoding/json returns %#v", raw, got, want)
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseStrictJSON(written); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%q: encoded as %q, it is decoded as %#v, %v", raw, written, again, err)
		}
	})
}

// secondReader parses raw with encoding/json. It also reports whether an object has a member twice,
// by counting the members in the text.
func secondReader(t *testing.T, raw []byte) (value any, twice bool) {
	t.Helper()
	whole := json.NewDecoder(bytes.NewReader(raw))
	whole.UseNumber()
	if err := whole.Decode(&value); err != nil {
		t.Errorf("%q is accepted, but encoding/json rejects it: %v", raw, err)
	}
	if _, err := whole.Token(); err != io.EOF {
		t.Errorf("%q is accepted with trailing data", raw)
	}
	return value, countMembers(t, raw) != membersOf(value)
}

// countMembers counts the colons outside of strings, one for each member.
func countMembers(t *testing.T, raw []byte) int {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		t.Fatal(err)
	}
	return bytes.Count(quoted.ReplaceAll(compact.Bytes(), nil), []byte(":"))
}

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

func membersOf(value any) (n int) {
	switch v := value.(type) {
	case map[string]any:
		for _, each := range v {
			n += 1 + membersOf(each)
		}
	case []any:
		for _, each := range v {
			n += membersOf(each)
		}
	}
	return n
}

// The token is the text after "Bearer " in the only Authorization header, byte for byte, or
// nothing.
func FuzzAuthorization(f *testing.F) {
	for _, line := range []string{"Bearer a.b.c", "bearer a", "BEARER  a", "Bearer", "Bearer ", "Bearera", " Bearer a", "Basic YTpi", "Bearer\ta", "Bearer a, Bearer b", "Bearer a\x00", "\u212aearer a", "Token a", ""} {
		f.Add(line, "", false)
		f.Add(line, "Bearer x", true)
	}
	form := regexp.MustCompile(`(?s)\A[Bb][Ee][Aa][Rr][Ee][Rr] (.*)\z`)
	f.Fuzz(func(t *testing.T, first, second string, two bool) {
		values, want := []string{first}, ""
		if found := form.FindStringSubmatch(first); found != nil {
			want = found[1]
		}
		if two {
			values, want = append(values, second), ""
		}
		if got := bearerToken(values); got != want {
			t.Errorf("%q is the token %q, want %q", values, got, want)
		}
	})
}

// A cookie is read byte for byte if its name occurs exactly once in the header. If the name occurs,
// the server looks for no other cookie.
func FuzzCookies(f *testing.F) {
	for _, name := range []string{"access", "refreshtoken", "__Host-access", "__Host-refreshtoken"} {
		for _, line := range []string{
			"N=good", "N=good; N=bad", "N=bad; N=good", `N="good"`, "N=", "N", "N =good", " N=good", "\u2000N=good", "=N=good", "$Version=1; N=good", `a="b; N=good"`, "n=good; N=good",
			"N=go od", "N=a,b", "N=good;N=\x7f", "a=b;;N=good;", "N=a=b", "N\t=good", "a=N=good", `N=good; N="x`,
		} {
			f.Add(strings.ReplaceAll(line, "N", name), "")
			f.Add(strings.ReplaceAll(line, "N", name), name+"=other")
		}
	}
	plain := regexp.MustCompile(`\A[A-Za-z0-9._~-]+\z`)
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.ContainsAny(first+second, "\r\n\x00") {
			return // cannot occur in a header
		}
		r := &http.Request{Header: http.Header{"Cookie": {first, second}}}
		for _, names := range []cookieNames{{access: "access", refresh: "refreshtoken"}, {access: "__Host-access", refresh: "__Host-refreshtoken", secure: true}} {
			for location, name := range map[accounts.TokenLocation]string{accounts.AccessCookie: names.access, accounts.RefreshCookie: names.refresh} {
				got, there := names.read(r, location)
				values := cookiesNamed(name, first+";"+second)
				switch {
				case there != (len(values) > 0):
					t.Errorf("%q: %s is present: %v, of %q", r.Header, name, there, values)
				case got != "" && (len(values) != 1 || values[0] != strings.Trim(got, " \t")): // leading blanks are kept, but no token has any
					t.Errorf("%q: %s is %q, but the header has %q", r.Header, name, got, values)
				case len(values) == 1 && plain.MatchString(values[0]) && got != values[0]:
					t.Errorf("%q: %s is %q, want %q", r.Header, name, got, values[0])
				}
			}
		}
	})
}

// cookiesNamed returns the values of a cookie name, following RFC 6265, section 4.2.1.
func cookiesNamed(name, header string) (values []string) {
	for _, pair := range strings.Split(header, ";") {
		key, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if strings.Trim(key, " \t") == name {
			values = append(values, strings.Trim(value, " \t"))
		}
	}
	return values
}
