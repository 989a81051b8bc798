package server_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// wantSameHeaders compares the response to HEAD with the response to GET. Content-Length may be
// absent.
func wantSameHeaders(t *testing.T, name string, head, get *servertest.Response) {
	t.Helper()
	if head.Status != get.Status || len(head.Raw) > 0 {
		t.Errorf("%s: HEAD has status %d and %d bytes, want no body and the status %d of GET", name, head.Status, len(head.Raw), get.Status)
	}
	length := head.Header.Get("Content-Length")
	if want := get.Header.Get("Content-Length"); length != "" && length != want {
		t.Errorf("%s: Content-Length of HEAD is %s, want %s as of GET", name, length, want)
	}
	without := func(h http.Header) http.Header {
		h = h.Clone()
		for _, name := range []string{"Content-Length", "Date"} {
			h.Del(name)
		}
		return h
	}
	if diff := cmp.Diff(without(get.Header), without(head.Header)); diff != "" {
		t.Errorf("%s %d: headers (-GET +HEAD):\n%s", name, get.Status, diff)
	}
}

// HEAD gets the status and headers of GET on every path with GET, including when GET is rejected.
func TestHeadHasStatusAndHeadersOfGet(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ada, plain := s.Login(newAda(t, s), accounts.BodyTokens), s.Login(s.NewUser(), accounts.Cookies)
	same := servertest.Header("X-Request-Id", "0198f6e5-c1a7-4c3e-9d55-0b1f1c2d3e4f")
	tried := 0
	for _, op := range servertest.Operations() {
		if op.Method != http.MethodGet {
			continue
		}
		path := exampleOf(t, op).path
		for name, c := range map[string]*servertest.Client{"anonymous": s.Anonymous(), "plain": plain, "superuser": ada} {
			for _, query := range []string{"", "?limit=0"} {
				get := c.Copy().Do(http.MethodGet, path+query, nil, same)
				head := c.Copy().Do(http.MethodHead, path+query, nil, same)
				wantSameHeaders(t, op.ID+" "+name+query, head, get)
				tried++
			}
		}
	}
	if tried < 80 {
		t.Errorf("only %d requests were tested, want at least 80", tried)
	}
	tag := s.Anonymous().Do(http.MethodHead, "/accounts/settings", nil).Want(t, http.StatusOK, "").Header.Get("ETag")
	s.Anonymous().Do(http.MethodHead, "/accounts/settings", nil, servertest.Header("If-None-Match", tag)).Want(t, http.StatusNotModified, "")
}

// HEAD counts against the limits of its GET. The log and the metrics record it under the same
// operation.
func TestHeadCountsAgainstLimitsOfGet(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_RARE_ACTIONS_PER_USER=2/1h"}})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for range 2 {
		c.Do(http.MethodHead, "/accounts/profile/export", nil).Want(t, http.StatusOK, "")
	}
	s.Log.Take()
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		r := c.Do(method, "/accounts/profile/export", nil).Want(t, http.StatusTooManyRequests, "")
		if r.Header.Get("Retry-After") != "3600" && r.Header.Get("Retry-After") != "3599" {
			t.Errorf("%s: Retry-After %s", method, r.Header.Get("Retry-After"))
		}
	}
	c.Do(http.MethodHead, "/accounts/profile", nil, servertest.Header("Authorization", "Bearer x")).Want(t, http.StatusUnauthorized, "")
	var operations []string
	for line := range strings.Lines(s.Log.Take()) {
		var record struct{ Msg, Method, Operation, Code string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Msg == "request" {
			operations = append(operations, record.Method+" "+record.Operation+" "+record.Code)
		}
	}
	if want := []string{"HEAD exportProfile rate_limited", "GET exportProfile rate_limited", "HEAD getProfile access_invalid"}; !slices.Equal(operations, want) {
		t.Errorf("logged %q, want %q", operations, want)
	}
}

// A response to HEAD has no body on the connection, even if it is a problem.
func TestHeadResponseHasNoBody(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for path, status := range map[string]string{
		"/openapi.json": "200", "/healthz": "200", "/accounts/profile": "401", "/accounts/sessions?limit=x": "401", "/nothing": "404", "/accounts/login": "405", "/pages/nothing": "404",
	} {
		conn, err := net.Dial("tcp", strings.Replace(strings.TrimPrefix(s.URL, "http://"), "localhost", "127.0.0.1", 1))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "HEAD "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(conn)
		_ = conn.Close()
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+status) || !strings.HasSuffix(string(answer), "\r\n\r\n") || strings.Count(string(answer), "\r\n\r\n") != 1 {
			t.Errorf("%s: %v\n%s", path, err, answer)
		}
	}
}

// A 405 response lists the methods of the path, including HEAD wherever GET is.
func TestAllowHeaderListsHeadWithGet(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for path, want := range map[string]string{
		"/accounts/settings": "GET, HEAD", "/accounts/profile": "DELETE, GET, HEAD, PATCH", "/accounts/login": "POST", "/accounts/sessions/x": "DELETE",
	} {
		r := s.Anonymous().Do(http.MethodPut, path, "{}").Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
		allow := strings.Split(strings.ReplaceAll(r.Header.Get("Allow"), " ", ""), ",")
		slices.Sort(allow)
		if got := strings.Join(allow, ", "); got != want {
			t.Errorf("%s: Allow %q, want %q", path, got, want)
		}
	}
	s.Anonymous().Do(http.MethodHead, "/accounts/login", nil).Want(t, http.StatusMethodNotAllowed, "")
}
