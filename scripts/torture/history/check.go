package history

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

// Break is a violation of an invariant of the protocol, by its number in [Invariants].
type Break struct {
	Invariant int
	Session   string
	Text      string
}

func (b Break) String() string {
	return fmt.Sprintf("invariant %d (%s): %s [session %s]", b.Invariant, Invariants[b.Invariant], b.Text, cmp.Or(b.Session, "none"))
}

// Invariants names the invariants.
var Invariants = map[int]string{
	1: "one leaf", 2: "step", 3: "revoke wins", 4: "monotone", 5: "no lost acknowledgment", 6: "no false alarm", 7: "detection", 8: "forged tokens change nothing",
	9: "responses", 10: "cookies", 11: "absolute end", 12: "one event", 13: "no token in dump or log", 14: "user and transport", 15: "progress", 16: "availability",
}

// Verdict is the result of checking a history.
type Verdict struct {
	Breaks    []Break
	Sessions  int
	Rotations int // generations handed out by refreshes
	Alarms    int // sessions revoked for reuse
	Excused   int // alarms of clients whose requests met faults beyond the bounds of invariant 6
}

const (
	second    = int64(1_000_000)
	recovery  = 5 * second // invariant 16
	honestLag = 4 * second // Q of clients that send attempts: the longest time that a running server works on a request
)

// Check searches a history for violations of the invariants.
//
// It never assumes when a row changed, because no client can know that. It uses only the order of
// requests and responses: a generation was created before the first response that contained it, and
// its predecessor was superseded by then.
func Check(events []Event) Verdict {
	c := newChecker(events)
	for _, e := range c.calls {
		c.checkCall(e)
	}
	for _, s := range c.sessions {
		c.checkSession(s)
	}
	for _, e := range events {
		if e.Dump != nil {
			c.checkDump(e)
		}
	}
	c.checkAlarms()
	slices.SortStableFunc(c.verdict.Breaks, func(a, b Break) int { return cmp.Compare(a.Invariant, b.Invariant) })
	return c.verdict
}

type checker struct {
	Settings
	calls    []Event
	faults   []Event
	sessions map[string]*session
	users    map[int64][]*ending
	leaves   map[leaf]string
	reused   map[string]int64 // when each session was known to be revoked for reuse
	verdict  Verdict
}

// session is the knowledge about a session from the history.
type session struct {
	id        string
	user      int64
	transport string
	end       int64
	login     Event
	calls     []Event         // requests with a token of it
	endings   []*ending       // requests to end this session only
	seen      map[int64]int64 // generation → time of the first response with it
	after     map[int64]int64 // generation → time of the first response with a later one
	endedAt   int64           // when the session was known to have ended
	endedBy   string
	answered  bool // known from a response alone, without an acknowledged ending
}

// ending is a request that ends sessions, if the server executed it.
type ending struct {
	Event
	acknowledged bool
	except       string // the session that is kept
}

type leaf struct {
	session    string
	generation int64
	key, kind  string
}

const never = int64(1) << 62

