package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/accounts/scripts/torture/history"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// held is what a jar has of a session: one generation's tokens.
type held struct {
	session               string
	generation            int64
	transport             token.Transport
	access, refresh, csrf string
	born                  time.Time // when it came
	sessionEnd            int64
}

func (h held) bearer() bool { return h.transport == token.Hybrid || h.transport == token.Body }

// claims are what a token says; nothing of it is secret.
type claims struct {
	Subject    string `json:"sub"`
	Session    string `json:"sid"`
	Generation int64  `json:"gen"`
	ID         string `json:"jti"`
	Issued     int64  `json:"iat"`
	Expires    int64  `json:"exp"`
	Key        string `json:"kid"` // of the header
}

func read(raw string) (c claims) {
	parts := strings.Split(raw, ".")
	for _, part := range parts[:min(2, len(parts))] {
		if text, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			_ = json.Unmarshal(text, &c) // what is not there stays empty, and the checker sees it
		}
	}
	return c
}

// shown is how the history names what a request shows. A jar that was not given a token of its generation shows nothing,
// and the checker sees what comes of it.
func (h held) shown(raw, attempt string) *history.Token {
	c := read(raw)
	if raw == "" {
		c.Generation = h.generation
	}
	user, _ := strconv.ParseInt(c.Subject, 10, 64)
	return &history.Token{Session: h.session, Generation: c.Generation, Attempt: history.Hash(attempt), User: user, Transport: string(h.transport), Key: c.Key, Issued: c.Issued, Expires: c.Expires}
}

// handle is the credential of a refresh.
func (h held) handle() string {
	if h.transport == token.ServerHeld {
		return h.access
	}
	return h.refresh
}

// result is an answer, as far as a client looks at it.
type result struct {
	status int
	code   string
	held   held // of a 200 that brought tokens
}

func (r result) ok() bool { return r.status >= 200 && r.status < 300 }

// asking is a request to be made.
type asking struct {
	client, method, path string
	role                 history.Role
	op                   history.Op
	as                   held
	raw                  string // the token shown; empty shows none
	carrier              string // bearer, access, refresh or body
	attempt              string
	body                 map[string]any
	target               string
}

// patience is how long a client waits for an answer: longer than a server that runs works on any request.
const patience = 4 * time.Second

// ask makes a request to some replica and records what came of it.
func (t *torture) ask(ctx context.Context, a asking) result {
	server := t.pick()
	body := a.body
	if a.carrier == "body" && a.raw != "" {
		body = map[string]any{"refresh_token": a.raw}
	}
	lose := time.Duration(0) // how soon the client loses the connection
	if a.role == history.Honest && a.op == history.Refresh && chance(0.05) {
		lose = between(time.Millisecond, 40*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(lose, patience)) // the end of the run interrupts nobody
	defer cancel()
	request, err := t.request(ctx, server, a, body)
	if err != nil {
		panic(err) // a mistake in this program
	}
	e := history.Event{Call: &history.Call{Client: a.client, Role: a.role, Op: a.op, Server: server, Target: a.target}}
	if a.as.session != "" {
		e.Call.Shown = a.as.shown(a.raw, a.attempt)
	}
	e.Begin = t.record.Now()
	response, err := receive(t.http[server], request)
	e.End = t.record.Now()
	r := result{}
	if e.Call.Lost = lose > 0; e.Call.Lost { // also if the answer was faster
		err = errors.New("lost")
	}
	if err == nil {
		r = t.learn(a, response, e.Call)
		if err := servertest.Judge(request, response); err != nil {
			t.broken(fmt.Sprintf("%s %s answers %d against the contract: %v", a.method, a.path, response.Status, err))
		}
	}
	t.count(a, r)
	t.record.Add(e)
	return r
}

func (t *torture) request(ctx context.Context, server int, a asking, body map[string]any) (*http.Request, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, a.method, "http://"+t.site.Replicas[server].Addr+a.path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	switch {
	case a.raw == "":
	case a.carrier == "bearer":
		r.Header.Set("Authorization", "Bearer "+a.raw)
	case a.carrier == "access":
		r.Header.Set("Cookie", "access="+a.raw)
	case a.carrier == "refresh":
		r.Header.Set("Cookie", "refreshtoken="+a.raw)
	}
	if a.method != http.MethodGet && a.as.csrf != "" && (a.carrier == "access" || a.carrier == "refresh") {
		r.Header.Set("X-CSRFToken", a.as.csrf)
	}
	if a.attempt != "" {
		r.Header.Set("Refresh-Attempt", a.attempt)
	}
	r.Header.Set("User-Agent", a.client)
	return r, nil
}

func receive(client *http.Client, request *http.Request) (*servertest.Response, error) {
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	r := &servertest.Response{Status: answer.StatusCode, Header: answer.Header, Raw: raw}
	_ = json.Unmarshal(raw, &r.JSON) // not every answer is an object
	return r, err
}

// learn notes an answer in the history, and what it brought.
func (t *torture) learn(a asking, response *servertest.Response, call *history.Call) result {
	r := result{status: response.Status, code: response.Code()}
	call.Status, call.Code, call.Cookie = r.status, r.code, len(response.Header.Values("Set-Cookie"))
	session, _ := response.JSON["session"].(map[string]any)
	if r.status != http.StatusOK || session == nil || response.Text("token_transport") == "" {
		return r
	}
	h := held{transport: token.Transport(response.Text("token_transport")), born: time.Now(), csrf: response.Text("csrf_token"), access: response.Text("access_token"), refresh: response.Text("refresh_token")}
	h.session, _ = session["id"].(string)
	generation, _ := response.JSON["generation"].(float64)
	h.generation = int64(generation)
	text, _ := session["expires_at"].(string)
	if end, err := time.Parse(time.RFC3339, text); err == nil {
		h.sessionEnd = end.Unix()
	}
	for _, c := range response.Cookies() {
		switch {
		case c.Value == "": // one of another transport, expired
		case c.Name == "access":
			h.access = c.Value
		case c.Name == "refreshtoken":
			h.refresh = c.Value
		}
	}
	t.secrets.add(h.access, h.refresh, h.csrf, a.attempt)
	r.held = h
	call.Got = h.got()
	if call.Got.User == 0 && call.Shown != nil { // the same tokens, which a cookie transport does not send again
		call.Got.User = call.Shown.User
	}
	return r
}

// got is how the history names what an answer brought. All tokens of it must say the same.
func (h held) got() *history.Token {
	g := &history.Token{Session: h.session, Generation: h.generation, Transport: string(h.transport), SessionEnd: h.sessionEnd, Access: history.Hash(h.access), Refresh: history.Hash(h.refresh)}
	for _, raw := range []string{h.access, h.refresh} {
		if raw == "" {
			continue
		}
		c := read(raw)
		g.User, _ = strconv.ParseInt(c.Subject, 10, 64)
		g.Key, g.ID, g.Issued = c.Key, c.ID, c.Issued
		if c.Session != h.session || c.Generation != h.generation {
			g.ID = "not of this session or generation"
		}
	}
	return g
}
