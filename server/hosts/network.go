package hosts

import "net/netip"

// Network is where a request comes from. A sender is identified by its network, because one sender
// has many addresses in it. An IPv6 customer has at least a /64. Hosting providers and tunnel
// brokers hand out a /48, which holds 65,536 of them. The zero value is the program itself.
type Network struct {
	Narrow string // an IPv4 address or an IPv6 /64
	Wide   string // an IPv4 address or an IPv6 /48
}

// NetworkOf returns the network of an address. A text that is no address is its own network.
func NetworkOf(address string) Network {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return Network{address, address}
	}
	prefix := func(bits int) string { return netip.PrefixFrom(a.WithZone(""), bits).Masked().String() }
	return Network{prefix(64), prefix(48)}
}
