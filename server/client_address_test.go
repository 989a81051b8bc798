package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"example.com/accounts/server/config"
)

// behindProxies returns the addresses behind proxies in 10.0.0.0/8 and fd00::/8, and the log they
// write to.
func behindProxies(header string) (*clientAddresses, *bytes.Buffer) {
	var log bytes.Buffer
	cfg := config.Config{ProxyHeader: header, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	return newClientAddresses(cfg, slog.New(slog.NewTextHandler(&log, nil))), &log
}

// clientFrom returns the client address of a request from peer with these lines of the proxy
// header.
func clientFrom(a *clientAddresses, peer string, lines ...string) string {
	header := http.Header{}
	for _, line := range lines {
		header.Add(a.header, line)
	}
	return a.find(&http.Request{RemoteAddr: peer, Header: header})
}

// hopForms maps the forms in which proxies write an address to that address. Text that is not an
// address maps to "", and the proxy then counts as the client.
var hopForms = map[string]string{
	"203.0.113.7":        "203.0.113.7",
	"203.0.113.7:55":     "203.0.113.7",
	"203.0.113.7:0":      "203.0.113.7",
	"2001:db8::7":        "2001:db8::7",
	"[2001:db8::7]":      "2001:db8::7",
	"[2001:db8::7]:55":   "2001:db8::7",
	"2001:DB8:0::7":      "2001:db8::7",
	"::ffff:203.0.113.7": "203.0.113.7", "[::ffff:203.0.113.7]:55": "203.0.113.7", "[::ffff:203.0.113.7]": "203.0.113.7", "::ffff:cb00:7107": "203.0.113.7",
	"": "", " ": "", "unknown": "", "_hidden": "", "-": "", "localhost": "", "client.example": "", "203.0.113": "", "203.0.113.007": "", "203.0.113.7.1": "", "3405803783": "",
	"203.0.113.7:": "", "203.0.113.7:x": "", "203.0.113.7:65536": "", "203.0.113.7:-1": "", "203.0.113.7:55:55": "", "203.0.113.7 55": "", "203.0.113.7/32": "",
	"[203.0.113.7]": "", "[203.0.113.7]:55": "", "2001:db8::7]": "", "[2001:db8::7": "", "[[2001:db8::7]]": "", "[2001:db8::7]55": "", "[2001:db8::7]:": "", "[]": "", "[]:55": "",
	"fe80::1%eth0": "", "[fe80::1%eth0]": "", "[fe80::1%eth0]:55": "", "::ffff:203.0.113.7%eth0": "", "'203.0.113.7'": "", "http://203.0.113.7": "", "203.0.113.7;203.0.113.8": "",
}

// hopPositions lists the positions of a form in a header: alone, after text sent by the client,
// before a trusted proxy, in separate lines, and all of these combined.
var hopPositions = [][]string{{"HOP"}, {"6.6.6.6, HOP"}, {"HOP, 10.0.0.9"}, {"6.6.6.6,HOP,10.0.0.9,fd00::9"}, {"6.6.6.6", "HOP"}, {"6.6.6.6, HOP", "10.0.0.9 , [fd00::9]:55"}, {"\", 6.6.6.6,\tHOP\t"}}

// lastProxy returns the trusted proxy next to HOP. It counts as the client if HOP cannot be parsed.
func lastProxy(lines []string) string {
	_, behind, _ := strings.Cut(strings.Join(lines, ","), "HOP")
	if strings.Contains(behind, "10.0.0.9") {
		return "10.0.0.9"
	}
	return "10.0.0.1"
}

func TestClientAddressIsReadInEveryFormAndPosition(t *testing.T) {
	t.Attr("control", "191")
	for _, header := range []string{config.XForwardedFor, config.Forwarded} {
		for form, address := range hopForms {
			for _, position := range hopPositions {
				a, log := behindProxies(header)
				lines := headerLines(header, form, position)
				want := address
				if want == "" {
					want = lastProxy(position)
				}
				if got := clientFrom(a, "10.0.0.1:4711", lines...); got != want {
					t.Errorf("%s %q is the client %q, want %q", header, lines, got, want)
				}
				if logged := strings.Contains(log.String(), "ACCOUNTS_PROXY_HEADER"); logged != (address == "") {
					t.Errorf("%s %q: a warning was logged: %v", header, lines, logged)
				}
			}
		}
	}
}

// headerLines returns the lines of a position in the format of the given header.
func headerLines(header, form string, position []string) (lines []string) {
	for _, line := range position {
		if header == config.Forwarded {
			var elements []string
			for _, hop := range strings.Split(line, ",") {
				elements = append(elements, fmt.Sprintf(`proto=https;For="%s";by=_me`, strings.TrimSpace(hop)))
			}
			line = strings.Join(elements, ", ")
		}
		lines = append(lines, strings.ReplaceAll(line, "HOP", form))
	}
	return lines
}

func TestForwardedHeaderIsParsedAsRFC7239(t *testing.T) {
	t.Attr("control", "191")
	for line, want := range map[string]string{
		`for=203.0.113.7`: "203.0.113.7", `FOR=203.0.113.7`: "203.0.113.7", `for=203.0.113.7;proto=http;by=203.0.113.43`: "203.0.113.7", `proto=http; for="203.0.113.7:55"`: "203.0.113.7",
		`for="[2001:db8::7]:4711"`: "2001:db8::7", `for=6.6.6.6, for=203.0.113.7`: "203.0.113.7", `for=203.0.113.7, for=10.0.0.9;by="_a,b"`: "203.0.113.7",
		`for="6.6.6.6, for=203.0.113.7`: "203.0.113.7", `for="6.6.6.6\", for="203.0.113.7:1"`: "203.0.113.7", `", for="[2001:db8::7]"`: "2001:db8::7",
		`for=203.0.113.7;host="a, for=6.6.6.6"`:  "203.0.113.7",
		`for=203.0.113.7;host="a;for=6.6.6.6;b"`: "203.0.113.7",
		// Cannot be parsed:
		`host="a;for=6.6.6.6;b"`: "10.0.0.1",
		`for=_hidden`:            "10.0.0.1", `for=unknown`: "10.0.0.1", `for="_hidden:_port"`: "10.0.0.1", `for=`: "10.0.0.1", `for=""`: "10.0.0.1", `for`: "10.0.0.1", `proto=https`: "10.0.0.1",
		`for="203.0.113.7`: "10.0.0.1", `for=203.0.113.7"`: "10.0.0.1", `for='203.0.113.7'`: "10.0.0.1", `for="203.0.113\.7"`: "10.0.0.1", `for = 203.0.113.7`: "10.0.0.1", `203.0.113.7`: "10.0.0.1",
		`for=203.0.113.7;for=6.6.6.6`: "10.0.0.1", `for=203.0.113.7;FOR=203.0.113.7`: "10.0.0.1", `xfor=203.0.113.7`: "10.0.0.1", `by=203.0.113.7`: "10.0.0.1", `for=203.0.113.7,`: "10.0.0.1",
	} {
		a, _ := behindProxies(config.Forwarded)
		if got := clientFrom(a, "10.0.0.1:4711", line); got != want {
			t.Errorf("%q is the client %q, want %q", line, got, want)
		}
	}
}

func TestOnlyConfiguredHeaderOfTrustedPeerIsRead(t *testing.T) {
	t.Attr("control", "191")
	all := http.Header{"X-Forwarded-For": {"203.0.113.7"}, "Forwarded": {"for=203.0.113.8"}, "X-Real-Ip": {"203.0.113.9"}, "Cf-Connecting-Ip": {"203.0.113.9"}, "True-Client-Ip": {"203.0.113.9"}}
	for _, test := range []struct{ header, peer, want string }{
		{config.XForwardedFor, "10.0.0.1:1", "203.0.113.7"}, {config.Forwarded, "10.0.0.1:1", "203.0.113.8"},
		{config.XForwardedFor, "[::ffff:10.0.0.1]:1", "203.0.113.7"}, {config.XForwardedFor, "[fd00::1%eth0]:1", "203.0.113.7"},
		{config.XForwardedFor, "192.0.2.1:1", "192.0.2.1"}, {config.Forwarded, "192.0.2.1:1", "192.0.2.1"}, {config.XForwardedFor, "[2001:DB8::1]:1", "2001:db8::1"},
		{config.XForwardedFor, "[fe80::1%eth0]:1", "fe80::1"}, {config.XForwardedFor, "@", ""},
	} {
		a, log := behindProxies(test.header)
		if got := a.find(&http.Request{RemoteAddr: test.peer, Header: all}); got != test.want || log.Len() > 0 {
			t.Errorf("%s from %s is the client %q, want %q; log %q", test.header, test.peer, got, test.want, log.String())
		}
	}
	a, log := behindProxies(config.XForwardedFor)
	for _, lines := range [][]string{nil, {"10.0.0.2"}, {"10.0.0.3", "10.0.0.2"}} { // requests of the proxies themselves
		if got, want := clientFrom(a, "10.0.0.1:1", lines...), append(lines, "10.0.0.1")[0]; got != want || log.Len() > 0 {
			t.Errorf("%q is the client %q, want %q", lines, got, want)
		}
	}
}

func TestUnreadableProxyHeaderIsLoggedOnceWithoutItsText(t *testing.T) {
	t.Attr("control", "191")
	a, log := behindProxies(config.XForwardedFor)
	for range 3 {
		clientFrom(a, "10.0.0.1:1", "s3cr3t")
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "s3cr3t") || !strings.Contains(text, "ACCOUNTS_PROXY_HEADER") {
		t.Errorf("%q", text)
	}
}

// Text that the client writes before the part appended by a trusted proxy does not change the
// client's address.
func FuzzProxyHeader(f *testing.F) {
	for _, text := range []string{"", "6.6.6.6", `"`, `for="`, `for=6.6.6.6;by="`, "\\", `\"`, ",", "10.0.0.2", "for=10.0.0.2", `"10.0.0.2`, "[2001:db8::1]:1", strings.Repeat(`",`, 1000)} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		for header, appended := range map[string]string{config.XForwardedFor: "[2001:db8::7]:55, 10.0.0.9", config.Forwarded: `for="[2001:db8::7]:55", proto=https;FOR=10.0.0.9`} {
			a, _ := behindProxies(header)
			for _, lines := range [][]string{{first + "," + second + ", " + appended}, {first, second + ", " + appended}, {first, second, appended}} {
				if got := clientFrom(a, "10.0.0.1:1", lines...); got != "2001:db8::7" {
					t.Errorf("%s %q: got the client %q, want 2001:db8::7", header, lines, got)
				}
			}
			if got := clientFrom(a, "10.0.0.1:1", first, second); got != "" {
				if addr, err := netip.ParseAddr(got); err != nil || addr.Zone() != "" || addr.String() != got {
					t.Errorf("%s %q: got the client %q, want a canonical address", header, []string{first, second}, got)
				}
			}
			if got := clientFrom(a, "192.0.2.1:1", first, second); got != "192.0.2.1" {
				t.Errorf("%s %q from a client that is not a proxy: got the client %q, want 192.0.2.1", header, []string{first, second}, got)
			}
		}
	})
}
