package models

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var errShare = errors.New("models: too many writes of one client network wait")

// waitersPerPlace is how many writes of one network may wait for each place.
const waitersPerPlace = 16

// writeShares limits how many writes of one client network use a connection at a time. Further
// writes wait for a place, up to a bound; the rest is rejected.
//
// The threat is a client that starts writes faster than the database completes them. A write is
// completed even if its client disconnects, so a client that cancels its requests needs few
// connections of its own. In a single queue its writes would use every connection to the database,
// and the writes of all other clients would wait until their deadlines.
type writeShares struct {
	places int // per network

	mu   sync.Mutex
	open map[string]*writeShare // by network
}

// writeShare is the share of one network with active or waiting writes.
type writeShare struct {
	held  chan struct{} // contains one element for each write that has a place
	users int           // writes that have a place or wait for one
}

func newWriteShares(conns int) *writeShares {
	return &writeShares{places: max(1, conns/2), open: map[string]*writeShare{}}
}

type networkKey struct{}

// FromNetwork returns a context whose writes count toward the share of a client network. Writes
// with other contexts are the server's own and are not limited.
func FromNetwork(ctx context.Context, network string) context.Context {
	return context.WithValue(ctx, networkKey{}, network)
}

// enter waits for a place in the share of the context's network. The caller must call leave to
// release the place. Errors: ErrUnavailable.
func (w *writeShares) enter(ctx context.Context) (leave func(), err error) {
	network, counts := ctx.Value(networkKey{}).(string)
	if !counts {
		return func() {}, nil
	}
	share, err := w.join(network)
	if err != nil {
		return nil, err
	}
	select {
	case share.held <- struct{}{}:
		return func() { <-share.held; w.leave(network, share) }, nil
	case <-ctx.Done():
		w.leave(network, share)
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errShare)
	}
}

// join adds a write to the share of a network, unless too many wait. Errors: ErrUnavailable.
func (w *writeShares) join(network string) (*writeShare, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	share := w.open[network]
	if share == nil {
		share = &writeShare{held: make(chan struct{}, w.places)}
		w.open[network] = share
	}
	if share.users >= w.places*(1+waitersPerPlace) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errShare)
	}
	share.users++
	return share, nil
}

func (w *writeShares) leave(network string, share *writeShare) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if share.users--; share.users == 0 {
		delete(w.open, network)
	}
}

// Enter waits for a place for a whole sequence of reads and writes, which must use the returned
// context. The caller must call leave to release the place. Errors: ErrUnavailable.
func (s *database) Enter(ctx context.Context) (inside context.Context, leave func(), err error) {
	leave, err = s.share.enter(ctx)
	return context.WithValue(ctx, networkKey{}, nil), leave, err
}
