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

// find returns the address of the client that sent r. An IPv4 address is always in its short form.
// The result is empty only if the connection has no IP address.
//
// If the connection does not come from a trusted proxy, its address is the client's. If it does,
// the configured header, and no other one, is read from the end: each trusted proxy has appended
// the address of its own peer, so the last address that is not a trusted proxy's is the client's.
// The client controls everything to the left of that address.
//
// Security: if an element cannot be parsed, reading stops, and the trusted proxy that wrote it
// counts as the client. If the element were skipped, a client could choose its address and so evade
// every limit. An empty element is not skipped either, because a proxy may write it instead of an
// address.
func (a *clientAddresses) find(r *http.Request) string {
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
	return models.FromNetwork(ctx, client.Network().Wide)
}

// reportUnreadableHeader logs once that the server cannot tell clients behind a proxy apart. The
// sender controls the text of the header, so the text is not logged.
func (a *clientAddresses) reportUnreadableHeader() {
	a.unreadableHeader.Do(func() {
		a.log.Warn("the header of a trusted proxy cannot be read, so its clients share one rate limit; "+
			"make the proxy write plain addresses, or set the header that it writes", "setting", config.Prefix+"PROXY_HEADER")
	})
}

// cutLastElement cuts the last element off a list. A separator in a quoted string does not count.
//
// Security: the list is read from its end, where trusted proxies append, so that a quotation mark
// from the client cannot change how the elements of the proxies are parsed.
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
		if hop.IsValid() { // two addresses: the sender must not choose which one counts
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
