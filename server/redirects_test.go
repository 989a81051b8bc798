package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// foreignTargets lists targets to which an attacker would redirect the readers of a link to this
// server.
var foreignTargets = []string{
	"//evil.example", "https:evil.example", `/\evil.example`, `\/\/evil.example`, "/%2f%2fevil.example", "https://localhost@evil.example", "https://localhost.evil.example", "javascript:alert('evil.example')",
	"data:text/html,evil.example", "https://evil.example", "///evil.example", "////evil.example", "/\t/evil.example", "/\n/evil.example", "ht\ntps://evil.example", "https://ev\u0131l.example", "//evil.example%2f..", "/.evil.example", "@evil.example",
	".evil.example", "https://evil.example/" + strings.Repeat("a", 10_000), "https://evil.example#https://localhost", "https://evil.example?x=localhost", "//evil.example:80", "\r\nLocation: https://evil.example", "evil.example",
}

// wantNoForeignTarget checks that a response redirects to no foreign target and does not repeat the
// target in its headers or body.
func wantNoForeignTarget(t *testing.T, what string, status int, header http.Header, body string) {
	t.Helper()
	location := header.Get("Location")
	if strings.HasSuffix(location, "/pages/reset") && strings.HasPrefix(location, "http://localhost:") {
		location = "/docs/" // the configured page, which is absolute
	}
	if location != "" && location != "/docs/" && location != "/demo/" && location != "/console/" || status/100 == 3 && status != http.StatusNotModified && location == "" || header.Get("Refresh") != "" || header.Get("Content-Location") != "" || header.Get("Link") != "" {
		t.Errorf("%.100q: got status %d with the location %q", what, status, location)
	}
	text := fmt.Sprint(header) + body
	if at := strings.Index(strings.ToLower(text), "evil"); at >= 0 {
		t.Errorf("%.100q: the response contains %.100q", what, text[at:])
	}
}

// No link to this server can make it redirect to another site. It has four redirects, such as from
// /docs to /docs/, and no parameter changes their targets.
func TestRedirectsLeadToThisServerOnly(t *testing.T) {
	t.Attr("control", "92")
	s := servertest.Start(t, servertest.Options{HoldMail: true})
	c := s.Login(newUser(t, s, "ada"), accounts.Hybrid)
	s.Database.Snapshot(t)
	ask := func(method, target string, body any) {
		t.Helper()
		r := c.Copy().Do(method, target, body)
		wantNoForeignTarget(t, method+" "+target, r.Status, r.Header, string(r.Raw))
	}
	names := []string{"next", "redirect_to", "redirect_uri", "redirect", "return_to", "returnUrl", "url", "continue", "goto", "callback", "RelayState", "target"}
	pages := []string{"/", "/docs", "/docs/", "/docs/nothing", "/demo", "/demo/", "/demo/nothing", "/console", "/console/", "/console/nothing", "/pages/verify", "/pages/reset", "/pages/nothing", "/nothing", "/.well-known/change-password"}
	for _, place := range foreignTargets {
		query := url.Values{}
		for _, name := range names {
			query.Set(name, place)
		}
		for _, page := range pages {
			ask(http.MethodGet, page+"?"+query.Encode(), nil)
		}
		for _, op := range servertest.Operations() {
			if len(place) > 1000 && op.Method != http.MethodGet {
				continue // URLs of 120 KB are tried with GET only
			}
			e := exampleOf(t, op)
			ask(op.Method, e.path+"?"+query.Encode(), e.body)
		}
		s.Database.Restore(t)
		for _, prefix := range []string{"/", "/docs/", "/docs", "/demo/", "/demo", "/console/", "/console", "/pages/", "/accounts/"} {
			ask(http.MethodGet, prefix+url.PathEscape(place), nil)
			if _, err := url.Parse(s.URL + prefix + place); err == nil {
				ask(http.MethodGet, prefix+place, nil)
			}
		}
	}
}

// No response contains the host that a request names.
func TestResponsesDoNotContainHostOfRequest(t *testing.T) {
	t.Attr("control", "92")
	s := servertest.Start(t, servertest.Options{})
	front, _, _ := serve(t, s)
	for _, head := range []string{
		"GET TARGET HTTP/1.1\r\nHost: evil.example\r\n", "GET TARGET HTTP/1.1\r\nHost: evil.example:8080\r\n", "GET TARGET HTTP/1.1\r\nHost: ada@evil.example\r\n", "GET TARGET HTTP/1.1\r\nHost: localhost, evil.example\r\n",
		"GET TARGET HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", "GET http://evil.example/TARGET HTTP/1.1\r\nHost: localhost\r\n", "GET http://evil.exampleTARGET HTTP/1.1\r\nHost: evil.example\r\n", "GET TARGET HTTP/1.0\r\nHost: evil.example\r\n",
		"GET TARGET HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 666\r\nX-Forwarded-Server: evil.example\r\n",
		"GET TARGET HTTP/1.1\r\nHost: localhost\r\nForwarded: for=1.2.3.4;host=evil.example;proto=https\r\n", "GET TARGET HTTP/1.1\r\nHost: localhost\r\nX-Original-URL: //evil.example\r\nX-Rewrite-URL: //evil.example\r\nX-Forwarded-Prefix: //evil.example\r\n",
		"GET TARGET HTTP/1.1\r\nHost: localhost\r\nX-Host: evil.example\r\nX-HTTP-Host-Override: evil.example\r\nReferer: https://evil.example/\r\nOrigin: https://evil.example\r\n",
		"GET //evil.exampleTARGET HTTP/1.1\r\nHost: localhost\r\n", `GET /\evil.exampleTARGET HTTP/1.1` + "\r\nHost: localhost\r\n", "GET /%2f%2fevil.exampleTARGET HTTP/1.1\r\nHost: localhost\r\n", "GET evil.exampleTARGET HTTP/1.1\r\nHost: localhost\r\n",
	} {
		for _, target := range []string{"/docs", "/docs/", "/demo", "/demo/", "/console", "/console/", "/openapi.json", "/openapi.yaml", "/.well-known/jwks.json", "/.well-known/change-password", "/accounts/profile", "/accounts/profile/", "/nothing", "/pages/verify", "/docs/.."} {
			request := strings.ReplaceAll(strings.ReplaceAll(head, "/TARGET", target), "TARGET", target)
			status, header, body := exchange(t, front, request+"Connection: close\r\n\r\n")
			wantNoForeignTarget(t, request, status, header, body)
		}
	}
	answer, err := http.Get(front.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), s.Config.PublicURL) {
		t.Errorf("the contract lacks the URL of the server: %v", err)
	}
}

// exchange sends a request unchanged and reads one response with its body.
func exchange(t *testing.T, s *servertest.Server, request string) (status int, header http.Header, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.100q: %v", request, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%.100q: %v", request, err)
	}
	return answer.StatusCode, answer.Header, string(text)
}
