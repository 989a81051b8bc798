package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// world is a server with users, sessions in every state and open links, and the fuzzer's knowledge
// of them. A run changes it; the next run starts from the original state again.
type world struct {
	t       scope
	s       *servertest.Server
	handler http.Handler
	ring    *token.KeyRing
	born    time.Time
	knows            // current
	kept    knows    // at the start of the run
	seq     int64    // of the last change that was evaluated
	hostile []string // forged tokens, which must be rejected
}

type knows struct {
	users    []user
	sessions []session
	links    map[string][]link // by purpose
}

type user struct {
	id                        int64
	username, email, password string
	staff, superuser          bool
	gone                      bool
}

type session struct {
	who                   int
	state                 state
	transport             string
	access, refresh, csrf string
	id                    string
	ended                 bool
}

// link is a one-time token.
type link struct {
	value  string
	userID int64 // 0: of a registration
	email  string
}

type state string

// The states of sessions. graced and superseded sessions are live, but the client presents a
// superseded refresh token: within its grace period, or after it.
const (
	live       state = "live"
	due        state = "due"
	graced     state = "graced"
	superseded state = "superseded"
	revoked    state = "revoked"
	expired    state = "expired"
	signedOut  state = "signed out" // no session
)

var (
	oftenStates = []state{live, live, live, live, live, live, due, graced, superseded, revoked, expired}
	transports  = []token.Transport{token.Hybrid, token.Cookies, token.ServerHeld, token.Body}
)

// goodPassword is the initial password of every user.
const goodPassword = "twelve green bottles hang"

// lifetime bounds the use of a world. After it, the tokens no longer have the age that their state
// requires.
const lifetime = 20 * time.Second

func newWorld(t scope, engine servertest.Engine) (*world, error) {
	w := &world{t: t, s: servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true})}
	secret, err := token.ParseSecret(servertest.SecretKey)
	if err != nil {
		return nil, err
	}
	if w.ring, err = token.NewKeyRing([]token.Secret{secret}); err != nil {
		return nil, err
	}
	if w.handler, err = w.s.Handler(); err != nil {
		return nil, err
	}
	w.s.Database.Watch(t)
	w.renew()
	return w, nil
}

// reset starts a run.
func (w *world) reset() {
	if time.Since(w.born) > lifetime {
		w.renew()
		return
	}
	if w.seq > 0 || len(w.s.Database.Changes(w.t, 0)) > 0 {
		w.s.Database.Restore(w.t)
	}
	w.forget()
}

// forget discards the recorded changes, so that counting starts again.
func (w *world) forget() {
	w.s.Database.Exec(w.t, "DELETE FROM changes")
	w.seq = 0
	w.knows = knows{users: slices.Clone(w.kept.users), sessions: slices.Clone(w.kept.sessions), links: w.kept.links}
	w.s.Log.Take()
}

// renew recreates all data, with tokens of the age that their state requires.
func (w *world) renew() {
	for _, table := range []string{"users", "sessions", "events", "one_time_tokens", "outbox"} {
		w.s.Database.Exec(w.t, "DELETE FROM "+table)
	}
	w.kept = knows{}
	for _, name := range []string{"one", "two", "three", "four"} {
		w.addUser(name)
	}
	for _, i := range []int{firstStaff, firstStaff + 1} {
		w.kept.users[i].staff, w.kept.users[i].superuser = true, i > firstStaff
		w.s.Database.Exec(w.t, "UPDATE users SET is_staff = ?, is_superuser = ? WHERE id = ?", true, i > firstStaff, w.kept.users[i].id)
	}
	clients := map[state][]*servertest.Client{superseded: w.login()}
	w.s.Database.Age(w.t, aged)
	w.refresh(superseded, clients[superseded])
	clients[due], clients[graced] = w.login(), w.login()
	w.s.Database.Age(w.t, aged)
	w.refresh(graced, clients[graced])
	clients[live], clients[revoked] = w.login(), w.login()
	for _, s := range []state{live, due, revoked} {
		for i, c := range clients[s] {
			w.addSession(i, s, c)
		}
	}
	for _, c := range clients[revoked] {
		c.Logout().Want(w.t, http.StatusNoContent, "")
	}
	w.expire()
	w.addLinks()
	w.hostile = w.hostileTokens()
	w.s.Database.Snapshot(w.t)
	w.born = time.Now()
	w.forget()
}

