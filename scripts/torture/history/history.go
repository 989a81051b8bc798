// Package history keeps what the clients of an accounts server did and what they were told, and judges whether a server
// that keeps the promises of its refresh protocol could have answered so. It knows nothing of how the history was made,
// and holds no token: what tells two tokens apart is a hash.
package history

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Event is a line of a history. Times are microseconds since its start, by the one clock of the process that recorded it.
// One of the pointers is set.
type Event struct {
	Begin    int64     `json:"begin"` // a request was sent
	End      int64     `json:"end"`   // its answer had been read, or it was given up
	Settings *Settings `json:"settings,omitempty"`
	Call     *Call     `json:"call,omitempty"`
	Fault    *Fault    `json:"fault,omitempty"`
	Dump     *Dump     `json:"dump,omitempty"`
}

// Settings come first.
type Settings struct {
	Start          int64 `json:"start"`    // the Unix time of the start, in microseconds
	Rotation       int64 `json:"rotation"` // W, in microseconds
	Margin         int64 `json:"margin"`   // M
	ServerHeldIdle int64 `json:"server_held_idle"`
}

// Role is what a client is.
type Role string

// An honest jar obeys the rules of invariant 6. A ghost asks with the tokens of a session that has ended; a thief with
// those of somebody else; a forger with what no server has handed out, or by another way than the token's own.
const (
	Honest   Role = "honest"
	Ghost    Role = "ghost"
	Thief    Role = "thief"
	Forger   Role = "forger"
	Operator Role = "operator"
)

// Op is what was asked for.
type Op string

// The operations of a history.
const (
	Login          Op = "login"
	Refresh        Op = "refresh"
	Profile        Op = "profile"
	Logout         Op = "logout"
	EndAll         Op = "end_all"
	EndOthers      Op = "end_others"
	EndOne         Op = "end_one"
	ChangePassword Op = "change_password"
	Deactivate     Op = "deactivate"
	Activate       Op = "activate"
)

// Call is a request and its answer.
type Call struct {
	Client string `json:"client"`
	Role   Role   `json:"role"`
	Op     Op     `json:"op"`
	Server int    `json:"server"`
	User   int64  `json:"user,omitempty"`   // of Deactivate
	Target string `json:"target,omitempty"` // of EndOne
	Shown  *Token `json:"shown,omitempty"`
	Status int    `json:"status"`         // 0: no answer
	Lost   bool   `json:"lost,omitempty"` // on the client's side, and by no fault of the servers
	Code   string `json:"code,omitempty"`
	Cookie int    `json:"cookies,omitempty"` // how many Set-Cookie lines
	Got    *Token `json:"got,omitempty"`
}

// Token is what a request showed or an answer brought. The hashes are of the two tokens' bytes.
type Token struct {
	Session    string `json:"session"`
	Generation int64  `json:"generation"`
	Attempt    string `json:"attempt,omitempty"`
	User       int64  `json:"user,omitempty"`
	Transport  string `json:"transport,omitempty"`
	Key        string `json:"key,omitempty"` // the kid
	ID         string `json:"jti,omitempty"`
	Access     string `json:"access,omitempty"`
	Refresh    string `json:"refresh,omitempty"`
	Issued     int64  `json:"issued,omitempty"`  // Unix seconds
	Expires    int64  `json:"expires,omitempty"` // of the token that was shown
	SessionEnd int64  `json:"session_end,omitempty"`
}

// Fault is what was done to the servers between Begin and End; Server is -1 if it met all of them.
type Fault struct {
	Name   string `json:"name"`
	Server int    `json:"server"`
	By     int64  `json:"by,omitempty"` // microseconds that the server's clock is ahead
}

// Stopped is the fault of a process that was held and let go: what it had not yet read it decides late.
const Stopped = "stopped replica"

// Dump is the database at an instant, and what was found by looking for secrets.
type Dump struct {
	Sessions []Row          `json:"sessions"`
	Reused   map[string]int `json:"reused"`  // events refresh_reused, by session
	Changed  []string       `json:"changed"` // sessions that forgers alone have used, and whose row is another now
	Leaks    []string       `json:"leaks"`   // where a token of the history was found
}

// Row is a session in the database.
type Row struct {
	Session    string `json:"session"`
	User       int64  `json:"user"`
	Generation int64  `json:"generation"`
	Live       bool   `json:"live"` // but for its two ends
	Reason     string `json:"reason,omitempty"`
	Transport  string `json:"transport"`
	SessionEnd int64  `json:"session_end"`
}

// Hash names a secret without telling it.
func Hash(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:8])
}

// Recorder writes a history, for any number of goroutines.
type Recorder struct {
	start time.Time
	mu    sync.Mutex
	to    *bufio.Writer
	count int
	err   error
}

// NewRecorder begins a history with its settings.
func NewRecorder(to io.Writer, s Settings) *Recorder {
	r := &Recorder{start: time.Now(), to: bufio.NewWriter(to)}
	s.Start = r.start.UnixMicro()
	r.Add(Event{Settings: &s})
	return r
}

// Now is the time of the history.
func (r *Recorder) Now() int64 { return time.Since(r.start).Microseconds() }

// Add writes a line.
func (r *Recorder) Add(e Event) {
	line, err := json.Marshal(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	_, writing := r.to.Write(append(line, '\n'))
	r.err = errors.Join(r.err, err, writing)
}

// Close says whether everything was written.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.err, r.to.Flush())
}

// Read reads a history.
func Read(from io.Reader) ([]Event, error) {
	var events []Event
	decoder := json.NewDecoder(bufio.NewReader(from))
	for {
		var e Event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return events, nil
		} else if err != nil {
			return nil, fmt.Errorf("line %d of the history: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
}
