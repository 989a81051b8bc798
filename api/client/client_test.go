package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/accounts/api/client"
)

func TestClientWorksFromLoginToLogout(t *testing.T) {
	w := newWorld(t)
	a := w.program()
	wantCode(t, profile(a), client.ProblemCodeCredentialsMissing)
	_, err := a.Login(ctx, w.user.Username, "something else altogether")
	wantCode(t, err, client.ProblemCodeCredentialsInvalid)
	if w.tokens() != nil {
		t.Error("a rejected login stored tokens")
	}
	result, err := a.Login(ctx, w.user.Username, w.user.Password)
	must(t, err)
	if result.User.Username != w.user.Username {
		t.Errorf("user %s", result.User.Username)
	}
	name := "Grace"
	updated, err := a.API.UpdateProfileWithResponse(ctx, client.UpdateProfileRequest{FirstName: &name})
	must(t, client.Check(updated, err))
	if updated.JSON200.User.FirstName != name {
		t.Errorf("first name %q", updated.JSON200.User.FirstName)
	}
	access, err := a.AccessToken(ctx)
	must(t, err)
	if access != w.tokens().Access {
		t.Error("an access token that is not the one saved")
	}
	must(t, a.Logout(ctx))
	if w.tokens() != nil {
		t.Error("the logout left tokens")
	}
	wantCode(t, profile(a), client.ProblemCodeCredentialsMissing)
	must(t, a.Logout(ctx))
	if access, err := a.AccessToken(ctx); access != "" || err != nil {
		t.Errorf("%q, %v after the logout", access, err)
	}
	must(t, func() error { _, err := a.Login(ctx, w.user.Username, w.user.Password); return err }())
	must(t, profile(a))
}

func TestRestartedProgramContinuesSession(t *testing.T) {
	w := newWorld(t)
	must(t, profile(w.loggedIn()))
	for range 3 {
		must(t, profile(w.program()))
	}
	if n := len(w.network.refreshes()); n != 0 {
		t.Errorf("%d refreshes: the access token was still good", n)
	}
	w.Clock.Advance(24 * time.Hour)
	must(t, profile(w.program()))
	if got := w.tokens().Generation; got != 1 || len(w.network.refreshes()) != 1 {
		t.Errorf("generation %d after %d refreshes", got, len(w.network.refreshes()))
	}
}

// When refresh_in has passed, requests still use the current token, while one refresh runs in the
// background.
func TestDueTokensAreRefreshedInBackground(t *testing.T) {
	w := newWorld(t)
	a := w.loggedIn()
	before := w.tokens()
	w.Clock.Advance(239 * time.Second)
	must(t, profile(a))
	if n := len(w.network.refreshes()); n != 0 {
		t.Fatalf("%d refreshes before refresh_in", n)
	}
	w.Clock.Advance(2 * time.Second)
	held := make(chan struct{})
	w.network.faults(func(_ int, send func() (*http.Response, error)) (*http.Response, error) { <-held; return send() })
	for range 10 {
		must(t, profile(a)) // no request waits
	}
	close(held)
	eventually(t, "the next generation", func() bool { return w.tokens().Generation == 1 })
	must(t, profile(a))
	calls := w.network.to("/accounts/profile")
	if last := calls[len(calls)-1].authorization; last == "Bearer "+before.Access {
		t.Error("the old token is still used")
	}
	if n := len(w.network.refreshes()); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// A hundred goroutines have an expired access token. There is one refresh and one rotation, and no
// goroutine gets a 401: if the client knows the expiry by its clock, if it learns it from the
// server, and if the response is lost.
func TestConcurrentRequestsShareOneRefresh(t *testing.T) {
	for _, tc := range []struct {
		name   string
		behind time.Duration // delay of the client's clock
		lost   int           // lost responses
	}{{"by the clock", 0, 0}, {"by a 401", time.Hour, 0}, {"an answer lost", 0, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.loggedIn()
			w.Clock.Advance(6 * time.Minute)
			a.SetNow(func() time.Time { return w.Clock.Now().Add(-tc.behind) })
			w.network.faults(func(number int, send func() (*http.Response, error)) (*http.Response, error) {
				if number <= tc.lost {
					return lose(send)
				}
				return send()
			})
			var group sync.WaitGroup
			for n := range 100 {
				group.Go(func() {
					if n%10 == 0 { // a write, whose body is sent twice
						name := "Grace"
						answer, err := a.API.UpdateProfileWithResponse(ctx, client.UpdateProfileRequest{FirstName: &name})
						if err := client.Check(answer, err); err != nil {
							t.Error(err)
						}
						return
					}
					if err := profile(a); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if got := w.tokens().Generation; got != 1 || len(w.network.refreshes()) != 1+tc.lost {
				t.Errorf("generation %d after %d refreshes", got, len(w.network.refreshes()))
			}
		})
	}
}

// After a 503, a response is lost after the server has decided. The client retries with the same
// attempt.
func TestLostRefreshIsRetriedWithSameAttempt(t *testing.T) {
	t.Parallel() // waits for seconds
	w := newWorld(t)
	a := w.loggedIn()
	w.Clock.Advance(10 * time.Minute)
	began := time.Now()
	w.network.faults(func(number int, send func() (*http.Response, error)) (*http.Response, error) {
		switch number {
		case 1:
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"2"}}, Body: io.NopCloser(strings.NewReader(
				`{"type":"http://localhost/problems/service_unavailable","title":"-","status":503,"detail":"-","code":"service_unavailable","request_id":"0198f6e5-c1a7-7c3e-9d55-0b1f1c2d3e4f"}`))}, nil
		case 2:
			return lose(send)
		}
		return send()
	})
	must(t, profile(a))
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("asked again after %v, before Retry-After", took)
	}
	calls := w.network.refreshes()
	if len(calls) != 3 || calls[0].attempt != calls[1].attempt || calls[1].attempt != calls[2].attempt || len(calls[0].attempt) != 22 {
		t.Errorf("refreshes %+v", calls)
	}
	if got := w.tokens(); got.Generation != 1 || got.Attempt == calls[0].attempt {
		t.Errorf("generation %d, and the attempt was kept: %v", got.Generation, got.Attempt == calls[0].attempt)
	}
}

