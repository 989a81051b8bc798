package server_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/hosts"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/servertest/mysqlproxy"
)

// Internal errors: every operation of the contract responds to them with its documented problem and
// reveals nothing about the cause.

// broken implements the operations of the contract by a nil interface, so that calls of all but two
// panic. Future operations are included.
type broken struct{ api.StrictServerInterface }

const secret = "SELECT secret FROM somewhere"

// Login panics with a value that must not be revealed, and GetProfile returns an error of an
// unknown type.
func (broken) Login(context.Context, api.LoginRequestObject) (api.LoginResponseObject, error) {
	panic(secret)
}

func (broken) GetProfile(context.Context, api.GetProfileRequestObject) (api.GetProfileResponseObject, error) {
	return nil, errors.New(secret)
}

var tells = regexp.MustCompile(`(?i)goroutine|gorm|sql|panic|\.go:|nil pointer|runtime|secret`)

func TestEveryOperationReportsInternalErrorWithoutDetails(t *testing.T) {
	t.Attr("control", "86")
	s := servertest.Start(t, servertest.Options{})
	handler, err := s.HandlerOf(broken{})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(handler)
	t.Cleanup(front.Close)
	c := s.Login(newAda(t, s), accounts.Hybrid)
	other := *s
	other.URL = front.URL
	for _, op := range servertest.Operations() {
		r := send(c.Copy().At(&other), exampleOf(t, op))
		r.Want(t, http.StatusInternalServerError, "server_failed")
		wantHeaders(t, s, op.Path, r)
		if found := tells.FindString(strings.ReplaceAll(string(r.Raw), `"/`+op.ID, "")); found != "" {
			t.Errorf("%s: the response contains %q:\n%s", op.ID, found, r.Raw)
		}
		if !strings.Contains(s.Log.String(), r.Text("request_id")) {
			t.Errorf("%s: the log does not contain the request ID", op.ID)
		}
	}
	if log := s.Log.String(); !strings.Contains(log, "faults_test.go") || strings.Count(log, secret) != 1 {
		t.Error("the log must contain the stack of a panic and the text of an unknown error, but not the value of a panic")
	}
}

// keeper keeps the contexts of its requests, as a driver may do for a moment.
type keeper struct {
	api.StrictServerInterface
	kept []context.Context
}

func (k *keeper) CheckHealth(ctx context.Context, _ api.CheckHealthRequestObject) (api.CheckHealthResponseObject, error) {
	k.kept = append(k.kept, ctx)
	return api.CheckHealth200JSONResponse{Status: api.HealthStatusOk}, nil
}

// gin reuses its contexts for later requests.
func TestGinContextIsNotUsedAfterItsRequest(t *testing.T) {
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
			t.Errorf("of %d requests, one has the context of another", len(operations.kept))
		}
		seen[request], seen[ctx] = true, true
	}
}

func TestEveryOperationIsUnavailableWithoutDatabase(t *testing.T) {
	t.Attr("control", "36")
	t.Attr("control", "84")
	t.Attr("control", "86")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine})
		ada := newAda(t, s)
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
			r.Want(t, http.StatusServiceUnavailable, "service_unavailable")
			if r.Header.Get("Retry-After") == "" || tells.Match(r.Raw) {
				t.Errorf("%s: %v\n%s", op.ID, r.Header, r.Raw)
			}
		}
		body.RefreshTokens().Want(t, http.StatusServiceUnavailable, "service_unavailable")
		wantUnchanged(t, s, before)
		// The failed requests used up nothing: the same credentials work once the database is back.
		back := servertest.Start(t, servertest.Options{Database: s.Database, Settings: []string{"ACCOUNTS_PUBLIC_URL=" + s.Config.PublicURL}})
		c.At(back).RefreshTokens().Want(t, http.StatusOK, "")
		body.At(back).RefreshTokens().Want(t, http.StatusOK, "")
	})
}

// If the database accepts connections but does not respond, because it hangs or the network is
// broken, every operation responds in time. Soon after the database recovers, the operations work
// again.
func TestEveryOperationRespondsInTimeIfDatabaseHangs(t *testing.T) {
	t.Attr("control", "36")
	t.Parallel()                                               // the test waits most of the time
	const answers, recovers = 3 * time.Second, 5 * time.Second // documented bounds
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		if engine != servertest.MySQL {
			return
		}
		direct := servertest.NewDatabase(t, engine)
		proxy, url, err := mysqlproxy.New(direct.URL, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Away)
		db := *direct
		db.URL = url
		s := servertest.Start(t, servertest.Options{Database: &db, HoldMail: true})
		c := s.Login(newAda(t, s), accounts.Hybrid)
		before := s.Database.Dump(t)
		proxy.Silence()
		var all sync.WaitGroup
		for _, op := range servertest.Operations() {
			if !slices.Contains(op.Statuses, http.StatusServiceUnavailable) {
				continue // needs no database
			}
			client, example := c.Copy(), exampleOf(t, op)
			all.Go(func() {
				began := time.Now()
				r := send(client, example)
				if took := time.Since(began); took > answers {
					t.Errorf("%s: the server responded only after %v", op.ID, took)
				}
				if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || len(r.Cookies()) > 0 {
					t.Errorf("%s: %d %v", op.ID, r.Status, r.Header)
				}
			})
		}
		all.Wait()
		wantUnchanged(t, s, before)
		if err := proxy.Back(); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		for c.Copy().Do(http.MethodGet, "/readyz", nil).Status != http.StatusOK && time.Since(back) < recovers {
			time.Sleep(50 * time.Millisecond)
		}
		c.RefreshTokens().Want(t, http.StatusOK, "")
		c.Profile().Want(t, http.StatusOK, "")
	})
}

