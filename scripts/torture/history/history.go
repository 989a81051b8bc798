// Package history records the requests of clients of an accounts server with the responses, and
// checks whether a server that keeps the invariants of the refresh protocol could have responded
// so. It does not depend on how the history was made. A history contains no token, only hashes to
// distinguish tokens.
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

// Event is a line of a history. Times are microseconds since its start, by the clock of the
// recording process. Exactly one of the pointers is set.
type Event struct {
	Begin    int64     `json:"begin"` // when the request was sent
	End      int64     `json:"end"`   // when the response had been read, or the client gave up
	Settings *Settings `json:"settings,omitempty"`
	Call     *Call     `json:"call,omitempty"`
	Fault    *Fault    `json:"fault,omitempty"`
	Dump     *Dump     `json:"dump,omitempty"`
}

// Settings are the first event.
type Settings struct {
	Start          int64 `json:"start"`    // Unix time of the start, in microseconds
	Rotation       int64 `json:"rotation"` // W, in microseconds
	Margin         int64 `json:"margin"`   // M
	ServerHeldIdle int64 `json:"server_held_idle"`
}

// Role is the kind of a client.
type Role string

// An honest jar obeys the rules of invariant 6. A replayer sends tokens of a session that has ended,
// and a thief sends tokens of another client. A forger sends tokens that no server has issued, or
// presents a token through a different transport than its session's.
const (
	Honest   Role = "honest"
	Replayer Role = "replayer"
	Thief    Role = "thief"
	Forger   Role = "forger"
	Operator Role = "operator"
)

// Op is the operation of a request.
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

// Call is a request with its response.
type Call struct {
	Client string `json:"client"`
	Role   Role   `json:"role"`
	Op     Op     `json:"op"`
	Server int    `json:"server"`
	User   int64  `json:"user,omitempty"`   // of Deactivate
	Target string `json:"target,omitempty"` // of EndOne
	Shown  *Token `json:"shown,omitempty"`
	Status int    `json:"status"`         // 0: no response
	Lost   bool   `json:"lost,omitempty"` // the client itself dropped the connection
	Code   string `json:"code,omitempty"`
	Cookie int    `json:"cookies,omitempty"` // number of Set-Cookie headers
	Got    *Token `json:"got,omitempty"`
}

// Token describes the tokens of a request or a response. Attempt, Access and Refresh are hashes.
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
	Expires    int64  `json:"expires,omitempty"` // of the presented token
	SessionEnd int64  `json:"session_end,omitempty"`
}

// Fault is a fault of a server between Begin and End; Server is -1 if it affected all of them.
type Fault struct {
	Name   string `json:"name"`
	Server int    `json:"server"`
	By     int64  `json:"by,omitempty"` // how far the server's clock is ahead, in microseconds
}

// Stopped is the name of the fault in which a server is stopped (SIGSTOP) and continued later.
// Requests that arrive in between wait in the kernel, so the server decides on them late.
const Stopped = "stopped replica"

// Dump is the state of the database at an instant, with the results of the search for secrets.
type Dump struct {
	Sessions []Row          `json:"sessions"`
	Reused   map[string]int `json:"reused"`  // events refresh_reused, by session
	Changed  []string       `json:"changed"` // sessions used by forgers only whose row has changed
	Leaks    []string       `json:"leaks"`   // where a token of the history was found
}

// Row is a session in the database.
type Row struct {
	Session    string `json:"session"`
	User       int64  `json:"user"`
	Generation int64  `json:"generation"`
	Live       bool   `json:"live"` // apart from its two ends
	Reason     string `json:"reason,omitempty"`
	Transport  string `json:"transport"`
	SessionEnd int64  `json:"session_end"`
}

// Hash identifies a secret without revealing it.
func Hash(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:8])
}

// Recorder writes a history. It is safe for concurrent use.
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

// Now returns the time since the start of the history, in microseconds.
func (r *Recorder) Now() int64 { return time.Since(r.start).Microseconds() }

// Add writes an event.
func (r *Recorder) Add(e Event) {
	line, err := json.Marshal(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	_, writing := r.to.Write(append(line, '\n'))
	r.err = errors.Join(r.err, err, writing)
}

// Close flushes the history. Errors: the first error of a write.
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
