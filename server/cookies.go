package server

import (
	"net/http"
	"strings"
	"time"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
)

const csrfCookie = "csrftoken" // readable by scripts; the server never reads it

// cookieNames are the names in force. With https they have the prefix __Host-, by which browsers guarantee that no
// sub-domain and no plain-http page has planted them (RFC 6265bis, 4.1.3.2); exactly one name is ever accepted.
type cookieNames struct {
	access, refresh string
	legacy          string // of the service that users were imported from, where it is another name and its tokens are taken
	secure          bool
}

func cookieNamesFor(cfg config.Config) cookieNames {
	if !cfg.Secure() {
		return cookieNames{access: "access", refresh: "refreshtoken"}
	}
	n := cookieNames{access: "__Host-access", refresh: "__Host-refreshtoken", secure: true}
	if len(cfg.LegacyJWTSecrets) > 0 {
		n.legacy = "refreshtoken"
	}
	return n
}

// read finds the cookie of a carrier. A name that occurs twice gives the empty value.
func (n cookieNames) read(r *http.Request, carrier accounts.Carrier) (string, bool) {
	return readCookie(r, map[accounts.Carrier]string{accounts.AccessCookie: n.access, accounts.RefreshCookie: n.refresh}[carrier])
}

// readLegacy finds the cookie of the old service. It has no prefix that keeps others from planting it: whoever plants
// one with a token of his own has the victim use his account, as he could have done there.
func (n cookieNames) readLegacy(r *http.Request) (string, bool) { return readCookie(r, n.legacy) }

func readCookie(r *http.Request, name string) (string, bool) {
	if name == "" {
		return "", false
	}
	found := r.CookiesNamed(name)
	if len(found) == 1 && !found[0].Quoted && mentions(r.Header.Values("Cookie"), name) == 1 {
		return found[0].Value, true
	}
	return "", mentions(r.Header.Values("Cookie"), name) > 0
}

// mentions counts a name in the header itself: net/http drops a cookie whose value it cannot read, and which of two
// counts must not hang on that.
func mentions(lines []string, name string) (n int) {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			if key, _, _ := strings.Cut(part, "="); strings.Trim(key, " \t") == name {
				n++
			}
		}
	}
	return n
}

// delivery is how tokens leave: the body's members and the cookies to set.
type delivery struct {
	body    api.Refreshed
	cookies []*http.Cookie
}

// deliver is the table of what each transport hands out, and where. Cookies are set only when there is something
// newer than what the client has shown: an answer that comes late must not put an older token back into the jar.
// A login expires the cookies of the other transports and of the old service, which would sign in again after a
// log-out; body never touches a cookie.
func (n cookieNames) deliver(t accounts.Tokens, login bool) delivery {
	d := delivery{body: api.Refreshed{
		ExpiresIn: t.ExpiresIn, RefreshIn: t.RefreshIn, Generation: t.Generation, TokenTransport: api.TokenTransport(t.Transport),
		Session: api.SessionSummary{ID: t.Session, ExpiresAt: timestamp(t.ExpiresAt)},
	}}
	bearer := api.TokenTypeBearer
	var access, refresh string
	switch t.Transport {
	case accounts.Hybrid:
		d.body.AccessToken, d.body.TokenType, d.body.CsrfToken, refresh = &t.Access, &bearer, &t.CSRF, t.Refresh
	case accounts.Cookies:
		d.body.CsrfToken, access, refresh = &t.CSRF, t.Access, t.Refresh
	case accounts.ServerHeld:
		d.body.CsrfToken, access = &t.CSRF, t.Access
	case accounts.BodyTokens:
		d.body.AccessToken, d.body.TokenType, d.body.RefreshToken = &t.Access, &bearer, &t.Refresh
		return d
	}
	if !t.New {
		return d
	}
	for _, c := range []struct{ name, value string }{{n.access, access}, {n.refresh, refresh}, {csrfCookie, t.CSRF}, {n.legacy, ""}} {
		switch {
		case c.name == "": // there is none
		case c.value != "":
			d.cookies = append(d.cookies, n.cookie(c.name, c.value, maxAge(t.Life)))
		case login:
			d.cookies = append(d.cookies, n.cookie(c.name, "", -1))
		}
	}
	return d
}

// maxAge is in whole seconds, rounded down; but in its last second a session still has its cookies, for 0 would delete
// them in an answer that hands tokens out.
func maxAge(life time.Duration) int {
	if life <= 0 {
		return 0
	}
	return max(1, int(life/time.Second))
}

// clear expires the cookies of a session that has ended; body has none.
func (n cookieNames) clear(t accounts.Transport) []*http.Cookie {
	if t == accounts.BodyTokens {
		return nil
	}
	expired := []*http.Cookie{n.cookie(n.access, "", -1), n.cookie(n.refresh, "", -1), n.cookie(csrfCookie, "", -1)}
	if n.legacy != "" {
		expired = append(expired, n.cookie(n.legacy, "", -1))
	}
	return expired
}

// cookie: a deletion has the attributes of what it deletes. A Max-Age of 0 would be no Max-Age at all in net/http,
// a cookie without end; it becomes a deletion.
func (n cookieNames) cookie(name, value string, maxAge int) *http.Cookie {
	if maxAge <= 0 {
		value, maxAge = "", -1
	}
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: n.secure, //nolint:gosec // not Secure on loopback http alone
		HttpOnly: name != csrfCookie, SameSite: http.SameSiteLaxMode}
}

func setCookies(w http.ResponseWriter, cookies []*http.Cookie) {
	for _, c := range cookies {
		http.SetCookie(w, c)
	}
}
