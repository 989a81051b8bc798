package sessions

import (
	"context"
	"sync"
	"time"
)

// beatEvery is how often the heartbeat reads the clocks. It notices a standstill that is longer
// than beatEvery and the margin together.
const beatEvery = 100 * time.Millisecond

// RunHeartbeat detects standstills of this process until ctx ends: the process was stopped
// (SIGSTOP), its virtual machine was paused, or the machine was suspended. Refresh treats requests
// that may have waited in the kernel during a standstill as held up. Without RunHeartbeat no
// standstill is detected.
func (h *heartbeat) RunHeartbeat(ctx context.Context) {
	h.start()
	defer h.stop()
	ticks := time.NewTicker(beatEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			h.beat(readClocks())
		}
	}
}

// heartbeat records when the process last stood still for longer than limit. Without a limit, as in
// the strict profile, which has no M, it records nothing: any late tick would count.
type heartbeat struct {
	limit     time.Duration
	onNoticed func()

	mu    sync.Mutex
	on    bool
	last  clocks
	stood bool
	woke  time.Duration // by the monotonic clock, if stood
}

// clocks holds the readings of two clocks at one instant. Both are needed: the monotonic clock
// stands still while the machine is suspended, and the wall clock may be set back.
type clocks struct {
	monotonic time.Duration
	wall      time.Time
}

var processStart = time.Now() //nolint:forbidigo // the clock of a test must not hide a standstill

func readClocks() clocks {
	now := time.Now() //nolint:forbidigo // see processStart
	return clocks{now.Sub(processStart), now.Round(0)}
}

// since returns the time from earlier to c by the clock that shows the longer one.
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

// beat records that the process runs now, and that it stood still if the last beat was too long
// ago.
func (h *heartbeat) beat(now clocks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beatLocked(now)
}

func (h *heartbeat) beatLocked(now clocks) {
	gap := now.since(h.last)
	if gap < 0 { // another goroutine read its clocks later and recorded them first
		return
	}
	if h.on && h.limit > 0 && gap > beatEvery+h.limit {
		h.stood, h.woke = true, now.monotonic
		h.onNoticed()
	}
	h.last = now
}

// stoodStill reports whether the process stood still within the last period. It beats first,
// because after a standstill the goroutine of a request may run before that of RunHeartbeat.
func (h *heartbeat) stoodStill(now clocks, period time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beatLocked(now)
	return h.stood && now.monotonic-h.woke < period
}

// StandStill makes the process look as if it had just stood still for a period. It is for tests.
func (h *heartbeat) StandStill(period time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last.monotonic -= period
	h.last.wall = h.last.wall.Add(-period)
}
