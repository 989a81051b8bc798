package hosts

import "testing"

func TestNetworkOfAddressHasItsPrefixes(t *testing.T) {
	for address, want := range map[string]Network{
		"192.0.2.1": {"192.0.2.1", "192.0.2.1"}, "2001:db8:1:2:3::4": {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"fe80::1%eth0": {"fe80::/64", "fe80::/48"}, "": {"", ""},
	} {
		if got := NetworkOf(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
