// Package hosts decides facts about host names and addresses, as text. It resolves nothing.
//
// Every package that needs such a decision takes it from here, because two that disagree leave a
// gap: one of them allows plain http for a host that the other does not protect. The package
// imports no other one of this module, so that token/remote, which other services import, can use
// it.
package hosts

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// IsLoopback reports whether a connection to host stays on this machine: host is localhost in any
// case, an address in 127.0.0.0/8, or ::1, without brackets.
//
// The server allows plain text, weaker defaults and missing secrets for these hosts, so only the
// forms that resolvers, proxies and browsers all take for this machine count:
//   - A name below localhost, and localhost with a dot at the end, may be resolved by DNS.
//   - Browsers do not trust ::ffff:127.0.0.1 as they trust 127.0.0.1, and do not send Secure cookies
//     to it by plain http. Rules for loopback addresses, such as those of firewalls, may miss it
//     too.
//   - A zone, as in ::1%lo, belongs to link-local addresses (RFC 4007). Origins have none.
//   - Resolvers read 127.1, 0x7f.1 and 2130706433 in different ways.
//
// An operator whose host is rejected can always write one of the accepted forms instead.
func IsLoopback(host string) bool {
	// ToLower and not EqualFold, which takes a long s (U+017F) for an s.
	if strings.ToLower(host) == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Zone() == "" && !address.Is4In6() && address.IsLoopback()
}

// IsHostname reports whether s is a host name (RFC 1123, section 2.1) in ASCII, without a dot at
// the end. It rejects a last label of digits only, because that is an IPv4 address that browsers
// and Go read differently, such as 127.1.
func IsHostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != ""
}

// IsDomain reports whether s is a host name of at least two labels, as the domain of an e-mail
// address must be.
func IsDomain(s string) bool { return strings.Contains(s, ".") && IsHostname(s) }

func isLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' &&
		!strings.ContainsFunc(s, func(r rune) bool { return r != '-' && !isAlphanumeric(r) })
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// FromURL returns the host and the port of u, or port 0 if u has none. The host is an address in
// its shortest form, without brackets, or a host name in lower case. It is not ok if the host is
// neither, or an address with a zone or of IPv4 in IPv6, which browsers and Go write differently,
// or if the port is not a number from 1 to 65535.
func FromURL(u *url.URL) (host string, port uint16, ok bool) {
	host, hostOK := normalize(u.Hostname())
	if strings.Contains(host, ":") && !strings.HasPrefix(u.Host, "[") || strings.HasSuffix(u.Host, ":") {
		return "", 0, false
	}
	if u.Port() == "" {
		return host, 0, hostOK
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return host, uint16(n), hostOK && err == nil && n != 0
}

func normalize(host string) (string, bool) {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.String(), address.Zone() == "" && !address.Is4In6()
	}
	host = strings.ToLower(host)
	return host, IsHostname(host)
}
