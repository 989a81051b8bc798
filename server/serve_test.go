package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/server"
	"example.com/accounts/server/servertest"
)

// startListening starts a server with the listener and timeouts used in production.
func startListening(t *testing.T) (addr string, s *servertest.Server) {
	t.Helper()
	s = servertest.Start(t, servertest.Options{})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return listener.Addr().String(), s
}

// drip sends the beginning of a request at once and then one byte at each interval. It returns how
// long the server kept the connection.
func drip(t *testing.T, addr, begin string, every time.Duration) time.Duration {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { _ = c.Close() }()
	began, closed := time.Now(), make(chan struct{})
	go func() {
		defer close(closed)
		for r := bufio.NewReader(c); ; {
			if _, err := r.ReadByte(); err != nil {
				return
			}
		}
	}()
	_, _ = c.Write([]byte(begin))
	for {
		select {
		case <-closed:
			return time.Since(began)
		case <-time.After(every):
			_, _ = c.Write([]byte("a"))
		}
		if time.Since(began) > time.Minute {
			t.Error("the server held a connection for more than a minute")
			return time.Since(began)
		}
	}
}

// Hundreds of connections that send a byte now and then are closed. Until then they do not delay
// other clients.
func TestSlowClientsAreDisconnected(t *testing.T) {
	t.Attr("control", "82")
	t.Parallel()
	addr, _ := startListening(t)
	const each = 100
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		begin string
		most  time.Duration
	}{
		"headers":        {"GET /accounts/profile HTTP/1.1\r\nHost: localhost\r\nX-", 8 * time.Second},
		"body":           {"POST /accounts/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{\"username\":\"", 18 * time.Second},
		"nothing at all": {"", 8 * time.Second},
	} {
		for range each {
			all.Go(func() {
				if took := drip(t, addr, c.begin, 500*time.Millisecond); took > c.most {
					t.Errorf("%s: the server held the connection for %v", name, took)
				}
			})
		}
	}
	for range 30 { // another client at the same time
		began := time.Now()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if took := time.Since(began); answer.StatusCode != http.StatusOK || took > time.Second {
			t.Errorf("another client: got status %d after %v, want 200 within a second", answer.StatusCode, took)
		}
		time.Sleep(100 * time.Millisecond) // spread over the time of the slow requests
	}
	all.Wait()
}

// OPTIONS * asks about the server and not about a resource. net/http would answer it without the
// headers of the contract.
func TestOptionsAsteriskGetsAnswerOfContract(t *testing.T) {
	addr, s := startListening(t)
	s.URL = "http://" + addr
	answer := raw(t, s, line("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if answer.StatusCode != http.StatusNotFound || answer.Header.Get("X-Request-Id") == "" || answer.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d with the headers %v, want 404 of the contract", answer.StatusCode, answer.Header)
	}
}

// Limits that would take minutes to reach have the documented values: for idle connections, for
// responses that are not read and for the number of connections.
func TestConnectionLimitsHaveDocumentedValues(t *testing.T) {
	t.Attr("control", "82")
	srv := servertest.Start(t, servertest.Options{}).HTTPServer()
	for name, c := range map[string]struct{ is, most time.Duration }{
		"headers": {srv.ReadHeaderTimeout, 5 * time.Second}, "request": {srv.ReadTimeout, 15 * time.Second},
		"answer": {srv.WriteTimeout, 30 * time.Second}, "idle": {srv.IdleTimeout, 2 * time.Minute},
	} {
		if c.is <= 0 || c.is > c.most {
			t.Errorf("%s: %v", name, c.is)
		}
	}
	if srv.MaxHeaderBytes <= 0 || srv.MaxHeaderBytes > 16<<10 || server.MaxConnections > 10_000 || server.MaxConnectionsPerClient > server.MaxConnections/2 {
		t.Errorf("%d bytes of headers, %d connections, %d of one client", srv.MaxHeaderBytes, server.MaxConnections, server.MaxConnectionsPerClient)
	}
}

// callers is a listener that accepts one connection from each of these addresses in turn.
type callers []string

func (c *callers) Accept() (net.Conn, error) {
	if len(*c) == 0 {
		return nil, net.ErrClosed
	}
	near, _ := net.Pipe()
	conn := caller{near, (*c)[0]}
	*c = (*c)[1:]
	return conn, nil
}

func (c *callers) Addr() net.Addr { return nil }
func (c *callers) Close() error   { return nil }

type caller struct {
	net.Conn
	address string
}

func (c caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.address))
}

// A client that opens many idle connections leaves the connections of other clients available.
func TestConnectionsOfOneClientLeaveRoomForOthers(t *testing.T) {
	t.Attr("control", "82")
	t.Attr("control", "189")
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_TRUSTED_PROXIES=10.0.0.0/8"}})
	var queue callers
	listener := s.LimitListener(&queue, 2)
	kept := func(addresses ...string) (ports []int, conns []net.Conn) {
		queue = addresses
		for {
			conn, err := listener.Accept()
			if err != nil {
				return ports, conns
			}
			addr, _ := conn.RemoteAddr().(*net.TCPAddr)
			ports, conns = append(ports, addr.Port), append(conns, conn)
		}
	}
	ports, conns := kept("203.0.113.7:1", "203.0.113.7:2", "203.0.113.7:3", "[::ffff:203.0.113.7]:4", "203.0.113.8:5",
		"[2001:db8::1]:6", "[2001:db8::2]:7", "[2001:db8:0:1::3]:8", // one customer's /48
		"[2001:db8:1::1]:19",                       // another customer's
		"10.1.2.3:9", "10.1.2.3:10", "10.1.2.3:11", // a proxy's
		"127.0.0.1:12", "127.0.0.1:13", "[::1]:14", "[::1]:15", "[::1]:16")
	if want := []int{1, 2, 5, 6, 7, 19, 9, 10, 11, 12, 13, 14, 15, 16}; !slices.Equal(ports, want) {
		t.Errorf("kept connections: got %v, want %v", ports, want)
	}
	if n := strings.Count(s.Log.String(), "too many open connections"); n != 1 { // logged once a minute
		t.Errorf("got %d log lines, want 1", n)
	}
	for range 2 { // closing a connection twice frees one place
		_ = conns[0].Close()
	}
	if ports, _ := kept("203.0.113.7:17", "203.0.113.7:18"); !slices.Equal(ports, []int{17}) {
		t.Errorf("kept connections after one was closed: got %v, want the first", ports)
	}
}

// Headers that are too large are rejected before they are read completely.
func TestHeadersTooLargeAreRejected(t *testing.T) {
	t.Attr("control", "82")
	addr, _ := startListening(t)
	for name, header := range map[string]string{
		"one header of 1 MB": "X-Filler: " + strings.Repeat("a", 1<<20),
		"5000 cookies":       "Cookie: " + strings.Repeat("a=b; ", 5000),
		"5000 headers":       strings.TrimSuffix(strings.Repeat("X-Filler: a\r\n", 5000), "\r\n"),
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = fmt.Fprintf(c, "GET /accounts/profile HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", header)
		}()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %v, %v", name, answer, err)
		}
		_ = c.Close()
	}
}

// raw sends parts over a new connection and reads one response.
func raw(t *testing.T, s *servertest.Server, parts ...func(net.Conn)) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, part := range parts {
		part(conn)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

func line(format string, args ...any) func(net.Conn) {
	return func(c net.Conn) { _, _ = fmt.Fprintf(c, format, args...) }
}

func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	for range 500 {
		if ready() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the condition did not hold within 5 s")
}
