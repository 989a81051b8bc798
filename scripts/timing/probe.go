package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kinds of addresses, by their prefix. All prefixes have the same length, so that all requests have
// the same length.
const (
	known   = "known" // of a user
	pending = "waits" // of a registration that waits for its verification
	unknown = "other" // without a user; each is used once
)

func address(kind string, i int) string { return fmt.Sprintf("%s%06d@example.com", kind, i) }

// operation is a request whose response must not depend on whether the address is known.
type operation struct {
	name, path string
	known      string // the kind that counts as known
	status     int
	body       func(email string) any
}

func operations() []operation {
	email := func(email string) any { return map[string]any{"email": email} }
	return []operation{
		{"login", "/accounts/login", known, http.StatusUnauthorized, func(email string) any {
			return map[string]any{"username": email, "password": "not the password at all"}
		}},
		{"register", "/accounts/register", known, http.StatusAccepted, func(email string) any {
			return map[string]any{"email": email, "password": password}
		}},
		{"resend", "/accounts/email/resend", pending, http.StatusAccepted, email},
		{"resend (user)", "/accounts/email/resend", known, http.StatusAccepted, email},
		{"reset", "/accounts/password/reset", known, http.StatusAccepted, email},
	}
}

// probe sends the requests of one operation over one connection.
type probe struct {
	ctx    context.Context
	client *http.Client
	base   string
	pause  time.Duration
	turn   map[string]int // next address of each kind
}

// result contains the measurements of an operation; index 1 is for known addresses. The index of
// after is the kind of the previous request, regardless of the kind of the measured one.
type result struct {
	took, after [2][]time.Duration
	seen        [2]map[string]bool // distinct responses, without their variable parts
	bytes       [2]map[int]bool
}

// run measures n requests for known and n for unknown addresses, after a tenth as many for warm-up,
// in one random order. In a fixed alternation, an unknown address would usually come right after a
// known one, while the mail worker still works on that one.
func (p *probe) run(o operation, n int, random *rand.Rand) (*result, error) {
	var r result
	for i := range 2 {
		r.seen[i], r.bytes[i] = map[string]bool{}, map[int]bool{}
	}
	order := make([]int, 2*n)
	for i := range order {
		order[i] = i % 2
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	warm := max(20, n/10)
	before := -1
	for i, which := range slices.Concat(order[:min(warm, len(order))], order) {
		answer, err := p.ask(o, which)
		if err != nil {
			return nil, err
		}
		if i >= warm {
			r.took[which] = append(r.took[which], answer.took)
			r.after[before] = append(r.after[before], answer.took)
			r.seen[which][answer.text] = true
			r.bytes[which][answer.size] = true
		}
		before = which
		time.Sleep(p.pause)
	}
	return &r, nil
}

// answer is a response: its time, its size, and the parts that must not depend on the address.
type answer struct {
	took time.Duration
	size int
	text string
}

func (p *probe) ask(o operation, which int) (answer, error) {
	kind := unknown
	limit := 1_000_000
	if which == 1 {
		kind, limit = o.known, addresses
	}
	encoded, err := json.Marshal(o.body(address(kind, p.turn[kind]%limit)))
	if err != nil {
		return answer{}, err
	}
	p.turn[kind]++
	request, err := http.NewRequestWithContext(p.ctx, http.MethodPost, p.base+o.path, bytes.NewReader(encoded))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := p.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	took := time.Since(began)
	_ = response.Body.Close()
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode != o.status {
		return answer{}, fmt.Errorf("%s has status %d, want %d: %s", o.name, response.StatusCode, o.status, body)
	}
	var header bytes.Buffer
	if err := response.Header.Write(&header); err != nil {
		return answer{}, err
	}
	return answer{took, header.Len() + len(body), shape(response.Header, body)}, nil
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// shape returns a response without ids, dates and cookie values.
func shape(header http.Header, body []byte) string {
	h := header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	for i, cookie := range h["Set-Cookie"] {
		name, rest, _ := strings.Cut(cookie, "=")
		_, attributes, _ := strings.Cut(rest, ";")
		h["Set-Cookie"][i] = name + "=;" + attributes
	}
	var text bytes.Buffer
	_ = h.Write(&text) // writes to a Buffer do not fail
	return text.String() + requestID.ReplaceAllString(string(body), "")
}
