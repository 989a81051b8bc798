package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// records parses the lines of a log. Each line must be one JSON object without terminal control
// characters.
func records(t *testing.T, log string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log) {
		record := map[string]any{}
		if err := json.Unmarshal([]byte(line), &record); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("line %q is not valid JSON: %v", line, err)
		}
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' }) {
			t.Errorf("line %q contains control characters", line)
		}
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(record["time"]))
		if err != nil || !strings.HasSuffix(fmt.Sprint(record["time"]), "Z") || time.Since(at).Abs() > time.Hour {
			t.Errorf("the time %v of a line is not the current time in UTC", record["time"])
		}
		list = append(list, record)
	}
	return list
}

// requestOf returns the only log line about a request.
func requestOf(t *testing.T, s *servertest.Server, id string) map[string]any {
	t.Helper()
	var found []map[string]any
	waitFor(t, func() bool { // the line is written after the response
		found = nil
		for _, record := range records(t, s.Log.String()) {
			if record["msg"] == "request" && record["request_id"] == id {
				found = append(found, record)
			}
		}
		return len(found) > 0
	})
	if len(found) != 1 {
		t.Fatalf("got %d lines about the request %s, want 1", len(found), id)
	}
	return found[0]
}

// forgery is text that an attacker might inject into the log: a second line, terminal control
// sequences and an end of the string.
const forgery = "x\r\n{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"INFO\",\"msg\":\"forged\",\"user_id\":1}\r\n\x1b[2J\x1b]0;forged\x07\u009b31m\u2028\"'\\\x7f\x00\",\"user_id\":1,\"x\":\""

