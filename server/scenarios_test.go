package server_test

import (
	"fmt"
	"slices"
	"strings"

	"example.com/accounts/server/accounts"
)

// The scenarios of the security matrix.

var scenarios = slices.Concat(everyCredentialEverywhere(), roles(), csrfScenarios(), duplicates(), mixed(), foreignPages(), elsewhere())

// everyCredentialEverywhere presents each token, in each state, at each place, with the CSRF token
// of its own session.
func everyCredentialEverywhere() []scenario {
	names := []string{"garbage", "empty"}
	for _, state := range []string{"live", "expired", "revoked", "inactive", "stale"} {
		for _, transport := range transports {
			names = append(names, state+" access "+string(transport))
			if transport != accounts.ServerHeld {
				names = append(names, state+" refresh "+string(transport))
			}
		}
	}
	list := []scenario{{name: "nothing"}}
	for _, name := range names {
		one := []string{name}
		list = append(list,
			scenario{name: name + " as Bearer", bearer: one},
			scenario{name: name + " as access cookie", access: one, csrf: "own"},
			scenario{name: name + " as refresh cookie", refresh: one, csrf: "own"},
			scenario{name: name + " in the body", body: one})
	}
	return list
}

// roles presents valid credentials of users with fewer permissions.
func roles() []scenario {
	var list []scenario
	for _, state := range []string{"aged", "staff", "other"} {
		for _, transport := range transports {
			one := []string{state + " access " + string(transport)}
			sc := scenario{name: "live " + one[0], bearer: one}
			if accessPlace[transport] == atAccess {
				sc = scenario{name: "live " + one[0], access: one, csrf: "own"}
			}
			list = append(list, sc)
		}
	}
	return list
}

func csrfScenarios() []scenario {
	var list []scenario
	for _, csrf := range []string{"", "garbage", "other access hybrid", "revoked access cookies", strings.Repeat("A", 43)} {
		list = append(list,
			scenario{name: "access cookie, CSRF " + csrf, access: []string{"live access cookies"}, csrf: csrf},
			scenario{name: "server_held handle, CSRF " + csrf, access: []string{"live access server_held"}, csrf: csrf},
			scenario{name: "refresh cookie, CSRF " + csrf, refresh: []string{"live refresh hybrid"}, csrf: csrf},
			scenario{name: "both cookies, CSRF " + csrf, access: []string{"live access cookies"}, refresh: []string{"live refresh cookies"}, csrf: csrf})
	}
	return append(list,
		// An attacker who can plant a cookie can also plant a matching pair of values.
		scenario{name: "a pair of its own making", access: []string{"live access cookies"}, csrf: "AAAA", headers: map[string]string{"Cookie2": "x", "X-CSRF-Token": "AAAA"}},
		scenario{name: "CSRF token alone", csrf: "live access hybrid"},
		scenario{name: "CSRF token of another session of the same user", access: []string{"live access cookies"}, csrf: "live access hybrid"})
}

func duplicates() []scenario {
	var list []scenario
	for _, second := range []string{"garbage", "live access hybrid", "other access hybrid", "empty"} {
		list = append(list,
			scenario{name: "two Authorization headers, then " + second, bearer: []string{"live access hybrid", second}},
			scenario{name: "two Authorization headers, first " + second, bearer: []string{second, "live access hybrid"}})
	}
	for _, second := range []string{"garbage", "live access cookies", "other access cookies"} {
		list = append(list,
			scenario{name: "two access cookies, then " + second, access: []string{"live access cookies", second}, csrf: "live access cookies"},
			scenario{name: "two access cookies, first " + second, access: []string{second, "live access cookies"}, csrf: "live access cookies"})
	}
	for _, second := range []string{"garbage", "live refresh hybrid", "other refresh hybrid"} {
		list = append(list,
			scenario{name: "two refresh cookies, then " + second, refresh: []string{"live refresh hybrid", second}, csrf: "live refresh hybrid"},
			scenario{name: "two refresh cookies, first " + second, refresh: []string{second, "live refresh hybrid"}, csrf: "live refresh hybrid"})
	}
	return list
}

