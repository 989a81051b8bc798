package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/net/http/httpguts"

	"example.com/accounts/server/servertest"
)

// request is a plan with the values of the current world, ready to be sent.
type request struct {
	plan
	op      servertest.Operation
	http    *http.Request
	raw     string
	owners  []int64 // the users whose passwords, tokens or links it contains
	shows   *session
	link    *link
	strange bool // its method or path belongs to no operation or to another one
}

// build creates the request of a plan.
func (f *fuzzer) build(p plan) *request {
	r := &request{plan: p, op: f.generator.operations[p.op]}
	w := f.world
	if p.session.state != signedOut {
		r.shows = w.session(p.who, p.session)
		r.owners = append(r.owners, w.users[r.shows.who].id)
	}
	f.findLink(r)
	method, target := cmp.Or(p.method, r.op.Method), f.target(r)
	r.strange = p.method != "" && p.method != r.op.Method || target.EscapedPath() != f.plainPath(r)
	r.raw = f.buildBody(r)
	var body io.Reader
	if r.raw != "" {
		body = strings.NewReader(r.raw)
		if p.chunked {
			body = io.MultiReader(body) // of unknown length
		}
	}
	var err error
	if r.http, err = http.NewRequestWithContext(context.Background(), method, target.String(), body); err != nil {
		w.t.Fatal(err)
	}
	switch {
	case body == nil: // as net/http passes it to a handler
		r.http.Body = http.NoBody
	case p.chunked:
		r.http.ContentLength = -1
	}
	r.http.RemoteAddr, r.http.RequestURI = "127.0.0.1:9", target.RequestURI()
	f.headers(r)
	return r
}

// session returns the chosen session of a user, or another one of the same state.
func (w *world) session(who int, c choice) *session {
	var found []*session
	for i := range w.sessions {
		s := &w.sessions[i]
		if s.who == who%len(w.users) && s.state == c.state && !s.ended {
			found = append(found, s)
		}
	}
	if len(found) == 0 { // all have ended: use an ended one
		for i := range w.sessions {
			if w.sessions[i].who == who%len(w.users) {
				found = append(found, &w.sessions[i])
			}
		}
	}
	if len(found) == 0 {
		return &w.sessions[0]
	}
	return found[c.n%len(found)]
}

// ------------------------------------------------------------------ URL

func (f *fuzzer) target(r *request) *url.URL {
	path := tweaks[r.tweak](f.plainPath(r))
	var query []string
	for _, p := range r.params {
		for _, v := range p.values {
			if p.in == openapi3.ParameterInQuery {
				query = append(query, queryPart(p.name, f.spell(r, v)))
			}
		}
	}
	u, err := url.ParseRequestURI(path)
	if err != nil { // not a path for any client or server
		u = &url.URL{Path: path}
	}
	base, err := url.Parse(f.world.s.URL)
	f.world.must(err)
	u.Scheme, u.Host, u.RawQuery = base.Scheme, base.Host, strings.Join(query, "&")
	return u
}

// queryPart escapes a name and a value. A value that is an escape itself is sent as it is, even if
// it is invalid.
func queryPart(name, value string) string {
	if strings.HasPrefix(value, "%") && len(value) < 4 {
		return url.QueryEscape(name) + "=" + value
	}
	return url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

func (f *fuzzer) plainPath(r *request) string {
	path := r.op.Path
	for _, p := range r.params {
		if p.in == openapi3.ParameterInPath {
			path = strings.ReplaceAll(path, "{"+p.name+"}", url.PathEscape(f.spell(r, p.values[0])))
		}
	}
	return path
}

// ------------------------------------------------------------------ body

// buildBody returns the body. If the operation accepts requests without credentials in the headers,
// the body may contain the refresh token.
func (f *fuzzer) buildBody(r *request) string {
	o, isObject := r.body.(object)
	anonymous := slices.ContainsFunc(r.op.Security, func(s openapi3.SecurityRequirement) bool { return len(s) == 0 })
	token := f.bodyToken(r)
	if !anonymous || token == "" || r.body != nil && !isObject {
		return f.write(r, r.body)
	}
	o = slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == "refresh_token" })
	return f.write(r, append(o, member{"refresh_token", token}))
}

