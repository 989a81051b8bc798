package history

import (
	"bytes"
	"fmt"
	"testing"
)

// settings has W = 2 s and M = 400 ms; times in these histories are milliseconds.
var settings = Event{Settings: &Settings{Start: 1000 * second, Rotation: 2 * second, Margin: second * 4 / 10, ServerHeldIdle: 30 * second}}

// token returns a token of a generation of the session s of user 1.
func token(session string, generation int64) *Token {
	name := fmt.Sprint(session, ".", generation)
	return &Token{Session: session, Generation: generation, User: 1, Transport: "body", Key: "k", ID: name, Access: "a" + name, Refresh: "r" + name, Issued: 1000, Expires: 1030, SessionEnd: 1060}
}

func call(begin, end int64, role Role, op Op, shown *Token, status int, code string, got *Token) Event {
	return Event{Begin: begin * 1000, End: end * 1000, Call: &Call{Client: string(role) + "1", Role: role, Op: op, Shown: shown, Status: status, Code: code, Got: got}}
}

func login() Event { return call(0, 10, Honest, Login, nil, 200, "", token("s", 0)) }

func refresh(begin, end, from, to int64) Event {
	return call(begin, end, Honest, Refresh, token("s", from), 200, "", token("s", to))
}

func refused(begin, from int64, role Role, code string) Event {
	return call(begin, begin+10, role, Refresh, token("s", from), 401, code, nil)
}

func profile(begin, generation int64, status int, code string) Event {
	return call(begin, begin+10, Honest, Profile, token("s", generation), status, code, nil)
}

func fault(name string, begin, end int64) Event {
	return Event{Begin: begin * 1000, End: end * 1000, Fault: &Fault{Name: name, Server: 0}}
}

func dump(at int64, d Dump) Event { return Event{Begin: at * 1000, End: at * 1000, Dump: &d} }

func with(e Event, change func(*Call)) Event {
	copied := *e.Call
	if copied.Shown != nil {
		shown := *copied.Shown
		copied.Shown = &shown
	}
	if copied.Got != nil {
		got := *copied.Got
		copied.Got = &got
	}
	change(&copied)
	e.Call = &copied
	return e
}

func unanswered(e Event) Event {
	return with(e, func(c *Call) { c.Status, c.Got = 0, nil })
}

func attempt(e Event, value string) Event { return with(e, func(c *Call) { c.Shown.Attempt = value }) }

func row(generation int64, live bool, reason string) Row {
	return Row{Session: "s", User: 1, Generation: generation, Live: live, Reason: reason, Transport: "body", SessionEnd: 1060}
}

