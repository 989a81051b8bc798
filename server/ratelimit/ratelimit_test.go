package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/accounts/models"
	"example.com/accounts/server/hosts"
	"example.com/accounts/server/ratelimit"
	"example.com/accounts/server/servertest"
)

// TestMain fails if a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a limiter over a new database, with a clock that the test moves.
type fixture struct {
	*ratelimit.Limiter
	db    *servertest.Database
	store *models.Store

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func eachEngine(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		t.Parallel()
		f := &fixture{db: servertest.NewDatabase(t, e), now: time.Now().UTC().Truncate(time.Microsecond)}
		var err error
		f.store, err = models.Open(t.Context(), options(t, f.db))
		must(t, err)
		t.Cleanup(func() { _ = f.store.Close() })
		_, err = f.store.Migrate(t.Context())
		must(t, err)
		f.Limiter = ratelimit.New(f.store, f.clock)
		test(t, f)
	})
}

func options(t *testing.T, db *servertest.Database) models.Options {
	t.Helper()
	o := models.Options{MaxConns: 8, Log: slog.New(slog.DiscardHandler)}
	if db.Engine == servertest.SQLite {
		o.SQLite = strings.TrimPrefix(db.URL, "sqlite:")
		return o
	}
	u, err := url.Parse(db.NextURL())
	must(t, err)
	password, _ := u.User.Password()
	o.MySQL = &models.MySQL{Addr: u.Host, User: u.User.Username(), Password: password, Name: u.Path[1:], TLS: "false"}
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantExceeded checks that err is the rejection of a limit until an instant.
func wantExceeded(t *testing.T, err error, kind string, until time.Time, inFlight bool) {
	t.Helper()
	var exceeded *ratelimit.Exceeded
	if !errors.As(err, &exceeded) || exceeded.Kind != kind || !exceeded.Until.Equal(until) || exceeded.InFlight != inFlight {
		t.Fatalf("got %#v, want the limit %s to be exceeded until %v, in flight %t", err, kind, until, inFlight)
	}
}

// hits returns the number of counted actions of a kind.
func (f *fixture) hits(t *testing.T, kind string) int64 {
	t.Helper()
	return f.db.Count(t, "SELECT COALESCE(SUM(hits), 0) FROM rate_limits WHERE kind = ?", kind)
}

// A limit permits N actions in a window, and again after it. A disabled limit permits any number and
// writes nothing.
func TestAllowPermitsNumberPerWindow(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		export := ratelimit.Limit{N: 2, Per: time.Hour}.For("export", "7")
		disabled := ratelimit.Limit{Per: time.Hour}.For("disabled", "7")
		end := f.clock().Add(time.Hour)
		for range 2 {
			must(t, f.Allow(t.Context(), export, disabled))
		}
		wantExceeded(t, f.Allow(t.Context(), export, disabled), "export", end, false)
		if is, err := f.IsExceeded(t.Context(), export); err != nil || !is {
			t.Errorf("IsExceeded: got %t, %v, want true", is, err)
		}
		must(t, f.Allow(t.Context(), ratelimit.Limit{N: 2, Per: time.Hour}.For("export", "8")))
		f.advance(time.Hour)
		must(t, f.Allow(t.Context(), export))
		if n := f.hits(t, "disabled"); n != 0 {
			t.Errorf("got %d hits of a disabled limit, want 0", n)
		}
	})
}

// If one limit is exceeded, none is counted.
func TestAllowCountsAllOrNone(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		full, other := ratelimit.Limit{N: 1, Per: time.Hour}.For("full", "7"), ratelimit.Limit{N: 9, Per: time.Hour}.For("other", "7")
		must(t, f.Allow(t.Context(), full))
		if err := f.Allow(t.Context(), other, full); !ratelimit.IsExceeded(err, "a", "full") || ratelimit.IsExceeded(err, "other") {
			t.Errorf("%v", err)
		}
		if n := f.hits(t, "other"); n != 0 {
			t.Errorf("got %d hits of the other limit, want 0", n)
		}
	})
}

// A refunded action does not count, even if the request has been canceled.
func TestRefundedActionDoesNotCount(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		one := ratelimit.Limit{N: 1, Per: time.Hour}.For("one", "7")
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			must(t, f.Allow(t.Context(), one))
			must(t, f.Refund(canceled, one))
		}
	})
}

// Count joins the caller's transaction.
func TestCountJoinsTransactionOfCaller(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		one := ratelimit.Limit{N: 1, Per: time.Hour}.For("one", "7")
		rollback := errors.New("roll back")
		for _, want := range []error{rollback, nil} {
			err := f.store.Tx(t.Context(), func(tx *models.Tx) error {
				if err := ratelimit.Count(tx, one); err != nil {
					return err
				}
				return want
			})
			if !errors.Is(err, want) {
				t.Fatalf("%v, want %v", err, want)
			}
		}
		err := f.store.Tx(t.Context(), func(tx *models.Tx) error { return ratelimit.Count(tx, one) })
		if !ratelimit.IsExceeded(err, "one") {
			t.Errorf("%v", err)
		}
	})
}

