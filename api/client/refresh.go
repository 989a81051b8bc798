package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// An answer that is waited for longer than answerTime is given up, and asked for
// again until retryTime is over. A request that was given up is decided by the
// server within decisionTime of being sent, or never; then the client refreshes once
// more, since it may have rotated the tokens after its own retry was answered
// (invariant 6 of the server's design: R = 15 s, Q = 10 s).
const (
	answerTime   = 4 * time.Second
	retryTime    = 15 * time.Second
	decisionTime = 10 * time.Second
	retryLater   = 5 * time.Second
	storageTime  = 10 * time.Second
)

// errEnough ends the asking: there is nothing to ask for any more.
var errEnough = errors.New("enough")

// flight is a refresh that is under way, and that others wait for too.
type flight struct {
	done chan struct{}
	err  error
}

// restore finds the session that the storage holds, once.
func (a *Accounts) restore(ctx context.Context) error {
	a.mu.Lock()
	loaded := a.loaded
	a.mu.Unlock()
	if loaded {
		return nil
	}
	return a.exclusively(ctx, func() error {
		_, err := a.newest(ctx)
		return err
	})
}

// newest takes over what the storage holds: at the start, and what another program
// that shares it has saved meanwhile. The caller has the turn.
func (a *Accounts) newest(ctx context.Context) (*Tokens, error) {
	stored, err := a.storage.Load(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded = true
	switch {
	case stored == nil && a.tokens != nil:
		a.tokens, a.ended = nil, ErrSignedOut
	case stored != nil && !stored.same(a.tokens):
		a.tokens, a.ended = stored, nil
	}
	return a.tokens, nil
}

// fresh returns the tokens, with an access token that is good for a moment still, or
// nil if there is no session. When a refresh is due, and the access token still good,
// the refresh goes on beside the request.
func (a *Accounts) fresh(ctx context.Context) (*Tokens, error) {
	if err := a.restore(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	tokens, now, later := a.tokens, a.now(), a.later
	a.mu.Unlock()
	switch {
	case tokens == nil:
		return nil, nil
	case !now.Before(tokens.ExpiresAt.Add(-time.Second)):
		return a.refresh(ctx, tokens)
	case !now.Before(tokens.RefreshAt) && !now.Before(later):
		a.start(tokens)
	}
	return tokens, nil
}

// Refresh refreshes now; seldom needed.
func (a *Accounts) Refresh(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	tokens := a.tokens
	a.mu.Unlock()
	if tokens == nil {
		return nil
	}
	_, err := a.refresh(ctx, tokens)
	return err
}

// refresh returns other tokens than those that the caller has seen.
func (a *Accounts) refresh(ctx context.Context, seen *Tokens) (*Tokens, error) {
	flight := a.start(seen)
	select {
	case <-flight.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if flight.err != nil {
		return nil, flight.err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens == nil {
		return nil, a.ended
	}
	return a.tokens, nil
}

// start begins a refresh of these tokens, or joins the one under way. It does not end
// with the request that began it: others wait for it too, and a refresh that is
// broken off may have been decided.
func (a *Accounts) start(seen *Tokens) *flight {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens != seen { // somebody was faster
		done := make(chan struct{})
		close(done)
		return &flight{done: done}
	}
	if a.flight != nil {
		return a.flight
	}
	f := &flight{done: make(chan struct{})}
	a.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), retryTime+answerTime+storageTime)
		defer cancel()
		f.err = a.exclusively(ctx, func() error { return a.renew(ctx, seen) })
		a.mu.Lock()
		defer a.mu.Unlock()
		a.flight = nil
		if f.err != nil {
			a.later = a.now().Add(retryLater)
		}
		close(f.done)
	}()
	return f
}

// renew gets the tokens in force, or finds that the session has ended. The caller has
// the turn.
func (a *Accounts) renew(ctx context.Context, seen *Tokens) error {
	var tokens *Tokens
	var failure error
	body, givenUp, err := patiently(ctx, func(ctx context.Context) (*http.Response, error) {
		tokens, failure = a.newest(ctx) // each time: the machine may have slept, and another program gone on
		if failure != nil || tokens == nil {
			return nil, errEnough
		}
		if tokens.Refresh != seen.Refresh && a.now().Before(tokens.RefreshAt) {
			return nil, errEnough // another program has done it, or a login had the turn before
		}
		return a.plain.RefreshToken(ctx, &RefreshTokenParams{RefreshAttempt: &tokens.Attempt}, RefreshTokenRequest{RefreshToken: &tokens.Refresh})
	})
	var refused *Error
	switch {
	case err == nil:
		if overtaken, err := a.overtaken(ctx, tokens); err != nil {
			return err
		} else if overtaken {
			return a.renew(ctx, seen)
		}
		return a.keep(ctx, body, givenUp)
	case errors.Is(err, errEnough):
		return failure
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return errors.Join(err, a.end(ctx, tokens, err))
	}
	return err
}

// overtaken reports whether the storage holds other tokens by now than those that were sent.
// Another program that shares the storage has then refreshed, logged in or logged out while this
// one was asleep with its answer. The answer must not be saved over that: the superseded token
// would count as stolen at its next use.
func (a *Accounts) overtaken(ctx context.Context, sent *Tokens) (bool, error) {
	stored, err := a.storage.Load(ctx)
	return err == nil && (stored == nil || stored.Refresh != sent.Refresh), err
}

// keep saves the tokens of an answer, and then uses them. again means that a request
// which was given up may still rotate them. The caller has the turn.
func (a *Accounts) keep(ctx context.Context, body []byte, again bool) error {
	var result Refreshed
	if err := json.Unmarshal(body, &result); err != nil || result.AccessToken == nil || result.RefreshToken == nil {
		return errors.New("client: the answer has no tokens in its body")
	}
	now := a.now()
	tokens := &Tokens{
		SessionID: result.Session.ID, Generation: result.Generation, Access: *result.AccessToken, Refresh: *result.RefreshToken,
		ExpiresAt: now.Add(time.Duration(result.ExpiresIn) * time.Second), RefreshAt: now.Add(time.Duration(result.RefreshIn) * time.Second),
	}
	a.mu.Lock()
	before := a.tokens
	a.mu.Unlock()
	if before != nil && before.SessionID == tokens.SessionID && before.Generation == tokens.Generation {
		tokens.Attempt = before.Attempt // it is the same until the generation rises
		if soon := now.Add(decisionTime); again && soon.Before(tokens.RefreshAt) {
			tokens.RefreshAt = soon
		}
	} else {
		tokens.Attempt = newAttempt()
	}
	if err := a.storage.Save(ctx, tokens); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens, a.ended, a.loaded = tokens, nil, true
	return nil
}

// end forgets the session, unless another one has begun since. The caller has the turn.
func (a *Accounts) end(ctx context.Context, of *Tokens, reason error) error {
	stored, err := a.storage.Load(ctx)
	if err == nil && stored != nil && stored.SessionID == of.SessionID {
		err = a.storage.Save(ctx, nil)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens != nil && a.tokens.SessionID == of.SessionID {
		a.tokens, a.ended = nil, reason
	}
	return err
}

// patiently asks until there is an answer other than 503, and says whether a request
// was given up on the way. The server has promised that asking again does no harm.
func patiently(ctx context.Context, call func(context.Context) (*http.Response, error)) (body []byte, givenUp bool, err error) {
	end := time.Now().Add(retryTime)
	for wait := 500 * time.Millisecond; ; wait = min(2*wait, answerTime) {
		if body, err = once(ctx, call); err == nil {
			return body, givenUp, nil
		}
		pause := wait
		var refused *Error
		switch {
		case errors.Is(err, errEnough):
			return nil, givenUp, err
		case !errors.As(err, &refused):
			givenUp = true
		case refused.Status == http.StatusServiceUnavailable:
			pause = max(refused.RetryAfter, time.Second)
		default:
			return nil, givenUp, err
		}
		if time.Now().Add(pause).After(end) || sleep(ctx, pause) != nil {
			return nil, givenUp, err
		}
	}
}

// once makes one call, and reads its answer, within answerTime.
func once(ctx context.Context, call func(context.Context) (*http.Response, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return checked(call(ctx)) //nolint:bodyclose // checked closes it
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
