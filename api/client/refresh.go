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
// has passed. The server executes a request that was given up within decisionTime after it was
// sent, or never, so such a request can rotate the tokens after its retry was answered with the
// current ones. After decisionTime the client therefore refreshes once more (invariant 6 of the
// server's design: R = 15 s, Q = 10 s).
const (
	answerTime   = 4 * time.Second
	retryTime    = 15 * time.Second
	decisionTime = 10 * time.Second
	retryLater   = 5 * time.Second
	storageTime  = 10 * time.Second
)

// errNotNeeded stops the retries, because no refresh is needed.
var errNotNeeded = errors.New("enough")

// flight is a refresh in progress, for which several goroutines may wait.
type flight struct {
	done chan struct{}
	err  error
}

// keeper keeps the tokens of a session: it loads them from the storage, refreshes them and stores
// the new ones. It is safe for concurrent use.
type keeper struct {
	plain   *Client // without authorization
	storage Storage
	now     func() time.Time
	turn    chan struct{} // holds an element while the session is being changed

	mu        sync.Mutex
	loaded    bool
	tokens    *Tokens // replaced as a whole, never modified
	endReason error   // why there are no tokens
	flight    *flight
	notBefore time.Time // no early refresh before this time, because the last one failed
}

func newKeeper(storage Storage) *keeper {
	now := func() time.Time { return time.Now().UTC().Round(0) } // the monotonic clock may stop during sleep
	return &keeper{storage: storage, now: now, turn: make(chan struct{}, 1)}
}

// runExclusively runs a task that changes the session. Only one such task runs at a time.
func (k *keeper) runExclusively(ctx context.Context, task func() error) error {
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
	return k.runExclusively(ctx, func() error {
		_, err := k.loadTokens(ctx)
		return err
	})
}

// loadTokens loads the tokens from the storage, because another program may share the storage and
// have changed them. It must run in [keeper.runExclusively].
func (k *keeper) loadTokens(ctx context.Context) (*Tokens, error) {
	stored, err := k.storage.Load(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = true
	switch {
	case stored == nil && k.tokens != nil:
		k.tokens, k.endReason = nil, ErrSignedOut
	case stored != nil && !stored.equal(k.tokens):
		k.tokens, k.endReason = stored, nil
	}
	return k.tokens, nil
}

// freshTokens returns the tokens, with an access token that is valid for at least a second, or nil
// if there is no session. If a refresh is due but the access token is still valid, the refresh runs
// in the background.
func (k *keeper) freshTokens(ctx context.Context) (*Tokens, error) {
	if err := k.restore(ctx); err != nil {
		return nil, err
	}
	k.mu.Lock()
	tokens, now, later := k.tokens, k.now(), k.notBefore
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

// refresh returns tokens that are newer than seen, the tokens that the caller has. It refreshes
// them unless another goroutine has done so since.
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
		return nil, k.endReason
	}
	return k.tokens, nil
}

// start starts a refresh of these tokens, or returns the one in progress. The refresh is not
// canceled with the request that started it: other requests wait for it too, and the server may
// have rotated the tokens already.
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
		f.err = k.runExclusively(ctx, func() error { return k.renew(ctx, seen) })
		k.mu.Lock()
		defer k.mu.Unlock()
		k.flight = nil
		if f.err != nil {
			k.notBefore = k.now().Add(retryLater)
		}
		close(f.done)
	}()
	return f
}

// renew refreshes the tokens, or finds that the session has ended. It must run in
// [keeper.runExclusively].
func (k *keeper) renew(ctx context.Context, seen *Tokens) error {
	var tokens *Tokens
	var failure error
	body, givenUp, err := retry(ctx, func(ctx context.Context) (*http.Response, error) {
		tokens, failure = k.loadTokens(ctx) // each time, because the machine may have slept while another program refreshed
		if failure != nil || tokens == nil {
			return nil, errNotNeeded
		}
		if tokens.Refresh != seen.Refresh && k.now().Before(tokens.RefreshAt) {
			return nil, errNotNeeded // another program has refreshed, or a login ran before
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
	case errors.Is(err, errNotNeeded):
		return failure
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return errors.Join(err, k.end(ctx, tokens, err))
	}
	return err
}

// hasNewTokens reports whether the storage contains other tokens than those that were sent. If so,
// another program that shares the storage has refreshed, logged in or logged out while this program
// was suspended before it could save its response. The tokens of that response are superseded. They
// must not overwrite the newer ones, because their next use would count as reuse.
func (k *keeper) hasNewTokens(ctx context.Context, sent *Tokens) (bool, error) {
	stored, err := k.storage.Load(ctx)
	return err == nil && (stored == nil || stored.Refresh != sent.Refresh), err
}

// keep saves the tokens of a response, and then uses them. mayRotate means that a request that was
// given up may still rotate them. keep must run in [keeper.runExclusively].
func (k *keeper) keep(ctx context.Context, body []byte, mayRotate bool) error {
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
		if soon := now.Add(decisionTime); mayRotate && soon.Before(tokens.RefreshAt) {
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
	k.tokens, k.endReason, k.loaded = tokens, nil, true
	return nil
}

// end removes the session, unless another one has started since. It must run in
// [keeper.runExclusively].
func (k *keeper) end(ctx context.Context, of *Tokens, reason error) error {
	stored, err := k.storage.Load(ctx)
	if err == nil && stored != nil && stored.SessionID == of.SessionID {
		err = k.storage.Save(ctx, nil)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tokens != nil && k.tokens.SessionID == of.SessionID {
		k.tokens, k.endReason = nil, reason
	}
	return err
}

// retry repeats a call until there is a response other than 503, and reports whether a request was
// given up. The server guarantees that retries are harmless.
func retry(ctx context.Context, call func(context.Context) (*http.Response, error)) (body []byte, givenUp bool, err error) {
	end := time.Now().Add(retryTime)
	for wait := 500 * time.Millisecond; ; wait = min(2*wait, answerTime) {
		if body, err = tryOnce(ctx, call); err == nil {
			return body, givenUp, nil
		}
		pause := wait
		var refused *Error
		switch {
		case errors.Is(err, errNotNeeded):
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

// tryOnce makes one call and reads its response, within answerTime.
func tryOnce(ctx context.Context, call func(context.Context) (*http.Response, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return readSuccess(call(ctx)) //nolint:bodyclose // readSuccess closes it
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