// firstStaff is the index of the staff member; the user after it is the only superuser.
const firstStaff = 2

// aged is the age after which a token is due for rotation, and a superseded token is proof of
// theft.
const aged = 40 * time.Second

func (w *world) addUser(name string) {
	u, err := w.s.Service.CreateUser(context.Background(), accounts.NewUser{
		Username: "zq-" + name, Email: "Zq-" + name + "@example.com", FirstName: "Ada", Password: goodPassword,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.kept.users = append(w.kept.users, user{id: u.ID, username: u.Username, email: u.Email, password: goodPassword})
}

// login creates a session of every user in every transport, ordered by user.
func (w *world) login() (list []*servertest.Client) {
	for _, u := range w.kept.users {
		for _, transport := range transports {
			list = append(list, w.s.Login(servertest.User{User: models.User{Username: u.username}, Password: u.password}, transport))
		}
	}
	return list
}

// refresh refreshes all clients once, so that the tokens noted before are superseded.
func (w *world) refresh(s state, list []*servertest.Client) {
	for i, c := range list {
		w.addSession(i, s, c)
		c.RefreshTokens().Want(w.t, http.StatusOK, "")
	}
}

// addSession adds the session of a client with its current tokens. i is the client's index in the
// order of login.
func (w *world) addSession(i int, s state, c *servertest.Client) {
	one := session{who: i / len(transports), state: s, transport: string(c.Transport), access: c.Access, refresh: c.Refresh, csrf: c.CSRF, id: c.SessionID}
	if one.access == "" {
		one.access = c.CookieValue("access")
	}
	if one.refresh == "" {
		one.refresh = c.CookieValue("refreshtoken")
	}
	w.kept.sessions = append(w.kept.sessions, one)
}

var timeClaim = regexp.MustCompile(`"(iat|exp)":\d+`)

// expire adds copies of the live sessions, with tokens that have expired.
func (w *world) expire() {
	forger := tokentest.NewForger(servertest.SecretKey)
	for _, s := range slices.Clone(w.kept.sessions) {
		if s.state != live {
			continue
		}
		s.state = expired
		s.access = expireToken(s.access, forger.Access)
		if s.refresh != "" {
			s.refresh = expireToken(s.refresh, forger.Refresh)
		}
		w.kept.sessions = append(w.kept.sessions, s)
	}
}

func expireToken(raw string, sign func(header, payload string) string) string {
	parts := strings.Split(raw, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0]) // signed by this server
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	exp := time.Now().Add(-10 * time.Second).Unix()
	return sign(string(header), timeClaim.ReplaceAllStringFunc(string(claims), func(m string) string {
		value := exp
		if strings.HasPrefix(m, `"iat"`) {
			value -= 300
		}
		text, _ := json.Marshal(value) // a number cannot fail
		return m[:6] + string(text)
	}))
}

// serve handles a request in this process, without sockets, so that only the server is tested and
// measured.
func (w *world) serve(r *http.Request) (rec *httptest.ResponseRecorder, aborted any) {
	rec = httptest.NewRecorder()
	defer func() {
		if aborted = recover(); r.Method == http.MethodHead { // as net/http does
			rec.Body.Reset()
		}
	}()
	w.handler.ServeHTTP(rec, r)
	return rec, nil
}

// readUsers reads the current names and roles from the database.
func (w *world) readUsers() {
	for i := range w.users {
		u := &w.users[i]
		if !u.gone {
			w.must(w.s.Database.SQL.QueryRowContext(context.Background(), "SELECT username, email, is_staff, is_superuser FROM users WHERE id = ?", u.id).
				Scan(&u.username, &u.email, &u.staff, &u.superuser))
		}
	}
}

// dropUsers marks deleted users.
func (w *world) dropUsers() {
	for i := range w.users {
		w.users[i].gone = w.users[i].gone || w.s.Database.Count(w.t, "SELECT COUNT(*) FROM users WHERE id = ?", w.users[i].id) == 0
	}
}