// An IPv6 client is counted by its /64 and, as eight clients, by its /48.
func TestForClientCountsBothNetworks(t *testing.T) {
	limit := ratelimit.Limit{N: 3, Per: time.Minute}
	if uses := limit.ForClient("login", hosts.Network{Narrow: "192.0.2.1", Wide: "192.0.2.1"}); len(uses) != 1 || uses[0].Kind != "login_client" || uses[0].Limit != 3 {
		t.Errorf("IPv4: got %+v", uses)
	}
	uses := limit.ForClient("login", hosts.Network{Narrow: "2001:db8:0:1::/64", Wide: "2001:db8::/48"})
	if len(uses) != 2 || uses[0].Limit != 3 || uses[1].Limit != 24 || uses[0].ID == uses[1].ID {
		t.Errorf("IPv6: got %+v", uses)
	}
	if limit.For("a", "7").ID == limit.For("b", "7").ID || limit.For("a", "7").ID != ratelimit.ID("a", "7") {
		t.Error("the ID is not derived from the kind and the subject")
	}
}

// The limiter remembers for a second which limits of clients are exceeded. Limits of accounts are
// read from the database each time, because another replica may have released them.
func TestExceededClientLimitsAreRemembered(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		limit := ratelimit.Limit{N: 1, Per: time.Hour}
		client, account := limit.ForClient("login", hosts.Network{Narrow: "192.0.2.1", Wide: "192.0.2.1"}), limit.For("login_account", "ada")
		for _, use := range append(client, account) {
			must(t, f.Allow(t.Context(), use))
			if err := f.Allow(t.Context(), use); !ratelimit.IsExceeded(err, use.Kind) {
				t.Fatal(err)
			}
		}
		f.db.Exec(t, "DELETE FROM rate_limits")
		if err := f.Allow(t.Context(), client...); !ratelimit.IsExceeded(err, "login_client") {
			t.Errorf("limit of a client: got %v, want it to be exceeded", err)
		}
		if err := f.AllowFromMemory(client...); !ratelimit.IsExceeded(err, "login_client") {
			t.Errorf("limit of a client, from memory alone: got %v, want it to be exceeded", err)
		}
		must(t, f.Allow(t.Context(), account))
		f.advance(time.Second)
		must(t, f.AllowFromMemory(client...))
		must(t, f.Allow(t.Context(), client...))
	})
}

func attempt(n int) ratelimit.Attempt {
	limit := ratelimit.Limit{N: n, Per: 15 * time.Minute}
	return ratelimit.Attempt{
		Secret:   []models.RateLimitUse{limit.For("own", "ada at home"), limit.For("common", "ada")},
		Client:   ratelimit.Limit{N: 100, Per: time.Hour}.ForClient("login", hosts.Network{Narrow: "192.0.2.1", Wide: "192.0.2.1"}),
		Verified: ratelimit.Limit{N: 100, Per: time.Hour}.ForClient("passwords", hosts.Network{Narrow: "192.0.2.1", Wide: "192.0.2.1"}),
	}
}

func wrong() (bool, error) { return false, nil }
func right() (bool, error) { return true, nil }

// A right attempt counts only as verified, a wrong one everywhere, and one that could not be
// verified nowhere.
func TestVerifyCountsByOutcome(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		busy := errors.New("busy")
		for _, c := range []struct {
			check func() (bool, error)
			right bool
			err   error
			want  [3]int64 // hits of own, login_client, passwords_client
		}{
			{right, true, nil, [3]int64{0, 0, 1}},
			{wrong, false, nil, [3]int64{1, 1, 2}},
			{func() (bool, error) { return false, busy }, false, busy, [3]int64{1, 1, 2}},
			{right, true, nil, [3]int64{1, 1, 3}},
		} {
			right, err := f.Verify(t.Context(), attempt(3), c.check)
			got := [3]int64{f.hits(t, "own"), f.hits(t, "login_client"), f.hits(t, "passwords_client")}
			if right != c.right || !errors.Is(err, c.err) || got != c.want || f.hits(t, "common") != 0 {
				t.Errorf("%t, %v, hits %v; want %t, %v, %v", right, err, got, c.right, c.err, c.want)
			}
		}
	})
}

