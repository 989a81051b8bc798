package main

import (
	"context"
	rand2 "crypto/rand"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"example.com/accounts/scripts/torture/history"
	"example.com/accounts/server/token"
)

// user is a user with one or more jars.
type user struct {
	id   int64
	name string

	mu        sync.Mutex
	passwords []string // contains the current one: after a change without a response, both are possible
	guess     int      // index of the password to try
	changes   int
}

func (u *user) password() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.passwords[u.guess%len(u.passwords)]
}

func (u *user) tryNextPassword() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.guess++
}

// add records a new password. If sure, it replaces all others.
func (u *user) add(password string, sure bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if sure {
		u.passwords, u.guess = []string{password}, 0
		return
	}
	u.passwords = append(u.passwords, password)
}

// jar is the set of tokens of a browser or a device. Its tabs share the tokens and obey the rules
// of invariant 6. A careful jar sends one refresh at a time, with the same attempt until it
// receives a higher generation. In other jars each tab refreshes independently, as clients
// generated from the contract do.
type jar struct {
	t         *torture
	name      string
	user      *user
	transport token.Transport
	victim    bool // thieves use its tokens
	careful   bool

	refreshing sync.Mutex // like a Web Lock
	mu         sync.Mutex
	now        tokenSet
	past       []tokenSet // superseded tokens of the same session
	attempt    string
	retryAt    time.Time // when to refresh again after an abandoned request
}

func newAttempt() string {
	var b [16]byte
	_, _ = rand2.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (j *jar) current() tokenSet {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now
}

// begin puts a new session into the jar.
func (j *jar) begin(h tokenSet) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.past, j.retryAt = nil, time.Time{}
	j.put(h)
}

// take stores the result of a refresh, if the jar still has that session and the tokens are newer.
func (j *jar) take(h tokenSet) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if h.session != j.now.session || h.generation <= j.now.generation {
		return
	}
	j.past = append(j.past, j.now)
	j.put(h)
}

func (j *jar) put(h tokenSet) {
	if j.now = h; j.careful {
		j.attempt = newAttempt()
	}
}

// drop removes a session from the jar, if it is still the current one.
func (j *jar) drop(session string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.now.session == session {
		j.now, j.past, j.retryAt = tokenSet{}, nil, time.Time{}
	}
}

func chance(part float64) bool { return rand.Float64() < part }

func between(least, most time.Duration) time.Duration { return least + rand.N(most-least) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// tab simulates a tab until ctx ends. The first tab of a jar also logs in and out.
func (j *jar) tab(ctx context.Context, number int) {
	for ctx.Err() == nil {
		pause(ctx, between(j.t.pace/4, j.t.pace*7/4))
		h := j.current()
		switch {
		case h.session == "" && number == 0:
			j.login(ctx)
		case h.session == "":
		case number == 0 && chance(0.02):
			j.endSessions(ctx, h)
		case j.isDue(h) || chance(0.15):
			j.refresh(ctx)
		default:
			j.profile(ctx, h)
		}
	}
}

func (j *jar) isDue(h tokenSet) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.retryAt.IsZero() && time.Now().After(j.retryAt) {
		j.retryAt = time.Time{}
		return true
	}
	return time.Since(h.born) > j.t.site.Config.RotationInterval+j.t.site.Config.Margin()
}

func (j *jar) newRequest(op history.Op, method, path string, h tokenSet) apiRequest {
	a := apiRequest{client: j.name, role: history.Honest, op: op, method: method, path: path, as: h, raw: h.access, location: "access"}
	if h.usesBearer() {
		a.location = "bearer"
	}
	return a
}

// asRefresh completes a request with the credential of a refresh, as each transport sends it.
func asRefresh(a apiRequest, h tokenSet) apiRequest {
	a.as, a.raw, a.method, a.path = h, h.refreshCredential(), http.MethodPost, "/accounts/refresh_token"
	switch h.transport {
	case token.ServerHeld:
		a.location = "access"
	case token.Body:
		a.location = "body"
	default:
		a.location = "refresh"
	}
	return a
}

