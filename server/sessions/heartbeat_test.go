package sessions

import (
	"testing"
	"time"
)

// The heartbeat detects a standstill by either clock, in whichever order goroutines read the
// clocks, and reports it until the period is over.
func TestHeartbeatReportsStandstill(t *testing.T) {
	t.Attr("control", "195")
	const limit, edge = time.Second, beatEvery + time.Second
	at := func(monotonic, wall time.Duration) clocks { return clocks{monotonic, noon.Add(wall)} }
	for name, test := range map[string]struct {
		now   clocks
		asked time.Duration // after now
		stood bool
	}{
		"on time":                          {at(beatEvery, beatEvery), 0, false},
		"late by the limit":                {at(edge, edge), 0, false},
		"stopped":                          {at(edge+1, edge+1), 0, true},
		"suspended":                        {at(beatEvery, edge+1), 0, true},
		"stopped, and the wall set back":   {at(edge+1, -time.Hour), 0, true},
		"the wall clock set back":          {at(beatEvery, -time.Hour), 0, false},
		"clocks read before the last":      {at(-time.Hour, -time.Hour), 0, false},
		"stopped, within the period":       {at(time.Hour, time.Hour), limit - 1, true},
		"stopped, the period is over":      {at(time.Hour, time.Hour), limit, false},
		"suspended, the period is over":    {at(beatEvery, time.Hour), limit, false},
		"suspended, within the period":     {at(beatEvery, time.Hour), limit - 1, true},
		"suspended, and the wall set back": {at(beatEvery, time.Hour), limit - 1, true},
	} {
		for beatFirst := range 2 {
			noticed := 0
			h := &heartbeat{limit: limit, on: true, last: at(0, 0), onNoticed: func() { noticed++ }}
			if beatFirst == 1 || test.asked > 0 {
				h.beat(test.now)
			}
			later := clocks{test.now.monotonic + test.asked, test.now.wall.Add(test.asked)}
			if got := h.stoodStill(later, limit); got != test.stood {
				t.Errorf("%s, after %d beats: stoodStill reports %v", name, beatFirst, got)
			}
			if want := test.stood || test.asked > 0; (noticed == 1) != want {
				t.Errorf("%s: the standstill was reported %d times, want once", name, noticed)
			}
		}
	}
	off := &heartbeat{limit: limit, last: at(0, 0)}
	if off.stoodStill(at(time.Hour, time.Hour), limit) {
		t.Error("without RunHeartbeat, the time between two requests counts as a standstill")
	}
	strict := &heartbeat{on: true, last: at(0, 0), onNoticed: func() { t.Error("the strict profile reported a late tick") }}
	strict.beat(at(2*beatEvery, 2*beatEvery))
}
