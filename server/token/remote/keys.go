package remote

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/accounts/server/token"
)

// ErrUnavailable means that there is no key to judge by: the accounts server has
// never answered, or not for an hour. It says nothing about the token.
var ErrUnavailable = errors.New("remote: no keys of the accounts server")

const (
	fetchTime = 5 * time.Second // for one fetch, from the name look-up to the last byte
	maxBody   = 64 << 10        // sixteen keys have 3 KiB

	// between the starts of two fetches, whoever asks for them
	minInterval = 10 * time.Second
	// how long keys are used without asking, if Cache-Control says nothing, less or more
	usualLife, minLife, maxLife = 5 * time.Minute, time.Minute, 15 * time.Minute
	// how long they are used if the server does not answer
	maxStale = time.Hour
)

// keys is the key set of the server, as it was fetched last.
//
// The threats:
//   - a flood of forged tokens, each with a kid of its own, that becomes a flood of
//     fetches: there is one at a time, and one in [minInterval], however many ask.
//   - a server that is away, slow or answers rubbish: the keys in hand go on for
//     [maxStale], so that tokens are judged as before, and nobody waits for more
//     than the one fetch that finds out. Not longer, since a key that was taken
//     out after a leak must not live on where its removal cannot be heard of.
//   - an answer that fills the memory, or leads elsewhere: bodies are bounded, and
//     redirects are not followed.
type keys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	set     map[string]ed25519.PublicKey // replaced as a whole, never changed
	fetched time.Time                    // when set was asked for
	due     time.Time                    // when it is to be asked for again
	tried   time.Time                    // the start of the last fetch
	failure error                        // of the last fetch
	flight  chan struct{}                // closed when the fetch under way has ended
}

// PublicKey looks in memory alone, as [token.KeySource] asks.
func (k *keys) PublicKey(kid string) (ed25519.PublicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.set[kid]
	return key, ok
}

// ready returns when there are keys to judge by. It waits for a fetch if there are
// none, or if they are due and the last fetch went well.
func (k *keys) ready(ctx context.Context) error {
	k.mu.Lock()
	now := k.now()
	if now.Before(k.due) {
		k.mu.Unlock()
		return nil
	}
	usable, away := k.usable(now), k.failure != nil
	flight := k.fetch(now)
	k.mu.Unlock()
	if usable && away {
		return nil
	}
	if !wait(ctx, flight) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.usable(now) {
		return fmt.Errorf("%w: %w", ErrUnavailable, k.failure)
	}
	return nil
}

// again fetches the keys once more, for a kid that they lack, and says whether it
// is worth another look.
func (k *keys) again(ctx context.Context) bool {
	k.mu.Lock()
	flight := k.fetch(k.now())
	k.mu.Unlock()
	return flight != nil && wait(ctx, flight)
}

func (k *keys) usable(now time.Time) bool {
	return k.set != nil && now.Before(k.fetched.Add(maxStale))
}

// fetch starts a fetch, or joins the one under way, with the lock held. Nil: it is
// too early for another. It ends by its own clock and not with the request that
// began it, since others wait for it too.
func (k *keys) fetch(now time.Time) <-chan struct{} {
	if k.flight != nil {
		return k.flight
	}
	if since := now.Sub(k.tried); since >= 0 && since < minInterval {
		return nil
	}
	k.tried, k.flight = now, make(chan struct{})
	go func() {
		set, life, err := k.get()
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.failure = err; err == nil {
			k.set, k.fetched, k.due = set, now, now.Add(life)
		}
		close(k.flight)
		k.flight = nil
	}()
	return k.flight
}

// wait returns true when the fetch has ended, or there is none.
func wait(ctx context.Context, flight <-chan struct{}) bool {
	if flight == nil {
		return true
	}
	select {
	case <-flight:
		return true
	case <-ctx.Done():
		return false
	}
}

func (k *keys) get() (map[string]ed25519.PublicKey, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, 0, err
	}
	answer, err := k.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("%s answers %s, and redirects are not followed", k.url, answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	if err != nil {
		return nil, 0, err
	}
	var set token.JWKS
	if len(body) > maxBody || json.Unmarshal(body, &set) != nil {
		return nil, 0, fmt.Errorf("%s is not a JSON Web Key Set", k.url)
	}
	found := set.PublicKeys()
	if len(found) == 0 {
		return nil, 0, fmt.Errorf("%s has no Ed25519 key; is it the JWKS of an accounts server?", k.url)
	}
	return found, lifeOf(answer.Header), nil
}

// lifeOf is how long an answer may be used without asking again (RFC 9111), within
// bounds: neither a mistake there nor a cache in between makes us ask at every
// request, or miss for a day that a key was taken out.
func lifeOf(header http.Header) time.Duration {
	life := usualLife
	for _, directive := range strings.Split(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minLife
		case "max-age":
			life = seconds(value) - seconds(header.Get("Age"))
		}
	}
	return min(max(life, minLife), maxLife)
}

func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
