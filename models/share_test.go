package models

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// Writes of one network wait for a place, up to a bound. Writes of other networks, those inside a
// sequence that has a place, and the server's own do not.
func TestWaitingWritesOfNetworkAreBounded(t *testing.T) {
	t.Attr("control", "186")
	synctest.Test(t, func(t *testing.T) {
		s := &database{share: newWriteShares(4)}
		flooding, other := FromNetwork(t.Context(), "192.0.2.1"), FromNetwork(t.Context(), "192.0.2.2")
		inside, first, err := s.Enter(flooding)
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.share.enter(flooding)
		if err != nil {
			t.Fatal(err)
		}
		waiting, stop := context.WithCancel(flooding)
		results := make(chan error, 2*waitersPerPlace)
		for range 2 * waitersPerPlace {
			go func() {
				leave, err := s.share.enter(waiting)
				if err == nil {
					leave()
				}
				results <- err
			}()
		}
		synctest.Wait()
		if _, err := s.share.enter(flooding); !errors.Is(err, ErrUnavailable) || len(results) > 0 {
			t.Errorf("beyond the bound: got %v; %d writes did not wait", err, len(results))
		}
		for _, ctx := range []context.Context{t.Context(), inside, other} {
			leave, err := s.share.enter(ctx)
			if err != nil {
				t.Fatal(err)
			}
			leave()
		}
		first()
		synctest.Wait()
		for range 2 * waitersPerPlace { // they used the place that became free one after the other
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		third, err := s.share.enter(flooding)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, err := s.share.enter(waiting); results <- err }()
		synctest.Wait()
		stop()
		if err := <-results; !errors.Is(err, ErrUnavailable) {
			t.Errorf("canceled write: got %v, want ErrUnavailable", err)
		}
		second()
		third()
		if len(s.share.open) != 0 {
			t.Errorf("places still taken: %v", s.share.open)
		}
	})
}
