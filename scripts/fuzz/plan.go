package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// plan is a request as it was drawn. It names what the world holds (a session, a password, a link) by a number and not
// by its value, so that it means the same after every reset, and whatever shrinks a run needs to know nothing of tokens.
type plan struct {
	skip    bool // what a run is shrunk by
	op      int  // of the contract's operations
	method  string
	tweak   int // of the path
	params  []param
	headers [][2]string
	host    string
	who     int // the user whose request it is
	session choice
	shown   []credential
	csrf    csrfKind
	typed   []string // Content-Type
	body    any      // nil: none
	mangle  int
	salt    int // for what a mangle or a tweak draws
	chunked bool
}

// param is a parameter of the path or the query, more than once if it has several values.
type param struct {
	name, in string
	values   []any
}

// choice is a session of the user by its state, and which of them.
type choice struct {
	state state
	n     int
}

// credential is a token at a place that need not be its own.
type credential struct {
	place   string // bearerAuth, accessCookie, refreshCookie, as the contract names them, or body
	who     int
	session choice
	refresh bool
	hostile int // of the corpus, counted from 1
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

// ref stands for a value that the world has.
type ref struct {
	kind refKind
	n    int
}

type refKind int

const (
	refName       refKind = iota // a name to log in with
	refPassword                  // the right one
	refToken                     // of a link
	refSession                   // an id
	refRefresh                   // a refresh token of the transport body
	refTakenName                 // somebody else's username
	refKnownEmail                // an address that has an account or a registration
	refUser                      // an id
)

// object keeps its order, and a name may occur twice.
type object []member

type member struct {
	name  string
	value any
}

// text is a piece of JSON as it is to be sent, which need not be any.
type text string

// encode writes a value as JSON; lookup resolves what the world has.
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
		if err != nil { // cannot be: the generator makes strings, numbers, booleans and null beside the above
			panic(err)
		}
		b.Write(raw)
	}
}

// spell writes a value as a parameter.
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

// member is what a body's member is sent as, if that is a text.
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
