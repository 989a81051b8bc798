package credentials

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/accounts/server/hosts"
)

// cheap keeps the tests fast. Nothing in the package depends on the cost.
var cheap = Params{Memory: 64, Time: 1, Threads: 1}

func newCheap() *Hasher { return NewHasher(cheap, 2, 2, time.Second) }

func mustHash(t *testing.T, h *Hasher, password string) string {
	t.Helper()
	encoded, err := h.Hash(t.Context(), hosts.Network{}, password)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestVerifyMatchesExactPasswordOnly(t *testing.T) {
	t.Attr("control", "4")
	h := newCheap()
	long := strings.Repeat("a", 72)
	passwords := []string{"correct horse", " correct horse", "correct horse ", "Correct horse", long + "X", long + "Y",
		"caf\u00e9", "cafe\u0301", "", "a\x00b", "a"}
	for _, typed := range passwords {
		encoded := mustHash(t, h, typed)
		for _, tried := range passwords {
			ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, encoded, tried)
			if err != nil || rehash || ok != (typed == tried) {
				t.Errorf("hash of %q, verify %q: ok %v, rehash %v, err %v", typed, tried, ok, rehash, err)
			}
		}
	}
}

func TestHashIsSaltedPHC(t *testing.T) {
	h := newCheap()
	a, b := mustHash(t, h, "correct horse"), mustHash(t, h, "correct horse")
	if a == b {
		t.Fatal("two hashes of one password are equal")
	}
	if !strings.HasPrefix(a, "$argon2id$v=19$m=64,t=1,p=1$") || len(a) != len("$argon2id$v=19$m=64,t=1,p=1$")+22+1+43 {
		t.Fatalf("shape: %s", a)
	}
}

// Hashes of other servers are verified. The vector is from the reference implementation
// (phc-winner-argon2 test.c).
func TestVerifyAcceptsReferenceHash(t *testing.T) {
	const encoded = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	h := newCheap()
	if ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, encoded, "password"); !ok || !rehash || err != nil {
		t.Fatalf("ok %v, rehash %v (its salt has 8 bytes), err %v", ok, rehash, err)
	}
}

func TestVerifyReportsWeakerHashForRehash(t *testing.T) {
	t.Attr("control", "9")
	for _, test := range []struct {
		old, now Params
		want     bool
	}{
		{Params{64, 1, 1}, Params{64, 1, 1}, false},
		{Params{64, 1, 1}, Params{128, 1, 1}, true},
		{Params{64, 1, 1}, Params{64, 2, 1}, true},
		{Params{128, 2, 1}, Params{64, 1, 1}, false},
		{Params{64, 1, 1}, Params{64, 1, 2}, false},
	} {
		encoded := mustHash(t, NewHasher(test.old, 1, 0, 0), "correct horse")
		h := NewHasher(test.now, 1, 0, 0)
		if ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, encoded, "correct horse"); !ok || rehash != test.want || err != nil {
			t.Errorf("%v under %v: ok %v, rehash %v, err %v", test.old, test.now, ok, rehash, err)
		}
		if ok, rehash, _ := h.Verify(t.Context(), hosts.Network{}, encoded, "wrong"); ok || rehash {
			t.Errorf("%v under %v, wrong password: ok %v, rehash %v", test.old, test.now, ok, rehash)
		}
	}
}

// Even a password whose hash equals the dummy hash must not log in a missing user, so the result is
// always false.
func TestUnknownUserMatchesNoPassword(t *testing.T) {
	h := newCheap()
	for _, password := range []string{"", "correct horse", strings.Repeat("a", 1<<16)} {
		if ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, "", password); ok || rehash || err != nil {
			t.Errorf("ok %v, rehash %v, err %v", ok, rehash, err)
		}
	}
}

