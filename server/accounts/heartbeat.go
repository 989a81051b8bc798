package accounts

import (
	"context"
	"sync"
	"time"
)

// beatEvery is how often the heartbeat looks at the clocks. A standstill is noticed if it was
// longer than this and the margin together.
const beatEvery = 100 * time.Millisecond

// RunHeartbeat notices, until ctx ends, that this process stood still: it was stopped (SIGSTOP),
// its virtual machine was paused, or the machine was suspended. Refresh answers requests that may
// have waited in the kernel in that time as held up. Without RunHeartbeat, a standstill is not
// noticed.
func (s *Service) RunHeartbeat(ctx context.Context) {
	s.heartbeat.start()
	defer s.heartbeat.stop()
	ticks := time.NewTicker(beatEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.heartbeat.beat(readClocks())
		}
	}
}

// heartbeat knows when the process last stood still for longer than limit. Without a limit, as in the strict profile,
// which has no M, nothing is noticed: any tick that comes late would count.
type heartbeat struct {
	limit     time.Duration
	onNoticed func()

	mu    sync.Mutex
	on    bool
	last  clocks
	stood bool
	woke  time.Duration // by the monotonic clock, if stood
}

// clocks are two clocks at one instant. Both are needed: the monotonic clock stands still while the
// machine is suspended, and the wall clock may be set back.
type clocks struct {
	monotonic time.Duration
	wall      time.Time
}

var processStart = time.Now() //nolint:forbidigo // the clock of tests must not hide that the process stood still

func readClocks() clocks {
	now := time.Now() //nolint:forbidigo // see processStart
	return clocks{now.Sub(processStart), now.Round(0)}
}

// since returns the longer of the times that have passed by each clock.
func (c clocks) since(earlier clocks) time.Duration {
	return max(c.monotonic-earlier.monotonic, c.wall.Sub(earlier.wall))
}

func (h *heartbeat) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.last = true, readClocks()
}

func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on, h.stood = false, false
}

// beat notes that the process runs now, and that it stood still if the last beat was too long ago.
func (h *heartbeat) beat(now clocks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beatLocked(now)
}

func (h *heartbeat) beatLocked(now clocks) {
	gap := now.since(h.last)
	if gap < 0 { // these clocks were read before another goroutine's
		return
	}
	if h.on && h.limit > 0 && gap > beatEvery+h.limit {
		h.stood, h.woke = true, now.monotonic
		h.onNoticed()
	}
	h.last = now
}

// stoodStill reports whether the process stood still at some time in the last period. It beats
// first: after a standstill the goroutine of a request may run before that of RunHeartbeat.
func (h *heartbeat) stoodStill(now clocks, period time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beatLocked(now)
	return h.stood && now.monotonic-h.woke < period
}
