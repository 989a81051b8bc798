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

// cookieNames are the names of the cookies in use. With https, they have the prefix __Host-, with
// which browsers guarantee that neither a subdomain nor a plain-http page has set the cookie (RFC
// 6265bis, section 4.1.3.2). Exactly one name is accepted for each cookie.
type cookieNames struct {
	access, refresh string
	legacy          string // of the service that users were imported from; "" if no cookie of another name is accepted
	secure          bool
}

func newCookieNames(cfg config.Config) cookieNames {
	if !cfg.IsSecure() {
		return cookieNames{access: "access", refresh: "refreshtoken"}
	}
	n := cookieNames{access: "__Host-access", refresh: "__Host-refreshtoken", secure: true}
	if len(cfg.LegacyJWTSecrets) > 0 {
		n.legacy = "refreshtoken"
	}
	return n
}

// read returns the value of the cookie of a location, and reports whether the request has the
// cookie. The value of a cookie that occurs twice is empty.
func (n cookieNames) read(r *http.Request, location accounts.TokenLocation) (string, bool) {
	return readCookie(r, map[accounts.TokenLocation]string{accounts.AccessCookie: n.access, accounts.RefreshCookie: n.refresh}[location])
}

// readLegacy returns the refresh cookie of the service that users were imported from. Without the
// prefix __Host- in its name, a subdomain or a plain-http page can set it: an attacker who plants a
// token of the attacker's own account makes the victim use that account. The old service had the
// same weakness.
func (n cookieNames) readLegacy(r *http.Request) (string, bool) { return readCookie(r, n.legacy) }

func readCookie(r *http.Request, name string) (string, bool) {
	if name == "" {
		return "", false
	}
	found := r.CookiesNamed(name)
	if len(found) == 1 && !found[0].Quoted && countCookies(r.Header.Values("Cookie"), name) == 1 {
		return found[0].Value, true
	}
	return "", countCookies(r.Header.Values("Cookie"), name) > 0
}

// countCookies counts the cookies with a name in the raw header. net/http drops a cookie whose
// value it cannot parse. If such a cookie were not counted, the sender could choose which of two
// cookies net/http returns.
func countCookies(lines []string, name string) (n int) {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			if key, _, _ := strings.Cut(part, "="); strings.Trim(key, " \t") == name {
				n++
			}
		}
	}
	return n
}

// delivery is a token response: the members of the body and the cookies to set.
type delivery struct {
	body    api.Refreshed
	cookies []*http.Cookie
}

// deliver returns the tokens that each transport delivers, in the body or in cookies. It sets
// cookies only if they are newer than the tokens that the client presented, because a late response
// must not put an older token back into the browser. The first tokens of a session also expire the
// cookies of the other transports and of the old service, which would otherwise sign the user in
// again after a logout. The transport body never touches a cookie.
func (n cookieNames) deliver(t accounts.Tokens) delivery {
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
	if t.Newness == accounts.SameTokens {
		return d
	}
	for _, c := range []struct{ name, value string }{{n.access, access}, {n.refresh, refresh}, {csrfCookie, t.CSRF}, {n.legacy, ""}} {
		switch {
		case c.name == "": // not in use
		case c.value != "":
			d.cookies = append(d.cookies, n.cookie(c.name, c.value, maxAge(t.Life)))
		case t.Newness == accounts.NewSessionTokens:
			d.cookies = append(d.cookies, n.cookie(c.name, "", -1))
		}
	}
	return d
}

// maxAge returns the Max-Age of a cookie in whole seconds, rounded down, but at least 1 while the
// session is alive: 0 would delete the cookies in a response that issues tokens.
func maxAge(life time.Duration) int {
	if life <= 0 {
		return 0
	}
	return max(1, int(life/time.Second))
}

// clear returns cookies that delete those of an ended session. A session of the transport body has
// none.
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

// cookie returns a cookie, or its deletion if maxAge is not positive. A deletion has the same
// attributes as the cookie that it deletes. In net/http, a MaxAge of 0 means no Max-Age attribute,
// which would make a cookie without an expiry; so 0 is a deletion here.
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
