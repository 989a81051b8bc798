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

// tokenSet contains a jar's tokens of one generation.
type tokenSet struct {
	session               string
	generation            int64
	transport             token.Transport
	access, refresh, csrf string
	born                  time.Time // when the jar received them
	sessionEnd            int64
}

func (h tokenSet) usesBearer() bool { return h.transport == token.Hybrid || h.transport == token.Body }

// claims are the claims of a token; none of them is secret.
type claims struct {
	Subject    string `json:"sub"`
	Session    string `json:"sid"`
	Generation int64  `json:"gen"`
	ID         string `json:"jti"`
	Issued     int64  `json:"iat"`
	Expires    int64  `json:"exp"`
	Key        string `json:"kid"` // from the header
}

func readClaims(raw string) (c claims) {
	parts := strings.Split(raw, ".")
	for _, part := range parts[:min(2, len(parts))] {
		if text, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			_ = json.Unmarshal(text, &c) // missing claims stay empty, and the checker reports them
		}
	}
	return c
}

// describeSent describes the token of a request for the history. If the jar has no token of its
// generation, raw is empty and the request sends none; the checker finds the consequences.
func (h tokenSet) describeSent(raw, attempt string) *history.Token {
	c := readClaims(raw)
	if raw == "" {
		c.Generation = h.generation
	}
	user, _ := strconv.ParseInt(c.Subject, 10, 64)
	return &history.Token{Session: h.session, Generation: c.Generation, Attempt: history.Hash(attempt), User: user, Transport: string(h.transport), Key: c.Key, Issued: c.Issued, Expires: c.Expires}
}

// refreshCredential returns the credential of a refresh.
func (h tokenSet) refreshCredential() string {
	if h.transport == token.ServerHeld {
		return h.access
	}
	return h.refresh
}

// result is the part of a response that a client uses.
type result struct {
	status int
	code   string
	tokens tokenSet // of a 200 response with tokens
}

func (r result) isOK() bool { return r.status >= 200 && r.status < 300 }

// apiRequest describes a request.
type apiRequest struct {
	client, method, path string
	role                 history.Role
	op                   history.Op
	as                   tokenSet
	raw                  string // the presented token; empty: none
	location             string // its location: bearer, access, refresh or body
	attempt              string
	body                 map[string]any
	target               string
}

// patience is the time-out of a client: longer than a running server works on any request.
const patience = 4 * time.Second

// ask sends a request to a random replica and records the result.
func (t *torture) ask(ctx context.Context, a apiRequest) result {
	server := t.pick()
	body := a.body
	if a.location == "body" && a.raw != "" {
		body = map[string]any{"refresh_token": a.raw}
	}
	lose := time.Duration(0) // when the client drops the connection
	if a.role == history.Honest && a.op == history.Refresh && chance(0.05) {
		lose = between(time.Millisecond, 40*time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(lose, patience)) // outlives the run
	defer cancel()
	request, err := t.request(ctx, server, a, body)
	if err != nil {
		panic(err) // an error of this program
	}
	e := history.Event{Call: &history.Call{Client: a.client, Role: a.role, Op: a.op, Server: server, Target: a.target}}
	if a.as.session != "" {
		e.Call.Shown = a.as.describeSent(a.raw, a.attempt)
	}
	e.Begin = t.record.Now()
	response, err := receive(t.http[server], request)
	e.End = t.record.Now()
	r := result{}
	if e.Call.Lost = lose > 0; e.Call.Lost { // also if the response was faster
		err = errors.New("lost")
	}
	if err == nil {
		r = t.learn(a, response, e.Call)
		if err := servertest.Judge(request, response); err != nil {
			t.addViolation(fmt.Sprintf("%s %s: response %d violates the contract: %v", a.method, a.path, response.Status, err))
		}
	}
	t.count(a, r)
	t.record.Add(e)
	return r
}

func (t *torture) request(ctx context.Context, server int, a apiRequest, body map[string]any) (*http.Request, error) {
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
	case a.location == "bearer":
		r.Header.Set("Authorization", "Bearer "+a.raw)
	case a.location == "access":
		r.Header.Set("Cookie", "access="+a.raw)
	case a.location == "refresh":
		r.Header.Set("Cookie", "refreshtoken="+a.raw)
	}
	if a.method != http.MethodGet && a.as.csrf != "" && (a.location == "access" || a.location == "refresh") {
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
	_ = json.Unmarshal(raw, &r.JSON) // not every body is an object
	return r, err
}

// learn adds a response with its tokens to a call of the history.
func (t *torture) learn(a apiRequest, response *servertest.Response, call *history.Call) result {
	r := result{status: response.Status, code: response.Code()}
	call.Status, call.Code, call.Cookie = r.status, r.code, len(response.Header.Values("Set-Cookie"))
	session, _ := response.JSON["session"].(map[string]any)
	if r.status != http.StatusOK || session == nil || response.Text("token_transport") == "" {
		return r
	}
	h := tokenSet{transport: token.Transport(response.Text("token_transport")), born: time.Now(), csrf: response.Text("csrf_token"), access: response.Text("access_token"), refresh: response.Text("refresh_token")}
	h.session, _ = session["id"].(string)
	generation, _ := response.JSON["generation"].(float64)
	h.generation = int64(generation)
	text, _ := session["expires_at"].(string)
	if end, err := time.Parse(time.RFC3339, text); err == nil {
		h.sessionEnd = end.Unix()
	}
	for _, c := range response.Cookies() {
		switch {
		case c.Value == "": // an expired cookie of another transport
		case c.Name == "access":
			h.access = c.Value
		case c.Name == "refreshtoken":
			h.refresh = c.Value
		}
	}
	t.secrets.add(h.access, h.refresh, h.csrf, a.attempt)
	r.tokens = h
	call.Got = h.describeReceived()
	if call.Got.User == 0 && call.Shown != nil { // unchanged tokens, which a cookie transport does not send again
		call.Got.User = call.Shown.User
	}
	return r
}

// describeReceived returns the tokens of a response for the history. All its tokens must belong to
// the same session and generation.
func (h tokenSet) describeReceived() *history.Token {
	g := &history.Token{Session: h.session, Generation: h.generation, Transport: string(h.transport), SessionEnd: h.sessionEnd, Access: history.Hash(h.access), Refresh: history.Hash(h.refresh)}
	for _, raw := range []string{h.access, h.refresh} {
		if raw == "" {
			continue
		}
		c := readClaims(raw)
		g.User, _ = strconv.ParseInt(c.Subject, 10, 64)
		g.Key, g.ID, g.Issued = c.Key, c.ID, c.Issued
		if c.Session != h.session || c.Generation != h.generation {
			g.ID = "not of this session or generation"
		}
	}
	return g
}
