package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/argon2"

	"example.com/accounts/scripts/harness"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/token"
)

const (
	readers    = 16
	refreshers = 32
	warmUp     = 300 * time.Millisecond
)

// side is the product or its counterpart, with the results of its turns.
type side struct {
	what  string
	take  func(ctx context.Context, d time.Duration) (turn, error)
	turns []turn
}

// pair is a comparison of the product with a counterpart, and the target for the ratio.
type pair struct {
	name          string
	target        float64
	product, bare side
}

func (p *pair) run(ctx context.Context, d time.Duration, bareFirst bool) error {
	order := []*side{&p.product, &p.bare}
	if bareFirst {
		order[0], order[1] = order[1], order[0]
	}
	for _, s := range order {
		if len(s.turns) == 0 {
			if _, err := s.take(ctx, warmUp); err != nil {
				return err
			}
		}
		t, err := s.take(ctx, d)
		if err != nil {
			return err
		}
		s.turns = append(s.turns, t)
	}
	return nil
}

// runPairs runs the rounds of all pairs. In every second round the counterparts begin.
func runPairs(ctx context.Context, s settings, pairs []*pair) error {
	for round := range s.rounds {
		for _, pair := range pairs {
			if err := pair.run(ctx, s.round, round%2 == 1); err != nil {
				return fmt.Errorf("%s: %w", pair.name, err)
			}
		}
	}
	return nil
}

// pairs sets up all comparisons.
func (p *prepared) pairs(ctx context.Context, s settings) ([]*pair, error) {
	var list []*pair
	for _, each := range []struct {
		name string
		make func(context.Context, settings) (*pair, error)
	}{
		{"profile", p.profilePair}, {"profile, uncached token", p.unseenPair}, {"refresh", p.refreshPair}, {"login", p.loginPair},
	} {
		if !strings.HasPrefix(each.name, s.only) {
			continue
		}
		pair, err := each.make(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.name, err)
		}
		list = append(list, pair)
	}
	return list, nil
}

func (p *prepared) productSide(steps []step) side {
	return side{"product", func(ctx context.Context, d time.Duration) (turn, error) {
		return drive(ctx, p.product, p.database, steps, d)
	}, nil}
}

func (p *prepared) bareSide(what string, steps []step) side {
	return side{what, func(ctx context.Context, d time.Duration) (turn, error) {
		return drive(ctx, p.bare, p.database, steps, d)
	}, nil}
}

// always returns a step that repeats one request.
func always(request []byte) step { return step{request: func() []byte { return request }} }