// The limits of a secret are alternatives: after the first, the next one counts. When all are
// exceeded, check is not called, the error is the one that ends sooner, and the attempt counts for
// the client.
func TestVerifyTriesLimitsOfSecretInOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		end := f.clock().Add(15 * time.Minute)
		for range 2 {
			_, err := f.Verify(t.Context(), attempt(2), wrong)
			must(t, err)
		}
		f.advance(time.Minute) // the window of the common limit begins later
		for range 2 {
			_, err := f.Verify(t.Context(), attempt(2), wrong)
			must(t, err)
		}
		if own, common := f.hits(t, "own"), f.hits(t, "common"); own != 2 || common != 2 {
			t.Errorf("got %d hits of the first limit and %d of the second, want 2 each", own, common)
		}
		_, err := f.Verify(t.Context(), attempt(2), func() (bool, error) {
			t.Error("Verify called check although the limits are exceeded")
			return true, nil
		})
		wantExceeded(t, err, "own", end, false)
		if client, verified := f.hits(t, "login_client"), f.hits(t, "passwords_client"); client != 5 || verified != 4 {
			t.Errorf("%d hits of the client, want 5; %d verified, want 4", client, verified)
		}
	})
}

// While attempts that reach a limit are being verified, the rejection of a further one is not final.
// It is after they turned out to be wrong, or after the time of a verification if their server has
// stopped.
func TestVerifyIsUndecidedWhileAttemptsAreInFlight(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		one := func() ratelimit.Attempt {
			a := attempt(1)
			a.Secret = a.Secret[1:]
			return a
		}
		start := f.clock()
		_, err := f.Verify(t.Context(), one(), func() (bool, error) {
			_, err := f.Verify(t.Context(), one(), wrong)
			wantExceeded(t, err, "common", start.Add(time.Second), true)
			return false, nil
		})
		must(t, err)
		_, err = f.Verify(t.Context(), one(), right)
		wantExceeded(t, err, "common", start.Add(15*time.Minute), false)

		f.db.Exec(t, "UPDATE rate_limits SET last_at = ? WHERE kind = 'common'", start) // by another replica, which stops
		f.advance(5 * time.Second)
		_, err = f.Verify(t.Context(), one(), right)
		wantExceeded(t, err, "common", start.Add(15*time.Minute), false)
	})
}

// A network is known for both names of a user for 30 days, and not for a user who is inactive or has
// another name by now.
func TestKnownNetworkHoldsForBothNamesFor30Days(t *testing.T) {
	eachEngine(t, func(t *testing.T, f *fixture) {
		u := models.User{Username: "ada", UsernameNorm: "ada", Email: "ada@example.com", EmailNorm: "ada@example.com",
			Password: "hash", IsActive: true, DateJoined: f.clock(), SessionEpoch: 1}
		must(t, f.store.Tx(t.Context(), func(tx *models.Tx) error { return tx.CreateUser(&u) }))
		known := func(name, network string) time.Time {
			until, err := f.KnownNetwork(t.Context(), name, network)
			must(t, err)
			return until
		}
		for _, stale := range []models.User{
			{ID: u.ID + 1, UsernameNorm: u.UsernameNorm, EmailNorm: u.EmailNorm},
			{ID: u.ID, UsernameNorm: "old", EmailNorm: u.EmailNorm},
			{ID: u.ID, UsernameNorm: u.UsernameNorm, EmailNorm: "old@example.com"},
		} {
			must(t, f.AddKnownNetwork(t.Context(), stale, "home", time.Time{}))
			if until := known(stale.EmailNorm, "home"); !until.IsZero() {
				t.Errorf("the network is known for %+v", stale)
			}
		}
		must(t, f.AddKnownNetwork(t.Context(), u, "home", time.Time{}))
		first := f.clock().Add(30 * 24 * time.Hour)
		for _, name := range []string{u.UsernameNorm, u.EmailNorm} {
			if until := known(name, "home"); !until.Equal(first) {
				t.Errorf("%s: known until %v, want %v", name, until, first)
			}
		}
		if until := known(u.EmailNorm, "away"); !until.IsZero() {
			t.Errorf("another network is known until %v", until)
		}
		f.advance(23 * time.Hour)
		must(t, f.AddKnownNetwork(t.Context(), u, "home", first)) // it is renewed once a day
		if until := known(u.EmailNorm, "home"); !until.Equal(first) {
			t.Errorf("after 23 hours the network was renewed until %v", until)
		}
		f.advance(2 * time.Hour)
		must(t, f.AddKnownNetwork(t.Context(), u, "home", first))
		if until := known(u.EmailNorm, "home"); !until.Equal(first.Add(25 * time.Hour)) {
			t.Errorf("after 25 hours the network is known until %v", until)
		}
		f.advance(30 * 24 * time.Hour)
		if until := known(u.EmailNorm, "home"); !until.IsZero() {
			t.Errorf("the network is known until %v, which has passed", until)
		}
		f.db.Exec(t, "UPDATE users SET is_active = ?", false)
		must(t, f.AddKnownNetwork(t.Context(), u, "work", time.Time{}))
		if until := known(u.EmailNorm, "work"); !until.IsZero() {
			t.Error("the network of an inactive user is known")
		}
	})
}
