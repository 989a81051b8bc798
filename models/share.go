package models

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var errShare = errors.New("models: too many writes of one client network wait")

// writeShares bounds how many writes of one client network are being made, or wait for a
// connection, at a time.
//
// Security: writes wait for a connection in one line, and each is completed even if its client has
// hung up. Without the bound an attacker with one account could begin writes faster than the
// database makes them, by canceling each request after a few milliseconds. Every other write would
// then wait until its deadline, and the memory of the process grow.
type writeShares struct {
	most int

	mu   sync.Mutex
	held map[string]int // by network
}

func newWriteShares(conns int) *writeShares {
	return &writeShares{most: max(1, conns/2), held: map[string]int{}}
}

type networkKey struct{}

// FromNetwork returns a context whose writes count for a client network. Other writes are the
// server's own and have no bound.
func FromNetwork(ctx context.Context, network string) context.Context {
	return context.WithValue(ctx, networkKey{}, network)
}

// enter takes a part of the network's share, which leave gives back. Errors: ErrUnavailable.
func (w *writeShares) enter(ctx context.Context) (leave func(), err error) {
	network, counts := ctx.Value(networkKey{}).(string)
	if !counts {
		return func() {}, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[network] >= w.most {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, errShare)
	}
	w.held[network]++
	return func() { w.leave(network) }, nil
}

// Enter takes a part of the share of the context's network for a whole sequence of reads and
// writes, which are made with the context returned. Errors: ErrUnavailable.
func (s *Store) Enter(ctx context.Context) (inside context.Context, leave func(), err error) {
	leave, err = s.share.enter(ctx)
	return context.WithValue(ctx, networkKey{}, nil), leave, err
}

func (w *writeShares) leave(network string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held[network]--; w.held[network] == 0 {
		delete(w.held, network)
	}
}
