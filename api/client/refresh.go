package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
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

// keeper keeps the tokens of a session: it loads them from the storage, refreshes them and stores the
// new ones. It is safe for concurrent use.
type keeper struct {
	plain   *Client // without authorization
	storage Storage
	now     func() time.Time
	turn    chan struct{} // holds an element while the session is being changed

	mu     sync.Mutex
	loaded bool
	tokens *Tokens // replaced as a whole, never modified
	ended  error   // why there are no tokens
	flight *flight
	later  time.Time // no early refresh before this time, because the last one failed
}

func newKeeper(storage Storage) *keeper {
	now := func() time.Time { return time.Now().UTC().Round(0) } // the monotonic clock may stop during sleep
	return &keeper{storage: storage, now: now, turn: make(chan struct{}, 1)}
}

// exclusively runs a task that changes the session. Only one such task runs at a time.
func (k *keeper) exclusively(ctx context.Context, task func() error) error {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
		return task()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restore loads the session from the storage, once.
func (k *keeper) restore(ctx context.Context) error {
	k.mu.Lock()
	loaded := k.loaded
	k.mu.Unlock()
	if loaded {
		return nil
	}
	return k.exclusively(ctx, func() error {
		_, err := k.newest(ctx)
		return err
	})
}

// newest loads the tokens from the storage, which another program may share and have changed, and
// returns them. It must run in [keeper.exclusively].
func (k *keeper) newest(ctx context.Context) (*Tokens, error) {
	stored, err := k.storage.Load(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = true
	switch {
	case stored == nil && k.tokens != nil:
		k.tokens, k.ended = nil, ErrSignedOut
	case stored != nil && !stored.same(k.tokens):
		k.tokens, k.ended = stored, nil
	}
	return k.tokens, nil
}

// fresh returns the tokens, with an access token that is valid for at least a second, or nil if
// there is no session. If a refresh is due but the access token is still valid, the refresh runs in
// the background.
func (k *keeper) fresh(ctx context.Context) (*Tokens, error) {
	if err := k.restore(ctx); err != nil {
		return nil, err
	}
	k.mu.Lock()
	tokens, now, later := k.tokens, k.now(), k.later
	k.mu.Unlock()
	switch {
	case tokens == nil:
		return nil, nil
	case !now.Before(tokens.ExpiresAt.Add(-time.Second)):
		return k.refresh(ctx, tokens)
	case !now.Before(tokens.RefreshAt) && !now.Before(later):
		k.start(tokens)
	}
	return tokens, nil
}

// refresh returns newer tokens than seen, which the caller knows already.
func (k *keeper) refresh(ctx context.Context, seen *Tokens) (*Tokens, error) {
	flight := k.start(seen)
	select {
	case <-flight.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if flight.err != nil {
		return nil, flight.err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tokens == nil {
		return nil, k.ended
	}
	return k.tokens, nil
}

// start starts a refresh of these tokens, or joins the one in progress. The refresh does not end
// with the request that started it: other requests wait for it too, and the server may already have
// decided a refresh that is canceled.
func (k *keeper) start(seen *Tokens) *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tokens != seen { // another goroutine was faster
		done := make(chan struct{})
		close(done)
		return &flight{done: done}
	}
	if k.flight != nil {
		return k.flight
	}
	f := &flight{done: make(chan struct{})}
	k.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), retryTime+answerTime+storageTime)
		defer cancel()
		f.err = k.exclusively(ctx, func() error { return k.renew(ctx, seen) })
		k.mu.Lock()
		defer k.mu.Unlock()
		k.flight = nil
		if f.err != nil {
			k.later = k.now().Add(retryLater)
		}
		close(f.done)
	}()
	return f
}

// renew refreshes the tokens, or finds that the session has ended. It must run in
// [keeper.exclusively].
func (k *keeper) renew(ctx context.Context, seen *Tokens) error {
	var tokens *Tokens
	var failure error
	body, givenUp, err := patiently(ctx, func(ctx context.Context) (*http.Response, error) {
		tokens, failure = k.newest(ctx) // each time, because the machine may have slept while another program refreshed
		if failure != nil || tokens == nil {
			return nil, errEnough
		}
		if tokens.Refresh != seen.Refresh && k.now().Before(tokens.RefreshAt) {
			return nil, errEnough // another program has refreshed, or a login ran before
		}
		return k.plain.RefreshToken(ctx, &RefreshTokenParams{RefreshAttempt: &tokens.Attempt}, RefreshTokenRequest{RefreshToken: &tokens.Refresh})
	})
	var refused *Error
	switch {
	case err == nil:
		if isNew, err := k.hasNewTokens(ctx, tokens); err != nil {
			return err
		} else if isNew {
			return k.renew(ctx, seen)
		}
		return k.keep(ctx, body, givenUp)
	case errors.Is(err, errEnough):
		return failure
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return errors.Join(err, k.end(ctx, tokens, err))
	}
	return err
}

// hasNewTokens reports whether the storage contains other tokens than those that were sent. In this
// case another program that shares the storage has refreshed, logged in or logged out while this
// one was asleep with its response. The response must not overwrite these tokens: the superseded
// token would count as stolen at its next use.
func (k *keeper) hasNewTokens(ctx context.Context, sent *Tokens) (bool, error) {
	stored, err := k.storage.Load(ctx)
	return err == nil && (stored == nil || stored.Refresh != sent.Refresh), err
}

// keep saves the tokens of a response, and then uses them. again means that a request that was
// given up may still rotate them. keep must run in [keeper.exclusively].
func (k *keeper) keep(ctx context.Context, body []byte, again bool) error {
	var result Refreshed
	if err := json.Unmarshal(body, &result); err != nil || result.AccessToken == nil || result.RefreshToken == nil {
		return errors.New("client: the answer has no tokens in its body")
	}
	now := k.now()
	tokens := &Tokens{
		SessionID: result.Session.ID, Generation: result.Generation, Access: *result.AccessToken, Refresh: *result.RefreshToken,
		ExpiresAt: now.Add(time.Duration(result.ExpiresIn) * time.Second), RefreshAt: now.Add(time.Duration(result.RefreshIn) * time.Second),
	}
	k.mu.Lock()
	before := k.tokens
	k.mu.Unlock()
	if before != nil && before.SessionID == tokens.SessionID && before.Generation == tokens.Generation {
		tokens.Attempt = before.Attempt // it stays the same until the generation changes
		if soon := now.Add(decisionTime); again && soon.Before(tokens.RefreshAt) {
			tokens.RefreshAt = soon
		}
	} else {
		tokens.Attempt = newAttempt()
	}
	if err := k.storage.Save(ctx, tokens); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens, k.ended, k.loaded = tokens, nil, true
	return nil
}

// end removes the session, unless another one has started since. It must run in
// [keeper.exclusively].
func (k *keeper) end(ctx context.Context, of *Tokens, reason error) error {
	stored, err := k.storage.Load(ctx)
	if err == nil && stored != nil && stored.SessionID == of.SessionID {
		err = k.storage.Save(ctx, nil)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tokens != nil && k.tokens.SessionID == of.SessionID {
		k.tokens, k.ended = nil, reason
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
