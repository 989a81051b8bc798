package credentials

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/accounts/server/hosts"
)

func network(name string) hosts.Network { return hosts.Network{Narrow: name, Wide: name} }

// part returns one /64 of a /48.
func part(wide, narrow string) hosts.Network { return hosts.Network{Narrow: wide + narrow, Wide: wide} }

// testLine is a queue with one occupied slot and callers that wait in this order. served lists the
// callers that got the slot, in order, and gone lists those that were rejected.
type testLine struct {
	*queue
	t      *testing.T
	mu     sync.Mutex
	served []string
	gone   []string
	all    sync.WaitGroup
}

func newLine(t *testing.T, places int, wait time.Duration) *testLine {
	q := &testLine{queue: &queue{slots: 1, places: places, wait: wait}, t: t}
	if w, err := q.enter(hosts.Network{}); w != nil || err != nil {
		t.Fatal("no slot is free")
	}
	return q
}

// join makes a caller wait, and returns once it waits.
func (q *testLine) join(ctx context.Context, from hosts.Network, name string) {
	q.all.Go(func() {
		err := q.acquire(ctx, from)
		q.mu.Lock()
		defer q.mu.Unlock()
		if err != nil {
			q.gone = append(q.gone, name)
		} else {
			q.served = append(q.served, name)
		}
	})
	synctest.Wait()
}

// drain releases the slot until every caller has had it. It fails if anything is left in the queue.
func (q *testLine) drain() {
	q.t.Helper()
	for q.waiting > 0 {
		q.release()
		synctest.Wait()
	}
	q.release()
	q.all.Wait()
	if running, waiting := q.stats(); running != 0 || waiting != 0 || len(q.lines) != 0 {
		q.t.Errorf("remaining: %d running, %d waiting, %d lines", running, waiting, len(q.lines))
	}
}

func (q *testLine) want(served, gone string) {
	q.t.Helper()
	if got := fmt.Sprint(q.served); got != served {
		q.t.Errorf("served %s, want %s", got, served)
	}
	if got := fmt.Sprint(q.gone); got != gone {
		q.t.Errorf("rejected %s, want %s", got, gone)
	}
}

func TestNetworksGetSlotsInTurn(t *testing.T) {
	t.Attr("control", "186")
	synctest.Test(t, func(t *testing.T) {
		q := newLine(t, 10, time.Minute)
		for _, name := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			q.join(t.Context(), network(name[:1]), name)
		}
		q.release()
		synctest.Wait()
		q.join(t.Context(), network("d"), "d1")
		q.drain()
		q.want("[a1 b1 c1 d1 a2 b2 a3]", "[]")
	})
}

func TestFullQueueAdmitsOtherNetworks(t *testing.T) {
	t.Attr("control", "186")
	synctest.Test(t, func(t *testing.T) {
		q := newLine(t, 4, time.Minute)
		for _, name := range []string{"a1", "a2", "a3", "a4", "a5"} { // a network that is alone may use the whole queue
			q.join(t.Context(), network("a"), name)
		}
		if !q.isFull(network("a")) || q.isFull(network("b")) || q.isFull(hosts.Network{}) {
			t.Error("full reports the wrong networks")
		}
		q.join(t.Context(), network("b"), "b1")
		q.join(t.Context(), network("b"), "b2")
		q.join(t.Context(), network("b"), "b3") // two places each: neither evicts the other's callers
		if !q.isFull(network("b")) {
			t.Error("full is false for a network that has its share")
		}
		q.join(t.Context(), network("c"), "c1") // evicts the newest caller of the first of the largest networks
		q.drain()
		q.want("[a1 b1 c1 b2]", "[a5 a4 a3 b3 a2]")
	})
}

// Flooding networks hold one place each, and fill the queue. A network that has had clearly fewer
// slots gets a place and is served before them. A network that has had as many gets none.
func TestFloodingNetworksGiveWayToOthers(t *testing.T) {
	t.Attr("control", "186")
	synctest.Test(t, func(t *testing.T) {
		q := newLine(t, 3, time.Minute)
		for _, name := range []string{"a1", "b1", "c1"} {
			q.recent.add(network(name[:1]))
			q.recent.add(network(name[:1]))
			q.join(t.Context(), network(name[:1]), name)
		}
		q.recent.add(network("c"))
		q.recent.add(network("c"))
		q.recent.add(network("d"))
		q.join(t.Context(), network("d"), "d1") // instead of c1
		q.join(t.Context(), network("c"), "c2")
		q.join(t.Context(), network("new"), "new")
		q.drain()
		q.want("[new d1 b1]", "[c1 c2 a1]")
	})
}

