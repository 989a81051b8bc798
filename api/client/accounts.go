package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options of an [Accounts]. Only BaseURL is required.
type Options struct {
	// BaseURL is the origin of the API, such as https://accounts.example.com.
	BaseURL string
	// Storage keeps the session over restarts; without it the session lives as long as
	// the program.
	Storage Storage
	// HTTP sends the requests, if not http.DefaultClient.
	HTTP *http.Client
}

// Accounts is a client of one accounts server with at most one session. It is safe
// for many goroutines, and it is an http.RoundTripper.
type Accounts struct {
	// API has every operation, with the access token where there is a session. The
	// operations that begin, renew or end the session are refused there, since their
	// answers would be lost: they are methods of Accounts.
	API *ClientWithResponses

	base    *url.URL
	plain   *Client // without a session
	send    http.RoundTripper
	storage Storage
	now     func() time.Time
	turn    chan struct{} // held by whoever changes the session

	mu     sync.Mutex
	loaded bool
	tokens *Tokens // replaced as a whole, never changed
	ended  error   // why there are none any more
	flight *flight
	later  time.Time // no refresh ahead of time before: the last one failed
}

// New makes a client. The session that the storage holds is found when it is first
// needed.
func New(o Options) (*Accounts, error) {
	base, err := url.Parse(strings.TrimSuffix(o.BaseURL, "/"))
	if err != nil || base.Host == "" || base.Path != "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("client: %q is no origin, scheme://host[:port]", o.BaseURL)
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Storage == nil {
		o.Storage = &memory{}
	}
	a := &Accounts{base: base, send: o.HTTP.Transport, storage: o.Storage, turn: make(chan struct{}, 1)}
	a.now = func() time.Time { return time.Now().UTC().Round(0) } // the wall clock: the other one stands still in sleep
	if a.send == nil {
		a.send = http.DefaultTransport
	}
	plain := *o.HTTP // a redirect would take passwords and refresh tokens along
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if a.plain, err = NewClient(base.String(), WithHTTPClient(&plain)); err != nil {
		return nil, err
	}
	authorized := *o.HTTP
	authorized.Transport = a
	a.API, err = NewClientWithResponses(base.String(), WithHTTPClient(&authorized))
	return a, err
}

// Login begins a session. The error is an [*Error] if the server refuses.
func (a *Accounts) Login(ctx context.Context, username, password string) (*SignedIn, error) {
	transport := TokenTransportBody
	return a.begin(ctx, func() (*http.Response, error) {
		return a.plain.Login(ctx, LoginRequest{Username: username, Password: password, TokenTransport: &transport})
	})
}

// VerifyEmail verifies a registration, which begins a session. The token is in the
// link of the mail, behind #token=.
func (a *Accounts) VerifyEmail(ctx context.Context, token, password string) (*SignedIn, error) {
	transport := TokenTransportBody
	return a.begin(ctx, func() (*http.Response, error) {
		return a.plain.VerifyEmail(ctx, VerifyEmailRequest{Token: token, Password: password, TokenTransport: &transport})
	})
}

// ChangePassword ends every session of the user and begins a new one here.
func (a *Accounts) ChangePassword(ctx context.Context, current, changed string) (*SignedIn, error) {
	tokens, err := a.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return a.begin(ctx, func() (*http.Response, error) {
		return a.plain.ChangePassword(ctx, ChangePasswordRequest{CurrentPassword: &current, NewPassword: changed}, func(_ context.Context, r *http.Request) error {
			authorize(r, tokens)
			return nil
		})
	})
}

// Logout ends the session, on the server and here. If the server cannot be reached
// the session goes on, and the error says so. Without a session it does nothing.
func (a *Accounts) Logout(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	return a.exclusively(ctx, func() error {
		tokens, err := a.newest(ctx)
		if err != nil || tokens == nil {
			return err
		}
		_, _, err = patiently(ctx, func(ctx context.Context) (*http.Response, error) {
			return a.plain.Logout(ctx, LogoutRequest{RefreshToken: &tokens.Refresh})
		})
		var refused *Error
		if err != nil && (!errors.As(err, &refused) || refused.Status != http.StatusUnauthorized) {
			return err
		}
		return a.end(ctx, tokens, ErrSignedOut)
	})
}

// AccessToken returns the access token for a call to another service, refreshed if
// need be; empty without a session.
func (a *Accounts) AccessToken(ctx context.Context) (string, error) {
	tokens, err := a.fresh(ctx)
	if err != nil || tokens == nil {
		return "", err
	}
	return tokens.Access, nil
}

// begin makes the call that begins a session, and keeps what it answers. No refresh
// or log-out comes in between.
func (a *Accounts) begin(ctx context.Context, call func() (*http.Response, error)) (*SignedIn, error) {
	result := &SignedIn{}
	err := a.exclusively(ctx, func() error {
		body, err := checked(call()) //nolint:bodyclose // checked closes it
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, result); err != nil {
			return fmt.Errorf("client: %w", err)
		}
		return a.keep(ctx, body, false)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// checked reads an answer; one that is no success is an error.
func checked(answer *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	body, err := bodyOf(answer)
	if err == nil && answer.StatusCode/100 != 2 {
		err = problemOf(answer.StatusCode, body, answer.Header)
	}
	return body, err
}

// exclusively runs what changes the session, one at a time.
func (a *Accounts) exclusively(ctx context.Context, task func() error) error {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
		return task()
	case <-ctx.Done():
		return ctx.Err()
	}
}