// Each request is logged as exactly one line, which client input cannot break or extend.
func TestClientInputCannotForgeLogLines(t *testing.T) {
	t.Attr("control", "90")
	s := servertest.Start(t, servertest.Options{Settings: []string{trusted}})
	u := s.NewUser()
	c := s.Login(u, accounts.Hybrid)
	front, _, _ := serve(t, s)
	s.Log.Take()
	encoded := url.PathEscape(forgery)
	sent := 0
	ask := func(method, path string, body any, options ...servertest.Option) {
		sent++
		c.Copy().Do(method, path, body, options...)
	}
	ask(http.MethodGet, "/"+encoded, nil)
	ask(http.MethodGet, "/accounts/"+encoded, nil)
	ask(http.MethodGet, "/docs/"+encoded, nil)
	ask(http.MethodGet, "/accounts/profile?"+encoded+"="+encoded, nil)
	ask(http.MethodDelete, "/accounts/sessions/"+encoded, nil)
	ask(http.MethodDelete, "/accounts/sessions?keep_current="+encoded, nil)
	for _, body := range []object{
		{"username": forgery, "password": forgery}, {"username": u.Username, "password": forgery}, {"username": u.Username, "password": password, "token_transport": forgery}, {forgery: forgery},
	} {
		ask(http.MethodPost, "/accounts/login", body)
	}
	for _, body := range []object{{"email": forgery, "password": password}, {"email": forgery + "@example.com", "password": password}, {"email": address(newName()), "password": password, "username": forgery, "first_name": forgery, "locale": forgery}} {
		ask(http.MethodPost, "/accounts/register", body)
	}
	ask(http.MethodPatch, "/accounts/profile", object{"first_name": forgery, "last_name": forgery})
	ask(http.MethodPost, "/accounts/email/verify", object{"token": forgery, "password": password})
	visible := strings.Map(func(r rune) rune { // the characters that a header can contain
		if r < ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, forgery)
	for _, name := range []string{"User-Agent", "X-Forwarded-For", "X-Request-Id", "X-Real-IP", "Origin", "Referer", "Accept-Language", "Authorization", "Cookie", "X-CSRFToken", "Refresh-Attempt", "Content-Type", "Host"} {
		ask(http.MethodPost, "/accounts/refresh_token", "{}", servertest.Header(name, visible))
	}
	for _, begin := range []string{ // the HTTP server rejects some of these
		"forged /accounts/profile HTTP/1.1\r\n", "FORGED\" /accounts/profile HTTP/1.1\r\n", "FORGED\x1b[2J /accounts/profile HTTP/1.1\r\n", "GET /forged\x1b[2J HTTP/1.1\r\n",
		"GET /accounts/profile HTTP/1.1\r\nUser-Agent: \x1b[2J forged\r\n", "GET /accounts/profile HTTP/1.1\r\nUser-Agent: \x9b\xff forged\r\n", "GET /accounts/profile HTTP/1.1\r\nX-\x1bforged: x\r\n",
	} {
		if raw(t, front, line("%sHost: localhost\r\n\r\n", begin)).Header.Get("X-Request-Id") != "" {
			sent++
		}
	}
	waitFor(t, func() bool { return strings.Count(s.Log.String(), `"msg":"request"`) >= sent })
	requests := 0
	for _, record := range records(t, s.Log.String()) {
		if record["msg"] == "request" {
			requests++
		}
		if record["msg"] == "forged" {
			t.Errorf("a request forged a line: %v", record)
		}
		delete(record, "user_agent") // the one member whose text the client chooses
		if strings.Contains(fmt.Sprint(record), "forged") {
			t.Errorf("the log contains client input where it must not: %v", record)
		}
	}
	if requests != sent {
		t.Errorf("got %d lines for %d requests", requests, sent)
	}
}

// For every operation, and for requests that match none, the log contains the data that an
// investigation needs: time, request, user, client address, operation and result.
func TestLogLineHasDataForInvestigation(t *testing.T) {
	t.Attr("control", "90")
	s := servertest.Start(t, servertest.Options{HoldMail: true, Settings: []string{trusted}})
	ada := newAda(t, s)
	wanted := func(what, operation string, user int64, r *servertest.Response) {
		t.Helper()
		record := requestOf(t, s, r.Header.Get("X-Request-Id"))
		want := map[string]any{"level": "INFO", "operation": operation, "status": float64(r.Status), "ip": "192.0.2.7", "user_id": float64(user), "code": r.Code(), "bytes": float64(len(r.Raw)), "user_agent": "Go-http-client/1.1"}
		for name, empty := range map[string]any{"operation": "", "user_id": 0.0, "code": ""} {
			if want[name] == empty { // a line has no empty members
				want[name] = nil
			}
		}
		for name, value := range want {
			if record[name] != value {
				t.Errorf("%s: %s is %v, want %v", what, name, record[name], value)
			}
		}
	}
	s.Database.Snapshot(t)
	for _, op := range servertest.Operations() {
		s.Log.Take()
		c := s.Login(ada, accounts.Hybrid)
		r := send(c.Copy(), exampleOf(t, op), from("192.0.2.7"))
		user := ada.ID
		if len(op.Security) == 0 && (op.ID != "login" || r.Status != http.StatusOK) {
			user = 0 // the caller is not authenticated
		}
		wanted(op.ID, op.ID, user, r)
		wanted(op.ID+", by an anonymous caller", op.ID, 0, send(s.Anonymous(), withoutPassword(exampleOf(t, op)), from("192.0.2.7")))
		s.Database.Restore(t)
	}
	wanted("a wrong password", "login", 0, s.Anonymous().Do(http.MethodPost, "/accounts/login", object{"username": "ada", "password": "x"}, from("192.0.2.7")))
	wanted("no operation", "", 0, s.Anonymous().Do(http.MethodGet, "/nothing", nil, from("192.0.2.7")))
	wanted("no method", "", 0, s.Anonymous().Do(http.MethodPut, "/accounts/login", nil, from("192.0.2.7")))
	origin, trace := "https://app.example.com", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ask := func(origin, trace string) map[string]any {
		r := s.Anonymous().Do(http.MethodGet, "/healthz", nil, servertest.Header("Origin", origin), servertest.Header("Traceparent", trace))
		return requestOf(t, s, r.Header.Get("X-Request-Id"))
	}
	if record := ask(origin, trace); record["origin"] != origin || record["traceparent"] != trace {
		t.Errorf("got the origin %v and the trace %v", record["origin"], record["traceparent"])
	}
	if record := ask(origin+"/x", trace+"-x"); record["origin"] != nil || record["traceparent"] != nil {
		t.Errorf("the log contains the malformed origin %v and trace %v", record["origin"], record["traceparent"])
	}
	wanted("a foreign page", "", 0, s.Anonymous().Do(http.MethodPost, "/accounts/login", nil, from("192.0.2.7"), servertest.Header("Origin", "null")))
}

// withoutPassword removes the password from an example, so that the request authenticates no user.
func withoutPassword(e example) example {
	if body, ok := e.body.(map[string]any); ok {
		e.body = without2(body, "password")
	}
	return e
}

// Log times are in UTC, even if the machine has another time zone.
func TestLogTimesAreInUTC(t *testing.T) {
	t.Attr("control", "90")
	var out bytes.Buffer
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.FixedZone("Tokyo", 9*3600))
	log := server.NewLog(&out, slog.LevelInfo)
	if err := log.Handler().Handle(t.Context(), slog.NewRecord(noon, slog.LevelInfo, "x", 0)); err != nil {
		t.Fatal(err)
	}
	log.Info("x", "until", noon)
	if strings.Count(out.String(), "2026-07-01T03:00:00Z") != 2 || strings.Contains(out.String(), "+09:00") {
		t.Errorf("%s", out.String())
	}
}

// brokenPipe is the connection of a client that has disconnected before the response.
type brokenPipe struct{ header http.Header }

func (b brokenPipe) Header() http.Header { return b.header }
func (brokenPipe) WriteHeader(int)       {}
func (brokenPipe) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
}

// A request whose client disconnects before the response is still logged, and not as an error.
func TestRequestOfDisconnectedClientIsLogged(t *testing.T) {
	t.Attr("control", "90")
	s := servertest.Start(t, servertest.Options{})
	handler, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("the response ended with the panic %v, want ErrAbortHandler", v)
			}
		}()
		handler.ServeHTTP(brokenPipe{http.Header{}}, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
	}()
	log := s.Log.String()
	if !strings.Contains(log, `"msg":"request"`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log must contain the request and no error:\n%s", log)
	}
}