// A missing table stands for any database error: the driver's message names the table and the
// statement.
func TestDatabaseErrorDetailsAreNotRevealed(t *testing.T) {
	t.Attr("control", "86")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true, Settings: []string{"ACCOUNTS_CONFIRMATIONS_PER_CLIENT=1000/1m", "ACCOUNTS_REGISTRATIONS_PER_CLIENT=1000/1m", "ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=1000/1m"}})
		ada := newAda(t, s)
		s.Database.Snapshot(t)
		for _, table := range []string{"users", "sessions", "events", "one_time_tokens", "outbox", "rate_limits"} {
			failed := 0
			for _, op := range servertest.Operations() {
				c := s.Login(ada, accounts.BodyTokens)
				e := exampleOf(t, op)
				if acceptsTokenInBody(op) {
					e.body = c.RefreshBody()
					s.Database.Age(t, rotation)
				}
				s.Database.Exec(t, "ALTER TABLE "+table+" RENAME TO away")
				s.Log.Take()
				r := send(c.Copy(), e)
				s.Database.Exec(t, "ALTER TABLE away RENAME TO "+table)
				if r.Status >= 500 {
					failed++
					if !strings.Contains(s.Log.Take(), table) {
						t.Errorf("%s without %s: the log does not contain the cause", op.ID, table)
					}
				}
				if found := tells.Find(r.Raw); r.Status >= 400 && (found != nil || strings.Contains(string(r.Raw), table)) {
					t.Errorf("%s without %s: the response contains %q:\n%s", op.ID, table, found, r.Raw)
				}
				s.Database.Restore(t)
			}
			if failed == 0 && table != "events" {
				t.Errorf("no operation failed without %s", table)
			}
		}
	})
}

// Every operation with a rate limit responds with Retry-After in seconds, as the contract says.
func TestRateLimitedOperationsSendRetryAfter(t *testing.T) {
	t.Attr("control", "84")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		limited := 0
		for _, op := range servertest.Operations() {
			for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
				response := op.Operation.Responses.Status(status)
				if response == nil {
					continue
				}
				header := response.Value.Headers["Retry-After"]
				if header == nil || !header.Value.Required || response.Value.Content["application/problem+json"] == nil {
					t.Errorf("%s %d: the contract does not describe a problem with Retry-After", op.ID, status)
				}
			}
			if op.Operation.Responses.Status(http.StatusTooManyRequests) != nil {
				limited++
				t.Run(op.ID, func(t *testing.T) { exceedLimit(t, engine, op) })
			}
		}
		if limited < 8 {
			t.Errorf("only %d operations have a limit, want at least 8", limited)
		}
	})
}

// exceedLimit sends requests, with a wrong password if the operation verifies one, until the rate
// limit is exceeded.
func exceedLimit(t *testing.T, engine servertest.Engine, op servertest.Operation) {
	s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true, Settings: []string{
		"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=2/15m", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=2/15m", "ACCOUNTS_REGISTRATIONS_PER_CLIENT=2/15m", "ACCOUNTS_CONFIRMATIONS_PER_CLIENT=2/15m",
		"ACCOUNTS_RARE_ACTIONS_PER_USER=2/15m", "ACCOUNTS_MAILS_PER_RECIPIENT=2/15m", "ACCOUNTS_MAILS_PER_STAFF=2/15m",
	}})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	e := exampleOf(t, op)
	if body, ok := e.body.(map[string]any); ok {
		body = maps.Clone(body)
		for name := range body {
			if name == "password" && op.ID != "register" || name == "current_password" {
				body[name] = "a wrong password"
			}
		}
		e.body = body
	}
	ask := func(name string) *servertest.Response {
		if op.ID == "updateProfile" { // only a change of the username has a limit
			e.body = map[string]any{"username": name}
		}
		if op.ID == "updateUser" { // only a change of address has a limit
			e.body = map[string]any{"email": address(name)}
		}
		if op.ID == "inviteUser" { // a taken address would be a conflict instead
			e.body = map[string]any{"email": address(name)}
		}
		return send(c.Copy(), e)
	}
	names := []string{"ada-1", "ada-2"}
	if op.ID == "resendEmailChange" { // the change itself counts
		wantAccepted(t, changeEmail(c.Copy(), address("ada-0")))
		names = names[:1]
	}
	for _, name := range names {
		if r := ask(name); r.Status == http.StatusTooManyRequests {
			t.Fatal("got 429 before the limit was exceeded")
		}
	}
	settleGuesses(t, s)
	r := ask("ada-3")
	if wait := wantLimited(t, r); wait > 15*time.Minute || wait < 14*time.Minute {
		t.Errorf("Retry-After is %v, want about 15 minutes", wait)
	}
}

