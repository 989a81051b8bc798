package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.com/accounts/scripts/torture/history"
	"example.com/accounts/scripts/torture/site"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/token"
)

const (
	racers    = 100
	raceUsers = 200
	perUser   = 40 // a user has at most 50 sessions
	raceW     = time.Second
	raceWave  = raceUsers * perUser
)

// race lets a hundred clients present the same token at once, older than W+M, in each round. Each
// round must have exactly one successor. The sessions of up to 8,000 rounds are created in advance,
// then the next ones.
func race(ctx context.Context, o options, rounds int) (ok bool, err error) {
	o.rotation, o.d = raceW, time.Hour
	t := &torture{options: o}
	t.start()
	if t.site, err = site.New(ctx, site.Options{Engine: o.engine, URLs: o.urls, Replicas: o.replicas, Settings: append(o.settings(),
		// The sessions must outlive all rounds of their wave. Of two settings with the same name,
		// replicas use the last one (see exec.Cmd).
		"ACCOUNTS_REFRESH_IDLE_TTL=3h", "ACCOUNTS_SERVER_HELD_IDLE_TTL=3h", "ACCOUNTS_SESSION_MAX_AGE=3h", "ACCOUNTS_LOG_LEVEL=warn")}); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, t.site.Close()) }()
	for range t.site.Replicas {
		t.http = append(t.http, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: racers}})
	}
	r := &racing{torture: t}
	for left := rounds; left > 0 && ctx.Err() == nil; left -= raceWave {
		sessions, err := r.sessions(ctx, min(left, raceWave))
		if err != nil {
			return false, err
		}
		for _, h := range sessions {
			if ctx.Err() != nil {
				break
			}
			r.round(ctx, h)
		}
	}
	return r.verdict(ctx), ctx.Err()
}

type racing struct {
	*torture
	rounds, slow int
	longest      time.Duration
	wave         int
}

// sessions creates n sessions and waits until every token is old enough.
func (r *racing) sessions(ctx context.Context, n int) ([]tokenSet, error) {
	began := time.Now()
	r.wave++
	list := make([]tokenSet, n)
	var all sync.WaitGroup
	failed := make(chan error, 8)
	for worker := range 8 {
		all.Go(func() {
			for i := worker * perUser; i < n && ctx.Err() == nil; i += 8 * perUser {
				name := fmt.Sprintf("racer%dx%d", r.wave, i/perUser)
				if _, err := r.site.Operator.CreateUser(ctx, accounts.NewUser{Username: name, Email: name + "@example.com", Password: firstPassword}); err != nil {
					failed <- err
					return
				}
				for k := i; k < min(n, i+perUser); k++ {
					answer, err := r.post(ctx, r.pick(), "/accounts/login", map[string]any{"username": name, "password": firstPassword, "token_transport": token.Body})
					if err != nil || answer.status != http.StatusOK {
						failed <- errors.Join(fmt.Errorf("a login had status %d", answer.status), err)
						return
					}
					list[k] = answer.tokens
				}
			}
		})
	}
	all.Wait()
	fmt.Printf("created %d sessions of %d users in %.0f s\n", n, (n+perUser-1)/perUser, time.Since(began).Seconds())
	pause(ctx, raceW+raceW/5+100*time.Millisecond)
	select {
	case err := <-failed:
		return nil, err
	default:
		return list, nil
	}
}

// post sends a request without recording it, because the history would have a million lines.
func (r *racing) post(ctx context.Context, server int, path string, body map[string]any) (result, error) {
	a := apiRequest{client: "racer", method: http.MethodPost, path: path}
	request, err := r.request(ctx, server, a, body)
	if err != nil {
		return result{}, err
	}
	response, err := receive(r.http[server], request)
	if err != nil {
		return result{}, err
	}
	return r.learn(a, response, &history.Call{}), nil
}

// round sends one token from a hundred clients.
func (r *racing) round(ctx context.Context, h tokenSet) {
	start := make(chan struct{})
	results := make([]result, racers)
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			<-start
			results[i], _ = r.post(ctx, i%len(r.site.Replicas), "/accounts/refresh_token", map[string]any{"refresh_token": h.refresh}) // status 0: none
		})
	}
	began := time.Now()
	close(start)
	all.Wait()
	took := time.Since(began)
	r.rounds++
	r.longest = max(r.longest, took)
	slow := took >= raceW // a response may come after the grace period
	if slow {
		r.slow++
	}
	successors := map[string]bool{}
	for _, one := range results {
		r.statuses[one.status]++
		if slow && one.status != http.StatusOK {
			continue
		}
		if one.status != http.StatusOK || one.tokens.generation != 1 {
			r.addViolation(fmt.Sprintf("round %d: response %d %s with generation %d", r.rounds, one.status, one.code, one.tokens.generation))
			continue
		}
		successors[one.tokens.access+one.tokens.refresh] = true
	}
	if n := len(successors); n > 1 || n == 0 && !slow {
		r.addViolation(fmt.Sprintf("round %d: %d successors", r.rounds, len(successors)))
	}
	if r.rounds%500 == 0 {
		fmt.Printf("%4.0f s  %d rounds, by status %s, slowest %v\n", time.Since(r.startedAt).Seconds(), r.rounds, list(r.statuses), r.longest.Round(time.Millisecond))
	}
}

func (r *racing) verdict(ctx context.Context) bool {
	var further, revoked int
	err := r.site.Database.SQL.QueryRowContext(ctx, `SELECT COALESCE(SUM(CASE WHEN generation > 1 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN revoked_at IS NOT NULL THEN 1 ELSE 0 END), 0) FROM sessions`).Scan(&further, &revoked)
	if err != nil {
		r.addViolation(err.Error())
	}
	if further > 0 || revoked > r.slow {
		r.addViolation(fmt.Sprintf("%d rows have a later generation, %d are revoked", further, revoked))
	}
	fmt.Printf("race         %s, %d replicas, %d rounds of %d clients, by status %s; slowest %v; %d rounds took W or longer, so a rejection is allowed there\n",
		r.engine, len(r.site.Replicas), r.rounds, racers, list(r.statuses), r.longest.Round(time.Millisecond), r.slow)
	for _, text := range r.violations[:min(len(r.violations), breaksShown)] {
		fmt.Println(" ", text)
	}
	if len(r.violations) > 0 {
		fmt.Println("verdict      BROKEN")
		return false
	}
	fmt.Println("verdict      each round has exactly one successor")
	return true
}