// The program crashes between the server's response and the save. It continues as the same client,
// although it presents the superseded token hours later. A second client with only the token would
// end the session.
func TestCrashBeforeSaveKeepsSession(t *testing.T) {
	t.Attr("control", "196")
	w := newWorld(t)
	a := w.loggedIn()
	before := w.tokens()
	w.Clock.Advance(10 * time.Minute)
	full := errors.New("disk full")
	w.storage.breaks(full)
	if err := profile(a); !errors.Is(err, full) {
		t.Fatalf("tokens were used that were not saved: %v", err)
	}
	for _, c := range w.network.to("/accounts/profile") {
		t.Errorf("sent %+v", c)
	}
	w.storage.breaks(nil)
	if got := w.tokens(); got.Refresh != before.Refresh {
		t.Fatal("something was saved")
	}
	w.Clock.Advance(3 * time.Hour)
	restarted := w.program()
	must(t, profile(restarted))
	if got := w.tokens(); got.SessionID != before.SessionID || got.Generation < 1 {
		t.Errorf("%v", got)
	}
	calls := w.network.refreshes()
	if calls[0].attempt != calls[1].attempt {
		t.Error("the attempt was lost")
	}
}

// Tokens are used only after they were saved, in each of twenty generations and across restarts.
func TestTokensAreSavedBeforeUse(t *testing.T) {
	w := newWorld(t)
	w.storage.slow = 20 * time.Millisecond
	a := w.loggedIn()
	w.network.mu.Lock()
	w.network.fault = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if sent := r.Header.Get("Authorization"); sent != "" && !w.storage.has(strings.TrimPrefix(sent, "Bearer ")) {
			t.Error("a token was used before it was saved")
		}
		return send()
	}
	w.network.mu.Unlock()
	for generation := range int64(20) {
		w.Clock.Advance(250 * time.Second) // a refresh in the background is due
		eventually(t, "the next generation", func() bool {
			must(t, profile(a))
			return w.tokens().Generation == generation+1
		})
		if generation%7 == 0 {
			a = w.program() // restarts
		}
	}
}

// Two programs share a storage, and one of them is rarely awake. Neither is logged out.
func TestProgramsWithSharedStorageStayLoggedIn(t *testing.T) {
	w := newWorld(t)
	busy := w.loggedIn()
	seldom := w.program()
	must(t, profile(seldom))
	for round := range 12 {
		w.Clock.Advance(6 * time.Minute)
		must(t, profile(busy))
		if round%4 == 3 {
			must(t, profile(seldom))
		}
	}
	if got := w.tokens().Generation; got != 12 {
		t.Errorf("generation %d", got)
	}
	must(t, seldom.Logout(ctx))
	w.Clock.Advance(6 * time.Minute)
	if err := profile(busy); !errors.Is(err, client.ErrSignedOut) {
		t.Errorf("after the other's logout: %v", err)
	}
	_, err := seldom.Login(ctx, w.user.Username, w.user.Password)
	must(t, err)
}

