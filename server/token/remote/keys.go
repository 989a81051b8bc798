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

// ErrUnavailable means that there are no keys to verify with: the accounts server has never
// answered, or not for an hour. It does not mean that the token is invalid.
var ErrUnavailable = errors.New("remote: no keys of the accounts server")

const (
	fetchTime = 5 * time.Second // for one fetch, from the DNS lookup to the last byte
	maxBody   = 64 << 10        // sixteen keys take 3 KiB

	// minimum interval between the starts of two fetches
	minInterval = 10 * time.Second
	// how long keys are used without a new fetch: the default, the minimum and the maximum
	usualLife, minLife, maxLife = 5 * time.Minute, time.Minute, 15 * time.Minute
	// how long they are used if the server does not answer
	maxStale = time.Hour
)

// keys is the key set of the server, as last fetched.
//
// Threats:
//   - A flood of forged tokens, each with its own kid, causes a flood of fetches. There is only one
//     fetch at a time, and one per [minInterval], for any number of callers.
//   - The server is down, slow or returns invalid answers. The current keys are used for
//     [maxStale], so that tokens are verified as before, and a caller waits for at most the one
//     fetch that detects the failure. The time is limited, so that a key that was removed after a
//     leak is not accepted indefinitely where the removal cannot be seen.
//   - An answer fills the memory, or redirects to another server. Bodies are bounded, and redirects
//     are not followed.
type keys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	set     map[string]ed25519.PublicKey // replaced as a whole, never changed
	fetched time.Time                    // when the fetch of set began
	due     time.Time                    // when the next fetch is due
	tried   time.Time                    // the start of the last fetch
	failure error                        // of the last fetch
	flight  chan struct{}                // closed when the current fetch ends
}

// PublicKey reads only memory, as [token.KeySource] requires.
func (k *keys) PublicKey(kid string) (ed25519.PublicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.set[kid]
	return key, ok
}

// waitForKeys waits until there are keys to verify with. It waits for a fetch if there are none, or
// if a fetch is due and the last one succeeded. Errors: [ErrUnavailable].
func (k *keys) waitForKeys(ctx context.Context) error {
	k.mu.Lock()
	now := k.now()
	if now.Before(k.due) {
		k.mu.Unlock()
		return nil
	}
	usable, away := k.isUsable(now), k.failure != nil
	flight := k.fetch(now)
	k.mu.Unlock()
	if usable && away {
		return nil
	}
	if !waitForFetch(ctx, flight) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.isUsable(now) {
		return fmt.Errorf("%w: %w", ErrUnavailable, k.failure)
	}
	return nil
}

// refetch fetches the keys for an unknown kid. It reports whether the caller should look for the
// kid again.
func (k *keys) refetch(ctx context.Context) bool {
	k.mu.Lock()
	flight := k.fetch(k.now())
	k.mu.Unlock()
	return flight != nil && waitForFetch(ctx, flight)
}

func (k *keys) isUsable(now time.Time) bool {
	return k.set != nil && now.Before(k.fetched.Add(maxStale))
}

// fetch starts a fetch, or joins the current one. The caller holds the lock. It returns nil if it
// is too early for another fetch. A fetch has its own timeout and does not end with the request
// that started it, because other requests wait for it too.
func (k *keys) fetch(now time.Time) <-chan struct{} {
	if k.flight != nil {
		return k.flight
	}
	if since := now.Sub(k.tried); since >= 0 && since < minInterval {
		return nil
	}
	k.tried, k.flight = now, make(chan struct{})
	go func() {
		set, life, err := k.download()
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

// waitForFetch returns true when the fetch has ended, or if there is none. It returns false if ctx
// ends first.
func waitForFetch(ctx context.Context, flight <-chan struct{}) bool {
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

func (k *keys) download() (map[string]ed25519.PublicKey, time.Duration, error) {
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
	return found, cacheLife(answer.Header), nil
}

// cacheLife returns how long an answer may be used without another fetch (RFC 9111), within bounds.
// Without them, a mistake at the server or in a cache on the way could cause a fetch for every
// request, or hide the removal of a key for a day.
func cacheLife(header http.Header) time.Duration {
	life := usualLife
	for _, directive := range strings.Split(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minLife
		case "max-age":
			life = parseSeconds(value) - parseSeconds(header.Get("Age"))
		}
	}
	return min(max(life, minLife), maxLife)
}

func parseSeconds(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
