package models

import (
	"context"
	"errors"
	"testing"
)

func TestControl186WriteShares(t *testing.T) {
	s := &Store{share: newWriteShares(4)}
	flooding, other := FromNetwork(t.Context(), "192.0.2.1"), FromNetwork(t.Context(), "192.0.2.2")
	inside, first, err := s.Enter(flooding)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.share.enter(flooding)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.share.enter(flooding); !errors.Is(err, ErrUnavailable) {
		t.Errorf("beyond the share: %v", err)
	}
	for _, ctx := range []context.Context{t.Context(), inside, other} {
		leave, err := s.share.enter(ctx)
		if err != nil {
			t.Error(err)
		}
		leave()
	}
	first()
	second()
	if len(s.share.held) != 0 {
		t.Errorf("left: %v", s.share.held)
	}
}
