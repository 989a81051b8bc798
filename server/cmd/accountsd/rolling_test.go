package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// A server is told to stop while every connection is busy. Each request that was sent is answered,
// and each connection announces its end with a response. The clients are as strict as possible:
// none of them dials again.
func TestShutdownUnderLoadAnswersEveryRequest(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		s := onDatabase(t, e, "ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_SHUTDOWN_DELAY=500ms")
		s.create("ada")
		r := s.serve()
		first := r.Login(servertest.User{User: models.User{Username: "ada"}, Password: goodPassword}, token.Hybrid)
		var wait sync.WaitGroup
		var answered atomic.Int64
		for range 16 {
			c := first.Copy()
			conn := &oneConnection{}
			c.HTTP.Transport = conn
			wait.Go(func() {
				for !conn.ended {
					answer, err := c.Try(http.MethodPost, "/accounts/refresh_token", c.RefreshBody())
					if err != nil {
						t.Errorf("a request was lost: %v", err)
						return
					}
					answer.Want(t, http.StatusOK, "")
					answered.Add(1)
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		r.signal()
		wait.Wait()
		r.end(0)
		t.Logf("%d requests", answered.Load())
	})
}

// oneConnection dials only once, and records whether the server has announced the end of the
// connection.
type oneConnection struct {
	transport *http.Transport
	ended     bool
}

func (o *oneConnection) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.transport == nil {
		dialed := false
		o.transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dialed {
				return nil, errors.New("the connection ended without a word")
			}
			dialed = true
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}
	}
	answer, err := o.transport.RoundTrip(r)
	o.ended = err == nil && answer.Close
	return answer, err
}

// Three replicas behind a load balancer are restarted one after the other, under load. Clients that
// retry after a 503 do not notice it, and no session ends.
func TestRollingRestartEndsNoSession(t *testing.T) {
	t.Parallel()
	servertest.EachEngine(t, func(t *testing.T, e servertest.Engine) {
		if e == servertest.SQLite {
			return // SQLite has one replica by design
		}
		lb := newBalancer(t, e, 3)
		ctx, stop := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		t.Cleanup(func() { stop(); wait.Wait() })
		wait.Go(func() { lb.watch(ctx) })
		for _, transport := range transports {
			for range 2 {
				c := lb.login(transport)
				wait.Go(func() {
					for ctx.Err() == nil {
						lb.want(c, http.MethodGet, "/accounts/profile", nil, http.StatusOK)
						lb.want(c, http.MethodPost, "/accounts/refresh_token", c.RefreshBody(), http.StatusOK)
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
		}
		wait.Go(func() {
			for ctx.Err() == nil {
				c := lb.login(token.Cookies)
				lb.want(c, http.MethodPost, "/accounts/logout", nil, http.StatusNoContent)
			}
		})
		for _, n := range lb.nodes {
			n.stop()
			n.start()
			time.Sleep(200 * time.Millisecond) // until the balancer uses it again
		}
		stop()
		wait.Wait()
		t.Logf("%d requests, %d of them again after a 503", lb.asked.Load(), lb.again.Load())
	})
}

// node is a replica in a process of its own.
type node struct {
	*shell
	path    string // of the binary
	command *exec.Cmd
	output  bytes.Buffer
	ready   atomic.Bool // the last result of the balancer's check
}

func (n *node) start() {
	n.t.Helper()
	n.command = exec.Command(n.path, "serve")
	n.command.Env, n.command.Stdout, n.command.Stderr = n.env, &n.output, &n.output
	if err := n.command.Start(); err != nil {
		n.t.Fatal(err)
	}
	r := &running{Server: servertest.Dial(n.t, "http://"+n.setting("ACCOUNTS_ADDR")), t: n.t}
	for began := time.Now(); r.status("/readyz") != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > commandTime {
			n.t.Fatal("not ready")
		}
	}
}

func (n *node) stop() {
	n.t.Helper()
	_ = n.command.Process.Signal(syscall.SIGTERM)
	if err := n.command.Wait(); err != nil {
		n.t.Errorf("the server ended with %v\n%s", err, n.output.String())
	}
}

// balancer is a load balancer. It checks readyz, and sends a request to another replica only if it
// could not be sent at all. It is the transport of the clients, so it needs no port of its own.
type balancer struct {
	t            *testing.T
	public       string
	nodes        []*node
	transport    http.Transport
	turn         atomic.Int64
	asked, again atomic.Int64
}

func newBalancer(t *testing.T, e servertest.Engine, replicas int) *balancer {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	db := servertest.NewDatabase(t, e)
	b := &balancer{t: t, public: "http://" + freeAddr(t)}
	for range replicas {
		s := newShell(t, "ACCOUNTS_PUBLIC_URL="+b.public, "ACCOUNTS_DATABASE_URL="+db.NextURL(), "ACCOUNTS_SECRET_KEYS="+servertest.SecretKey,
			"ACCOUNTS_SHUTDOWN_DELAY=500ms", "ACCOUNTS_ROTATION_INTERVAL="+interval.String(), "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=0", "ACCOUNTS_PASSWORDS_PER_CLIENT=0", "ACCOUNTS_PASSWORDS_PER_USER=0")
		if len(b.nodes) == 0 {
			s.mustRun("", "migrate", "up")
			s.create("ada")
		}
		n := &node{shell: s, path: path}
		n.start()
		n.ready.Store(true)
		t.Cleanup(func() { _, _ = n.command.Process.Kill(), n.command.Wait() })
		b.nodes = append(b.nodes, n)
	}
	return b
}

// watch checks repeatedly which replicas are ready.
func (b *balancer) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for _, n := range b.nodes {
			r := &running{Server: servertest.Dial(b.t, "http://"+n.setting("ACCOUNTS_ADDR")), t: b.t}
			n.ready.Store(r.status("/readyz") == http.StatusOK)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// RoundTrip sends a request to the next replica that is ready.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	var err error
	for range 2 * len(b.nodes) {
		n := b.nodes[int(b.turn.Add(1))%len(b.nodes)]
		if !n.ready.Load() {
			continue
		}
		sent := r.Clone(r.Context())
		sent.URL.Host, sent.Body = n.setting("ACCOUNTS_ADDR"), io.NopCloser(bytes.NewReader(body))
		var answer *http.Response
		answer, err = b.transport.RoundTrip(sent)
		if fault := (*net.OpError)(nil); !errors.As(err, &fault) || fault.Op != "dial" {
			return answer, err
		}
	}
	return nil, errors.Join(errors.New("no replica takes traffic"), err)
}

func (b *balancer) login(transport token.Transport) *servertest.Client {
	c := servertest.Dial(b.t, b.public).Anonymous()
	c.HTTP.Transport = b
	b.want(c, http.MethodPost, "/accounts/login", map[string]any{"username": "ada", "password": goodPassword, "token_transport": transport}, http.StatusOK)
	return c
}

// want retries after a 503, as the contract describes, and fails the test for any other status than
// the expected one.
func (b *balancer) want(c *servertest.Client, method, path string, body any, status int) {
	for range 20 {
		b.asked.Add(1)
		r, err := c.Try(method, path, body)
		switch {
		case err != nil:
			b.t.Errorf("%s %s: %v", method, path, err)
			return
		case r.Status == status:
			return
		case r.Status != http.StatusServiceUnavailable:
			b.t.Errorf("%s %s: %d %s", method, path, r.Status, r.Code())
			return
		}
		b.again.Add(1)
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Errorf("%s %s: 503 for seconds", method, path)
}