// TestCheckFindsBrokenInvariant checks histories that break exactly one invariant. The twin of each
// history differs in one detail and breaks none.
func TestCheckFindsBrokenInvariant(t *testing.T) {
	logout := call(100, 110, Honest, Logout, token("s", 0), 204, "", nil)
	overlapping := call(100, 2600, Honest, Logout, token("s", 0), 204, "", nil)
	thief := refused(6000, 0, Thief, "refresh_reused")
	checked := map[int]bool{}
	for name, c := range map[string]struct {
		invariant    int
		broken, good []Event
	}{
		"1, two access tokens of a generation": {1,
			[]Event{login(), refresh(3000, 3010, 0, 1), with(refresh(3000, 3020, 0, 1), func(c *Call) { c.Got.Access = "other" })},
			[]Event{login(), refresh(3000, 3010, 0, 1), refresh(3000, 3020, 0, 1)}},
		"1, two jti under two keys": {1,
			[]Event{login(), refresh(3000, 3010, 0, 1), with(refresh(3000, 3020, 0, 1), func(c *Call) { c.Got.Key, c.Got.ID = "k2", "other" })},
			[]Event{login(), refresh(3000, 3010, 0, 1), with(refresh(3000, 3020, 0, 1), func(c *Call) { c.Got.Key, c.Got.Access, c.Got.Refresh = "k2", "x", "y" })}},
		"2, a generation is skipped": {2,
			[]Event{login(), refresh(3000, 3010, 0, 2)},
			[]Event{login(), refresh(3000, 3010, 0, 1)}},
		"2, superseded tokens are returned": {2,
			[]Event{login(), refresh(2500, 2510, 0, 1), refresh(2520, 2530, 0, 0)},
			[]Event{login(), refresh(2500, 2510, 0, 1), refresh(2505, 2530, 0, 0)}},
		"2, a login at generation 1": {2,
			[]Event{call(0, 10, Honest, Login, nil, 200, "", token("s", 1))},
			[]Event{login()}},
		"3, profile after logout": {3,
			[]Event{login(), logout, profile(120, 0, 200, "")},
			[]Event{login(), logout, profile(105, 0, 200, "")}},
		"3, refresh in flight during logout": {3,
			[]Event{login(), logout, refresh(2500, 2510, 0, 1)},
			[]Event{login(), overlapping, refresh(2500, 2510, 0, 1)}},
		"3, after logout everywhere": {3,
			[]Event{login(), call(100, 110, Honest, EndAll, token("x", 0), 204, "", nil), profile(120, 0, 200, "")},
			[]Event{login(), call(100, 110, Honest, EndAll, token("x", 0), 503, "service_unavailable", nil), profile(120, 0, 200, "")}},
		"3, after all other sessions are revoked": {3,
			[]Event{login(), call(100, 110, Honest, EndOthers, token("x", 0), 204, "", nil), profile(120, 0, 200, "")},
			[]Event{login(), call(100, 110, Honest, EndOthers, token("s", 0), 204, "", nil), profile(120, 0, 200, "")}},
		"3, after one session is revoked": {3,
			[]Event{login(), with(call(100, 110, Honest, EndOne, token("x", 0), 204, "", nil), func(c *Call) { c.Target = "s" }), profile(120, 0, 200, "")},
			[]Event{login(), with(call(100, 110, Honest, EndOne, token("x", 0), 204, "", nil), func(c *Call) { c.Target = "y" }), profile(120, 0, 200, "")}},
		"3, after a password change": {3,
			[]Event{login(), call(100, 110, Honest, ChangePassword, token("s", 0), 200, "", token("n", 0)), profile(120, 0, 200, "")},
			[]Event{login(), call(100, 110, Honest, ChangePassword, token("s", 0), 200, "", token("n", 0)), with(profile(120, 0, 200, ""), func(c *Call) { c.Shown.Session = "n" })}},
		"3, after deactivation": {3,
			[]Event{login(), with(call(100, 110, Operator, Deactivate, nil, 204, "", nil), func(c *Call) { c.User = 1 }), profile(120, 0, 200, "")},
			[]Event{login(), with(call(100, 110, Operator, Deactivate, nil, 204, "", nil), func(c *Call) { c.User = 2 }), profile(120, 0, 200, "")}},
		"3, a revocation that was rolled back": {3,
			[]Event{login(), refresh(3000, 3010, 0, 1), thief, profile(6100, 1, 200, "")},
			[]Event{login(), refresh(3000, 3010, 0, 1), thief, profile(6100, 1, 401, "session_revoked")}},
		"4, accepted after session_revoked": {4,
			[]Event{login(), unanswered(logout), profile(120, 0, 401, "session_revoked"), profile(140, 0, 200, "")},
			[]Event{login(), unanswered(logout), profile(120, 0, 200, ""), profile(140, 0, 401, "session_revoked")}},
		"4, an active row after logout": {4,
			[]Event{login(), logout, dump(200, Dump{Sessions: []Row{row(0, true, "")}})},
			[]Event{login(), logout, dump(200, Dump{Sessions: []Row{row(0, false, "logout")}})}},
		"5, a session is revoked after login": {5,
			[]Event{login(), profile(100, 0, 401, "session_revoked")},
			[]Event{login(), profile(100, 0, 200, "")}},
		"5, a rejected revocation revokes": {5,
			[]Event{login(), call(50, 60, Honest, EndAll, token("s", 0), 403, "csrf_failed", nil), profile(100, 0, 401, "session_revoked")},
			[]Event{login(), call(50, 60, Honest, EndAll, token("s", 0), 503, "service_unavailable", nil), profile(100, 0, 401, "session_revoked")}},
		"5, a lost rotation": {5,
			[]Event{login(), refresh(3000, 3010, 0, 1), refused(3100, 1, Honest, "session_expired")},
			[]Event{login(), refresh(3000, 3010, 0, 1), refused(29500, 1, Honest, "session_expired")}},
		"5, an access token expires early": {5,
			[]Event{login(), profile(3100, 0, 401, "access_expired")},
			[]Event{login(), profile(29500, 0, 401, "access_expired")}},
		"5, revoked for reuse with a lost response": {5,
			[]Event{login(), fault("cut", 3000, 5600), unanswered(refresh(5500, 5510, 0, 1)), unanswered(refresh(5500, 5520, 0, 1)), profile(5600, 0, 401, "session_revoked")},
			[]Event{login(), fault("cut", 3000, 5600), unanswered(refresh(3000, 3010, 0, 1)), unanswered(refresh(5500, 5510, 0, 1)), profile(5600, 0, 401, "session_revoked")}},
		"5, a clock that is slightly wrong": {5,
			[]Event{login(), fault("wrong clock", 3000, 4000), profile(3100, 0, 401, "access_expired")},
			[]Event{login(), {Begin: 3 * second, End: 4 * second, Fault: &Fault{Name: "wrong clock", By: 27 * second}}, profile(3100, 0, 401, "access_expired")}},
		"5, an unknown key": {5,
			[]Event{login(), refused(3000, 0, Honest, "refresh_invalid")},
			[]Event{login(), refused(3000, 0, Forger, "refresh_invalid")}},
		"5, a row behind the responses": {5,
			[]Event{login(), refresh(3000, 3010, 0, 1), dump(3100, Dump{Sessions: []Row{row(0, true, "")}})},
			[]Event{login(), refresh(3000, 3010, 0, 1), dump(3100, Dump{Sessions: []Row{row(1, true, "")}})}},
		"6, reuse reported for an honest client": {6,
			[]Event{login(), refresh(3000, 3010, 0, 1), refused(6000, 0, Honest, "refresh_reused")},
			[]Event{login(), refresh(3000, 3010, 0, 1), thief}},
		"6, a lost response": {6,
			[]Event{login(), fault("cut", 3000, 3010), attempt(unanswered(refresh(3000, 3010, 0, 1)), "a"), attempt(refused(6000, 0, Honest, "refresh_reused"), "a")},
			[]Event{login(), fault("cut", 3000, 3010), unanswered(refresh(3000, 3010, 0, 1)), refused(6000, 0, Honest, "refresh_reused")}},
		"6, a request held by a stopped replica": {6,
			[]Event{login(), fault("killed replica", 2900, 9000), attempt(unanswered(refresh(3000, 3010, 0, 1)), "a"), attempt(refused(9000, 0, Honest, "refresh_reused"), "b")},
			[]Event{login(), fault(Stopped, 2900, 9000), attempt(unanswered(refresh(3000, 3010, 0, 1)), "a"), attempt(refused(9000, 0, Honest, "refresh_reused"), "b")}},
		"6, reuse that only the row shows": {6,
			[]Event{login(), dump(200, Dump{Sessions: []Row{row(1, false, "refresh_reused")}, Reused: map[string]int{"s": 1}})},
			[]Event{login(), thief, dump(6200, Dump{Sessions: []Row{row(1, false, "refresh_reused")}, Reused: map[string]int{"s": 1}})}},
		"7, a thief gets tokens": {7,
			[]Event{login(), refresh(3000, 3010, 0, 1), call(5500, 5510, Thief, Refresh, token("s", 0), 200, "", token("s", 1))},
			[]Event{login(), refresh(3000, 3010, 0, 1), call(5300, 5310, Thief, Refresh, token("s", 0), 200, "", token("s", 1))}},
		"7, a thief with another attempt": {7,
			[]Event{login(), attempt(refresh(3000, 3010, 0, 1), "a"), attempt(call(5500, 5510, Thief, Refresh, token("s", 0), 200, "", token("s", 1)), "b")},
			[]Event{login(), attempt(refresh(3000, 3010, 0, 1), "a"), attempt(refresh(5500, 5510, 0, 1), "a")}},
		"8, a forged token is accepted": {8,
			[]Event{login(), call(100, 110, Forger, Profile, token("s", 0), 200, "", nil)},
			[]Event{login(), call(100, 110, Forger, Profile, token("s", 0), 401, "access_invalid", nil)}},
		"8, a row has changed": {8,
			[]Event{login(), dump(100, Dump{Changed: []string{"s"}})},
			[]Event{login(), dump(100, Dump{})}},
		"9, a 500": {9,
			[]Event{login(), profile(100, 0, 500, "server_failed")},
			[]Event{login(), profile(100, 0, 503, "service_unavailable")}},
		"9, a 409 to a refresh": {9,
			[]Event{login(), call(100, 110, Honest, Refresh, token("s", 0), 409, "", nil)},
			[]Event{login(), call(100, 110, Honest, Refresh, token("s", 0), 429, "", nil)}},
		"9, another code": {9,
			[]Event{login(), refused(31000, 0, Honest, "access_expired")},
			[]Event{login(), refused(31000, 0, Honest, "session_expired")}},
		"10, a rejection with cookies": {10,
			[]Event{login(), logout, with(profile(120, 0, 401, "session_revoked"), func(c *Call) { c.Cookie = 1 })},
			[]Event{login(), with(logout, func(c *Call) { c.Cookie = 3 }), profile(120, 0, 401, "session_revoked")}},
		"10, the same tokens with cookies": {10,
			[]Event{login(), with(refresh(1000, 1010, 0, 0), func(c *Call) { c.Cookie = 3 })},
			[]Event{login(), with(refresh(3000, 3010, 0, 1), func(c *Call) { c.Cookie = 3 })}},
		"11, accepted after the absolute end": {11,
			[]Event{login(), profile(60300, 0, 200, "")},
			[]Event{login(), profile(60100, 0, 200, "")}},
		"11, the absolute end changes": {11,
			[]Event{login(), with(refresh(3000, 3010, 0, 1), func(c *Call) { c.Got.SessionEnd++ })},
			[]Event{login(), refresh(3000, 3010, 0, 1)}},
		"11, the absolute end of the row changes": {11,
			[]Event{login(), dump(100, Dump{Sessions: []Row{{Session: "s", User: 1, Live: true, Transport: "body", SessionEnd: 1061}}})},
			[]Event{login(), dump(100, Dump{Sessions: []Row{row(0, true, "")}})}},
		"12, no event": {12,
			[]Event{login(), thief, dump(6100, Dump{Sessions: []Row{row(1, false, "refresh_reused")}})},
			[]Event{login(), thief, dump(6100, Dump{Sessions: []Row{row(1, false, "refresh_reused")}, Reused: map[string]int{"s": 1}})}},
		"12, an event without a revocation": {12,
			[]Event{login(), dump(6100, Dump{Sessions: []Row{row(0, true, "")}, Reused: map[string]int{"s": 1}})},
			[]Event{login(), dump(6100, Dump{Sessions: []Row{row(0, true, "")}})}},
		"13, a token in the log": {13,
			[]Event{login(), dump(100, Dump{Leaks: []string{"the log of server 1"}})},
			[]Event{login(), dump(100, Dump{})}},
		"14, another user": {14,
			[]Event{login(), with(refresh(3000, 3010, 0, 1), func(c *Call) { c.Got.User = 2 })},
			[]Event{login(), refresh(3000, 3010, 0, 1)}},
		"14, the row's transport": {14,
			[]Event{login(), dump(100, Dump{Sessions: []Row{{Session: "s", User: 1, Live: true, Transport: "cookies", SessionEnd: 1060}}})},
			[]Event{login(), dump(100, Dump{Sessions: []Row{row(0, true, "")}})}},
		"15, never replaced": {15,
			[]Event{login(), refresh(2900, 2910, 0, 0)},
			[]Event{login(), refresh(2800, 2810, 0, 0)}},
		"16, no response": {16,
			[]Event{login(), unanswered(refresh(3000, 3010, 0, 1))},
			[]Event{login(), with(unanswered(refresh(3000, 3010, 0, 1)), func(c *Call) { c.Lost = true })}},
		"16, a superseded token": {16,
			[]Event{login(), refresh(3000, 3010, 0, 1), call(6000, 6300, Thief, Refresh, token("s", 0), 503, "service_unavailable", nil)},
			[]Event{login(), refresh(3000, 3010, 0, 1), call(6000, 6500, Thief, Refresh, token("s", 0), 503, "service_unavailable", nil)}},
		"16, not available": {16,
			[]Event{login(), fault("cut", 100, 200), call(5300, 5310, Honest, Refresh, token("s", 0), 503, "service_unavailable", nil)},
			[]Event{login(), fault("cut", 100, 200), call(5100, 5110, Honest, Refresh, token("s", 0), 503, "service_unavailable", nil)}},
	} {
		checked[c.invariant] = true
		t.Run(name, func(t *testing.T) {
			for _, b := range check(t, c.good) {
				t.Errorf("the valid history: %s", b)
			}
			breaks := check(t, c.broken)
			if len(breaks) == 0 {
				t.Error("not rejected")
			}
			for _, b := range breaks {
				if b.Invariant != c.invariant {
					t.Errorf("rejected for another reason: %s", b)
				}
			}
		})
	}
	for number := range Invariants {
		if !checked[number] {
			t.Errorf("no history for invariant %d", number)
		}
	}
}

// check checks a history after writing and reading it.
func check(t *testing.T, events []Event) []Break {
	t.Helper()
	var file bytes.Buffer
	r := NewRecorder(&file, *settings.Settings)
	for _, e := range events {
		r.Add(e)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := Read(&file)
	if err != nil || len(read) != len(events)+1 {
		t.Fatal(len(read), err)
	}
	read[0].Settings.Start = settings.Settings.Start
	return Check(read).Breaks
}
