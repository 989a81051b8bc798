package models

import (
	"context"
	"time"
)

// CallTime bounds the work for a request whose context has no earlier deadline.
const CallTime = 2500 * time.Millisecond

// Bound returns a context with a deadline: the given one if it has a deadline, or one that ends in
// [CallTime]. Requests have one deadline for all their work, so that no query needs a timer of its
// own.
func Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
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
