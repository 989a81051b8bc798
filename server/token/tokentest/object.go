package tokentest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// member is a name and a value of a JSON object, both as JSON text.
type member struct{ name, value string }

// object is a JSON object that keeps its order and may contain a name twice.
type object []member

// part decodes the n-th part of a token of this server.
func part(raw string, n int) object {
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[n])
	if err != nil {
		panic("tokentest: not a token")
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	var o object
	for _, _ = dec.Token(); dec.More(); {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			panic("tokentest: not a token")
		}
		o = append(o, member{quote(name.(string)), string(value)})
	}
	return o
}

func (o object) String() string {
	parts := make([]string, len(o))
	for i, m := range o {
		parts[i] = m.name + ":" + m.value
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == quote(name) })
}

// get returns the value as JSON text, including quotes.
func (o object) get(name string) string { return o[o.index(name)].value }

func (o object) text(name string) string { return strings.Trim(o.get(name), `"`) }

// set returns a copy with the value in place of the old one, or at the end.
func (o object) set(name, value string) object {
	c := slices.Clone(o)
	if i := c.index(name); i >= 0 {
		c[i].value = value
		return c
	}
	return append(c, member{quote(name), value})
}

func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == quote(name) })
}

func (o object) first(name, value string) object {
	return slices.Insert(slices.Clone(o), 0, member{quote(name), value})
}

func (o object) last(name, value string) object {
	return append(slices.Clone(o), member{quote(name), value})
}

func quote(s string) string { return `"` + s + `"` }
