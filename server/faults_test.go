package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/servertest"
)

// Faults of the server itself: every operation of the contract must answer them with its documented problem, and
// with nothing of what went wrong.

// broken implements every operation by a nil dereference: also those that are yet to be written.
type broken struct{ api.StrictServerInterface }

const secret = "SELECT secret FROM somewhere"

// Two of them fail otherwise: a panic with a value that tells something, and an error that nobody knows.
func (broken) Login(context.Context, api.LoginRequestObject) (api.LoginResponseObject, error) {
	panic(secret)
}

func (broken) GetProfile(context.Context, api.GetProfileRequestObject) (api.GetProfileResponseObject, error) {
	return nil, errors.New(secret)
}

var tells = regexp.MustCompile(`(?i)goroutine|gorm|sql|panic|\.go:|nil pointer|runtime|secret`)

func TestEveryOperationAnswers500(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	handler, err := s.HandlerOf(broken{})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(handler)
	t.Cleanup(front.Close)
	c := s.Login(newUser(t, s, "ada"), accounts.Hybrid)
	other := *s
	other.URL = front.URL
	for _, op := range servertest.Operations() {
		r := send(c.Copy().At(&other), exampleOf(t, op))
		r.Want(t, http.StatusInternalServerError, "internal_error")
		wantHeaders(t, s, op.Path, r)
		if found := tells.FindString(strings.ReplaceAll(string(r.Raw), `"/`+op.ID, "")); found != "" {
			t.Errorf("%s: the answer says %q:\n%s", op.ID, found, r.Raw)
		}
		if !strings.Contains(s.Log.String(), r.Text("request_id")) {
			t.Errorf("%s: the log does not know the request", op.ID)
		}
	}
	if log := s.Log.String(); !strings.Contains(log, "faults_test.go") || strings.Count(log, secret) != 1 {
		t.Error("the log needs the stack of a panic, the text of an unknown error, and not the value of a panic")
	}
}

// keeper keeps the contexts it is given, as a driver may do for a moment.
type keeper struct {
	api.StrictServerInterface
	kept []context.Context
}

func (k *keeper) GetHealthz(ctx context.Context, _ api.GetHealthzRequestObject) (api.GetHealthzResponseObject, error) {
	k.kept = append(k.kept, ctx)
	return api.GetHealthz200JSONResponse{Status: api.HealthResultStatusOk}, nil
}

// gin gives its contexts to one request after the other.
func TestAContextBelongsToOneRequest(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	operations := &keeper{}
	handler, err := s.HandlerOf(operations)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
	}
	seen := map[any]bool{}
	for _, ctx := range operations.kept {
		request := ctx.Value(gin.ContextRequestKey)
		if seen[request] || seen[ctx] || len(operations.kept) != 3 {
			t.Errorf("%d requests, and one has the context of another", len(operations.kept))
		}
		seen[request], seen[ctx] = true, true
	}
}

func TestControl36EveryOperationAnswers503WithoutItsDatabase(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		ada := newUser(t, s, "ada")
		for _, transport := range transports {
			s.Login(ada, transport)
		}
		c, body := s.Login(ada, accounts.Hybrid), s.Login(ada, accounts.BodyTokens)
		before := s.Database.Dump(t)
		if err := s.Store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, op := range servertest.Operations() {
			r := send(c.Copy(), exampleOf(t, op))
			if !slices.Contains(op.Statuses, http.StatusServiceUnavailable) {
				r.Want(t, http.StatusOK, "")
				continue
			}
			r.Want(t, http.StatusServiceUnavailable, "unavailable")
			if r.Header.Get("Retry-After") == "" || tells.Match(r.Raw) {
				t.Errorf("%s: %v\n%s", op.ID, r.Header, r.Raw)
			}
		}
		body.RefreshTokens().Want(t, http.StatusServiceUnavailable, "unavailable")
		unchanged(t, s, before)
		// Nothing was burned: the same credentials work once the database is back.
		back := servertest.Start(t, servertest.Options{Database: s.Database, Settings: []string{"ACCOUNTS_PUBLIC_URL=" + s.Config.PublicURL}})
		c.At(back).RefreshTokens().Want(t, http.StatusOK, "")
		body.At(back).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// One slot, no queue: of eight logins at once some are turned away, and nothing else is.
func TestLoginAnswers503WhenTooManyHash(t *testing.T) {
	slow := credentials.Params{Memory: 32 << 10, Time: 2, Threads: 1}
	s := servertest.Start(t, servertest.Options{Hasher: credentials.NewHasher(slow, 1, 0, time.Millisecond)})
	u := s.NewUser()
	c := s.Login(u, accounts.Hybrid)
	var wg sync.WaitGroup
	answers := make([]*servertest.Response, 8)
	for i := range answers {
		wg.Go(func() {
			answers[i], _ = s.Anonymous().Try(http.MethodPost, "/accounts/login", map[string]any{"username": u.Username, "password": u.Password})
		})
	}
	c.Profile().Want(t, http.StatusOK, "")
	c.RefreshTokens().Want(t, http.StatusOK, "")
	wg.Wait()
	count := map[int]int{}
	for _, r := range answers {
		if r == nil {
			t.Fatal("a login without an answer")
		}
		count[r.Status]++
		if r.Status == http.StatusServiceUnavailable && (r.Code() != "unavailable" || r.Header.Get("Retry-After") == "") {
			t.Errorf("%v %s", r.Header, r.Raw)
		}
	}
	if count[http.StatusOK] == 0 || count[http.StatusServiceUnavailable] == 0 || len(count) != 2 {
		t.Errorf("answers by status: %v", count)
	}
}

func TestShutdown(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_SHUTDOWN_DELAY=300ms"}})
	other, stop, ended := served(t, s)
	c := other.Anonymous()
	c.Do(http.MethodGet, "/readyz", nil).Want(t, http.StatusOK, "")
	stop()
	for c.Do(http.MethodGet, "/readyz", nil).Status == http.StatusOK {
		time.Sleep(time.Millisecond) // until the server has noticed
	}
	c.Do(http.MethodGet, "/readyz", nil).Want(t, http.StatusServiceUnavailable, "unavailable")
	c.Do(http.MethodGet, "/healthz", nil).Want(t, http.StatusOK, "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// served is the same server behind the bounds that it has in production; stop is its SIGTERM.
func served(t *testing.T, s *servertest.Server) (front *servertest.Server, stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	failed, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		failed <- s.Serve(ctx, listener)
	}()
	t.Cleanup(func() { stop(); <-done })
	other := *s
	other.URL = "http://" + listener.Addr().String()
	return &other, stop, failed
}
