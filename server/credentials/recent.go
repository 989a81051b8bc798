package credentials

import "example.com/accounts/server/hosts"

const (
	// manySlots is the maximum count of a network. It is small for the sake of an office with many
	// users, which can reach it while slots are idle: a network that begins a flood then soon has
	// the same count, and is no longer served before the office.
	manySlots = 32
	// halveAfter is the number of slots after which every count is halved, so that on a busy
	// machine the counts reflect the last minutes. This also bounds the number of networks that are
	// counted.
	halveAfter = 1000
)

// recentSlots counts the hash slots that each wide network ([Network].Wide) has had recently. The
// lock of the queue that owns it also guards it.
type recentSlots struct {
	counts map[string]int
	added  int // since they were halved
}

func (r *recentSlots) count(wide string) int { return r.counts[wide] }

func (r *recentSlots) add(from hosts.Network) {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[from.Wide] = min(r.counts[from.Wide]+1, manySlots)
	if r.added++; r.added < halveAfter {
		return
	}
	r.added = 0
	for wide, n := range r.counts {
		if r.counts[wide] = n / 2; n < 2 {
			delete(r.counts, wide)
		}
	}
}
