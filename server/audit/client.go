package audit

import (
	"github.com/google/uuid"

	"example.com/accounts/server/hosts"
)

// Client describes the sender of a request: the address and user agent that sessions and events
// contain, and the accepted languages.
type Client struct {
	IP, UserAgent, AcceptLanguage string
	RequestID                     uuid.UUID
}

// Network returns the network of the client. Rate limits and the hash queue count by it.
func (c Client) Network() hosts.Network { return hosts.NetworkOf(c.IP) }
