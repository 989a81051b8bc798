package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"example.com/accounts/server/config"
)

// clientAddress returns the address of the client that sent r, with an IPv4 address always in its
// short form. It is empty only if the connection has no IP address.
//
// The address is the connection's unless that is a trusted proxy's. In that case the configured
// header, and no other one, is read from its end: each trusted proxy has appended the address of
// its own peer, and the first address that is not a trusted proxy's is the client's. The client
// controls everything to the left of it.
//
// Security: the walk stops at an element that cannot be read, and the last trusted proxy counts as
// the client. Skipping the element would let a client choose its address, and so evade every limit.
// An empty element is not skipped either, because a proxy may write it in place of an address.
func (s *Server) clientAddress(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	client := normalizeAddress(peer.Addr())
	lines := r.Header.Values(s.Config.ProxyHeader)
	list := strings.Join(lines, ",")
	for more := len(lines) > 0; more && s.isTrustedProxy(client); {
		var element string
		list, element, more = cutLastElement(list, ',')
		hop, ok := s.readElement(element)
		if !ok {
			s.reportUnreadableHeader()
			break
		}
		client = hop
	}
	return client.String()
}

// normalizeAddress removes an IPv6 zone, which is meaningless on another machine, and shortens an
// IPv4-mapped address.
func normalizeAddress(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func (s *Server) isTrustedProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.Config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// reportUnreadableHeader logs once that limits per client do not work as configured. The sender
// controls the text of the header, so it is not logged.
func (s *Server) reportUnreadableHeader() {
	s.unreadableHeader.Do(func() {
		s.Log.Warn("the header of a trusted proxy cannot be read, so its clients share one rate limit; "+
			"make the proxy write plain addresses, or set the header that it writes", "setting", config.Prefix+"PROXY_HEADER")
	})
}

// cutLastElement cuts the last element off a list. A separator in a quoted string does not count.
//
// Security: it reads from the end, so that a quotation mark in the client's part cannot change how
// the part that trusted proxies have appended is read.
func cutLastElement(list string, separator byte) (rest, element string, more bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == separator && !quoted:
			return list[:i], list[i+1:], true
		}
	}
	return "", list, false
}

func (s *Server) readElement(element string) (netip.Addr, bool) {
	if s.Config.ProxyHeader == config.Forwarded {
		return readForwarded(element)
	}
	return readHop(strings.Trim(element, " \t"))
}

// readHop reads an address in one of the forms that proxies write: 192.0.2.7, 192.0.2.7:55,
// 2001:db8::7, [2001:db8::7] and [2001:db8::7]:55.
func readHop(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		addr, err = parseBracketed(text)
	}
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

func parseBracketed(text string) (netip.Addr, error) {
	if strings.HasSuffix(text, "]") {
		text += ":0"
	}
	hop, err := netip.ParseAddrPort(text)
	return hop.Addr(), err
}

// readForwarded reads the address in the for parameter of an element of Forwarded (RFC 7239).
// Obfuscated identifiers and "unknown" are not addresses.
func readForwarded(element string) (hop netip.Addr, ok bool) {
	for more := true; more; {
		var parameter string
		element, parameter, more = cutLastElement(element, ';')
		name, value, _ := strings.Cut(strings.Trim(parameter, " \t"), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if hop.IsValid() { // two addresses: the sender of one of them must not choose
			return hop, false
		}
		if hop, ok = readNode(value); !ok {
			return hop, false
		}
	}
	return hop, ok
}

// readNode reads a token or a quoted string. A backslash, which escapes a character of a quoted
// string, occurs in no address.
func readNode(value string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		if value, ok = strings.CutSuffix(inner, `"`); !ok {
			return netip.Addr{}, false
		}
	}
	return readHop(value)
}
