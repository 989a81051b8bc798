package server_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// spelling is a way to write a Cookie header. NAME and GOOD stand for the expected cookie name and
// a valid value. PLAIN stands for the name without its __Host- prefix, or with the prefix added if
// it has none.
type spelling struct {
	lines []string // one header each
	works bool
}

// spellings lists unusual ways to write or repeat a cookie. Headers that a browser could send work.
// Headers that could be read in two ways do not.
var spellings = []spelling{
	{[]string{"NAME=GOOD"}, true},
	{[]string{"NAME =GOOD"}, true}, // the server's library trims names
	{[]string{"a=b; NAME=GOOD;c=d"}, true},
	{[]string{"a=b;NAME=GOOD ; "}, true},
	{[]string{"$Version=1; NAME=GOOD; $Path=/"}, true},
	{[]string{"a=b", "NAME=GOOD"}, true},
	{[]string{"PLAIN=GOOD; NAME=GOOD"}, true}, // the server ignores the other name
	{[]string{"PLAIN=x; NAME=GOOD"}, true},
	{[]string{"=NAME=x; NAME=GOOD"}, true}, // and ignores a cookie without a name
	{[]string{"\u2000NAME=x; NAME=GOOD"}, true},
	{[]string{"csrftoken=x; csrftoken=y; NAME=GOOD"}, true},
	{[]string{strings.Repeat("a=;", 1000) + "NAME=GOOD"}, true},

	{[]string{""}, false}, {[]string{"NAME"}, false}, {[]string{"NAME="}, false}, {[]string{"NAME=x"}, false}, {[]string{"NAME=GOODx"}, false}, {[]string{"NAME=GOOD="}, false},
	{[]string{"NAME=GOOD; NAME=GOOD"}, false}, {[]string{"NAME=GOOD; NAME=x"}, false}, {[]string{"NAME=x; NAME=GOOD"}, false}, {[]string{"NAME=; NAME=GOOD"}, false}, {[]string{"NAME=GOOD; NAME="}, false},
	{[]string{"NAME=GOOD; NAME"}, false}, {[]string{`NAME=GOOD; NAME=a"b`}, false}, {[]string{`NAME=a"b; NAME=GOOD`}, false}, {[]string{"NAME=GOOD; NAME =x"}, false}, {[]string{"NAME =x; NAME=GOOD"}, false},
	{[]string{"NAME=GOOD; NAME=\xff"}, false}, {[]string{"NAME=GOOD", "NAME=x"}, false}, {[]string{"NAME=x", "NAME=GOOD"}, false}, {[]string{"NAME=GOOD", "NAME=GOOD"}, false},
	{[]string{`NAME="GOOD"`}, false}, {[]string{`NAME="GOOD`}, false}, {[]string{"NAME=%22GOOD%22"}, false}, {[]string{"NAME='GOOD'"}, false}, {[]string{`$Version=1; NAME="GOOD"; $Path="/"`}, false},
	{[]string{"NAME= GOOD"}, false}, {[]string{"NAME=GO OD"}, false}, {[]string{"NAME=GOOD, NAME=GOOD"}, false}, {[]string{"NAME=GOOD,a=b"}, false}, {[]string{"NAME: GOOD"}, false},
	{[]string{"=NAME=GOOD"}, false}, {[]string{"=GOOD"}, false}, {[]string{"GOOD"}, false}, {[]string{"PLAIN=GOOD"}, false}, {[]string{"PLAIN=GOOD; NAME=x"}, false}, {[]string{"NAME=x; PLAIN=GOOD"}, false},
	{[]string{"\u2000NAME=GOOD"}, false}, {[]string{"\u00a0NAME=GOOD"}, false}, {[]string{"NAME\u2000=GOOD"}, false}, {[]string{"NAME[]=GOOD"}, false}, {[]string{"NAME.0=GOOD"}, false}, {[]string{"NAM%45=GOOD"}, false},
	{[]string{"NAME=" + strings.Repeat("a", 4097)}, false}, {[]string{"NAME=GOOD" + strings.Repeat("a", 4097)}, false}, {[]string{strings.Repeat("a=;", 5000) + "NAME=GOOD"}, false}, // more than the library reads
	{[]string{strings.Repeat("a=;", 5000) + "NAME=x"}, false},
}

// A cookie name has exactly one accepted spelling. A second cookie of that name that the library
// cannot parse still makes the first ambiguous. None of these headers ends the session.
func TestMisspelledOrDuplicateCookieIsRejected(t *testing.T) {
	t.Attr("control", "39")
	eachSite(t, func(t *testing.T, s site) {
		j := jar{}
		j.take(s.login(t, s.NewUser(), accounts.Cookies))
		csrf := servertest.Header("X-CSRFToken", j["csrftoken"])
		for name, ask := range map[string]func(options ...servertest.Option) *servertest.Response{
			s.access:  func(o ...servertest.Option) *servertest.Response { return s.bare().Profile(o...) },
			s.refresh: func(o ...servertest.Option) *servertest.Response { return s.bare().RefreshTokens(append(o, csrf)...) },
		} {
			plain, prefixed := strings.CutPrefix(name, "__Host-")
			if !prefixed {
				plain = "__Host-" + name
			}
			fill := strings.NewReplacer("NAME", name, "GOOD", j[name], "PLAIN", plain)
			for _, sp := range spellings {
				r := ask(func(r *http.Request) {
					for _, text := range sp.lines {
						r.Header["Cookie"] = append(r.Header["Cookie"], fill.Replace(text))
					}
				})
				if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[sp.works]; r.Status != want {
					t.Errorf("%s: %.60q: %d %s, want %d", name, sp.lines, r.Status, r.Code(), want)
				}
			}
		}
		s.post("/accounts/refresh_token", j).Want(t, http.StatusOK, "")
	})
}

// A request with more cookies than the header limit allows, or than the library parses, is
// rejected, even if the valid cookies are among them.
func TestTooManyCookiesAreRejected(t *testing.T) {
	t.Attr("control", "39")
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Cookies)
	front, _, _ := served(t, s)
	good := "access=" + accessOf(c)
	for name, bomb := range map[string]struct {
		cookies string
		want    int
	}{
		"nothing else":           {good, http.StatusOK},
		"two of 4 KiB":           {"a=" + strings.Repeat("a", 4094) + "; b=" + strings.Repeat("b", 4094) + "; " + good, http.StatusOK},
		"60 of 4 KiB":            {strings.Repeat("a="+strings.Repeat("a", 4094)+"; ", 60) + good, http.StatusRequestHeaderFieldsTooLarge},
		"60 of 4 KiB, by header": {strings.Repeat("a="+strings.Repeat("a", 4094)+"\r\nCookie: ", 60) + good, http.StatusRequestHeaderFieldsTooLarge},
		"5,000 empty ones":       {strings.Repeat("a=;", 5000) + good, http.StatusUnauthorized},
	} {
		if answer := raw(t, front, line("GET /accounts/profile HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n", bomb.cookies)); answer.StatusCode != bomb.want {
			t.Errorf("%s: %d, want %d", name, answer.StatusCode, bomb.want)
		}
	}
	c.Profile().Want(t, http.StatusOK, "")
}