// A program sleeps during a refresh, and another one that shares its storage refreshes two
// generations. The tokens of the first program are long superseded when it retries.
func TestSleepDuringRefreshKeepsSession(t *testing.T) {
	w := newWorld(t)
	sleeper, other := w.loggedIn(), w.program()
	w.Clock.Advance(6 * time.Minute)
	w.network.faults(func(number int, send func() (*http.Response, error)) (*http.Response, error) {
		if number > 1 {
			return send()
		}
		for range 2 {
			must(t, profile(other))
			w.Clock.Advance(6 * time.Minute)
		}
		return nil, errLost
	})
	must(t, profile(sleeper))
	must(t, profile(other))
	if got := w.tokens().Generation; got != 3 {
		t.Errorf("generation %d", got)
	}
}

// A program sleeps with a response that it has not saved yet. Another one that shares its storage
// refreshes two generations. The older tokens do not overwrite the newer ones.
func TestOlderTokensDoNotOverwriteNewerOnes(t *testing.T) {
	t.Attr("control", "196")
	w := newWorld(t)
	sleeper, other := w.loggedIn(), w.program()
	w.Clock.Advance(6 * time.Minute)
	w.network.faults(func(number int, send func() (*http.Response, error)) (*http.Response, error) {
		answer, err := send()
		if number == 1 {
			for range 2 {
				must(t, profile(other))
				w.Clock.Advance(6 * time.Minute)
			}
		}
		return answer, err
	})
	must(t, profile(sleeper))
	if got := w.tokens().Generation; got < 2 {
		t.Errorf("generation %d was saved over a newer one", got)
	}
	w.Clock.Advance(6 * time.Minute)
	must(t, profile(other))
	must(t, profile(sleeper))
}

// While the server is unavailable, the session is kept. It continues when the server is back.
func TestSessionSurvivesOutageOfServer(t *testing.T) {
	t.Parallel() // waits for seconds
	w := newWorld(t)
	a := w.loggedIn()
	w.network.mu.Lock()
	w.network.fault = func(*http.Request, func() (*http.Response, error)) (*http.Response, error) { return nil, errLost }
	w.network.mu.Unlock()
	w.Clock.Advance(10 * time.Minute)
	began := time.Now()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := profile(a); !errors.Is(err, errLost) {
				t.Errorf("a request: %v", err)
			}
		})
	}
	group.Wait()
	if took := time.Since(began); took < 10*time.Second || took > 16*time.Second {
		t.Errorf("given up after %v", took)
	}
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := a.Logout(soon); err == nil {
		t.Error("the logout succeeded without the server")
	}
	w.network.mu.Lock()
	w.network.fault = nil
	w.network.mu.Unlock()
	if w.tokens() == nil {
		t.Fatal("the tokens are gone")
	}
	must(t, profile(a))
}

// A request that was given up may rotate the tokens after its own retry was answered with the
// current ones (invariant 6). The client refreshes once more after ten seconds.
func TestClientRefreshesAgainAfterAbandonedRequest(t *testing.T) {
	w := newWorld(t)
	a := w.loggedIn()
	attempt := w.tokens().Attempt
	w.network.faults(func(number int, send func() (*http.Response, error)) (*http.Response, error) {
		if number == 1 {
			return nil, errLost
		}
		return send()
	})
	must(t, a.Refresh(ctx))
	got := w.tokens()
	if wait := got.RefreshAt.Sub(w.Clock.Now()); got.Generation != 0 || wait > 10*time.Second || wait < 8*time.Second {
		t.Errorf("generation %d, the next refresh in %v", got.Generation, wait)
	}
	if got.Attempt != attempt {
		t.Error("the attempt changed, and the generation did not rise")
	}
}

