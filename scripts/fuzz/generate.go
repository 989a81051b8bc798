package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"example.com/accounts/server/servertest"
)

// generator draws plans from the contract, so a new operation is fuzzed without changes here.
// Additional knowledge is needed only for members whose valid values depend on the state of the
// world.
type generator struct {
	operations []servertest.Operation
	often      []int // indices of operations; operations with many cases occur several times
	patterns   map[string]*rapid.Generator[string]
}

func newGenerator() *generator {
	g := &generator{operations: servertest.Operations(), patterns: map[string]*rapid.Generator[string]{}}
	for i, op := range g.operations {
		times := 6
		if isConstant(op) {
			times = 2
		}
		if op.ID == "revokeUserSession" || op.ID == "updateUser" {
			times = 12 // rarely valid: needs a session of that user, or the current version
		}
		if op.ID == "deleteAccount" || op.ID == "revokeAllSessions" {
			times = 2 // later requests have fewer users and sessions to work with
		}
		g.often = append(g.often, slices.Repeat([]int{i}, times)...)
	}
	return g
}

// isConstant reports whether requests to the operation vary only in method, headers and unknown
// parameters.
func isConstant(op servertest.Operation) bool {
	return len(op.Operation.Parameters) == 0 && op.Operation.RequestBody == nil && len(op.Security) == 0
}

// plans generates runs: lists of requests that start from the same world.
func (g *generator) plans() *rapid.Generator[[]plan] {
	return rapid.SliceOfN(rapid.Custom(g.plan), runLength, runLength)
}

const runLength = 30

func (g *generator) plan(t *rapid.T) plan {
	if !chance(t, 31, 32) {
		return plan{skip: true}
	}
	p := plan{op: g.often[drawEvenly(t, len(g.often))], who: number(t, 4), session: drawSession(t), salt: number(t, 100), chunked: chance(t, 1, 16)}
	op := g.operations[p.op]
	if op.Operation.Extensions["x-required-role"] != nil && chance(t, 5, 6) {
		p.who = firstStaff + number(t, 2)
	}
	if chance(t, 1, 24) {
		p.method = sample(t, methods)
	}
	if chance(t, 1, 24) {
		p.tweak = number(t, len(tweaks))
	}
	g.parameters(t, op, &p)
	g.credentials(t, op, &p)
	g.body(t, op, &p)
	if chance(t, 1, 5) {
		p.headers = append(p.headers, [2]string{sample(t, oddHeaders), sample(t, oddValues)})
	}
	if chance(t, 1, 40) {
		p.host = sample(t, hosts)
	}
	return p
}

func (g *generator) parameters(t *rapid.T, op servertest.Operation, p *plan) {
	for _, r := range op.Operation.Parameters {
		if !r.Value.Required && !chance(t, 2, max(3, len(op.Operation.Parameters))) { // else rarely valid
			continue
		}
		q := param{name: r.Value.Name, in: r.Value.In, values: []any{g.value(t, r.Value.Name, r.Value.Schema.Value, !chance(t, 2, 3), op)}}
		if list, ok := q.values[0].([]any); ok { // each item is a separate parameter
			q.values = list
		}
		if r.Value.In != openapi3.ParameterInPath && chance(t, 1, 12) {
			q.values = append(q.values, g.value(t, r.Value.Name, r.Value.Schema.Value, chance(t, 1, 2), op))
		}
		p.params = append(p.params, q)
	}
	if chance(t, 1, map[bool]int{true: 3, false: 16}[isConstant(op)]) {
		p.params = append(p.params, param{name: sample(t, []string{"a", "keep_current ", "Keep_current", "", "next", "a[]", "%"}), in: openapi3.ParameterInQuery, values: []any{sample(t, corpus)}})
	}
}