// mixed presents several credentials. The first matching alternative decides, and no other is
// tried.
func mixed() []scenario {
	access, refresh := []string{"live access cookies"}, []string{"live refresh cookies"}
	bad := []string{"garbage"}
	return []scenario{
		{name: "good Bearer, bad cookies", bearer: []string{"live access hybrid"}, access: bad, refresh: bad},
		{name: "bad Bearer, good cookies", bearer: bad, access: access, refresh: refresh, csrf: "own"},
		{name: "expired Bearer, good refresh cookie", bearer: []string{"expired access hybrid"}, refresh: []string{"live refresh hybrid"}, csrf: "own"},
		{name: "another user's Bearer, good cookies", bearer: []string{"other access hybrid"}, access: access, refresh: refresh, csrf: "own"},
		{name: "Basic, good cookies", bearer: bad, scheme: "Basic ", access: access, refresh: refresh, csrf: "own"},
		{name: "both cookies", access: access, refresh: refresh, csrf: "own"},
		{name: "good access cookie, bad refresh cookie", access: access, refresh: bad, csrf: "live access cookies"},
		{name: "bad access cookie, good refresh cookie", access: bad, refresh: refresh, csrf: "own"},
		{name: "cookies of two sessions", access: []string{"live access cookies"}, refresh: []string{"live refresh hybrid"}, csrf: "own"},
		{name: "token in the body, other cookies", body: []string{"live refresh body"}, refresh: []string{"other refresh hybrid"}},
		{name: "bad token in the body, good cookies", body: bad, refresh: refresh, csrf: "own"},
		{name: "empty token in the body, good cookies", body: []string{"empty"}, refresh: refresh, csrf: "own"},
		{name: "a bearer token and a token in the body", body: []string{"live refresh body"}, bearer: []string{"expired access body"}},
	}
}

func foreignPages() []scenario {
	var list []scenario
	for name, headers := range map[string]map[string]string{
		"evil":               {"Origin": "https://evil.example"},
		"null":               {"Origin": "null"},
		"allowed and more":   {"Origin": "http://localhost:3000.evil.example"},
		"another port":       {"Origin": "http://localhost:3001"},
		"no scheme":          {"Origin": "localhost:3000"},
		"cross-site":         {"Sec-Fetch-Site": "cross-site"},
		"same-site":          {"Sec-Fetch-Site": "same-site"},
		"evil, says same":    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
		"a rebound name":     {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
		"null, same-origin":  {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
		"unknown fetch site": {"Sec-Fetch-Site": "x"},
	} {
		list = append(list,
			scenario{name: "page " + name, foreign: true, headers: headers},
			scenario{name: "page " + name + ", Bearer", foreign: true, headers: headers, bearer: []string{"live access hybrid"}},
			scenario{name: "page " + name + ", cookies", foreign: true, headers: headers, access: []string{"live access cookies"}, refresh: []string{"live refresh cookies"}, csrf: "own"},
			scenario{name: "page " + name + ", body", foreign: true, headers: headers, body: []string{"live refresh body"}})
	}
	for name, headers := range map[string]map[string]string{
		"allowed":            {"Origin": "http://localhost:3000"},
		"allowed, same-site": {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
		"own":                {"Origin": "SELF", "Sec-Fetch-Site": "same-origin"},
		"typed":              {"Sec-Fetch-Site": "none"},
	} {
		list = append(list,
			scenario{name: "page " + name + ", Bearer", headers: headers, bearer: []string{"live access hybrid"}},
			scenario{name: "page " + name + ", cookies", headers: headers, access: []string{"live access cookies"}, refresh: []string{"live refresh cookies"}, csrf: "own"},
			scenario{name: "page " + name + ", cookies without CSRF", headers: headers, access: []string{"live access cookies"}, refresh: []string{"live refresh cookies"}})
	}
	slices.SortFunc(list, func(a, b scenario) int { return strings.Compare(a.name, b.name) })
	return list
}

// elsewhere presents credentials in other spellings and in places that the server ignores.
func elsewhere() []scenario {
	var list []scenario
	for _, scheme := range []string{"bearer ", "BEARER ", "Basic ", "Bearer", "Bearer  ", "Bearer\t", "Token ", "", "JWT ", "Bearer Bearer "} {
		if scheme == "" {
			scheme = "," // an empty scheme would mean the default
		}
		list = append(list, scenario{name: fmt.Sprintf("scheme %q", scheme), scheme: scheme, bearer: []string{"live access hybrid"}})
	}
	return append(list,
		scenario{name: "other header names", headers: map[string]string{
			"X-Access-Token": "x", "Proxy-Authorization": "Bearer x", "X-Forwarded-User": "ada", "X-Remote-User": "ada", "X-Original-URL": "/healthz"}},
		scenario{name: "in the query", query: "?access_token=x&token=x&refresh_token=x&csrf_token=x"},
		scenario{name: "cookies of the https names", headers: map[string]string{"Cookie": "__Host-access=x; __Host-refreshtoken=x"}},
		scenario{name: "cookies in another case", headers: map[string]string{"Cookie": "Access=x; RefreshToken=x; REFRESHTOKEN=x"}})
}
