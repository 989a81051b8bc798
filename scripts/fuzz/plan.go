package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// plan is a drawn request. It refers to values of the world (a session, a password, a link) by
// number. So it means the same after every reset, and shrinking needs to know nothing of tokens.
type plan struct {
	skip    bool // lets shrinking remove the request
	op      int  // index into the contract's operations
	method  string
	tweak   int // index into tweaks
	params  []param
	headers [][2]string
	host    string
	who     int // index of the requesting user
	session choice
	shown   []credential
	csrf    csrfKind
	typed   []string // Content-Type
	body    any      // nil: no body
	mangle  int
	salt    int // random input for a mangle or a tweak
	chunked bool
}

// param is a parameter of the path, the query or the headers, repeated if it has several values.
type param struct {
	name, in string
	values   []any
}

// choice is the n-th session of the user in a state.
type choice struct {
	state state
	n     int
}

// credential is a token in a location that may be wrong for it.
type credential struct {
	place   string // bearerAuth, accessCookie or refreshCookie, as in the contract, or body
	who     int
	session choice
	refresh bool
	hostile int // index into the hostile tokens, counted from 1; 0: a real token
}

type csrfKind int

const (
	csrfOwn csrfKind = iota
	csrfMissing
	csrfOfAnother
	csrfGarbage
	csrfEmpty
	csrfTwice
)

// ------------------------------------------------------------------ values

// ref stands for a value of the world.
type ref struct {
	kind refKind
	n    int
}

type refKind int

const (
	refName       refKind = iota // a username or an address for login
	refPassword                  // the user's password
	refToken                     // a token of a link
	refSession                   // a session id
	refRefresh                   // a refresh token of the transport body
	refTakenName                 // the username of another user
	refKnownEmail                // an address that has an account or a registration
	refUser                      // a user id
)

// object is a JSON object that keeps the order of its members and may repeat names.
type object []member

type member struct {
	name  string
	value any
}

// text is sent as it is, and need not be valid JSON.
type text string

// encode writes a value as JSON; lookup resolves refs.
func encode(b *bytes.Buffer, v any, lookup func(ref) string) {
	switch v := v.(type) {
	case text:
		b.WriteString(string(v))
	case ref:
		encode(b, lookup(v), lookup)
	case object:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			encode(b, m.name, lookup)
			b.WriteByte(':')
			encode(b, m.value, lookup)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, each := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			encode(b, each, lookup)
		}
		b.WriteByte(']')
	default:
		raw, err := json.Marshal(v)
		if err != nil { // impossible: the other values are strings, numbers, booleans and null
			panic(err)
		}
		b.Write(raw)
	}
}

// spell returns a value as the text of a parameter.
func spell(v any, lookup func(ref) string) string {
	switch v := v.(type) {
	case string:
		return v
	case text:
		return string(v)
	case ref:
		return lookup(v)
	case bool:
		return strconv.FormatBool(v)
	}
	var b bytes.Buffer
	encode(&b, v, lookup)
	return b.String()
}

// member returns the value sent for a member of the body, if it is a string.
func (p plan) member(name string, lookup func(ref) string) (string, bool) {
	o, _ := p.body.(object)
	for _, m := range o {
		if m.name != name {
			continue
		}
		switch v := m.value.(type) {
		case string:
			return v, true
		case ref:
			return lookup(v), true
		}
	}
	return "", false
}

func (c csrfKind) String() string {
	return [...]string{"own", "missing", "of another", "garbage", "empty", "twice"}[c]
}

func (c choice) String() string { return fmt.Sprintf("%s %d", c.state, c.n) }
