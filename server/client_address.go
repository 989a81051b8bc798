package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
)

// clientAddresses finds the addresses of clients behind trusted proxies.
type clientAddresses struct {
	header  string         // ACCOUNTS_PROXY_HEADER
	proxies []netip.Prefix // ACCOUNTS_TRUSTED_PROXIES
	log     *slog.Logger

	unreadableHeader sync.Once
}

func newClientAddresses(cfg config.Config, log *slog.Logger) *clientAddresses {
	return &clientAddresses{header: cfg.ProxyHeader, proxies: cfg.TrustedProxies, log: log}
}

// of returns the address of the client that sent r, with an IPv4 address always in its
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
func (a *clientAddresses) of(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	client := normalizeAddress(peer.Addr())
	lines := r.Header.Values(a.header)
	list := strings.Join(lines, ",")
	for more := len(lines) > 0; more && a.isTrustedProxy(client); {
		var element string
		list, element, more = cutLastElement(list, ',')
		hop, ok := a.parseElement(element)
		if !ok {
			a.reportUnreadableHeader()
			break
		}
		client = hop
	}
	return client.String()
}

// normalizeAddress removes an IPv6 zone, which is meaningless on another machine, and shortens an
// IPv4-mapped address.
func normalizeAddress(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func (a *clientAddresses) isTrustedProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(a.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// isExempt reports whether an address is exempt from the limits per client, as programs on this
// machine and trusted proxies are.
func (a *clientAddresses) isExempt(addr netip.Addr) bool {
	return addr.IsLoopback() || a.isTrustedProxy(addr)
}

// withNetwork returns a context with which the database counts the request's writes against the
// share of its client's network.
func (a *clientAddresses) withNetwork(ctx context.Context, client accounts.Client) context.Context {
	if addr, err := netip.ParseAddr(client.IP); err != nil || a.isExempt(addr) {
		return ctx
	}
	return models.FromNetwork(ctx, client.WideNetwork())
}

// reportUnreadableHeader logs once that limits per client do not work as configured. The sender
// controls the text of the header, so it is not logged.
func (a *clientAddresses) reportUnreadableHeader() {
	a.unreadableHeader.Do(func() {
		a.log.Warn("the header of a trusted proxy cannot be read, so its clients share one rate limit; "+
			"make the proxy write plain addresses, or set the header that it writes", "setting", config.Prefix+"PROXY_HEADER")
	})
}

// cutLastElement cuts the last element off a list. A separator in a quoted string does not count.
//
// Security: it reads from the end, where trusted proxies append. A quotation mark that the client
// sent cannot change how their elements are parsed.
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

func (a *clientAddresses) parseElement(element string) (netip.Addr, bool) {
	if a.header == config.Forwarded {
		return parseForwarded(element)
	}
	return parseHop(strings.Trim(element, " \t"))
}

// parseHop parses an address in one of the forms that proxies write: 192.0.2.7, 192.0.2.7:55,
// 2001:db8::7, [2001:db8::7] and [2001:db8::7]:55.
func parseHop(text string) (netip.Addr, bool) {
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

// parseForwarded parses the address in the for parameter of an element of Forwarded (RFC 7239).
// Obfuscated identifiers and "unknown" are not addresses.
func parseForwarded(element string) (hop netip.Addr, ok bool) {
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
		if hop, ok = parseNode(value); !ok {
			return hop, false
		}
	}
	return hop, ok
}

// parseNode parses a token or a quoted string. A backslash, which escapes a character of a quoted
// string, occurs in no address.
func parseNode(value string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		if value, ok = strings.CutSuffix(inner, `"`); !ok {
			return netip.Addr{}, false
		}
	}
	return parseHop(value)
}
