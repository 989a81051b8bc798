package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"example.com/accounts/server/servertest"
)

// fuzzer sends the requests that the generator draws and checks the responses.
type fuzzer struct {
	generator *generator
	world     *world
	plans     *rapid.Generator[[]plan]
	known     map[string]bool // faults found so far: the search continues for others
	tally     tally
	shrinking bool
	last      *failure
}

// failure is a fault with the requests that lead to it, as few as shrinking found.
type failure struct {
	key   string
	seed  uint64
	plans []plan
	steps []string
	said  string
}

// tally counts the checked responses.
type tally struct {
	requests, runs int
	classes        [6]int
	statuses       map[string]map[int]int // by operation; "other" for requests that belong to none
	slowest        time.Duration
	slowestOf      string
	codes          map[string]int
}

func newFuzzer(t scope, engine servertest.Engine) (*fuzzer, error) {
	w, err := newWorld(t, engine)
	if err != nil {
		return nil, err
	}
	g := newGenerator()
	return &fuzzer{generator: g, plans: g.plans(), world: w, known: map[string]bool{}, tally: tally{statuses: map[string]map[int]int{}, codes: map[string]int{}}}, nil
}

// run is the property for rapid: no drawn run of requests leads to a new fault.
func (f *fuzzer) run(t *rapid.T) {
	plans := slices.DeleteFunc(f.plans.Draw(t, "requests"), func(p plan) bool { return p.skip })
	f.tally.runs++
	if failed := f.try(plans); failed != nil {
		f.shrinking, f.last = true, failed
		t.Fatalf("%s", failed.key)
	}
}

// try sends plans, starting from the initial state of the world.
func (f *fuzzer) try(plans []plan) *failure {
	f.world.reset()
	var steps []string
	for i, p := range plans {
		key, step, said := f.step(p)
		steps = append(steps, step...)
		if key != "" && !f.known[key] {
			return &failure{key: key, plans: plans[:i+1], steps: steps, said: said}
		}
	}
	return nil
}

// minimize removes each request that the failure does not need.
func (f *fuzzer) minimize(failed *failure) *failure {
	for i := len(failed.plans) - 1; i >= 0; i-- {
		if i < len(failed.plans) {
			if fewer := f.try(slices.Delete(slices.Clone(failed.plans), i, i+1)); fewer != nil && fewer.key == failed.key {
				failed = fewer
			}
		}
	}
	return failed
}

// step sends a plan. If the plan needs a session and its user has none, step signs the user in
// first.
func (f *fuzzer) step(p plan) (key string, steps []string, said string) {
	if again, ok := f.signIn(p); ok {
		key, line, said := f.send(again)
		if key != "" && !f.known[key] {
			return key, []string{line}, said
		}
		steps = append(steps, line)
	}
	key, line, said := f.send(p)
	return key, append(steps, line), said
}

// signIn returns the login of a user without a live session.
func (f *fuzzer) signIn(p plan) (plan, bool) {
	w := f.world
	who := p.who % len(w.users)
	if p.session.state != live || w.users[who].gone || slices.ContainsFunc(w.sessions, func(s session) bool { return s.who == who && s.state == live && !s.ended }) {
		return plan{}, false
	}
	login := slices.IndexFunc(f.generator.operations, func(o servertest.Operation) bool { return o.ID == "login" })
	return plan{op: login, who: who, session: choice{state: signedOut}, typed: []string{"application/json"}, body: object{
		{"username", ref{kind: refName}}, {"password", ref{kind: refPassword}}, {"token_transport", string(transports[p.salt%len(transports)])},
	}}, true
}

func (f *fuzzer) send(p plan) (key, step, said string) {
	r := f.build(p)
	a := f.exchange(r)
	fault := f.verdict(r, a)
	if !f.shrinking {
		f.count(r, a)
	}
	f.learn(r, a)
	step = fmt.Sprintf("%-20s %d %s\n    %s", r.op.ID, a.Status, a.Code(), r.curl())
	if fault == "" {
		return "", step, ""
	}
	name := r.op.ID
	if r.strange {
		name = "other"
	}
	return name + ": " + fault, step, describe(a)
}