func newChecker(events []Event) *checker {
	c := &checker{sessions: map[string]*session{}, users: map[int64][]*ending{}, leaves: map[leaf]string{}, reused: map[string]int64{}}
	for _, e := range events {
		switch {
		case e.Settings != nil:
			c.Settings = *e.Settings
		case e.Fault != nil:
			c.faults = append(c.faults, e)
		case e.Call != nil:
			c.calls = append(c.calls, e)
		}
	}
	slices.SortStableFunc(c.calls, func(a, b Event) int { return cmp.Compare(a.Begin, b.Begin) })
	for _, e := range c.calls {
		c.learn(e)
	}
	for _, e := range c.calls {
		c.learnEnding(e)
	}
	for _, s := range c.sessions {
		s.order()
		c.findEnd(s)
	}
	return c
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

func (c *checker) learn(e Event) {
	if shown := e.Call.Shown; shown != nil {
		s := c.sessionOf(shown.Session)
		s.calls = append(s.calls, e)
	}
	got := e.Call.Got
	if got == nil || !isSuccess(e.Call.Status) {
		return
	}
	s := c.sessionOf(got.Session)
	if e.Call.Op != Refresh {
		s.login, s.user, s.transport, s.end = e, got.User, got.Transport, got.SessionEnd
	}
	if at, known := s.seen[got.Generation]; !known || e.End < at {
		s.seen[got.Generation] = e.End
	}
}

func (c *checker) sessionOf(id string) *session {
	if c.sessions[id] == nil {
		c.sessions[id] = &session{id: id, seen: map[int64]int64{}, after: map[int64]int64{}, endedAt: never}
	}
	return c.sessions[id]
}

func (s *session) order() {
	generations := make([]int64, 0, len(s.seen))
	for g := range s.seen {
		generations = append(generations, g)
	}
	slices.Sort(generations)
	first := never
	for i := len(generations) - 1; i >= 0; i-- {
		s.after[generations[i]] = first
		first = min(first, s.seen[generations[i]])
	}
}

// supersededAt returns the time at which a generation was known to be superseded.
func (s *session) supersededAt(generation int64) int64 {
	if at, known := s.after[generation]; known {
		return at
	}
	first := never
	for g, at := range s.seen {
		if g > generation {
			first = min(first, at)
		}
	}
	return first
}

// newest returns the highest generation in a response received by then; -1 for none.
func (s *session) newest(by int64) int64 {
	newest := int64(-1)
	for g, at := range s.seen {
		if at <= by {
			newest = max(newest, g)
		}
	}
	return newest
}

func (c *checker) learnEnding(e Event) {
	call := e.Call
	if call.Status >= 300 && call.Status < 500 && call.Code != "refresh_reused" || call.Role == Forger {
		return // rejected without an effect
	}
	if call.Shown == nil && call.Op != Deactivate {
		return
	}
	x := &ending{Event: e, acknowledged: isSuccess(call.Status) || call.Code == "refresh_reused"}
	switch call.Op {
	case Logout:
		c.addEnding(call.Shown.Session, x)
	case EndOne:
		c.addEnding(call.Target, x)
	case Refresh:
		if call.Code == "refresh_reused" {
			c.addEnding(call.Shown.Session, x)
			c.reused[call.Shown.Session] = max(c.reused[call.Shown.Session], e.End)
		}
	case Deactivate:
		c.users[call.User] = append(c.users[call.User], x)
	case EndAll, EndOthers, ChangePassword:
		if call.Op == EndOthers {
			x.except = call.Shown.Session
		}
		user := call.Shown.User
		c.users[user] = append(c.users[user], x)
	case Login, Profile, Activate:
	}
}

func (c *checker) addEnding(id string, x *ending) {
	s := c.sessionOf(id)
	s.endings = append(s.endings, x)
}

// endingsOf returns the endings that may have ended a session.
func (c *checker) endingsOf(s *session) []*ending {
	list := slices.Clone(s.endings)
	for _, x := range c.users[s.user] {
		if x.except != s.id && (x.Begin != s.login.Begin || x.End != s.login.End) {
			list = append(list, x)
		}
	}
	return list
}

// findEnd determines the first time at which a session was known to have ended.
func (c *checker) findEnd(s *session) {
	for _, x := range c.endingsOf(s) {
		alone := slices.Contains(s.endings, x)
		if x.acknowledged && (alone || s.login.Call != nil && s.login.End <= x.Begin) && x.End < s.endedAt {
			s.endedAt, s.endedBy, s.answered = x.End, fmt.Sprintf("%s of %s", x.Call.Op, x.Call.Client), false
			if x.Call.Op == Refresh {
				s.endedBy = "the response refresh_reused to " + x.Call.Client
			}
		}
	}
	for _, e := range s.calls {
		if e.Call.Role != Forger && e.Call.Status == http.StatusUnauthorized && e.Call.Code == "session_revoked" && e.End < s.endedAt {
			s.endedAt, s.endedBy, s.answered = e.End, "the response session_revoked to "+e.Call.Client, true
		}
	}
}

func (c *checker) addBreak(invariant int, session string, e Event, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if e.Call != nil {
		text = fmt.Sprintf("%s by %s, sent at %.3f s to server %d, response %d %s at %.3f s: ", e.Call.Op, e.Call.Client, float64(e.Begin)/1e6, e.Call.Server, e.Call.Status,
			e.Call.Code, float64(e.End)/1e6) + text
	}
	c.verdict.Breaks = append(c.verdict.Breaks, Break{invariant, session, text})
}

// needsLife reports whether a successful response implies that the session was live.
func (call *Call) needsLife() bool {
	return call.Shown != nil && call.Op != Logout
}

func (c *checker) checkCall(e Event) {
	call := e.Call
	id := ""
	if call.Shown != nil {
		id = call.Shown.Session
	}
	c.checkStatus(e, id)
	c.checkCookies(e, id)
	if call.Role == Forger {
		if isSuccess(call.Status) {
			c.addBreak(8, id, e, "a forged token, or one presented through another transport, was accepted")
		}
		return
	}
	if isSuccess(call.Status) && call.Got != nil {
		c.checkLeaf(e)
		c.checkOwner(e)
	}
	if call.Shown == nil {
		return
	}
	s := c.sessionOf(id)
	if isSuccess(call.Status) && call.needsLife() {
		c.checkLife(s, e)
	}
	if call.Status == http.StatusUnauthorized && call.Op != Logout {
		c.checkUnauthorized(s, e)
	}
	if call.Op == Refresh {
		c.checkStep(s, e)
		c.checkDetection(s, e)
		c.checkProgress(s, e)
		c.checkAvailability(s, e)
	}
}

// checkStatus checks invariant 9.
func (c *checker) checkStatus(e Event, id string) {
	call := e.Call
	if call.Status >= 500 && call.Status != http.StatusServiceUnavailable {
		c.addBreak(9, id, e, "a server error")
		return
	}
	if call.Op != Refresh || call.Role == Forger {
		return
	}
	switch call.Status {
	case 0, http.StatusOK, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable:
	case http.StatusUnauthorized:
		if !slices.Contains([]string{"credentials_missing", "refresh_invalid", "session_expired", "session_revoked", "refresh_reused"}, call.Code) {
			c.addBreak(9, id, e, "this code is not documented for the status")
		}
	default:
		c.addBreak(9, id, e, "this status is not allowed for a well-formed refresh")
	}
}

// checkCookies checks invariant 10. It also checks row 4 of the decision table, which sets no
// cookie because the token in the jar may be newer than the response.
func (c *checker) checkCookies(e Event, id string) {
	call := e.Call
	switch {
	case call.Cookie == 0:
	case !isSuccess(call.Status):
		c.addBreak(10, id, e, "a rejection that sets or clears a cookie")
	case call.Op == Profile:
		c.addBreak(10, id, e, "a read that sets or clears a cookie")
	case call.Op == Refresh && call.Got != nil && call.Shown != nil && call.Got.Generation == call.Shown.Generation:
		c.addBreak(10, id, e, "the same cookies are set again")
	}
}

// checkLeaf checks invariant 1.
func (c *checker) checkLeaf(e Event) {
	got := e.Call.Got
	for kind, value := range map[string]string{"jti": got.ID, "access": got.Access, "refresh": got.Refresh} {
		if value == "" {
			continue
		}
		l := leaf{got.Session, got.Generation, got.Key, kind}
		if kind == "jti" {
			l.key = "" // the jti does not depend on the key
		}
		if before, known := c.leaves[l]; known && before != value {
			c.addBreak(1, got.Session, e, "a second %s of generation %d", kind, got.Generation)
		}
		c.leaves[l] = value
	}
}

// checkOwner checks invariant 14, and the part of invariant 11 that the absolute end does not
// change.
func (c *checker) checkOwner(e Event) {
	got := e.Call.Got
	s := c.sessionOf(got.Session)
	c.checkUnchanged(s, e, got.User, got.Transport, got.SessionEnd)
}

// checkUnchanged compares the session in a response or a row with its login.
func (c *checker) checkUnchanged(s *session, e Event, user int64, transport string, end int64) {
	if s.login.Call == nil {
		return
	}
	if user != s.user || transport != s.transport {
		c.addBreak(14, s.id, e, "user %d with transport %s, but the login was of user %d with %s", user, transport, s.user, s.transport)
	}
	if end != s.end {
		c.addBreak(11, s.id, e, "the absolute end moved from %d to %d", s.end, end)
	}
}

// checkLife checks invariants 3, 4 and 11.
func (c *checker) checkLife(s *session, e Event) {
	if e.Begin > s.endedAt {
		number := 3
		if s.answered {
			number = 4
		}
		c.addBreak(number, s.id, e, "the session was ended at %.3f s by %s", float64(s.endedAt)/1e6, s.endedBy)
	}
	if s.end > 0 && c.Start+e.Begin > s.end*second+c.Margin/2 {
		c.addBreak(11, s.id, e, "after the absolute end")
	}
}

// checkUnauthorized checks invariant 5. An access token does not depend on the generation: it is
// valid until it expires or its session ends.
func (c *checker) checkUnauthorized(s *session, e Event) {
	call := e.Call
	if call.Op == Refresh && call.Shown.Generation < s.newest(e.Begin) {
		return
	}
	var why string
	switch call.Code {
	case "access_expired":
		if c.mayHaveExpired(call.Shown.Expires*second-c.clockLead(e), e) {
			return
		}
		why = "its access token had not expired"
	case "session_expired":
		if c.mayHaveExpired(c.idleEnd(call.Shown), e) || s.end > 0 && c.mayHaveExpired(s.end*second, e) {
			return
		}
		why = "its session had not expired"
	case "refresh_reused": // alarms are checked by invariant 6
		return
	case "session_revoked":
		if c.mayHaveEnded(s, e) {
			return
		}
		why = "no client had requested the end of the session"
	default:
		why = "it was the newest token issued to any client"
	}
	c.addBreak(5, s.id, e, "%s (generation %d)", why, call.Shown.Generation)
}

// idleEnd returns the end of the idle time. In the transport server_held, the token can be used for
// refreshes after its own expiry.
func (c *checker) idleEnd(t *Token) int64 {
	if t.Transport == "server_held" {
		return t.Issued*second + c.ServerHeldIdle
	}
	return t.Expires * second
}

// clockLead returns how far a fault had set the clock of the responding server ahead. Each server,
// like each other service, decides by its own clock whether an access token has expired. The client
// then refreshes, and the database's clock decides whether its session is live.
func (c *checker) clockLead(e Event) int64 {
	by := int64(0)
	for _, f := range c.faults {
		if f.Fault.Server == e.Call.Server && f.Begin <= e.End && e.Begin <= f.End {
			by = max(by, f.Fault.By)
		}
	}
	return by
}

// mayHaveExpired reports whether a time may have passed, allowing for clock errors and for the
// rounding of times in tokens.
func (c *checker) mayHaveExpired(end int64, e Event) bool {
	return c.Start+e.End+c.Margin/2+second >= end
}

// mayHaveEnded reports whether a request before the response could have ended the session. A
// request without a response may be executed at any later time.
func (c *checker) mayHaveEnded(s *session, e Event) bool {
	for _, x := range c.endingsOf(s) {
		if x.Begin < e.End && x.Event != e && (!x.acknowledged || s.login.Call == nil || x.End >= s.login.Begin) {
			return true
		}
	}
	return c.mayHaveAlarmed(s, e)
}

// mayHaveAlarmed reports whether a request without a response may have revoked the session for
// reuse. Its token was superseded, or another request without a response may have superseded the
// token W earlier. Invariant 6 checks whether an alarm was justified.
func (c *checker) mayHaveAlarmed(s *session, e Event) bool {
	unknown := func(o Event) bool {
		return o.Call.Op == Refresh && o.Call.Role != Forger && (o.Call.Status == 0 || o.Call.Status == http.StatusServiceUnavailable) && o.Begin < e.End
	}
	return slices.ContainsFunc(s.calls, func(o Event) bool {
		return unknown(o) && (o.Call.Shown.Generation < s.newest(e.End) || slices.ContainsFunc(s.calls, func(p Event) bool {
			return p != o && unknown(p) && p.Call.Shown.Generation == o.Call.Shown.Generation && p.Begin+c.Rotation-c.Margin < e.End
		}))
	})
}

// checkStep checks invariant 2.
func (c *checker) checkStep(s *session, e Event) {
	call := e.Call
	if !isSuccess(call.Status) || call.Got == nil {
		return
	}
	shown, got := call.Shown.Generation, call.Got.Generation
	switch {
	case got != shown && got != shown+1:
		c.addBreak(2, s.id, e, "generation %d was refreshed to generation %d", shown, got)
	case s.supersededAt(got) < e.Begin:
		c.addBreak(2, s.id, e, "generation %d had been replaced at %.3f s", got, float64(s.supersededAt(got))/1e6)
	}
}

// checkDetection checks invariant 7. The method checkLife checks that the session has ended after
// the alarm.
func (c *checker) checkDetection(s *session, e Event) {
	call := e.Call
	old := s.supersededAt(call.Shown.Generation)
	if old == never || e.Begin <= old+c.Rotation+c.Margin || call.Status != http.StatusOK || s.mayOwn(e) {
		return
	}
	c.addBreak(7, s.id, e, "generation %d had been replaced at %.3f s", call.Shown.Generation, float64(old)/1e6)
}

// mayOwn reports whether the request may contain the attempt of the rotation: an earlier request
// presented the same token with the same attempt.
func (s *session) mayOwn(e Event) bool {
	shown := e.Call.Shown
	return shown.Attempt != "" && slices.ContainsFunc(s.calls, func(o Event) bool {
		return o.Call.Op == Refresh && o.Begin < e.Begin && o.Call.Shown.Generation == shown.Generation && o.Call.Shown.Attempt == shown.Attempt
	})
}

// checkProgress checks invariant 15.
func (c *checker) checkProgress(s *session, e Event) {
	call := e.Call
	if call.Status != http.StatusOK || call.Got == nil || call.Got.Generation != call.Shown.Generation {
		return
	}
	if born, known := s.seen[call.Shown.Generation]; known && e.Begin > born+c.Rotation+2*c.Margin {
		c.addBreak(15, s.id, e, "generation %d, issued at %.3f s or earlier, was not rotated", call.Shown.Generation, float64(born)/1e6)
	}
}

// checkAvailability checks invariant 16. By the decision table, a superseded token that is
// evaluated more than M after the request proves nothing and is answered 503.
func (c *checker) checkAvailability(s *session, e Event) {
	if e.Call.Status != http.StatusServiceUnavailable && e.Call.Status != 0 || e.Call.Lost {
		return
	}
	if e.Call.Shown.Generation < s.newest(e.End) && e.End-e.Begin > c.Margin {
		return
	}
	for _, f := range c.faults {
		if f.Begin <= e.End && e.Begin <= f.End+recovery {
			return
		}
	}
	c.addBreak(16, e.Call.Shown.Session, e, "no fault in the last 5 s")
}

// checkSession checks a session as a whole: it starts with generation 0.
func (c *checker) checkSession(s *session) {
	c.verdict.Sessions++
	for g := range s.seen {
		if g > 0 {
			c.verdict.Rotations++
		}
	}
	if s.login.Call != nil && s.login.Call.Got.Generation != 0 {
		c.addBreak(2, s.id, s.login, "a new session has generation %d", s.login.Call.Got.Generation)
	}
}

func (c *checker) checkDump(e Event) {
	d := e.Dump
	for _, id := range d.Changed {
		c.addBreak(8, id, e, "the row has changed, although only forgers have used the session")
	}
	for _, leak := range d.Leaks {
		c.addBreak(13, "", e, "%s", leak)
	}
	for _, r := range d.Sessions {
		c.checkRow(e, r)
	}
}

func (c *checker) checkRow(e Event, r Row) {
	if r.Reason == "refresh_reused" {
		if _, known := c.reused[r.Session]; !known {
			c.reused[r.Session] = e.Begin
		}
	}
	events := e.Dump.Reused[r.Session]
	if r.Reason == "refresh_reused" && events != 1 || r.Reason != "refresh_reused" && events != 0 {
		c.addBreak(12, r.Session, e, "revoked for %q with %d events of reuse", r.Reason, events)
	}
	s, known := c.sessions[r.Session]
	if !known {
		return // the login got no response
	}
	if r.Live && s.endedAt < e.Begin {
		c.addBreak(4, s.id, e, "the row is active, but the session was ended at %.3f s by %s", float64(s.endedAt)/1e6, s.endedBy)
	}
	if newest := s.newest(e.Begin); r.Generation < newest {
		c.addBreak(5, s.id, e, "the row has generation %d, but generation %d was issued", r.Generation, newest)
	}
	c.checkUnchanged(s, e, r.User, r.Transport, r.SessionEnd)
}

// checkAlarms checks invariant 6.
func (c *checker) checkAlarms() {
	for id, at := range c.reused {
		c.verdict.Alarms++
		s := c.sessionOf(id)
		if slices.ContainsFunc(s.calls, func(e Event) bool {
			return e.Call.Op == Refresh && (e.Call.Role == Thief || e.Call.Role == Replayer) && e.Begin < at
		}) {
			continue
		}
		if c.mayExceedBounds(s) {
			c.verdict.Excused++
			continue
		}
		c.addBreak(6, id, Event{}, "revoked for reuse, although only its own client has used it")
	}
}

// mayExceedBounds reports whether a request of the client may have been decided later than
// invariant 6 allows.
//
// With an attempt, a lost response can be recovered at any time, so only an abandoned request in a
// stopped process counts. Without one, any missing or late response counts.
func (c *checker) mayExceedBounds(s *session) bool {
	for _, e := range s.calls {
		if e.Call.Op != Refresh {
			continue
		}
		if e.Call.Shown.Attempt == "" {
			if e.Call.Status == 0 || e.Call.Status == http.StatusServiceUnavailable || e.End-e.Begin > (c.Rotation-c.Margin)/2 {
				return true
			}
			continue
		}
		if e.Call.Status == 0 && slices.ContainsFunc(c.faults, func(f Event) bool {
			return f.Fault.Name == Stopped && f.Fault.Server == e.Call.Server && f.Begin <= e.End && f.End >= e.Begin+min(honestLag, c.Rotation-c.Margin)
		}) {
			return true
		}
	}
	return false
}
