package credentials

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/accounts/server/hosts"
)

// queue assigns the hash slots. A free slot goes to the waiting wide network that has had the
// fewest slots recently, round robin among equals, and within a network to the caller that has
// waited longest.
//
// The threat is a client with an account and the right password, or one with an IPv6 /48, that
// sends more passwords than the slots can hash. In a single queue its requests would fill every
// place, and no other user could log in. Here, when the queue is full, a caller from a new network
// takes a place from the network that holds the most places, or from a network that has recently
// had clearly more slots. Without the second rule, a flood from as many networks as there are
// places could hold every place permanently, one for each network. A single network can still use
// the whole queue.
type queue struct {
	slots, places int           // the limits of running and waiting
	wait          time.Duration // how long a caller waits at most

	mu      sync.Mutex
	running int
	waiting int
	lines   []*line // one per waiting network, in the order of their turns
	recent  recentSlots
}

// line holds the waiting callers of one wide network, the oldest first. It is never empty.
type line struct {
	wide    string
	waiters []*waiter
}

// waiter is a waiting caller. done receives one value: nil if the caller got a slot, or ErrBusy.
type waiter struct {
	from hosts.Network
	done chan error
}

// acquire takes a slot, which the caller must release. Errors: ErrBusy if the queue has no place
// for this network or the wait is too long; the context's error if it ends before.
func (q *queue) acquire(ctx context.Context, from hosts.Network) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := q.enter(from)
	if err != nil || w == nil {
		return err
	}
	timer := time.NewTimer(q.wait)
	defer timer.Stop()
	select {
	case err := <-w.done:
		return err
	case <-timer.C:
		return q.leave(w, ErrBusy)
	case <-ctx.Done():
		return q.leave(w, ctx.Err())
	}
}

// enter takes a slot or a place in the queue. It returns a nil waiter and a nil error if it took a
// slot.
func (q *queue) enter(from hosts.Network) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running < q.slots { // then no caller waits, because release passes a slot on
		q.running++
		q.recent.add(from)
		return nil, nil
	}
	if q.waiting == q.places {
		evicted := q.chooseEvicted(from)
		if evicted == nil {
			return nil, ErrBusy
		}
		q.remove(evicted)
		evicted.done <- ErrBusy
	}
	w := &waiter{from, make(chan error, 1)}
	l := q.lineOf(from)
	if l == nil {
		l = &line{wide: from.Wide}
		q.lines = append(q.lines, l)
	}
	l.waiters = append(l.waiters, w)
	q.waiting++
	return w, nil
}

// leave removes w from the queue and returns err. If w has got a slot or has been evicted at the
// same moment, leave returns that result instead: nil or ErrBusy. A caller whose context has ended
// does not need the slot, so leave frees it and returns err.
func (q *queue) leave(w *waiter, err error) error {
	q.mu.Lock()
	if q.remove(w) {
		q.mu.Unlock()
		return err
	}
	q.mu.Unlock()
	decided := <-w.done
	if decided == nil && !errors.Is(err, ErrBusy) {
		q.release()
		return err
	}
	return decided
}

// release frees a slot, or passes it to the next caller.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == 0 {
		q.running--
		return
	}
	l := slices.MinFunc(q.lines, q.compareRecent)
	next := l.waiters[0]
	q.remove(next)
	if len(l.waiters) > 0 { // the network moves behind the others
		q.lines = append(removeFrom(q.lines, l), l)
	}
	q.recent.add(next.from)
	next.done <- nil
}

// compareRecent orders networks by the slots that they have had recently.
func (q *queue) compareRecent(a, b *line) int {
	return cmp.Compare(q.recent.count(a.wide), q.recent.count(b.wide))
}

// isFull reports whether a caller from this network would be rejected now.
func (q *queue) isFull(from hosts.Network) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running == q.slots && q.waiting == q.places && q.chooseEvicted(from) == nil
}

// chooseEvicted returns the waiting caller that must leave a full queue to make a place for a new
// caller from this network, or nil if the new caller must be rejected. It chooses the network with
// the most waiting callers, in that network the narrow network with the most, and there the newest
// caller. If this network has no place, it also chooses a caller of the network that has had the
// most slots recently, provided that they are clearly more.
//
// The first rule moves a place only if the two networks, or two narrow networks of one wide
// network, hold more equal numbers of places afterward. Without this condition, two floods would
// evict each other's callers all the time.
func (q *queue) chooseEvicted(from hosts.Network) *waiter {
	own, most := q.lineOf(from), q.longestLine()
	if most == nil {
		return nil
	}
	if most.size() >= own.size()+2 {
		newest, _ := most.largestPart()
		return newest
	}
	busiest := slices.MaxFunc(q.lines, q.compareRecent)
	if own == nil && q.recent.count(busiest.wide) >= 2+2*q.recent.count(from.Wide) {
		newest, _ := busiest.largestPart()
		return newest
	}
	part := own.sizeOfPart(from.Narrow)
	if own.size()-part < part+2 { // a flood from one narrow network is rejected without more work
		return nil
	}
	if newest, n := own.largestPart(); n >= part+2 {
		return newest
	}
	return nil
}

func (q *queue) lineOf(from hosts.Network) *line {
	for _, l := range q.lines {
		if l.wide == from.Wide {
			return l
		}
	}
	return nil
}

func (q *queue) longestLine() *line {
	var most *line
	for _, l := range q.lines {
		if l.size() > most.size() {
			most = l
		}
	}
	return most
}

// remove removes w from the queue. It reports whether w was waiting.
func (q *queue) remove(w *waiter) bool {
	l := q.lineOf(w.from)
	if l == nil || !l.remove(w) {
		return false
	}
	q.waiting--
	if len(l.waiters) == 0 {
		q.lines = removeFrom(q.lines, l)
	}
	return true
}

// stats returns how many slots are in use and how many callers wait.
func (q *queue) stats() (running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running, q.waiting
}

func (l *line) size() int {
	if l == nil {
		return 0
	}
	return len(l.waiters)
}

// sizeOfPart returns the number of waiting callers of a narrow network.
func (l *line) sizeOfPart(narrow string) int {
	n := 0
	for _, w := range l.list() {
		if w.from.Narrow == narrow {
			n++
		}
	}
	return n
}

// largestPart returns the newest caller of the narrow network with most callers, and their number.
func (l *line) largestPart() (newest *waiter, most int) {
	parts := map[string]int{}
	for _, w := range l.list() {
		parts[w.from.Narrow]++
		most = max(most, parts[w.from.Narrow])
	}
	for _, w := range l.list() {
		if parts[w.from.Narrow] == most {
			newest = w
		}
	}
	return newest, most
}

func (l *line) list() []*waiter {
	if l == nil {
		return nil
	}
	return l.waiters
}

func (l *line) remove(w *waiter) bool {
	n := len(l.waiters)
	l.waiters = removeFrom(l.waiters, w)
	return len(l.waiters) < n
}

// removeFrom returns the list without the element, in the same order.
func removeFrom[T comparable](list []T, element T) []T {
	for i, each := range list {
		if each == element {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}