func describe(a *answer) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%d after %s\n", a.Status, a.took)
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		_, _ = fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(a.Header[name], " | "))
	}
	_, _ = fmt.Fprintf(&b, "\n%s", shorten(string(a.Raw), 2000))
	if len(a.changes) > 0 {
		_, _ = fmt.Fprintf(&b, "\nchanged: %v", a.changes)
	}
	for line := range strings.Lines(a.log) {
		if strings.Contains(line, `"ERROR"`) || strings.Contains(line, `"WARN"`) {
			_, _ = fmt.Fprintf(&b, "\nlogged: %s", shorten(line, 2000))
		}
	}
	return b.String()
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:most], len(s))
}

// exchange sends a request to the server in this process.
func (f *fuzzer) exchange(r *request) *answer {
	begin := time.Now()
	rec, aborted := f.world.serve(r.http)
	a := &answer{took: time.Since(begin), aborted: aborted}
	result := rec.Result()
	raw, err := io.ReadAll(result.Body)
	f.world.must(err)
	a.Response = parse(result.StatusCode, result.Header, raw)
	a.log = f.world.s.Log.Take()
	a.changes = f.world.s.Database.Changes(f.world.t, f.world.seq)
	return a
}

func (f *fuzzer) count(r *request, a *answer) {
	n := &f.tally
	n.requests++
	n.classes[a.Status/100]++
	name := r.op.ID
	if r.strange {
		name = "other"
	}
	if n.statuses[name] == nil {
		n.statuses[name] = map[int]int{}
	}
	n.statuses[name][a.Status]++
	if a.Code() != "" {
		n.codes[a.Code()]++
	}
	if a.took > n.slowest {
		n.slowest, n.slowestOf = a.took, name
	}
}

// listMissing lists the operations that have not succeeded in this run, or that have not been
// rejected although the contract documents an error.
func (n *tally) listMissing(operations []servertest.Operation) (list []string) {
	for _, op := range operations {
		seen := [6]bool{}
		for status := range n.statuses[op.ID] {
			seen[status/100] = true
		}
		if !seen[2] {
			list = append(list, op.ID+" 2xx")
		}
		if !seen[4] && slices.ContainsFunc(op.Statuses, func(s int) bool { return s/100 == 4 }) {
			list = append(list, op.ID+" 4xx")
		}
	}
	return list
}

// report writes the counts by operation and status; [n] is a documented status that did not occur.
func (n *tally) report(w io.Writer, operations []servertest.Operation) {
	for _, op := range operations {
		_, _ = fmt.Fprintf(w, "  %-20s", op.ID)
		for _, status := range op.Statuses {
			switch count := n.statuses[op.ID][status]; {
			case count > 0:
				_, _ = fmt.Fprintf(w, " %d:%d", status, count)
			case status < http.StatusInternalServerError: // 5xx responses are not expected
				_, _ = fmt.Fprintf(w, " [%d]", status)
			}
		}
		_, _ = fmt.Fprintln(w)
	}
	_, _ = fmt.Fprintf(w, "  %-20s", "other")
	for _, status := range slices.Sorted(maps.Keys(n.statuses["other"])) {
		_, _ = fmt.Fprintf(w, " %d:%d", status, n.statuses["other"][status])
	}
	_, _ = fmt.Fprintf(w, "\n  %-20s", "codes")
	for _, code := range slices.Sorted(maps.Keys(n.codes)) {
		_, _ = fmt.Fprintf(w, " %s:%d", code, n.codes[code])
	}
	_, _ = fmt.Fprintf(w, "\n  slowest response: %s (%s)\n", n.slowest.Round(time.Microsecond), n.slowestOf)
}
