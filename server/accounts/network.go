package accounts

import (
	"example.com/accounts/models"
	"example.com/accounts/server/credentials"
)

// wideShare is how many clients a wide network counts as; see [audit.Client.WideNetwork].
const wideShare = 8

// networksOf returns both networks of a client for the queue of hashes.
func networksOf(c Client) credentials.Network {
	return credentials.Network{Narrow: c.Network(), Wide: c.WideNetwork()}
}

// perClient returns the uses of a limit that each client has: one of the client's network and, for
// IPv6, one of the wide network.
func perClient(b Limit, kind string, c Client) []models.RateLimitUse {
	n := networksOf(c)
	list := []models.RateLimitUse{use(b, kind, n.Narrow)}
	if n.Wide != n.Narrow {
		b.N *= wideShare
		list = append(list, use(b, kind, n.Wide))
	}
	return list
}
