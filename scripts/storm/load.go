package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// answer is a response; status 0 means that there was none.
type answer struct {
	status     int
	took       time.Duration
	retryAfter time.Duration
	body       []byte
}

func newClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
}

func send(ctx context.Context, c *http.Client, method, url string, body any, access string, headers ...string) answer {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			panic(err) // a mistake in this program: bodies are maps of strings
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return answer{}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if access != "" {
		r.Header.Set("Authorization", "Bearer "+access)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	began := time.Now()
	response, err := c.Do(r)
	if err != nil {
		return answer{took: time.Since(began)}
	}
	a := answer{status: response.StatusCode}
	a.body, err = io.ReadAll(response.Body)
	a.took = time.Since(began)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return answer{took: a.took}
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	a.retryAfter = time.Duration(seconds) * time.Second
	return a
}

func (s *storms) login(ctx context.Context, c *http.Client, name, word string) answer {
	return s.loginFrom(ctx, c, "127.0.0.1", name, word)
}

// loginFrom logs in as a client of another address. The server trusts this machine as a proxy,
// which sends that address.
func (s *storms) loginFrom(ctx context.Context, c *http.Client, ip, name, word string) answer {
	body := map[string]string{"username": name, "password": word, "token_transport": "body"}
	return send(ctx, c, http.MethodPost, s.url+"/accounts/login", body, "", "X-Forwarded-For", ip)
}

// regular is a client with normal activity.
type regular struct {
	http                 *http.Client
	url, access, refresh string
}

func (r *regular) take(body []byte) error {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &tokens); err != nil {
		return err
	}
	r.access, r.refresh = tokens.Access, tokens.Refresh
	return nil
}

func (s *storms) logIn(ctx context.Context, n int) ([]*regular, error) {
	var list []*regular
	for i := range n {
		r := &regular{http: newClient(), url: s.url}
		a := s.login(ctx, r.http, userName(i), password)
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("the login failed with status %d: %.200s", a.status, a.body)
		}
		if err := r.take(a.body); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// warmUp hashes in every slot at once, a few times, so that the memory of hashing is not attributed
// to the storm.
func (s *storms) warmUp(ctx context.Context) error {
	var all sync.WaitGroup
	for range 2 * s.slots {
		all.Go(func() { s.login(ctx, s.http, userName(0), "wrong password") })
	}
	all.Wait()
	return ctx.Err()
}

// pace is the interval between the requests of a regular client.
const pace = 200 * time.Millisecond

// day is the result of the regular clients.
type day struct {
	refresh, profile []time.Duration
	failures         map[int]int // by status
}

func measureEveryday(ctx context.Context, clients []*regular, d time.Duration) day {
	days := make([]day, len(clients))
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			time.Sleep(pace * time.Duration(i) / time.Duration(len(clients))) // not all at once
			days[i] = c.live(ctx, end)
		})
	}
	all.Wait()
	sum := day{failures: map[int]int{}}
	for _, one := range days {
		sum.refresh, sum.profile = append(sum.refresh, one.refresh...), append(sum.profile, one.profile...)
		for status, n := range one.failures {
			sum.failures[status] += n
		}
	}
	return sum
}

func (r *regular) live(ctx context.Context, end time.Time) day {
	d := day{failures: map[int]int{}}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ; time.Now().Before(end) && ctx.Err() == nil; <-tick.C {
		a := send(ctx, r.http, http.MethodPost, r.url+"/accounts/refresh_token", map[string]string{"refresh_token": r.refresh}, "")
		if a.status != http.StatusOK || r.take(a.body) != nil {
			d.failures[a.status]++
			continue
		}
		d.refresh = append(d.refresh, a.took)
		if a = send(ctx, r.http, http.MethodGet, r.url+"/accounts/profile", nil, r.access); a.status != http.StatusOK {
			d.failures[a.status]++
			continue
		}
		d.profile = append(d.profile, a.took)
	}
	return d
}

// logins is the result of the storm.
type logins struct {
	statuses          map[int]int
	rejected          []time.Duration // times of 503 and 429 responses
	withoutRetryAfter int             // rejections
}

// storm logs in as users other than the regular ones, because the fifty-first session of a user
// ends the oldest one: a third with right passwords, a third with wrong ones, and a third with
// unknown names. A rejected client retries after Retry-After.
func storm(ctx context.Context, s *storms, clients int) logins {
	results := make([]logins, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			l, c := logins{statuses: map[int]int{}}, newClient()
			for ctx.Err() == nil {
				name, word := userName(regularUsers+i%regularUsers), []string{password, "wrong password", "wrong password"}[i%3]
				if i%3 == 2 {
					name = fmt.Sprintf("unknown%d", i)
				}
				l.note(ctx, s.login(ctx, c, name, word))
			}
			results[i] = l
		})
	}
	all.Wait()
	sum := logins{statuses: map[int]int{}}
	for _, l := range results {
		sum.rejected, sum.withoutRetryAfter = append(sum.rejected, l.rejected...), sum.withoutRetryAfter+l.withoutRetryAfter
		for status, n := range l.statuses {
			sum.statuses[status] += n
		}
	}
	return sum
}

func (l *logins) note(ctx context.Context, a answer) {
	if ctx.Err() != nil { // cut off by the end of the storm
		return
	}
	l.statuses[a.status]++
	if a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
		return
	}
	l.rejected = append(l.rejected, a.took)
	if a.retryAfter == 0 {
		l.withoutRetryAfter++
	}
	select {
	case <-ctx.Done():
	case <-time.After(max(a.retryAfter, time.Second)):
	}
}

// probe logs in alternately with a wrong password of a known user and with an unknown name, and
// records the times.
type probe struct{ known, unknown []time.Duration }

func (s *storms) probe(ctx context.Context) probe {
	var p probe
	c := newClient()
	for i := 0; ctx.Err() == nil; i++ {
		into, name := &p.known, userName(i%regularUsers)
		if i%2 == 1 {
			into, name = &p.unknown, fmt.Sprintf("nothere%d", i%regularUsers)
		}
		if a := s.login(ctx, c, name, "wrong password"); a.status == http.StatusUnauthorized {
			*into = append(*into, a.took)
		} else if ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond) // rejected: send it again
			i--
		}
	}
	return p
}
