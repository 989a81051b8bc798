package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"example.com/accounts/scripts/torture/history"
	"example.com/accounts/scripts/torture/site"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/token"
)

// options are the options of a run.
type options struct {
	engine   string
	urls     []string
	replicas int
	sessions int
	tabs     int
	rotation time.Duration
	pace     time.Duration
	d        time.Duration
	seed     uint64
	keep     string // path of the history; empty: deleted after the run
}

// torture is a run.
type torture struct {
	options
	site        *site.Site
	record      *history.Recorder
	http        []*http.Client
	users       []*user
	jars        []*jar
	decoys      []tokenSet
	decoyUser   *user
	decoysSince time.Time
	forged      map[string][]string // forged tokens by the session of a decoy
	untouched   map[string]string   // rows of the decoys after their login
	changed     []string            // decoys whose row has changed
	ended       endedSessions
	secrets     secrets
	figures

	mu    sync.Mutex
	fault error
}

// fail ends the run because the test itself does not work.
func (t *torture) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = errors.Join(t.fault, err)
}

func (t *torture) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fault
}

func (t *torture) pick() int { return rand.IntN(len(t.site.Replicas)) }

// settings returns the settings of the servers. W is short, so that there are many rotations and
// sessions expire during the run.
func (o options) settings() []string {
	margin := min(5*time.Second, o.rotation/5)
	access := (2*(o.rotation+margin) + time.Second).Round(time.Second)
	life := max(2*access, min(2*time.Minute, o.d/2)).Round(time.Second)
	idle := (life * 2 / 3).Round(time.Second)
	return []string{
		"ACCOUNTS_ROTATION_INTERVAL=" + o.rotation.String(), "ACCOUNTS_ACCESS_TTL=" + access.String(), "ACCOUNTS_REFRESH_IDLE_TTL=" + idle.String(),
		"ACCOUNTS_SERVER_HELD_IDLE_TTL=" + idle.String(), "ACCOUNTS_SESSION_MAX_AGE=" + life.String(), "ACCOUNTS_SHUTDOWN_TIMEOUT=3s",
	}
}

// run executes a run and prints its report.
func run(ctx context.Context, o options) (ok bool, err error) {
	t := &torture{options: o, forged: map[string][]string{}, untouched: map[string]string{}}
	t.start()
	if t.site, err = site.New(ctx, site.Options{Engine: o.engine, URLs: o.urls, Replicas: o.replicas, Settings: o.settings()}); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, t.site.Close()) }()
	path := o.keep
	if path == "" {
		path = filepath.Join(t.site.Dir, "history.jsonl")
	}
	file, err := os.Create(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	c := t.site.Config
	t.record = history.NewRecorder(file, history.Settings{
		Rotation: c.RotationInterval.Microseconds(), Margin: c.Margin().Microseconds(), ServerHeldIdle: c.ServerHeldIdleTTL.Microseconds(),
	})
	if err := t.prepare(ctx); err != nil {
		return false, err
	}
	if err := t.runClients(ctx); err != nil {
		return false, err
	}
	if err := errors.Join(t.dump(), t.record.Close()); err != nil {
		return false, err
	}
	verdict, err := checkHistory(path)
	if err != nil {
		return false, err
	}
	return t.report(verdict), nil
}

func checkHistory(path string) (history.Verdict, error) {
	file, err := os.Open(path)
	if err != nil {
		return history.Verdict{}, err
	}
	defer func() { _ = file.Close() }()
	events, err := history.Read(file)
	if err != nil {
		return history.Verdict{}, err
	}
	return history.Check(events), nil
}

var transports = []token.Transport{token.Hybrid, token.Cookies, token.ServerHeld, token.Body}

const firstPassword = "correct horse battery staple"

