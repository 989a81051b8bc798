package main

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/net/http/httpguts"

	"example.com/accounts/server/servertest"
)

// request is a plan in the world as it is: what is sent, and whose credentials it shows.
type request struct {
	plan
	op      servertest.Operation
	http    *http.Request
	raw     string
	owners  []int64 // the users whose passwords, tokens or links are in it
	shows   *session
	link    *link
	strange bool // by its method or path it belongs to no operation, or to another one
}

// build makes a plan a request. A live session that has ended meanwhile is replaced by signing in anew, which is a
// request of its own, and then what comes back.
func (f *fuzzer) build(p plan) *request {
	r := &request{plan: p, op: f.generator.operations[p.op]}
	w := f.world
	if p.session.state != nobody {
		r.shows = w.session(p.who, p.session)
		r.owners = append(r.owners, w.users[r.shows.who].id)
	}
	f.findLink(r)
	method, target := cmp.Or(p.method, r.op.Method), f.target(r)
	r.strange = p.method != "" && p.method != r.op.Method || target.EscapedPath() != f.plainPath(r)
	r.raw = f.bodyOf(r)
	var body io.Reader
	if r.raw != "" {
		body = strings.NewReader(r.raw)
		if p.chunked {
			body = io.MultiReader(body) // of unknown length
		}
	}
	var err error
	if r.http, err = http.NewRequest(method, target.String(), body); err != nil {
		w.t.Fatal(err)
	}
	switch {
	case body == nil: // as net/http hands it to a server
		r.http.Body = http.NoBody
	case p.chunked:
		r.http.ContentLength = -1
	}
	r.http.RemoteAddr, r.http.RequestURI = "127.0.0.1:9", target.RequestURI()
	f.headers(r)
	return r
}

// session is the one that is meant, or the next of that state.
func (w *world) session(who int, c choice) *session {
	var found []*session
	for i := range w.sessions {
		s := &w.sessions[i]
		if s.who == who%len(w.users) && s.state == c.state && !s.ended {
			found = append(found, s)
		}
	}
	if len(found) == 0 { // all of them have ended: then one that has
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

// ------------------------------------------------------------------ where to

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
	if err != nil { // what no client and no server takes for a path
		u = &url.URL{Path: path}
	}
	base, err := url.Parse(f.world.s.URL)
	f.world.must(err)
	u.Scheme, u.Host, u.RawQuery = base.Scheme, base.Host, strings.Join(query, "&")
	return u
}

// queryPart is escaped where it must be; a text that holds an escape is sent as it is, also a wrong one.
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

// ------------------------------------------------------------------ what

// bodyOf is the body as it is sent; of an operation that may be called without a credential in the headers it may hold
// the token.
func (f *fuzzer) bodyOf(r *request) string {
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

// bodyToken is the refresh token that the request's session, or a token shown beside it, has in the body.
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

// ------------------------------------------------------------------ by whom

func (f *fuzzer) headers(r *request) {
	h := r.http.Header
	if r.raw != "" {
		h["Content-Type"] = slices.Clone(r.typed)
	}
	var cookies []string
	if r.shows != nil {
		cookies = f.asClient(r, h)
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
	for name, values := range h { // net/http answers these itself
		h[name] = slices.DeleteFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) })
		if len(h[name]) == 0 {
			delete(h, name)
		}
	}
}

// asClient sends what a client of the session's transport has: a browser sends every cookie.
func (f *fuzzer) asClient(r *request, h http.Header) (cookies []string) {
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

// token is what a credential shows, and notes whose it is.
func (f *fuzzer) token(r *request, c credential) string {
	if c.hostile > 0 { // made of tokens of the first user, and some of them are good for a logout
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
