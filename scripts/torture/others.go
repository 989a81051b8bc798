package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/accounts/scripts/torture/history"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// endedSession contains the tokens of a session that has ended, the newest last.
type endedSession struct {
	tokens  []tokenSet
	attempt string
}

// endedSessions contains the sessions that replayers use, at most 300; the oldest are dropped.
type endedSessions struct {
	mu   sync.Mutex
	list []endedSession
}

func (g *endedSessions) add(one endedSession) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.list = append(g.list, one); len(g.list) > 300 {
		g.list = g.list[1:]
	}
}

// random returns a random session, half of the time one of the five most recent.
func (g *endedSessions) random() (endedSession, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.list)
	switch {
	case n == 0:
		return endedSession{}, false
	case chance(0.5):
		return g.list[n-1-rand.IntN(min(n, 5))], true
	}
	return g.list[rand.IntN(n)], true
}

// runReplayers presents tokens of ended sessions: the newest, or the one before it, which would be
// within its grace period if the session were live.
func (t *torture) runReplayers(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, t.pace/4)
		g, ok := t.ended.random()
		if !ok {
			continue
		}
		h := g.tokens[len(g.tokens)-1]
		a := apiRequest{client: "replayer", role: history.Replayer, op: history.Refresh}
		switch n := len(g.tokens); rand.IntN(4) {
		case 0:
			a.op, a.method, a.path, a.as, a.raw, a.location = history.Profile, http.MethodGet, "/accounts/profile", h, h.access, "access"
			if h.usesBearer() {
				a.location = "bearer"
			}
		case 1, 2:
			a = asRefresh(a, g.tokens[max(0, n-2)])
		default:
			a = asRefresh(a, h)
		}
		if a.op == history.Refresh && chance(0.3) {
			a.attempt = g.attempt
		}
		t.ask(ctx, a)
	}
}

// runThieves presents tokens of the jars marked as victims, without an attempt or with one of their
// own.
func (t *torture) runThieves(ctx context.Context) {
	victims := slices.DeleteFunc(slices.Clone(t.jars), func(j *jar) bool { return !j.victim })
	for ctx.Err() == nil && len(victims) > 0 {
		pause(ctx, t.pace*2)
		j := victims[rand.IntN(len(victims))]
		j.mu.Lock()
		list := append(slices.Clone(j.past), j.now)
		j.mu.Unlock()
		h := list[rand.IntN(len(list))]
		if h.session == "" || h.generation == j.current().generation && chance(0.7) { // mostly superseded ones
			continue
		}
		a := asRefresh(apiRequest{client: "thief", role: history.Thief, op: history.Refresh}, h)
		if chance(0.3) {
			a.attempt = newAttempt()
		}
		t.ask(ctx, a)
	}
}

// runForgers presents forged tokens, real tokens in a wrong location, and access tokens as refresh
// tokens, of sessions that no other client uses.
func (t *torture) runForgers(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, t.pace/2)
		if time.Since(t.decoysSince) > t.site.Config.SessionMaxAge/2 && t.checkDecoys(ctx) == nil {
			t.renewDecoys(ctx)
		}
		h := t.decoys[rand.IntN(len(t.decoys))]
		a := apiRequest{client: "forger", role: history.Forger, op: history.Refresh, as: h, method: http.MethodPost, path: "/accounts/refresh_token"}
		switch rand.IntN(4) {
		case 0: // the right token through a wrong transport
			a.raw, a.location = h.refreshCredential(), sampleOther(h)
		case 1:
			a.raw, a.location = h.access, []string{"body", "refresh"}[rand.IntN(2)]
		default:
			list := t.forged[h.session]
			a = asRefresh(a, h)
			a.raw = list[rand.IntN(len(list))]
			if h.transport == token.Body && chance(0.5) {
				a.location = "refresh"
			}
		}
		t.ask(ctx, a)
	}
}

// renewDecoys creates new decoys before the old ones expire. If a fault prevents that, it tries
// again next time.
func (t *torture) renewDecoys(ctx context.Context) {
	old, forged, untouched := t.decoys, t.forged, t.untouched
	if err := t.logInDecoys(ctx); err != nil {
		t.decoys, t.forged, t.untouched = old, forged, untouched
	}
}

func sampleOther(h tokenSet) string {
	ways := map[token.Transport][]string{token.Hybrid: {"body", "access"}, token.Cookies: {"body", "access"}, token.Body: {"refresh", "access"}, token.ServerHeld: {"refresh", "body"}}
	return ways[h.transport][rand.IntN(2)]
}

// forge returns forged tokens of a session. It leaves out expired tokens, because a token of the
// transport server_held may be expired, and tokens issued in the future, because they become valid
// within a minute.
func (t *torture) forge(h tokenSet) (list []string) {
	use, access := tokentest.Refresh, h.access
	refresh := h.refresh
	if h.transport == token.ServerHeld {
		use, refresh = tokentest.Access, t.decoys[0].refresh
	}
	for _, c := range tokentest.Hostile(use, t.site.Signer(), access, refresh, time.Now()) {
		if isSendable(c.Raw) && !c.Expired && !strings.Contains(c.Name, "in the future") {
			list = append(list, c.Raw)
		}
	}
	return list
}

// isSendable reports whether a value can be sent in a cookie without quotes, which would change the
// value.
func isSendable(raw string) bool {
	return raw != "" && len(raw) < 8000 && !slices.ContainsFunc([]byte(raw), func(b byte) bool { return b <= ' ' || b >= 0x7f || b == '"' || b == ';' || b == ',' || b == '\\' })
}

// runOperator deactivates and reactivates users, bypassing every replica and proxy, and deletes
// ended sessions.
func (t *torture) runOperator(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, t.pace*8)
		u := t.users[rand.IntN(len(t.users))]
		t.setActive(ctx, u, false)
		pause(ctx, between(200*time.Millisecond, time.Second))
		for end := time.Now().Add(30 * time.Second); !t.setActive(ctx, u, true) && time.Now().Before(end); {
			pause(ctx, 200*time.Millisecond)
		}
		_, _ = t.site.Sweeper.CleanUp(ctx) // tries again next time, if the database is down
	}
}

func (t *torture) setActive(ctx context.Context, u *user, active bool) bool {
	e := history.Event{Begin: t.record.Now(), Call: &history.Call{Client: "operator", Role: history.Operator, Op: history.Deactivate, User: u.id}}
	if active {
		e.Call.Op = history.Activate
	}
	err := t.site.Operator.SetActive(context.WithoutCancel(ctx), u.name, active)
	e.End = t.record.Now()
	if err == nil {
		e.Call.Status = http.StatusNoContent
	}
	t.record.Add(e)
	return err == nil
}