func (j *jar) login(ctx context.Context) {
	r := j.t.ask(ctx, apiRequest{client: j.name, role: history.Honest, op: history.Login, method: http.MethodPost, path: "/accounts/login",
		body: map[string]any{"username": j.user.name, "password": j.user.password(), "token_transport": j.transport}})
	switch {
	case r.isOK():
		j.begin(r.tokens)
	case r.code == "credentials_invalid":
		j.user.tryNextPassword()
	}
}

// refresh refreshes the session. A careful client waits for its lock, then uses the current tokens.
func (j *jar) refresh(ctx context.Context) {
	if j.careful {
		j.refreshing.Lock()
		defer j.refreshing.Unlock()
	}
	j.mu.Lock()
	h, attempt := j.now, j.attempt
	j.mu.Unlock()
	if h.session == "" {
		return
	}
	a := asRefresh(apiRequest{client: j.name, role: history.Honest, op: history.Refresh, attempt: attempt}, h)
	r := j.t.ask(ctx, a)
	switch {
	case r.isOK():
		j.take(r.tokens)
	case r.status == http.StatusUnauthorized:
		j.keepEnded(r.code)
		j.drop(h.session)
	case r.status == 0: // abandoned: the server may still rotate
		j.mu.Lock()
		j.retryAt = time.Now().Add(patience)
		j.mu.Unlock()
	}
}

func (j *jar) profile(ctx context.Context, h tokenSet) {
	r := j.t.ask(ctx, j.newRequest(history.Profile, http.MethodGet, "/accounts/profile", h))
	if r.status == http.StatusUnauthorized {
		j.refresh(ctx) // as clients do on any 401: the response tells why the session ended
	}
}

// keepEnded keeps the tokens of a session that has ended, for replay.
func (j *jar) keepEnded(why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.now.session != "" && (why == "ended" || why == "session_revoked" || why == "refresh_reused") {
		j.t.ended.add(endedSession{tokens: append(slices.Clone(j.past), j.now), attempt: j.attempt})
	}
}

// endSessions ends sessions in one of the possible ways.
func (j *jar) endSessions(ctx context.Context, h tokenSet) {
	switch n := rand.IntN(10); {
	case n < 5:
		a := asRefresh(j.newRequest(history.Logout, http.MethodPost, "", h), h)
		a.path = "/accounts/logout"
		j.endSession(ctx, a, h)
	case n < 6:
		j.endSession(ctx, j.newRequest(history.EndAll, http.MethodDelete, "/accounts/sessions", h), h)
	case n < 7:
		j.t.ask(ctx, j.newRequest(history.EndOthers, http.MethodDelete, "/accounts/sessions?keep_current=true", h))
	case n < 8:
		a := j.newRequest(history.EndOne, http.MethodDelete, "/accounts/sessions/"+h.session, h)
		a.target = h.session
		j.endSession(ctx, a, h)
	default:
		j.changePassword(ctx, h)
	}
}

// endSession repeats a request until there is a response, and then drops the tokens. After five
// tries it gives up.
func (j *jar) endSession(ctx context.Context, a apiRequest, h tokenSet) {
	for range 5 {
		r := j.t.ask(ctx, a)
		if r.isOK() {
			j.keepEnded("ended")
		}
		if r.isOK() || r.status == http.StatusUnauthorized {
			break
		}
		pause(ctx, time.Second)
	}
	j.drop(h.session)
}

func (j *jar) changePassword(ctx context.Context, h tokenSet) {
	j.user.mu.Lock()
	j.user.changes++
	next := fmt.Sprintf("correct horse battery staple %d", j.user.changes)
	j.user.mu.Unlock()
	current := j.user.password()
	a := j.newRequest(history.ChangePassword, http.MethodPost, "/accounts/password/change", h)
	a.body = map[string]any{"current_password": current, "new_password": next}
	r := j.t.ask(ctx, a)
	switch {
	case r.isOK():
		j.user.add(next, true)
		j.keepEnded("ended")
		j.begin(r.tokens)
	case r.status == 0 || r.status >= 500:
		j.user.add(next, false)
	case r.status == http.StatusUnprocessableEntity:
		j.user.tryNextPassword()
	}
}
