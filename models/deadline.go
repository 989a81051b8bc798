package models

import (
	"context"
	"time"
)

// CallTime bounds the work for a request whose context has no earlier deadline.
const CallTime = 2500 * time.Millisecond

// Bound returns a context that ends with the given one, and in [CallTime] at the latest. It is always
// a new context: a driver may read it after the call, when gin already uses its own context for the
// next request.
func Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, CallTime)
}

// Detach detaches a context from the caller, who may disconnect: a write that has begun is
// completed, and its outcome is known. The deadline stays; without one, it is [CallTime] from now.
func Detach(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !ok {
		return context.WithTimeout(ctx, CallTime)
	}
	return context.WithDeadline(ctx, end)
}