func TestSessionEndedElsewhereIsForgotten(t *testing.T) {
	w := newWorld(t)
	a, other := w.loggedIn(), w.Login(w.user, "body")
	other.Do(http.MethodDelete, "/accounts/sessions?keep_current=true", nil).Want(t, 204, "")
	wantCode(t, profile(a), client.ProblemCodeSessionRevoked)
	if w.tokens() != nil {
		t.Error("the storage still holds the session")
	}

	a = w.loggedIn()
	stolen := *w.tokens()
	for range 2 {
		w.Clock.Advance(6 * time.Minute)
		must(t, profile(a))
	}
	w.Anonymous().Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": stolen.Refresh}).Want(t, 401, "refresh_reused")
	w.Clock.Advance(6 * time.Minute)
	wantCode(t, profile(a), client.ProblemCodeSessionRevoked)
	if w.tokens() != nil {
		t.Error("the storage still holds the stolen session")
	}

	a = w.loggedIn() // a session whose stolen token a thief has refreshed further
	stolen = *w.tokens()
	thief := w.Anonymous()
	for range 2 {
		w.Clock.Advance(6 * time.Minute)
		thief.Do(http.MethodPost, "/accounts/refresh_token", map[string]any{"refresh_token": stolen.Refresh}).Want(t, 200, "")
		stolen.Refresh = thief.Refresh
	}
	w.Clock.Advance(6 * time.Minute)
	wantCode(t, profile(a), client.ProblemCodeRefreshReused)
}

// Operations with other names that end the client's own session, and those that start another one.
func TestOperationsThatEndOwnSessionForgetTokens(t *testing.T) {
	w := newWorld(t)
	a := w.loggedIn()
	first := w.tokens().SessionID
	_, err := a.ChangePassword(ctx, w.user.Password, "another horse battery staple")
	must(t, err)
	if got := w.tokens().SessionID; got == first {
		t.Error("still the old session")
	}
	must(t, profile(a))
	ended, err := a.API.RevokeSessionWithResponse(ctx, w.tokens().SessionID)
	must(t, client.Check(ended, err))
	if w.tokens() != nil {
		t.Error("the session was revoked and the storage holds it")
	}
	for path, call := range map[string]func() error{
		"login":  func() error { _, err := a.API.LoginWithResponse(ctx, client.LoginRequest{}); return err },
		"Logout": func() error { _, err := a.API.LogoutWithResponse(ctx, client.LogoutRequest{}); return err },
		"password": func() error {
			_, err := a.API.ChangePasswordWithResponse(ctx, client.ChangePasswordRequest{})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "call Accounts.") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Deleting the account and logging out everywhere end the client's own session too.
func TestDeletedAccountForgetsTokens(t *testing.T) {
	w := newWorld(t)
	a := w.loggedIn()
	keep := true
	answer, err := a.API.RevokeAllSessionsWithResponse(ctx, &client.RevokeAllSessionsParams{KeepCurrent: &keep})
	must(t, client.Check(answer, err))
	if w.tokens() == nil {
		t.Error("a logout from all other sessions ended this one")
	}
	answer, err = a.API.RevokeAllSessionsWithResponse(ctx, nil)
	must(t, client.Check(answer, err))
	if w.tokens() != nil {
		t.Error("all sessions were revoked and the storage holds one")
	}
	a = w.loggedIn()
	deleted, err := a.API.DeleteAccountWithResponse(ctx)
	must(t, client.Check(deleted, err))
	if w.tokens() != nil {
		t.Error("the account was deleted and the storage holds its session")
	}
}

// The token is sent only to the API's origin, and is not printed.
func TestTokensAreSentToOriginOnlyAndNotPrinted(t *testing.T) {
	w := newWorld(t)
	a := w.loggedIn()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("another origin got %q", got)
		}
	}))
	t.Cleanup(elsewhere.Close)
	answer, err := (&http.Client{Transport: a}).Get(elsewhere.URL + "/accounts/profile")
	must(t, err)
	_ = answer.Body.Close()
	tokens := w.tokens()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "tokens", tokens)
	for _, text := range []string{fmt.Sprint(tokens), fmt.Sprintf("%+v %#v", tokens, *tokens), log.String()} {
		if strings.Contains(text, tokens.Access) || strings.Contains(text, tokens.Refresh) || strings.Contains(text, tokens.Attempt) {
			t.Errorf("printed: %s", text)
		}
	}
	for _, base := range []string{"", "accounts.example.com", "https://accounts.example.com/v1", "file:///"} {
		if _, err := client.New(client.Options{BaseURL: base}); err == nil {
			t.Errorf("%q was accepted", base)
		}
	}
}
