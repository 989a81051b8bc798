package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var errOrigin = errors.New("must be an origin, scheme://host[:port] with http or https")

// origin is a web origin (RFC 6454) in the form that browsers send: lower case, an IPv6 address in
// brackets and in its short form, no default port.
type origin struct{ scheme, host, port string }

func (o origin) String() string {
	if o.scheme == "" {
		return ""
	}
	if o.port == "" {
		return o.scheme + "://" + o.host
	}
	return o.scheme + "://" + o.host + ":" + o.port
}

// acceptable reports whether the traffic of o is protected from attackers on the network.
func (o origin) acceptable() bool { return o.scheme == "https" || o.loopback() }

func (o origin) loopback() bool { return isLoopback(strings.Trim(o.host, "[]")) }

// parseOrigin parses an origin and converts it to the form that browsers send. It removes one
// trailing slash, because browsers show one in the address bar. It rejects a path, a query, a
// fragment and a user. Names outside ASCII must be in the form that browsers send (xn--...).
func parseOrigin(text string) (origin, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Opaque != "" || u.Host == "" {
		return origin{}, errOrigin
	}
	if u.User != nil {
		return origin{}, errors.New("must not contain a user or password")
	}
	if u.Path != "" || strings.ContainsAny(text, "?#") {
		return origin{}, errors.New("must be an origin without path, query or fragment")
	}
	o, ok := originOf(u)
	if !ok {
		return origin{}, errOrigin
	}
	return o, nil
}

func originOf(u *url.URL) (origin, bool) {
	host, hostOK := canonicalHost(u)
	port, portOK := canonicalPort(u)
	return origin{u.Scheme, host, port}, hostOK && portOK
}

var errPage = errors.New("must be the URL of a page, scheme://host[:port]/path with http or https, in ASCII without spaces")

// parsePage parses the URL of a page that links in mails lead to, and converts its origin to the
// form that browsers send. A link adds the token as the fragment, which is not sent to any server,
// so the URL must not have one.
func parsePage(text string) (page string, o origin, err error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" ||
		strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\", r) }) {
		return "", origin{}, errPage
	}
	if u.User != nil {
		return "", origin{}, errors.New("must not contain a user or password")
	}
	if strings.Contains(text, "#") {
		return "", origin{}, errors.New("must not have a fragment, because the link adds the token there")
	}
	o, ok := originOf(u)
	if !ok {
		return "", origin{}, errPage
	}
	page = o.String() + u.EscapedPath()
	if u.RawQuery != "" {
		page += "?" + u.RawQuery
	}
	return page, o, nil
}

func canonicalHost(u *url.URL) (string, bool) {
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		if addr.Is4() {
			return addr.String(), true
		}
		ok := strings.HasPrefix(u.Host, "[") && addr.Zone() == "" && !addr.Is4In6()
		return "[" + addr.String() + "]", ok
	}
	host := strings.ToLower(u.Hostname())
	return host, isHostname(host)
}

func canonicalPort(u *url.URL) (string, bool) {
	if strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	if u.Port() == "" {
		return "", true
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || n == 0 {
		return "", false
	}
	if u.Scheme == "http" && n == 80 || u.Scheme == "https" && n == 443 {
		return "", true
	}
	return strconv.FormatUint(n, 10), true
}

// isHostname reports whether host, in lower case, is a host name (RFC 1123 §2.1). It rejects a last
// label of digits only, because that is an IPv4 address that browsers and Go read differently, such
// as 127.1.
func isHostname(host string) bool {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(host) <= 253 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// isLoopback reports whether host is localhost, in 127.0.0.0/8 or ::1.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Zone() == "" && !addr.Is4In6() && addr.IsLoopback()
}
