package credentials

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"example.com/accounts/server/hosts"
)

// ErrBusy means that every hash slot is in use and the queue is full or the wait was too long.
// Nothing was computed. The caller can retry after about a second.
var ErrBusy = errors.New("credentials: too many passwords are being hashed")

// Params are the cost of one hash (RFC 9106 §3.1).
type Params struct {
	Memory  uint32 // KiB
	Time    uint32 // passes over the memory
	Threads uint8  // lanes, computed in parallel
}

// Default is the minimum that the OWASP Password Storage Cheat Sheet allows.
var Default = Params{19456, 2, 1}

// isValid reports whether Argon2id is defined for p (RFC 9106 §3.1) and Verify would compute it.
func (p Params) isValid() bool {
	return p.Time >= 1 && p.Time <= maxTime &&
		p.Threads >= 1 && p.Threads <= maxThreads &&
		p.Memory >= 8*uint32(p.Threads) && p.Memory <= maxMemory
}

// Hasher hashes and verifies passwords, a bounded number at a time. It is safe
// for concurrent use.
type Hasher struct {
	params Params
	queue  queue
	done   atomic.Int64 // hashes computed
}

// NewHasher returns a Hasher that computes at most slots hashes at once, each with about p.Memory
// KiB. At most as many callers as there are places wait for a slot, each for at most the duration
// wait. NewHasher panics if p is outside the range that Verify computes or if slots is not
// positive, because such a call is a bug in the program.
func NewHasher(p Params, slots, places int, wait time.Duration) *Hasher {
	if !p.isValid() || slots < 1 || places < 0 {
		panic("credentials: NewHasher with impossible bounds")
	}
	h := &Hasher{params: p}
	h.queue.slots, h.queue.places, h.queue.wait = slots, places, wait
	return h
}

// Hash returns the PHC string of password under a new random salt. It applies no policy, so call
// CheckPolicy first. The argument from is the client's network, because the slots are shared fairly
// among networks; see queue.
//
// Errors: ErrBusy, or the context's error if it ends before a slot is free.
func (h *Hasher) Hash(ctx context.Context, from hosts.Network, password string) (string, error) {
	s := storedHash{params: h.params, salt: make([]byte, saltLength)}
	rand.Read(s.salt) // never fails; see its documentation
	key, err := h.derive(ctx, from, password, s.salt, s.params, keyLength)
	if err != nil {
		return "", err
	}
	s.key = key
	return s.encode(), nil
}

// Verify reports whether password matches encoded and, if so, whether it should be hashed again
// because encoded is weaker than the hashes that Hash writes now.
//
// An empty encoded means "no such user", and an unusable one a user without a password. For both,
// Verify computes one hash with the current parameters and returns false, so that the time does not
// reveal which users exist. A user whose hash has other parameters or was written by Django takes a
// different time until the next login replaces the hash. So an attacker can measure which names
// belong to imported users who have not logged in since the import; the caps on the cost bound the
// difference. For the same reason Verify does not check the length of password: a very long one
// costs the same as any other and matches nothing. The HTTP contract limits it earlier.
//
// Errors: ErrBusy; the context's error if it ends before a slot is free; ErrMalformed or
// ErrTooCostly, without delay, if encoded is not a hash that this server would write or compute.
func (h *Hasher) Verify(ctx context.Context, from hosts.Network, encoded, password string) (ok, rehash bool, err error) {
	if isDjango(encoded) {
		ok, err := h.verifyDjango(ctx, from, encoded, password)
		return ok, ok, err
	}
	known := IsUsable(encoded)
	s := h.dummyHash()
	if known {
		if s, err = parsePHC(encoded); err != nil {
			return false, false, err
		}
	}
	key, err := h.derive(ctx, from, password, s.salt, s.params, uint32(len(s.key)))
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(key, s.key) == 1
	ok = same && known
	return ok, ok && h.isWeaker(s), nil
}

// verifyDjango reports whether password matches a hash that Django has written. A match must always
// be hashed again.
func (h *Hasher) verifyDjango(ctx context.Context, from hosts.Network, encoded, password string) (bool, error) {
	matches, err := parseDjango(encoded)
	if err != nil {
		return false, err
	}
	if err := h.queue.acquire(ctx, from); err != nil {
		return false, err
	}
	defer h.queue.release()
	h.done.Add(1)
	return matches([]byte(password)), nil
}

// dummyHash returns the hash that is computed for a user who does not exist.
func (h *Hasher) dummyHash() storedHash {
	return storedHash{h.params, make([]byte, saltLength), make([]byte, keyLength)}
}

// isWeaker reports whether s has less memory, fewer passes or shorter values than the hashes that
// Hash writes now. The number of lanes affects the speed, not the strength.
func (h *Hasher) isWeaker(s storedHash) bool {
	return s.params.Memory < h.params.Memory || s.params.Time < h.params.Time ||
		len(s.salt) < saltLength || len(s.key) < keyLength
}

// derive computes a hash while it holds a slot. Errors: ErrBusy, or the context's error if it ends
// before a slot is free.
func (h *Hasher) derive(ctx context.Context, from hosts.Network, password string, salt []byte, p Params, length uint32) ([]byte, error) {
	if err := h.queue.acquire(ctx, from); err != nil {
		return nil, err
	}
	defer h.queue.release()
	h.done.Add(1)
	return argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, length), nil
}

// IsFull reports whether a call from this network would return ErrBusy now. Callers use it before
// they query the database, so that a storm of logins does not load the database too.
func (h *Hasher) IsFull(from hosts.Network) bool { return h.queue.isFull(from) }

// Stats holds the number of hashes being computed and of waiting callers, the limits of both, and
// the number of hashes computed so far.
type Stats struct {
	Running, Waiting, Slots, Queue int
	Computed                       int64
}

// Stats returns the current statistics.
func (h *Hasher) Stats() Stats {
	running, waiting := h.queue.stats()
	return Stats{running, waiting, h.queue.slots, h.queue.places, h.done.Load()}
}
