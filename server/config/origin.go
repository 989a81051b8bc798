package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"example.com/accounts/server/hosts"
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

// isProtected reports whether the traffic of o is protected from attackers on the network.
func (o origin) isProtected() bool { return o.scheme == "https" || o.isLoopback() }

func (o origin) isLoopback() bool { return hosts.IsLoopback(strings.Trim(o.host, "[]")) }

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
	o, ok := parseURLOrigin(u)
	if !ok {
		return origin{}, errOrigin
	}
	return o, nil
}

func parseURLOrigin(u *url.URL) (origin, bool) {
	host, port, ok := hosts.FromURL(u)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	o := origin{scheme: u.Scheme, host: host}
	if port != 0 && port != defaultPorts[u.Scheme] {
		o.port = strconv.Itoa(int(port))
	}
	return o, ok
}

var defaultPorts = map[string]uint16{"http": 80, "https": 443}

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
	o, ok := parseURLOrigin(u)
	if !ok {
		return "", origin{}, errPage
	}
	page = o.String() + u.EscapedPath()
	if u.RawQuery != "" {
		page += "?" + u.RawQuery
	}
	return page, o, nil
}