func (f *fuzzer) write(r *request, v any) string {
	if v == nil {
		return ""
	}
	var b bytes.Buffer
	encode(&b, v, func(x ref) string { return f.lookup(r, x) })
	return mangles[r.mangle](b.String(), r.salt)
}

// bodyToken returns the refresh token for the body: of an additional credential, or of the
// request's session.
func (f *fuzzer) bodyToken(r *request) string {
	for _, c := range r.shown {
		if c.place == "body" {
			return f.token(r, c)
		}
	}
	if r.shows != nil && r.shows.transport == "body" {
		return r.shows.refresh
	}
	return ""
}

// ------------------------------------------------------------------ credentials and headers

func (f *fuzzer) headers(r *request) {
	h := r.http.Header
	if r.raw != "" {
		h["Content-Type"] = slices.Clone(r.typed)
	}
	var cookies []string
	if r.shows != nil {
		cookies = f.addClientCredentials(r, h)
	}
	for _, c := range r.shown {
		token := f.token(r, c)
		switch c.place {
		case "bearerAuth":
			h.Add("Authorization", "Bearer "+token)
		case "accessCookie":
			cookies = append(cookies, "access="+token)
		case "refreshCookie":
			cookies = append(cookies, "refreshtoken="+token)
		}
	}
	if len(cookies) > 0 {
		h.Add("Cookie", strings.Join(cookies, "; "))
	}
	f.csrfHeader(r, h)
	for _, p := range r.params {
		for _, v := range p.values {
			if p.in == openapi3.ParameterInHeader {
				h.Add(p.name, f.spell(r, v))
			}
		}
	}
	for _, each := range r.headers {
		h.Add(each[0], each[1])
	}
	if r.host != "" {
		r.http.Host = r.host
	}
	for name, values := range h { // net/http itself rejects invalid header values
		h[name] = slices.DeleteFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) })
		if len(h[name]) == 0 {
			delete(h, name)
		}
	}
}

// addClientCredentials adds the credentials that a client of the session's transport sends. A
// browser sends every cookie.
func (f *fuzzer) addClientCredentials(r *request, h http.Header) (cookies []string) {
	s := r.shows
	switch s.transport {
	case "hybrid", "body":
		h.Set("Authorization", "Bearer "+s.access)
		if s.transport == "body" {
			return nil
		}
	case "cookies", "server_held":
		cookies = append(cookies, "access="+s.access)
		if s.transport == "server_held" {
			return cookies
		}
	}
	return append(cookies, "refreshtoken="+s.refresh)
}

func (f *fuzzer) csrfHeader(r *request, h http.Header) {
	const name = "X-CSRFToken"
	own := ""
	if r.shows != nil {
		own = r.shows.csrf
	} else if len(r.shown) > 0 {
		own = f.world.session(r.shown[0].who, r.shown[0].session).csrf
	}
	switch r.csrf {
	case csrfOwn:
		if own != "" {
			h.Set(name, own)
		}
	case csrfMissing:
	case csrfOfAnother:
		h.Set(name, f.world.session(r.who+1, choice{live, r.salt}).csrf)
	case csrfGarbage:
		h.Set(name, "garbage")
	case csrfEmpty:
		h.Set(name, "")
	case csrfTwice:
		h[http.CanonicalHeaderKey(name)] = []string{own, "other"}
	}
}

// token returns the token of a credential and adds its owner to the request's owners.
func (f *fuzzer) token(r *request, c credential) string {
	if c.hostile > 0 { // made from tokens of the first user; some are valid for a logout
		r.owners = append(r.owners, f.world.kept.users[0].id)
		return f.world.hostile[c.hostile%len(f.world.hostile)]
	}
	s := f.world.session(c.who, c.session)
	r.owners = append(r.owners, f.world.users[s.who].id)
	if c.refresh && s.refresh != "" {
		return s.refresh
	}
	return s.access
}
