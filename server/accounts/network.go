package accounts

import (
	"example.com/accounts/server/credentials"
)

// networksOf returns both networks of a client for the queue of hashes.
func networksOf(c Client) credentials.Network {
	return credentials.Network{Narrow: c.Network(), Wide: c.WideNetwork()}
}
