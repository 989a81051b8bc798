package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/api/client"
	"example.com/accounts/server/servertest"
)

var ctx = context.Background()

// world is a real server with a user, a storage that outlives programs, and a network with faults.
type world struct {
	*servertest.Server
	user    servertest.User
	storage *storage
	network *network
	t       *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	return &world{Server: s, user: s.NewUser(), storage: &storage{saved: map[string]bool{}}, network: &network{}, t: t}
}

// program starts a program that uses the server's clock.
func (w *world) program() *client.Accounts {
	w.t.Helper()
	a, err := client.New(client.Options{BaseURL: w.URL, Storage: w.storage, HTTP: &http.Client{Transport: w.network}})
	must(w.t, err)
	a.SetNow(w.Clock.Now)
	return a
}

func (w *world) loggedIn() *client.Accounts {
	w.t.Helper()
	a := w.program()
	_, err := a.Login(ctx, w.user.Username, w.user.Password)
	must(w.t, err)
	return a
}

// profile requests the profile, which fails if the session has ended.
func profile(a *client.Accounts) error {
	answer, err := a.API.GetProfileWithResponse(ctx)
	return client.Check(answer, err)
}

// storage keeps tokens encoded, as a file would.
type storage struct {
	mu    sync.Mutex
	text  []byte
	fail  error
	slow  time.Duration
	saved map[string]bool // access tokens
}

func (s *storage) Load(context.Context) (*client.Tokens, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == nil {
		return nil, nil
	}
	tokens := &client.Tokens{}
	return tokens, json.Unmarshal(s.text, tokens)
}

func (s *storage) Save(_ context.Context, tokens *client.Tokens) error {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.text = nil
	if tokens != nil {
		s.text, _ = json.Marshal(tokens)
		s.saved[tokens.Access] = true
	}
	return nil
}

// has reports whether a token was ever saved.
func (s *storage) has(access string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved[access]
}

func (s *storage) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// tokens returns the saved tokens, or nil.
func (w *world) tokens() *client.Tokens {
	w.t.Helper()
	tokens, err := w.storage.Load(ctx)
	must(w.t, err)
	return tokens
}

// network records each request and passes it to fault. If fault is nil, it sends the request.
type network struct {
	mu    sync.Mutex
	calls []call
	fault func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)
}

type call struct{ path, attempt, authorization string }

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.calls = append(n.calls, call{r.URL.Path, r.Header.Get("Refresh-Attempt"), r.Header.Get("Authorization")})
	fault := n.fault
	n.mu.Unlock()
	send := func() (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) }
	if fault != nil {
		return fault(r, send)
	}
	return send()
}

// faults sets the fault of refreshes. Its calls are numbered from 1.
func (n *network) faults(fault func(number int, send func() (*http.Response, error)) (*http.Response, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	number := 0
	n.fault = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/refresh_token") {
			return send()
		}
		n.mu.Lock()
		number++
		this := number
		n.mu.Unlock()
		return fault(this, send)
	}
}

func (n *network) to(path string) (list []call) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.calls {
		if c.path == path {
			list = append(list, c)
		}
	}
	return list
}

func (n *network) refreshes() []call { return n.to("/accounts/refresh_token") }

var errLost = errors.New("the connection broke")

// lose lets the server decide a request, and loses its response.
func lose(send func() (*http.Response, error)) (*http.Response, error) {
	answer, err := send()
	if err == nil {
		_ = answer.Body.Close()
		err = errLost
	}
	return nil, err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code client.ProblemCode) {
	t.Helper()
	var problem *client.Error
	if !errors.As(err, &problem) || problem.Code != code {
		t.Errorf("%v, want %s", err, code)
	}
}

// eventually waits for a condition that another goroutine fulfills.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("never: " + what)
}
