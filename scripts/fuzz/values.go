package main

import (
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"example.com/accounts/server/servertest"
)

// value draws the value of a member or a parameter. A good value mostly satisfies the schema. A bad
// value has another type, is just out of bounds, or is from the corpus.
func (g *generator) value(t *rapid.T, name string, schema *openapi3.Schema, good bool, op servertest.Operation) any {
	if !good {
		switch number(t, 3) {
		case 0:
			return sample(t, pieces)
		case 1:
			return g.outOfBounds(t, schema)
		}
		if schema.Type.Is(openapi3.TypeString) {
			return sample(t, corpus)
		}
		return sample(t, pieces)
	}
	if v, ok := g.fromWorld(t, name, op); ok {
		return v
	}
	switch {
	case len(schema.Enum) > 0:
		return sample(t, schema.Enum)
	case schema.Type.Is(openapi3.TypeBoolean):
		return chance(t, 1, 2)
	case schema.Type.Is(openapi3.TypeInteger), schema.Type.Is(openapi3.TypeNumber):
		return rapid.IntRange(int(orElse(schema.Min, -1000)), int(orElse(schema.Max, 1000))).Draw(t, name)
	case schema.Type.Is(openapi3.TypeArray):
		var list []any
		for range 1 + number(t, 3) {
			list = append(list, g.value(t, name, schema.Items.Value, true, op))
		}
		return list
	case schema.Type.Is(openapi3.TypeObject):
		return g.object(t, schema, 0, op)
	}
	return g.text(t, schema)
}

func orElse(n *float64, other float64) float64 {
	if n == nil {
		return other
	}
	return *n
}

// text draws a string that the schema allows, often with a length at its bounds. If the schema has
// no pattern, half of the strings are from the corpus, and the schema may not allow them.
func (g *generator) text(t *rapid.T, schema *openapi3.Schema) string {
	if text, ok := schema.Example.(string); ok && chance(t, 1, 4) {
		return text
	}
	if schema.Pattern != "" {
		if g.patterns[schema.Pattern] == nil {
			g.patterns[schema.Pattern] = rapid.StringMatching(schema.Pattern)
		}
		return g.patterns[schema.Pattern].Draw(t, "")
	}
	if chance(t, 1, 2) {
		return sample(t, corpus)
	}
	least, most := int(schema.MinLength), 64
	if schema.MaxLength != nil {
		most = int(*schema.MaxLength)
	}
	return fill(t, sample(t, []int{min(most, max(least, 12)), least, min(most, least+1), max(least, most-1), most}))
}

// outOfBounds draws a value just outside the bounds of the schema.
func (g *generator) outOfBounds(t *rapid.T, schema *openapi3.Schema) any {
	switch {
	case len(schema.Enum) > 0:
		first, _ := schema.Enum[0].(string)
		return sample(t, []string{strings.ToUpper(first), first + " ", first + "\x00", ""})
	case schema.Min != nil:
		return int(*schema.Min) - 1
	case schema.Max != nil:
		return int(*schema.Max) + 1
	case schema.Pattern != "":
		s := g.text(t, schema)
		return sample(t, []string{s + "\n", s + "x", " " + s, strings.ToUpper(s) + "!", ""})
	case schema.MaxLength != nil && chance(t, 1, 2):
		return fill(t, int(*schema.MaxLength)+1)
	case schema.MinLength > 0:
		return fill(t, int(schema.MinLength)-1)
	}
	return sample(t, pieces)
}

// letters need one to four bytes each in UTF-8.
var letters = []string{"a", "b", "Z", "7", "-", "\u00e9", "\u0431", "\uac00", "\u4e2d", "\U0001f600", "\u0301", " ", "'", "\u200d"}

func fill(t *rapid.T, n int) string {
	if n == 0 {
		return ""
	}
	return strings.Repeat(sample(t, letters[:4]), n-1) + sample(t, letters)
}

var (
	newPasswords = []string{"a tale of two cities", "xkcd nine three six 936", "\u00fcber lange W\u00f6rter 12", strings.Repeat("pw ", 30), "tr0ub4dor and three"}
	newEmails    = []string{"new-one@example.com", "New.Two@Example.COM", "b\u00fccher@example.com", "x+y@b\u00fccher.example", "o'neil@example.org", "third@sub.example.net"}
	newNames     = []string{"grace", "Gr\u00e1inne", "\uff47race", "user.name-1", "\uae40\ucca0\uc218", "a", strings.Repeat("n", 150), "\u05d0\u05d1\u05d2", "\u6f22\u5b57", "GRACE"}
)

// fromWorld draws a value for the members whose valid values depend on the world.
func (g *generator) fromWorld(t *rapid.T, name string, op servertest.Operation) (any, bool) {
	pick := func(kind refKind, others []string) (any, bool) {
		i := number(t, 3+len(others))
		if i >= 3 {
			return others[i-3], true
		}
		return ref{kind, i}, true
	}
	switch name {
	case "username":
		if op.ID == "login" {
			return ref{refName, number(t, 2)}, true
		}
		return pick(refTakenName, newNames)
	case "email":
		return pick(refKnownEmail, newEmails)
	case "password", "current_password":
		if op.ID == "register" {
			return sample(t, append([]string{goodPassword}, newPasswords...)), true
		}
		return ref{kind: refPassword}, true
	case "new_password":
		return sample(t, newPasswords), true
	case "token":
		return ref{refToken, number(t, 4)}, true
	case "user_id", "actor_id":
		return ref{refUser, 1 + number(t, 4)}, true
	case "cursor": // of this list or of another one, or invented
		return sample(t, []string{"eyJzIjoiaWQiLCJkIjpmYWxzZSwiaSI6MX0", "eyJzIjoidXNlcm5hbWUiLCJkIjp0cnVlLCJpIjoxLCJ0IjoienEifQ", "_____________________w", "AAAAAAAAAAAAAAAAAAAAAA", "AAAA", "e30"}), true
	case "If-Match":
		return sample(t, []string{"*", `"0"`, `"1"`, `W/"2"`, `"3", "4"`}), true
	case "created_from", "created_before":
		return sample(t, []string{"2020-01-01T00:00:00Z", "2999-12-31T23:59:59Z", "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z"}), true
	case "session_id":
		return ref{refSession, number(t, 6)}, true
	case "refresh_token":
		return ref{refRefresh, number(t, 4)}, true
	}
	return nil, false
}
