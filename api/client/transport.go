package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	tries       = 3
	longestWait = 10 * time.Second
)

// methodOf maps the path of each operation that API rejects to the method of Accounts to call
// instead.
var methodOf = map[string]string{
	"/accounts/login":           "Login",
	"/accounts/refresh_token":   "Refresh",
	"/accounts/logout":          "Logout",
	"/accounts/email/verify":    "VerifyEmail",
	"/accounts/password/change": "ChangePassword",
}

// RoundTrip sends a request with the access token. It retries once after a refresh if the token was
// rejected, and retries reads after a 503. Requests to other origins than the API's are sent
// unchanged, because they must not contain the token.
func (a *Accounts) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != a.base.Scheme || request.URL.Host != a.base.Host {
		return a.send.RoundTrip(request)
	}
	ctx := request.Context()
	tokens, err := a.admit(request)
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	for try := 1; ; try++ {
		answer, err := a.transmit(request, tokens, try)
		if err != nil {
			return nil, err
		}
		wait := max(retryAfter(answer.Header), time.Second)
		switch {
		case answer.StatusCode == http.StatusUnauthorized && tokens != nil:
			others, err := a.afterRefusal(request, answer, tokens, try)
			if err != nil {
				return nil, err
			}
			if others == nil {
				return answer, nil
			}
			tokens = others
		case answer.StatusCode == http.StatusServiceUnavailable && isSafe(request) && try < tries && wait <= longestWait:
			_ = answer.Body.Close()
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
		case tokens != nil && endsOwnSession(request, answer, tokens):
			a.noteEnd(ctx, "", tokens)
			return answer, nil
		default:
			return answer, nil
		}
	}
}

// admit returns the tokens for a request. It rejects an operation that changes the session, because
// the tokens in its response would be lost.
func (a *Accounts) admit(request *http.Request) (*Tokens, error) {
	if method := methodOf[request.URL.Path]; method != "" {
		return nil, fmt.Errorf("client: %s changes the session: call Accounts.%s", request.URL.Path, method)
	}
	return a.freshTokens(request.Context())
}

// transmit sends a copy of the request, because a RoundTripper must not modify it.
func (a *Accounts) transmit(request *http.Request, tokens *Tokens, try int) (*http.Response, error) {
	r := request.Clone(request.Context())
	if try > 1 && request.GetBody != nil {
		body, err := request.GetBody()
		if err != nil {
			return nil, err
		}
		r.Body = body
	}
	authorize(r, tokens)
	return a.send.RoundTrip(r)
}

// afterRefusal returns the tokens for a retry after a 401, or nil if the response is final.
func (a *Accounts) afterRefusal(request *http.Request, answer *http.Response, tokens *Tokens, try int) (*Tokens, error) {
	code, err := peekCode(answer)
	if err != nil {
		return nil, err
	}
	if isStaleToken(code) && try == 1 && isRepeatable(request) {
		return a.refresh(request.Context(), tokens)
	}
	a.noteEnd(request.Context(), code, tokens)
	return nil, nil
}

func authorize(r *http.Request, tokens *Tokens) {
	if tokens != nil {
		r.Header.Set("Authorization", "Bearer "+tokens.Access)
	}
}

// isStaleToken reports whether a request may succeed with other tokens after a 401 with this code.
func isStaleToken(code ProblemCode) bool {
	return code == ProblemCodeAccessExpired || code == ProblemCodeAccessInvalid || code == ProblemCodeCredentialsMissing
}

// noteEnd removes the session if the user has ended it (an empty code), or if the code says that it
// has ended. If the storage fails, it still contains the session, and the server rejects the next
// refresh too.
func (a *Accounts) noteEnd(ctx context.Context, code ProblemCode, tokens *Tokens) {
	reason := ErrSignedOut
	switch code {
	case "":
	case ProblemCodeSessionExpired, ProblemCodeSessionRevoked:
		reason = &Error{Problem: Problem{Status: http.StatusUnauthorized, Code: code, Detail: "The session has ended."}}
	default:
		return
	}
	_ = a.runExclusively(ctx, func() error { return a.end(ctx, tokens, reason) })
}

// endsOwnSession reports whether the request has ended the client's session without being a logout.
func endsOwnSession(request *http.Request, answer *http.Response, tokens *Tokens) bool {
	if answer.StatusCode != http.StatusNoContent || request.Method != http.MethodDelete {
		return false
	}
	switch request.URL.Path {
	case "/accounts/profile", "/accounts/sessions/" + tokens.SessionID.String():
		return true
	case "/accounts/sessions":
		return request.URL.Query().Get("keep_current") != "true"
	}
	return false
}

func isSafe(request *http.Request) bool {
	return request.Method == http.MethodGet || request.Method == http.MethodHead
}

func isRepeatable(request *http.Request) bool {
	return request.Body == nil || request.Body == http.NoBody || request.GetBody != nil
}

// peekCode returns the code of a problem. The body can be read again afterward.
func peekCode(answer *http.Response) (ProblemCode, error) {
	body, err := bodyOf(answer)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return codeOf(problemOf(answer.StatusCode, body, answer.Header)), err
}