// prepare creates users, jars, and the sessions that forgers attack.
func (t *torture) prepare(ctx context.Context) error {
	for i := range t.site.Replicas {
		t.http = append(t.http, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
		if t.site.Replicas[i].Proxy != nil { // the clocks always differ, by up to half of the allowed error
			t.site.Replicas[i].Offset = time.Duration(i-len(t.site.Replicas)/2) * t.site.Config.Margin() / 4
			t.site.Replicas[i].Clock(0)
		}
	}
	for i := range max(1, t.sessions*2/3) {
		name := fmt.Sprintf("user%d", i)
		u, err := t.site.Operator.CreateUser(ctx, accounts.NewUser{Username: name, Email: name + "@example.com", Password: firstPassword})
		if err != nil {
			return err
		}
		t.users = append(t.users, &user{id: u.ID, name: name, passwords: []string{firstPassword}})
	}
	for i := range t.sessions {
		t.jars = append(t.jars, &jar{t: t, name: fmt.Sprintf("jar%d", i), user: t.users[i%len(t.users)], transport: transports[i%len(transports)], victim: i%5 == 4, careful: i%3 != 2})
	}
	u, err := t.site.Operator.CreateUser(ctx, accounts.NewUser{Username: "decoy", Email: "decoy@example.com", Password: firstPassword})
	if err != nil {
		return err
	}
	t.decoyUser = &user{id: u.ID, name: "decoy", passwords: []string{firstPassword}}
	return t.logInDecoys(ctx)
}

// logInDecoys logs the decoys in. Only forgers present their tokens.
func (t *torture) logInDecoys(ctx context.Context) error {
	var decoys []tokenSet
	for _, transport := range transports {
		j := &jar{t: t, name: "decoy", user: t.decoyUser, transport: transport}
		for range 20 { // the clocks may still change
			if j.login(ctx); j.current().session != "" {
				break
			}
			pause(ctx, 100*time.Millisecond)
		}
		h := j.current()
		if h.session == "" {
			return errors.New("no login")
		}
		decoys = append(decoys, h)
	}
	t.decoys, t.forged, t.decoysSince = decoys, map[string][]string{}, time.Now()
	for _, h := range decoys {
		t.forged[h.session] = t.forge(h)
	}
	var err error
	t.untouched, err = t.rowsOf(ctx)
	return err
}

// checkDecoys compares the decoys' rows with their original state. Expired decoys may have been
// deleted.
func (t *torture) checkDecoys(ctx context.Context) error {
	now, err := t.rowsOf(ctx)
	for id, row := range t.untouched {
		if now[id] != "" && now[id] != row {
			t.changed = append(t.changed, id)
		}
	}
	return err
}

// runClients runs all clients at once until the faults end, and then refreshes every jar once more.
func (t *torture) runClients(ctx context.Context) error {
	living, end := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, j := range t.jars {
		for n := range t.tabs {
			all.Go(func() { j.tab(living, n) })
		}
	}
	for _, f := range []func(context.Context){t.runReplayers, t.runThieves, t.runForgers, t.runOperator, t.progress, t.recordStalls} {
		all.Go(func() { f(living) })
	}
	err := t.injectFaults(ctx, t.d, t.seed)
	end()
	all.Wait()
	for _, j := range t.jars { // every session must still be live
		j.refresh(ctx)
	}
	return errors.Join(err, ctx.Err())
}

// secrets contains the secret parts of tokens, which no dump and no log may contain.
type secrets struct {
	mu    sync.Mutex
	parts map[string]bool
}

// add adds the signature of each token, its last part.
func (s *secrets) add(list ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts = map[string]bool{}
	}
	for _, one := range list {
		if part := one[strings.LastIndexByte(one, '.')+1:]; part != "" {
			s.parts[part] = true
		}
	}
}

// in reports whether a text contains one of the secrets. It compares runs of base64url characters.
func (s *secrets) in(text string) bool {
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	}) {
		if len(run) >= 20 && s.parts[run] {
			return true
		}
	}
	return false
}