func (p *prepared) profilePair(ctx context.Context, _ settings) (*pair, error) {
	name, ours, err := p.profileReads(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := p.bareReads(ctx, "/profile")
	return &pair{
		name: name, target: 0.85,
		product: p.productSide(ours), bare: p.bareSide("gin, verified once, SELECT", theirs),
	}, err
}

// profileReads returns the name and the requests of readers of the profile.
func (p *prepared) profileReads(ctx context.Context) (name string, steps []step, err error) {
	sessions, err := p.logIn(ctx, readers, "body")
	for _, s := range sessions {
		steps = append(steps, always(get("/accounts/profile", "Authorization: Bearer "+s.access)))
	}
	return fmt.Sprintf("profile read, c=%d", readers), steps, err
}

// refreshes returns the name and the requests of clients that refresh without a pause.
func (p *prepared) refreshes(ctx context.Context, transport string) (name string, steps []step, err error) {
	sessions, err := p.logIn(ctx, refreshers, transport)
	for _, s := range sessions {
		steps = append(steps, s.refreshes())
	}
	return fmt.Sprintf("refresh, %s, c=%d", transport, refreshers), steps, err
}

// logins returns the name and the requests of clients that log in, two for each core, so that one
// hashes while the session of the other is written.
func logins() (name string, steps []step) {
	clients := 2 * runtime.NumCPU()
	var next atomic.Int64
	for range clients {
		steps = append(steps, step{request: func() []byte { return loginRequest(userName(loginUser, int(next.Add(1))), "hybrid") }})
	}
	return fmt.Sprintf("login, c=%d", clients), steps
}

func (p *prepared) bareReads(ctx context.Context, path string) ([]step, error) {
	ids, err := p.bareRows(ctx, readers)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, id := range ids {
		raw, err := bareToken(ed25519.NewKeyFromSeed(p.bareKey[:]), id, 0, time.Now())
		if err != nil {
			return nil, err
		}
		steps = append(steps, always(get(path, "Authorization: Bearer "+raw)))
	}
	return steps, nil
}

func (p *prepared) bareRows(ctx context.Context, n int) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for range n {
		id := uuid.Must(uuid.NewV7())
		_, err := p.db.ExecContext(ctx, `INSERT INTO bare_sessions SELECT ?, id, 0, UTC_TIMESTAMP(6), username, email, first_name, last_name,
			is_active, date_joined, UTC_TIMESTAMP(6) FROM users WHERE username = 'first'`, id[:])
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// unseenPair measures reads with tokens that the product has not verified before. The product
// caches verified tokens, so each of its requests needs a new token. The tokens are signed here,
// with the server's secret, between the turns.
func (p *prepared) unseenPair(ctx context.Context, _ settings) (*pair, error) {
	sessions, err := p.logIn(ctx, readers, "body")
	if err != nil {
		return nil, err
	}
	ring, err := token.NewKeyRing([]token.Secret{p.secret})
	if err != nil {
		return nil, err
	}
	m := &minter{issuer: token.NewIssuer(ring, p.publicURL(), tokenLife), sessions: sessions, rate: 8000}
	theirs, err := p.bareReads(ctx, "/profile/unseen")
	return &pair{
		name: fmt.Sprintf("profile read, uncached token, c=%d", readers), target: 0.8,
		product: side{"product", func(ctx context.Context, d time.Duration) (turn, error) {
			steps, err := m.steps(d)
			if err != nil {
				return turn{}, err
			}
			t, err := drive(ctx, p.product, p.database, steps, d)
			m.rate = t.rate()
			return t, err
		}, nil},
		bare: p.bareSide("gin, verify, SELECT", theirs),
	}, err
}

// minter issues distinct access tokens: the tokens of a session differ in their generation.
type minter struct {
	issuer   *token.Issuer
	sessions []*session
	made     atomic.Int64
	rate     float64 // expected requests per second
}

// steps gives each worker enough tokens for a turn. If they do not suffice, the turn ends early.
func (m *minter) steps(d time.Duration) ([]step, error) {
	enough := int(1.3*m.rate*d.Seconds())/len(m.sessions) + 1
	steps, faults := make([]step, len(m.sessions)), make(chan error, len(m.sessions))
	for i, s := range m.sessions {
		go func() {
			requests := make([][]byte, enough)
			for j := range requests {
				raw, err := m.issuer.Access(token.Grant{
					Subject: s.user, Session: s.id, Generation: m.made.Add(1), Transport: token.Body,
					RotatedAt: time.Now(), IdleExpiresAt: s.expiresAt, ExpiresAt: s.expiresAt,
				})
				if err != nil {
					faults <- err
					return
				}
				requests[j] = get("/accounts/profile", "Authorization: Bearer "+raw)
			}
			steps[i] = step{request: func() (next []byte) {
				if len(requests) > 0 {
					next, requests = requests[0], requests[1:]
				}
				return next
			}}
			faults <- nil
		}()
	}
	for range m.sessions {
		if err := <-faults; err != nil {
			return nil, err
		}
	}
	return steps, nil
}

func (p *prepared) refreshPair(ctx context.Context, s settings) (*pair, error) {
	name, ours, err := p.refreshes(ctx, s.transport)
	if err != nil {
		return nil, err
	}
	ids, err := p.bareRows(ctx, refreshers)
	if err != nil {
		return nil, err
	}
	var theirs []step
	for _, id := range ids {
		theirs = append(theirs, bareRefreshes(id))
	}
	return &pair{
		name: name, target: 0.85,
		product: p.productSide(ours), bare: p.bareSide("gin, UPDATE, sign", theirs),
	}, nil
}

func bareRefreshes(id uuid.UUID) step {
	var generation int64
	return step{
		request: func() []byte { return post("/refresh", fmt.Appendf(nil, `{"id":%q,"generation":%d}`, id, generation)) },
		accept: func(_ http.Header, body []byte) error {
			var a struct {
				AccessToken string `json:"access_token"`
				Generation  int64  `json:"generation"`
			}
			err := json.Unmarshal(body, &a)
			generation = a.Generation
			return err
		},
	}
}

func (p *prepared) loginPair(context.Context, settings) (*pair, error) {
	name, steps := logins()
	return &pair{
		name: name, target: 0.95,
		product: p.productSide(steps), bare: side{fmt.Sprintf("argon2id, c=%d", runtime.NumCPU()), hashes, nil},
	}, nil
}

// hashes computes password hashes on all cores, as the server would.
func hashes(ctx context.Context, d time.Duration) (turn, error) {
	all, self, latencies := sync.WaitGroup{}, harness.PID(os.Getpid()), make([][]time.Duration, runtime.NumCPU())
	cpu, begin := self.CPU(), time.Now()
	for i := range latencies {
		all.Go(func() {
			cost := credentials.Default
			for now := begin; now.Sub(begin) < d && ctx.Err() == nil; {
				argon2.IDKey([]byte(password), []byte("sixteen octets.."), cost.Time, cost.Memory, cost.Threads, 32)
				latencies[i] = append(latencies[i], time.Since(now))
				now = time.Now()
			}
		})
	}
	all.Wait()
	t := turn{took: time.Since(begin), cpu: self.CPU() - cpu, rss: self.RSS()}
	for _, l := range latencies {
		t.ops += len(l)
		t.latencies = append(t.latencies, l...)
	}
	return t, ctx.Err()
}