func TestUnknownUserCostsTheSame(t *testing.T) {
	t.Attr("control", "13")
	h := NewHasher(Params{4096, 1, 1}, 1, 0, 0)
	encoded := mustHash(t, h, "correct horse")
	known, err := parsePHC(encoded)
	if unknown := h.dummyHash(); err != nil || unknown.params != known.params || len(unknown.salt) != len(known.salt) || len(unknown.key) != len(known.key) {
		t.Errorf("an unknown user costs %v, a known user %v (%v)", unknown.params, known.params, err)
	}
	before := h.Stats().Computed
	for i, each := range []string{encoded, ""} {
		if _, _, err := h.Verify(t.Context(), hosts.Network{}, each, "wrong"); err != nil || h.Stats().Computed != before+int64(i)+1 {
			t.Errorf("%q: %d hashes (%v)", each, h.Stats().Computed-before, err)
		}
	}
	fastest := func(encoded string) time.Duration {
		best := time.Hour
		for range 8 {
			start := time.Now()
			if _, _, err := h.Verify(t.Context(), hosts.Network{}, encoded, "wrong"); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	// The tolerance is wide, because the machine is shared. Without the hash, the time differs by a
	// factor of 1000.
	took, tookUnknown := fastest(encoded), fastest("")
	if ratio := float64(tookUnknown) / float64(took); ratio < 0.5 || ratio > 2 {
		t.Fatalf("unknown user %v, known user %v", tookUnknown, took)
	}
}

func TestVerifyRejectsHostileHashes(t *testing.T) {
	t.Attr("control", "9")
	const salt, key = "c29tZXNhbHRzb21lc2FsdA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	phc := func(cost, salt, key string) string { return "$argon2id$v=19$" + cost + "$" + salt + "$" + key }
	good := phc("m=64,t=1,p=1", salt, key)
	h := newCheap()
	if _, _, err := h.Verify(t.Context(), hosts.Network{}, good, "x"); err != nil {
		t.Fatalf("the unmodified hash is rejected: %v", err)
	}
	for encoded, want := range map[string]error{
		phc("m=4194304,t=2,p=1", salt, key):                       ErrTooCostly,
		phc("m=262145,t=1,p=1", salt, key):                        ErrTooCostly,
		phc("m=4294967360,t=1,p=1", salt, key):                    ErrTooCostly, // 64 in 32 bits
		phc("m=64,t=17,p=1", salt, key):                           ErrTooCostly,
		phc("m=1024,t=1,p=17", salt, key):                         ErrTooCostly,
		phc("m=4096,t=1,p=257", salt, key):                        ErrTooCostly, // 1 in 8 bits
		phc("m=99999999999999999999,t=1,p=1", salt, key):          ErrMalformed,
		phc("m=64,t=0,p=1", salt, key):                            ErrMalformed,
		phc("m=64,t=1,p=0", salt, key):                            ErrMalformed,
		phc("m=7,t=1,p=1", salt, key):                             ErrMalformed,
		phc("m=15,t=1,p=2", salt, key):                            ErrMalformed,
		phc("m=064,t=1,p=1", salt, key):                           ErrMalformed,
		phc("m=+64,t=1,p=1", salt, key):                           ErrMalformed,
		phc("m=-64,t=1,p=1", salt, key):                           ErrMalformed,
		phc("t=1,m=64,p=1", salt, key):                            ErrMalformed,
		phc("m=64,t=1", salt, key):                                ErrMalformed,
		phc("m=64,t=1,p=1,keyid=x", salt, key):                    ErrMalformed,
		phc("m=64,t=1,p=1 ", salt, key):                           ErrMalformed,
		phc("m=64,t=1,p=1", "c2FsdA", key):                        ErrMalformed,
		phc("m=64,t=1,p=1", "", key):                              ErrMalformed,
		phc("m=64,t=1,p=1", strings.Repeat("A", 88), key):         ErrMalformed,
		phc("m=64,t=1,p=1", salt+"==", key):                       ErrMalformed,
		phc("m=64,t=1,p=1", salt, ""):                             ErrMalformed,
		phc("m=64,t=1,p=1", salt, "AAAAAAAAAAAAAAAAAAAA"):         ErrMalformed,
		phc("m=64,t=1,p=1", salt, strings.Repeat("A", 88)):        ErrMalformed,
		phc("m=64,t=1,p=1", salt, key[:42]+"B"):                   ErrMalformed,
		phc("m=64,t=1,p=1", salt, key[:20]+"\n"+key[20:]):         ErrMalformed,
		phc("m=64,t=1,p=1", salt, "_"+key[1:]):                    ErrMalformed,
		good + "$":                                                ErrMalformed,
		good + "\n":                                               ErrMalformed,
		" " + good:                                                ErrMalformed,
		"x" + good:                                                ErrMalformed,
		strings.Replace(good, "v=19", "v=16", 1):                  ErrMalformed,
		strings.Replace(good, "v=19$", "", 1):                     ErrMalformed,
		strings.Replace(good, "argon2id", "argon2i", 1):           ErrMalformed,
		strings.Replace(good, "argon2id", "argon2d", 1):           ErrMalformed,
		strings.Replace(good, "argon2id", "ARGON2ID", 1):          ErrMalformed,
		"$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0": ErrMalformed,
		"pbkdf2_sha256$600000$salt$hash":                          ErrMalformed,
		"correct horse":                                           ErrMalformed,
		"$$$$$":                                                   ErrMalformed,
		"$":                                                       ErrMalformed,
		"\x00":                                                    ErrMalformed,
		strings.Repeat("$", 1<<20):                                ErrMalformed,
		phc("m=64,t=1,p=1", salt, strings.Repeat("A", 1<<20)):     ErrMalformed,
	} {
		before := h.Stats().Computed
		ok, rehash, err := h.Verify(t.Context(), hosts.Network{}, encoded, "correct horse")
		if ok || rehash || !errors.Is(err, want) || h.Stats().Computed != before {
			t.Errorf("%.80q: ok %v, rehash %v, err %v, want %v and nothing computed", encoded, ok, rehash, err, want)
		}
	}
}

// The bounds themselves are accepted, and 16 lanes are computed.
func TestVerifyAcceptsHighestCost(t *testing.T) {
	s := storedHash{Params{262144, 16, 16}, make([]byte, 64), make([]byte, 64)}
	if _, err := parsePHC(s.encode()); err != nil {
		t.Fatalf("%d bytes: %v", len(s.encode()), err)
	}
	s.params = Params{128, 1, 16}
	if ok, _, err := newCheap().Verify(t.Context(), hosts.Network{}, s.encode(), "x"); ok || err != nil {
		t.Fatal(ok, err)
	}
}

// The test counts the goroutines in argon2 by their stacks, so that it checks the computation
// itself and not a counter of the package.
func TestHashesComputedAtOnceAreBounded(t *testing.T) {
	t.Attr("control", "81")
	const slots, callers = 3, 24
	h := NewHasher(Params{1024, 4, 1}, slots, callers, time.Minute)
	encoded := mustHash(t, h, "correct horse")
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = h.Hash(t.Context(), hosts.Network{}, "correct horse")
			} else {
				_, _, err = h.Verify(t.Context(), hosts.Network{}, encoded, "wrong")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	most, stacks := 0, make([]byte, 1<<20)
	for {
		most = max(most, strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "argon2.IDKey("))
		select {
		case <-done:
			if most != slots {
				t.Fatalf("%d hashes computed at once, want %d", most, slots)
			}
			if running, waiting := h.queue.stats(); running != 0 || waiting != 0 {
				t.Fatalf("%d slots and %d queue places are still in use", running, waiting)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

// occupy takes a slot, like a running hash.
func occupy(t *testing.T, h *Hasher) {
	t.Helper()
	if w, err := h.queue.enter(hosts.Network{}); w != nil || err != nil {
		t.Fatal("no slot is free")
	}
}

// try starts a Hash and returns the channel for its error.
func try(ctx context.Context, h *Hasher) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := h.Hash(ctx, hosts.Network{}, "correct horse")
		result <- err
	}()
	return result
}

func TestFullQueueIsBusyAtOnce(t *testing.T) {
	t.Attr("control", "81")
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(cheap, 1, 2, time.Second)
		occupy(t, h)
		first, second := try(t.Context(), h), try(t.Context(), h)
		synctest.Wait()
		start := time.Now()
		if _, err := h.Hash(t.Context(), hosts.Network{}, "correct horse"); !errors.Is(err, ErrBusy) || time.Since(start) != 0 {
			t.Fatalf("third caller: %v after %v", err, time.Since(start))
		}
		if _, _, err := h.Verify(t.Context(), hosts.Network{}, "", "correct horse"); !errors.Is(err, ErrBusy) {
			t.Fatalf("unknown user: %v", err)
		}
		h.queue.release()
		if err := errors.Join(<-first, <-second); err != nil {
			t.Fatalf("waiting callers: %v", err)
		}
		if running, waiting := h.queue.stats(); running != 0 || waiting != 0 {
			t.Fatal("a slot or queue place is still in use")
		}
	})
}

func TestLongWaitEndsInBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(cheap, 1, 1, 700*time.Millisecond)
		occupy(t, h)
		start := time.Now()
		if err := <-try(t.Context(), h); !errors.Is(err, ErrBusy) || time.Since(start) != 700*time.Millisecond {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if h.Stats().Waiting != 0 {
			t.Fatal("its place in the queue is still in use")
		}
	})
}

func TestCanceledCallerLeavesQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(cheap, 1, 1, time.Minute)
		occupy(t, h)
		ctx, cancel := context.WithCancel(t.Context())
		waiting := try(ctx, h)
		synctest.Wait()
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if h.Stats().Waiting != 0 {
			t.Fatal("its place in the queue is still in use")
		}
		h.queue.release()
		if err := <-try(ctx, h); !errors.Is(err, context.Canceled) {
			t.Fatalf("canceled before it began, with free slots: %v", err)
		}
	})
}

func TestNewHasherRejectsImpossibleBounds(t *testing.T) {
	for _, make := range []func(){
		func() { NewHasher(Params{}, 1, 0, 0) },
		func() { NewHasher(Params{maxMemory + 1, 1, 1}, 1, 0, 0) },
		func() { NewHasher(cheap, 0, 0, 0) },
		func() { NewHasher(cheap, 1, -1, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make()
		}()
	}
}

func FuzzVerifyEncoded(f *testing.F) {
	h := newCheap()
	encoded, _ := h.Hash(f.Context(), hosts.Network{}, "correct horse")
	f.Add(encoded)
	f.Add("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$$")
	f.Add("")
	f.Fuzz(func(t *testing.T, encoded string) {
		s, err := parsePHC(encoded)
		if err == nil && (s.encode() != encoded || !s.params.isValid()) {
			t.Fatalf("accepted, but %q is not canonical or too costly", encoded)
		}
		if err == nil && s.params.Memory*s.params.Time > 4096 {
			return // allowed, but slow
		}
		ok, rehash, verifyErr := h.Verify(t.Context(), hosts.Network{}, encoded, "fuzz")
		if ok || rehash {
			t.Fatalf("%q accepts a password", encoded)
		}
		if encoded != "" && fmt.Sprint(verifyErr) != fmt.Sprint(err) {
			t.Fatalf("parse returns %v, Verify returns %v", err, verifyErr)
		}
	})
}
