package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/accounts/server/servertest"
)

// answer is the response to a request, with its side effects.
type answer struct {
	*servertest.Response
	took    time.Duration
	changes []servertest.Change
	log     string
	aborted any // the handler panicked, which closes the connection
}

// slowest bounds the time of a response: the contract's 503 for an overloaded server comes earlier.
const slowest = 5 * time.Second

// mayWrite lists the rejections that change rows, by code, with the changes. There is only one:
// reuse of a refresh token revokes the session and adds a security event for its user.
var mayWrite = map[string][]string{
	"refresh_reused": {"UPDATE sessions", "INSERT events"},
}

// verdict describes the fault of an answer, or returns "". The text contains nothing that differs
// between runs.
func (f *fuzzer) verdict(r *request, a *answer) string {
	switch {
	case a.aborted != nil:
		return "the handler aborted the response"
	case a.Status >= 500:
		return fmt.Sprintf("a %d", a.Status)
	case a.took > slowest:
		return "too slow"
	case strings.Contains(a.log, `"level":"ERROR"`):
		return "an error in the log"
	}
	if isPage(r, a) {
		return ""
	}
	if err := servertest.Judge(r.http, a.Response); err != nil {
		return "violates the contract: " + firstLine(err)
	}
	for _, judge := range []func(*request, *answer) string{f.judgeChanges, f.judgePrivacy} {
		if fault := judge(r, a); fault != "" {
			return fault
		}
	}
	return ""
}

// isPage reports whether an answer belongs to the pages, which the contract does not describe: a path
// below /problems/ leads to the pages of the problem codes, and the bare host redirects to the demo.
func isPage(r *request, a *answer) bool {
	isProblem := strings.HasPrefix(r.http.URL.Path, "/problems/") && a.Status == http.StatusOK
	isStart := r.http.URL.Path == "/" && a.Status == http.StatusFound
	return (isProblem || isStart) && len(a.changes) == 0
}

// firstLine returns the place in the schema without the value.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// judgeChanges checks that rejected and read-only requests change no row, and that a request
// changes only rows of its own users.
func (f *fuzzer) judgeChanges(r *request, a *answer) string {
	for _, c := range a.changes {
		switch {
		case a.Status >= 400:
			if !slices.Contains(mayWrite[a.Code()], c.Op+" "+c.Table) {
				return fmt.Sprintf("rejected, but caused an %s of %s", c.Op, c.Table)
			}
		case r.http.Method == http.MethodGet:
			return fmt.Sprintf("a GET caused an %s of %s", c.Op, c.Table)
		}
		if !f.isOwn(r, a, c.UserID) && !f.endsOwnChange(r, c) {
			return fmt.Sprintf("an %s of %s of another user", c.Op, c.Table)
		}
	}
	return ""
}

// endsOwnChange reports whether a write may end a change of another user's address that a user of
// the request has started. Such a change ends when the staff member who started it loses all
// sessions or the account.
func (f *fuzzer) endsOwnChange(r *request, c servertest.Change) bool {
	losesSessions := []string{"changePassword", "confirmPasswordReset", "confirmEmailChange", "revokeAllSessions", "deleteAccount"}
	isStaff := func(id int64) bool { u := f.userByID(id); return u.staff || u.superuser }
	return c.Op == "UPDATE" && (c.Table == "one_time_tokens" || c.Table == "users") &&
		slices.Contains(losesSessions, r.op.ID) && slices.ContainsFunc(r.owners, isStaff)
}

// isOwn reports whether a request may change or see the rows of a user: the request contains
// credentials of the user or the user's password, a user of the request manages the user, or the
// request created the user. Rows without a user belong to every request.
func (f *fuzzer) isOwn(r *request, a *answer, userID int64) bool {
	if userID == 0 || slices.Contains(r.owners, userID) || f.canManage(r, userID) {
		return true
	}
	i := slices.IndexFunc(f.world.users, func(u user) bool { return u.id == userID })
	if i < 0 {
		return r.op.ID == "verifyEmail"
	}
	typed, _ := r.member("password", f.lookupFor(r))
	signedIn := (r.op.ID == "login" || r.op.ID == "verifyEmail") && a.Status == http.StatusOK
	return signedIn && typed == f.world.users[i].password
}

// canManage reports whether a user of the request may manage the other user with an administrative
// operation: a staff member reads all users and changes ordinary ones, a superuser changes all.
// When a superuser deletes their own account, the server also writes the rows of the other
// superusers, to count them (requireOtherSuperuser in server/accounts).
func (f *fuzzer) canManage(r *request, userID int64) bool {
	administration := r.op.Operation.Extensions["x-required-role"] != nil
	target := f.userByID(userID)
	for _, owner := range r.owners {
		by := f.userByID(owner)
		switch {
		case by.superuser && (administration || r.op.ID == "deleteAccount" && target.superuser):
			return true
		case by.staff && administration && (r.http.Method == http.MethodGet || !target.staff && !target.superuser):
			return true
		}
	}
	return false
}

func (f *fuzzer) userByID(id int64) user {
	for _, u := range f.world.users {
		if u.id == id {
			return u
		}
	}
	return user{}
}