// occupy keeps a hasher with one slot and a queue of one full until free is called.
func occupy(t *testing.T, hasher *credentials.Hasher) (free func()) {
	t.Helper()
	const costly = "$argon2id$v=19$m=65536,t=16,p=1$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"
	ctx, stop := context.WithCancel(context.Background())
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := hasher.Verify(ctx, hosts.Network{}, costly, "x"); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	waitFor(t, func() bool { return hasher.IsFull(hosts.Network{}) })
	free = func() { stop(); both.Wait() }
	t.Cleanup(free)
	return free
}

// While the only hashing slot and the only place in the queue are taken, every request that needs a
// hash is rejected at once. All other requests succeed. A rejected request uses up nothing.
func TestRequestsBeyondHashingCapacityAreRejected(t *testing.T) {
	t.Attr("control", "81")
	t.Attr("control", "84")
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		hasher := credentials.NewHasher(servertest.FastHash, 1, 1, time.Minute)
		s := servertest.Start(t, servertest.Options{Engine: engine, Hasher: hasher, Settings: []string{
			"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=1/15m", "ACCOUNTS_PASSWORDS_PER_CLIENT=6/15m", // the number of requests in this test that are answered with 2xx
		}})
		ada, bob, dora := newAda(t, s), s.NewUser(), s.NewUser()
		verification := register(t, s, 1, object{"email": address("carol"), "password": password})
		change := requestEmailChange(t, s, s.Login(dora, accounts.BodyTokens), address("dora"), 1)
		reset := requestReset(t, s, bob.Email, 1)
		c := s.Login(ada, accounts.Hybrid)
		settle(t, s)
		free := occupy(t, hasher)
		turnedAway := 0
		for _, op := range servertest.Operations() {
			e := exampleOf(t, op)
			switch op.ID {
			case "verifyEmail":
				e.body = object{"token": verification, "password": password}
			case "confirmPasswordReset":
				e.body = object{"token": reset, "new_password": otherPassword}
			case "confirmEmailChange":
				e.body = object{"token": change, "password": dora.Password}
			case "revokeAllSessions", "revokeSession", "logout", "deleteAccount": // would end the session
				continue
			}
			began := time.Now()
			r := send(c.Copy(), e)
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: the server responded only after %v", op.ID, took)
			}
			if !hashes(op) {
				if r.Status >= 500 {
					t.Errorf("%s: %d %s", op.ID, r.Status, r.Code())
				}
				continue
			}
			turnedAway++
			r.Want(t, http.StatusServiceUnavailable, "service_unavailable")
			if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 1 {
				t.Errorf("%s: Retry-After is %q, want at least 1", op.ID, r.Header.Get("Retry-After"))
			}
		}
		if turnedAway < 6 {
			t.Errorf("only %d operations were rejected for lack of a hashing slot, want at least 6", turnedAway)
		}
		free()
		signIn(s, ada.Username, password).Want(t, http.StatusOK, "")
		changePassword(c, password, otherPassword).Want(t, http.StatusOK, "")
		verify(s, verification, password).Want(t, http.StatusOK, "")
		confirmEmail(s, change, dora.Password).Want(t, http.StatusNoContent, "")
		confirmReset(s, reset, otherPassword).Want(t, http.StatusNoContent, "")
	})
}

// hashes reports whether an operation hashes a password that the client sends.
func hashes(op servertest.Operation) bool {
	schema := schemaOf(op)
	return schema != nil && slices.ContainsFunc(slices.Collect(maps.Keys(schema.Properties)), func(name string) bool { return strings.Contains(name, "password") })
}

func TestReadinessFailsDuringShutdown(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_SHUTDOWN_DELAY=300ms"}})
	other, stop, ended := serve(t, s)
	c := other.Anonymous()
	c.Do(http.MethodGet, "/readyz", nil).Want(t, http.StatusOK, "")
	stop()
	for c.Do(http.MethodGet, "/readyz", nil).Status == http.StatusOK {
		time.Sleep(time.Millisecond) // until the server has noticed
	}
	c.Do(http.MethodGet, "/readyz", nil).Want(t, http.StatusServiceUnavailable, "service_unavailable")
	c.Do(http.MethodGet, "/healthz", nil).Want(t, http.StatusOK, "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// serve runs the same server with its production limits. stop has the effect of SIGTERM.
func serve(t *testing.T, s *servertest.Server) (front *servertest.Server, stop context.CancelFunc, ended <-chan error) {
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