// A count is bounded, and halved from time to time. The entry of a network that had one slot is
// removed.
func TestCountsOfSlotsDecay(t *testing.T) {
	t.Attr("control", "186")
	var r recentSlots
	r.add(network("once"))
	for range halveAfter - 2 {
		r.add(network("flood"))
	}
	if r.count("once") != 1 || r.count("flood") != manySlots {
		t.Errorf("%v", r.counts)
	}
	r.add(network("last"))
	if len(r.counts) != 1 || r.count("flood") != manySlots/2 {
		t.Errorf("%v", r.counts)
	}
}

// Within one /48, the /64 with the most callers loses its newest one, and no /64 gets more than its
// share.
func TestQueueIsSharedWithinNetwork(t *testing.T) {
	t.Attr("control", "186")
	synctest.Test(t, func(t *testing.T) {
		q := newLine(t, 4, time.Minute)
		q.join(t.Context(), part("a", ":1"), "honest")
		for _, name := range []string{"flood1", "flood2", "flood3"} {
			q.join(t.Context(), part("a", ":2"), name)
		}
		q.join(t.Context(), network("b"), "other")
		q.join(t.Context(), part("a", ":3"), "late")
		q.join(t.Context(), part("a", ":4"), "later") // all equal now
		q.drain()
		q.want("[honest other flood1 late]", "[flood3 flood2 later]")
	})
}

func TestWaitInQueueIsBounded(t *testing.T) {
	t.Attr("control", "186")
	synctest.Test(t, func(t *testing.T) {
		q := newLine(t, 4, 700*time.Millisecond)
		began := time.Now()
		q.join(t.Context(), network("a"), "a1")
		q.all.Wait()
		if waited := time.Since(began); waited != 700*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := context.WithCancel(t.Context())
		q.join(ctx, network("a"), "a2")
		q.join(t.Context(), network("a"), "a3")
		cancel()
		synctest.Wait()
		q.drain()
		q.want("[a3]", "[a1 a2]")
	})
}

// A caller whose wait ends at the same time as it gets a slot either has the slot or has returned
// it.
func TestTimeoutAndSlotAtOnceLoseNoSlot(t *testing.T) {
	t.Attr("control", "186")
	q := &queue{slots: 1, places: 4, wait: time.Minute}
	if _, err := q.enter(hosts.Network{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		why, want error
		running   int
	}{{ErrBusy, nil, 1}, {context.Canceled, context.Canceled, 0}} {
		w, err := q.enter(network("a"))
		if err != nil {
			t.Fatal(err)
		}
		q.release()
		if err := q.leave(w, test.why); !errors.Is(err, test.want) || q.running != test.running || q.waiting != 0 {
			t.Errorf("%v: %v, %d running, %d waiting", test.why, err, q.running, q.waiting)
		}
	}
}

// Under a random load of networks, cancellations and short waits no slot and no place is lost, and
// no more callers run than there are slots.
func TestRandomLoadLosesNoSlot(t *testing.T) {
	t.Attr("control", "186")
	q := &queue{slots: 3, places: 7, wait: 2 * time.Millisecond}
	var all sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for i := range 40 {
		all.Go(func() {
			for range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(4000))*time.Microsecond)
				if err := q.acquire(ctx, part(fmt.Sprint(i%5), fmt.Sprint(i%3))); err == nil {
					mu.Lock()
					if in++; in > 3 {
						t.Errorf("%d callers run at once", in)
					}
					mu.Unlock()
					time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
					mu.Lock()
					in--
					mu.Unlock()
					q.release()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if q.running != 0 || q.waiting != 0 || len(q.lines) != 0 {
		t.Errorf("%d running, %d waiting, %d lines", q.running, q.waiting, len(q.lines))
	}
}