// judgePrivacy checks that an answer contains no data of users other than those of the request.
func (f *fuzzer) judgePrivacy(r *request, a *answer) string {
	if u, ok := a.JSON["user"].(map[string]any); ok {
		id, _ := u["id"].(float64)
		if !f.isOwn(r, a, int64(id)) {
			return "reveals another user"
		}
	}
	if r.op.Path == "/openapi.json" || r.op.Path == "/openapi.yaml" {
		return ""
	}
	said := string(a.Raw)
	if u, ok := a.JSON["user"].(map[string]any); ok { // the address that the user requested may belong to another user
		if pending, ok := u["pending_email"].(string); ok {
			said = strings.Replace(said, `"pending_email":"`+pending, "", 1)
		}
	}
	for _, u := range f.world.users {
		if !u.gone && strings.Contains(said, u.email) && !f.isOwn(r, a, u.id) && !strings.Contains(r.raw, u.email) {
			return "reveals an address of another user"
		}
	}
	for _, s := range f.world.sessions {
		if id := f.world.users[s.who].id; strings.Contains(said, s.id) && !f.isOwn(r, a, id) {
			return "reveals a session of another user"
		}
	}
	return ""
}

// ------------------------------------------------------------------ updating the world

// learn updates the world with the effects of an answer.
func (f *fuzzer) learn(r *request, a *answer) {
	w := f.world
	if a.Status == http.StatusUnauthorized && r.shows != nil && len(r.shown) == 0 && r.csrf == csrfOwn && !r.strange {
		r.shows.ended = true
	}
	if len(a.changes) == 0 {
		return
	}
	w.seq = a.changes[len(a.changes)-1].Seq
	if slices.ContainsFunc(a.changes, func(c servertest.Change) bool { return c.Table == "one_time_tokens" }) {
		w.readLinks()
	}
	if a.Status >= 400 {
		return
	}
	switch r.op.ID {
	case "changePassword":
		f.learnPassword(r, a.userID(), "new_password")
	case "confirmPasswordReset":
		if r.link != nil {
			f.learnPassword(r, r.link.userID, "new_password")
		}
	case "verifyEmail":
		f.learnUser(r, a)
	case "updateProfile", "confirmEmailChange", "updateUser":
		w.readUsers()
	case "deleteAccount", "deleteUser":
		w.dropUsers()
	}
	f.learnSession(a)
}

func (a *answer) userID() int64 {
	u, _ := a.JSON["user"].(map[string]any)
	id, _ := u["id"].(float64)
	return int64(id)
}

func (f *fuzzer) lookupFor(r *request) func(ref) string {
	return func(x ref) string { return f.lookup(r, x) }
}

func (f *fuzzer) learnPassword(r *request, id int64, member string) {
	typed, ok := r.member(member, f.lookupFor(r))
	for i := range f.world.users {
		if f.world.users[i].id == id && ok {
			f.world.users[i].password = typed
		}
	}
}

// learnUser adds the user that a verification has created, unless the user is known.
func (f *fuzzer) learnUser(r *request, a *answer) {
	typed, _ := r.member("password", f.lookupFor(r))
	if id := a.userID(); id != 0 && !slices.ContainsFunc(f.world.users, func(u user) bool { return u.id == id }) {
		f.world.users = append(f.world.users, user{id: id, password: typed})
		f.world.readUsers()
	}
}

// learnSession records the tokens of a new or refreshed session.
func (f *fuzzer) learnSession(a *answer) {
	summary, ok := a.JSON["session"].(map[string]any)
	if !ok {
		return
	}
	id, _ := summary["id"].(string)
	one := session{who: -1, state: live, transport: a.Text("token_transport"), id: id, csrf: a.Text("csrf_token"), access: a.Text("access_token"), refresh: a.Text("refresh_token")}
	for _, c := range a.Cookies() {
		switch {
		case c.Value == "":
		case c.Name == "access":
			one.access = c.Value
		case c.Name == "refreshtoken":
			one.refresh = c.Value
		}
	}
	if _, begun := a.JSON["user"]; !begun {
		f.learnRefresh(one)
		return
	}
	one.who = slices.IndexFunc(f.world.users, func(u user) bool { return u.id == a.userID() })
	if one.who >= 0 {
		f.world.sessions = append(f.world.sessions, one)
	}
}

// learnRefresh replaces the tokens of a session. A cookie that the answer does not set stays valid.
func (f *fuzzer) learnRefresh(next session) {
	for i := range f.world.sessions {
		s := &f.world.sessions[i]
		if s.id != next.id || s.state != live && s.state != due {
			continue
		}
		if next.access != "" {
			s.access = next.access
		}
		if next.refresh != "" {
			s.refresh = next.refresh
		}
	}
}

// parse returns a response whose body has been read.
func parse(status int, header http.Header, raw []byte) *servertest.Response {
	r := &servertest.Response{Status: status, Header: header, Raw: raw}
	_ = json.Unmarshal(raw, &r.JSON) // not every body is an object
	return r
}
