package audit

import (
	"net/netip"

	"github.com/google/uuid"
)

// Client describes the sender of a request: the address and user agent that sessions and events
// contain, and the accepted languages.
type Client struct {
	IP, UserAgent, AcceptLanguage string
	RequestID                     uuid.UUID
}

// A client is identified by its network, because one sender has many addresses in it. An IPv6
// customer has at least a /64. Hosting providers and tunnel brokers hand out a /48, which holds
// 65,536 of them.
const (
	narrowBits = 64
	wideBits   = 48
)

// Network returns the network that the client's rate limits count: an IPv4 address or an IPv6 /64.
func (c Client) Network() string { return c.network(narrowBits) }

// WideNetwork returns the network that holds all addresses of one customer: an IPv4 address or an
// IPv6 /48.
func (c Client) WideNetwork() string { return c.network(wideBits) }

func (c Client) network(bits int) string {
	a, err := netip.ParseAddr(c.IP)
	if err != nil || a.Unmap().Is4() {
		return c.IP
	}
	return netip.PrefixFrom(a.WithZone(""), bits).Masked().String()
}