// credentials draws the credentials of a request. Most requests come from a well-behaved client;
// otherwise only the security checks of the operation would be exercised.
func (g *generator) credentials(t *rapid.T, op servertest.Operation, p *plan) {
	places := []string{"bearerAuth", "accessCookie", "refreshCookie", "body"}
	if len(op.Security) == 0 && !chance(t, 1, 8) {
		p.session.state = signedOut
		return
	}
	if chance(t, 1, 8) {
		p.csrf = csrfKind(number(t, int(csrfTwice)+1))
	}
	switch number(t, 8) {
	case 7: // no credentials
		p.session.state = signedOut
	case 5, 6: // one or two tokens, in their own location or in another
		p.session.state = signedOut
		fallthrough
	case 4: // additional tokens besides the valid credentials
		for range 1 + number(t, 2) {
			c := credential{place: sample(t, places), who: number(t, 4), session: drawSession(t), refresh: chance(t, 1, 2)}
			if chance(t, 1, 3) {
				c.hostile = 1 + number(t, 1000)
			}
			p.shown = append(p.shown, c)
		}
	}
}

func drawSession(t *rapid.T) choice { return choice{state: sample(t, oftenStates), n: number(t, 4)} }

func (g *generator) body(t *rapid.T, op servertest.Operation, p *plan) {
	p.typed = []string{"application/json"}
	if op.Operation.RequestBody == nil {
		if chance(t, 1, 10) {
			p.body = sample(t, bodies)
		}
		return
	}
	if chance(t, 1, 16) {
		p.typed = sample(t, contentTypes)
	}
	media := op.Operation.RequestBody.Value.Content["application/json"]
	switch number(t, 16) {
	default:
		p.body = g.object(t, media.Schema.Value, 0, op)
	case 7, 8, 9, 10, 11:
		p.body = g.object(t, media.Schema.Value, 2, op)
	case 12:
		p.body = sample(t, bodies)
	case 13, 14:
		p.body, p.mangle = g.object(t, media.Schema.Value, 0, op), number(t, len(mangles))
	case 15:
		p.body = g.example(t, media)
	}
	if !op.Operation.RequestBody.Value.Required && chance(t, 1, 3) {
		p.body = nil
	}
}

// object draws the members of a body; on average wild in 6 of them are invalid.
func (g *generator) object(t *rapid.T, schema *openapi3.Schema, wild int, op servertest.Operation) any {
	var o object
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		required := slices.Contains(schema.Required, name)
		if required && wild > 0 && chance(t, 1, 12) || !required && !chance(t, 1, 2) {
			continue
		}
		o = append(o, member{name, g.value(t, name, schema.Properties[name].Value, !chance(t, wild, 6), op)})
	}
	if wild > 0 && chance(t, 1, 12) {
		o = append(o, member{sample(t, []string{"unknown", "", "Password", "is_staff", "is_superuser", "id", "email ", "a/b~c", "__proto__", strings.Repeat("k", 300)}), sample(t, pieces)})
	}
	return o
}

func (g *generator) example(t *rapid.T, media *openapi3.MediaType) any {
	examples := []any{media.Example}
	for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
		examples = append(examples, media.Examples[name].Value.Value)
	}
	return sample(t, examples)
}

// ------------------------------------------------------------------ draws; all of them shrink to
// the first

func sample[T any](t *rapid.T, list []T) T { return list[number(t, len(list))] }

func number(t *rapid.T, below int) int { return indices(below).Draw(t, "") }

// chance is true in n of `of` cases.
func chance(t *rapid.T, n, of int) bool { return number(t, of) >= of-n }

var drawn = map[int]*rapid.Generator[int]{}

func indices(below int) *rapid.Generator[int] {
	if drawn[below] == nil {
		drawn[below] = rapid.IntRange(0, below-1)
	}
	return drawn[below]
}

// drawEvenly draws a number with equal probabilities; [number] prefers small ones. It draws one bit
// at a time.
func drawEvenly(t *rapid.T, below int) int {
	const spread = 4 // extra bits, which keep the rounding error small
	n, size := 0, 1
	for ; size < below<<spread; size <<= 1 {
		n <<= 1
		if fair.Draw(t, "") {
			n++
		}
	}
	return n * below / size
}

var fair = rapid.Bool()
