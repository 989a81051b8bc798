package credentials

const (
	// manySlots is the most that a network is counted for. It is small, so that an office whose
	// many users have used idle slots soon counts no more than a network that begins a flood.
	manySlots = 32
	// halveAfter slots every count is halved, so that it tells of the last minutes on a busy
	// machine. It also bounds how many networks are counted.
	halveAfter = 1000
)

// recentSlots counts how many slots each wide network has had lately. Its owner's lock guards it.
type recentSlots struct {
	counts map[string]int
	added  int // since they were halved
}

func (r *recentSlots) of(wide string) int { return r.counts[wide] }

func (r *recentSlots) add(from Network) {
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
