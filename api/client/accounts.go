package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Options configure an [Accounts]. Only BaseURL is required.
type Options struct {
	// BaseURL is the origin of the API, such as https://accounts.example.com.
	BaseURL string
	// Storage keeps the session across restarts. If it is nil, the session lasts as long as the
	// program.
	Storage Storage
	// HTTP sends the requests. If it is nil, http.DefaultClient does.
	HTTP *http.Client
}

// Accounts is a client of one accounts server with at most one session. It is safe for concurrent
// use, and it implements http.RoundTripper.
type Accounts struct {
	// API has every operation, and sends the access token if there is a session. It rejects the
	// operations that start, refresh or end the session, because Accounts would not see the tokens
	// in their responses. Call the methods of Accounts instead.
	API *ClientWithResponses

	base *url.URL
	send http.RoundTripper
	*keeper
}

// New returns a client. It loads the session from the storage when it is first needed.
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
	a := &Accounts{base: base, send: o.HTTP.Transport, keeper: newKeeper(o.Storage)}
	if a.send == nil {
		a.send = http.DefaultTransport
	}
	plain := *o.HTTP // a redirect must not forward passwords and refresh tokens
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if a.plain, err = NewClient(base.String(), WithHTTPClient(&plain)); err != nil {
		return nil, err
	}
	authorized := *o.HTTP
	authorized.Transport = a
	a.API, err = NewClientWithResponses(base.String(), WithHTTPClient(&authorized))
	return a, err
}

// Login starts a session. It returns an [*Error] if the server rejects the login.
func (a *Accounts) Login(ctx context.Context, username, password string) (*SignedIn, error) {
	transport := TokenTransportBody
	return a.begin(ctx, func() (*http.Response, error) {
		return a.plain.Login(ctx, LoginRequest{Username: username, Password: password, TokenTransport: &transport})
	})
}

// VerifyEmail verifies the address of a registration and starts a session. The token is in the link
// of the mail, after #token=.
func (a *Accounts) VerifyEmail(ctx context.Context, token, password string) (*SignedIn, error) {
	transport := TokenTransportBody
	return a.begin(ctx, func() (*http.Response, error) {
		return a.plain.VerifyEmail(ctx, VerifyEmailRequest{Token: token, Password: password, TokenTransport: &transport})
	})
}

// ChangePassword changes the password, ends every session of the user and starts a new one here.
func (a *Accounts) ChangePassword(ctx context.Context, current, changed string) (*SignedIn, error) {
	tokens, err := a.freshTokens(ctx)
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

// Logout ends the session, on the server and here. If the server cannot be reached, Logout returns
// an error and the session continues. Without a session, it does nothing.
func (a *Accounts) Logout(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	return a.runExclusively(ctx, func() error {
		tokens, err := a.loadTokens(ctx)
		if err != nil || tokens == nil {
			return err
		}
		_, _, err = retry(ctx, func(ctx context.Context) (*http.Response, error) {
			return a.plain.Logout(ctx, LogoutRequest{RefreshToken: &tokens.Refresh})
		})
		var refused *Error
		if err != nil && (!errors.As(err, &refused) || refused.Status != http.StatusUnauthorized) {
			return err
		}
		return a.end(ctx, tokens, ErrSignedOut)
	})
}

// Refresh refreshes the tokens now. Programs rarely need it.
func (a *Accounts) Refresh(ctx context.Context) error {
	if err := a.restore(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	tokens := a.tokens
	a.mu.Unlock()
	if tokens == nil {
		return nil
	}
	_, err := a.refresh(ctx, tokens)
	return err
}

// AccessToken returns the access token for a call to another service. It refreshes the token if
// necessary. Without a session, it returns "".
func (a *Accounts) AccessToken(ctx context.Context) (string, error) {
	tokens, err := a.freshTokens(ctx)
	if err != nil || tokens == nil {
		return "", err
	}
	return tokens.Access, nil
}

// begin makes a call that starts a session, and stores the tokens of the response. No refresh or
// logout can run between the call and the storing.
func (a *Accounts) begin(ctx context.Context, call func() (*http.Response, error)) (*SignedIn, error) {
	result := &SignedIn{}
	err := a.runExclusively(ctx, func() error {
		body, err := readSuccess(call()) //nolint:bodyclose // readSuccess closes it
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

// readSuccess returns the body of a 2xx response, and an error for any other response.
func readSuccess(answer *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	body, err := bodyOf(answer)
	if err == nil && answer.StatusCode/100 != 2 {
		err = problemOf(answer.StatusCode, body, answer.Header)
	}
	return body, err
}
