package hosts

import (
	"net/url"
	"strings"
	"testing"
)

func TestIsLoopbackAcceptsExactFormsOnly(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "LocalHost": true, "127.0.0.1": true, "127.0.0.2": true, "127.255.255.255": true,
		"::1": true, "0:0:0:0:0:0:0:1": true,

		"": false, "localhost.": false, "localhost.localdomain": false, "a.localhost": false, "localhost.example": false, " localhost": false,
		"localho\u017ft": false, // a long s, which strings.EqualFold takes for an s
		"l\u043ecalhost": false, // a Cyrillic о
		"localhost:80":   false, "127.0.0.1:80": false, "[::1]": false,
		"::ffff:127.0.0.1": false, "::ffff:7f00:1": false, "::127.0.0.1": false, "::1%lo": false, "::": false, "::2": false, "fe80::1": false,
		"0.0.0.0": false, "126.255.255.255": false, "128.0.0.1": false, "127.1": false, "127.0.0.1.": false, "127.0.0.01": false, "0x7f.0.0.1": false,
		"2130706433": false, "127.0.0.1.example": false,
	} {
		if IsLoopback(host) != want {
			t.Errorf("%q: want %t", host, want)
		}
	}
}

func TestHostnamesAndDomainsAreValidated(t *testing.T) {
	labels := func(length int) string { // of 61 letters and a dot each
		return strings.Repeat(strings.Repeat("b", 61)+".", 5)[:length-2] + "co"
	}
	for s, want := range map[string]struct{ hostname, domain bool }{
		"b.co": {true, true}, "B.CO": {true, true}, "a-1.b--c.d": {true, true}, "1a.co": {true, true}, "xn--bcher-kva.example": {true, true},
		"1.a1": {true, true}, "localhost": {true, false}, "a": {true, false},
		strings.Repeat("d", 63) + ".co": {true, true}, labels(253): {true, true},

		"": {}, ".": {}, ".co": {}, "b.": {}, "b.co.": {}, "b..co": {}, "-b.co": {}, "b-.co": {}, "b.-co": {}, "b_c.co": {}, "b c.co": {}, "b.c/o": {},
		"b.1": {}, "127.0.0.1": {}, "127.1": {}, "1": {}, "[::1]": {}, "::1": {}, "b\u00fccher.example": {}, "\u212a.co": {}, "b.co\n": {}, "b.co:80": {},
		strings.Repeat("d", 64) + ".co": {}, labels(254): {},
	} {
		if IsHostname(s) != want.hostname || IsDomain(s) != want.domain {
			t.Errorf("%.60q: hostname %t, domain %t", s, IsHostname(s), IsDomain(s))
		}
	}
}

func TestFromURLSplitsHostAndPort(t *testing.T) {
	for text, want := range map[string]struct {
		host string
		port uint16
	}{
		"http://b.co": {"b.co", 0}, "http://B.CO:80/": {"b.co", 80}, "http://localhost:65535": {"localhost", 65535}, "http://127.0.0.1:1": {"127.0.0.1", 1},
		"http://[::1]": {"::1", 0}, "http://[0:0:0:0:0:0:0:1]:080": {"::1", 80}, "http://[2001:DB8::1]": {"2001:db8::1", 0},
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if host, port, ok := FromURL(u); host != want.host || port != want.port || !ok {
			t.Errorf("%s: %s %d %t", text, host, port, ok)
		}
	}
	for _, u := range []url.URL{
		{}, {Host: ":"}, {Host: ":80"}, {Host: "b.co:"}, {Host: "b.co:0"}, {Host: "b.co:65536"}, {Host: "b.co:x"}, {Host: "b_c.co"}, {Host: "127.1"}, {Host: "b.co."},
		{Host: "::1"}, {Host: "[::1"}, {Host: "[::1]:"}, {Host: "[::1%25lo]"}, {Host: "[::1%lo]"}, {Host: "[::ffff:127.0.0.1]"}, {Host: "[b.co:1]"}, {Host: "b\u00fccher.example"},
	} {
		if host, port, ok := FromURL(&u); ok {
			t.Errorf("%q: %s %d", u.Host, host, port)
		}
	}
}
