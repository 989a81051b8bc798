package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// The client gives up a request without a response after answerTime, and retries until retryTime
// has passed. The server decides a given-up request within decisionTime after it was sent, or
// never. The client then refreshes once more, because that request may have rotated the tokens
// after its own retry was answered (invariant 6 of the server's design: R = 15 s, Q = 10 s).
const (
	answerTime   = 4 * time.Second
	retryTime    = 15 * time.Second
	decisionTime = 10 * time.Second
	retryLater   = 5 * time.Second
	storageTime  = 10 * time.Second
)

// errEnough stops the retries, because no refresh is needed.
var errEnough = errors.New("enough")

// flight is a refresh in progress. Other goroutines wait for it too.
type flight struct {
	done chan struct{}
	err  error
}

// restore loads the session from the storage, once.
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

// newest loads the tokens from the storage, which another program may share and have changed, and
// returns them. It must run in [Accounts.exclusively].
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

// fresh returns the tokens, with an access token that is valid for at least a second, or nil if
// there is no session. If a refresh is due but the access token is still valid, the refresh runs in
// the background.
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

// Refresh refreshes the tokens now. Programs rarely need it.
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

// refresh returns newer tokens than seen, which the caller knows already.
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

// start starts a refresh of these tokens, or joins the one in progress. The refresh does not end
// with the request that started it: other requests wait for it too, and the server may already have
// decided a refresh that is canceled.
func (a *Accounts) start(seen *Tokens) *flight {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens != seen { // another goroutine was faster
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

// renew refreshes the tokens, or finds that the session has ended. It must run in
// [Accounts.exclusively].
func (a *Accounts) renew(ctx context.Context, seen *Tokens) error {
	var tokens *Tokens
	var failure error
	body, givenUp, err := patiently(ctx, func(ctx context.Context) (*http.Response, error) {
		tokens, failure = a.newest(ctx) // each time, because the machine may have slept while another program refreshed
		if failure != nil || tokens == nil {
			return nil, errEnough
		}
		if tokens.Refresh != seen.Refresh && a.now().Before(tokens.RefreshAt) {
			return nil, errEnough // another program has refreshed, or a login ran before
		}
		return a.plain.RefreshToken(ctx, &RefreshTokenParams{RefreshAttempt: &tokens.Attempt}, RefreshTokenRequest{RefreshToken: &tokens.Refresh})
	})
	var refused *Error
	switch {
	case err == nil:
		if isNew, err := a.hasNewTokens(ctx, tokens); err != nil {
			return err
		} else if isNew {
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

// hasNewTokens reports whether the storage contains other tokens than those that were sent. In this
// case another program that shares the storage has refreshed, logged in or logged out while this
// one was asleep with its response. The response must not overwrite these tokens: the superseded
// token would count as stolen at its next use.
func (a *Accounts) hasNewTokens(ctx context.Context, sent *Tokens) (bool, error) {
	stored, err := a.storage.Load(ctx)
	return err == nil && (stored == nil || stored.Refresh != sent.Refresh), err
}

// keep saves the tokens of a response, and then uses them. again means that a request that was
// given up may still rotate them. keep must run in [Accounts.exclusively].
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
		tokens.Attempt = before.Attempt // it stays the same until the generation changes
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

// end removes the session, unless another one has started since. It must run in
// [Accounts.exclusively].
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

// patiently repeats a call until there is a response other than 503, and reports whether a request
// was given up. The server guarantees that retries are harmless.
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

// once makes one call and reads its response, within answerTime.
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
