package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// ErrSignedOut means that the session has ended by a log-out, here or in another
// program that shares the storage.
var ErrSignedOut = errors.New("client: signed out")

// Error is a problem that the server has answered with (RFC 9457). Its Code says
// what went wrong; new codes may come, so a switch over it needs a default.
type Error struct {
	Problem
	// RetryAfter is how long to wait after a 429 or 503, if known.
	RetryAfter time.Duration
}

// Error says the status, the code, what happened, and how to ask for help.
func (e *Error) Error() string {
	return fmt.Sprintf("client: %d %s: %s (request %s)", e.Status, e.Code, e.Detail, e.RequestID)
}

// Answer is what every call that ends in WithResponse returns.
type Answer interface {
	StatusCode() int
	GetBody() []byte
}

// Check returns err, or an [*Error] if the answer is a problem:
//
//	profile, err := accounts.API.GetProfileWithResponse(ctx)
//	if err := client.Check(profile, err); err != nil { ... }
func Check(answer Answer, err error) error {
	if err != nil || answer.StatusCode() < http.StatusBadRequest {
		return err
	}
	return problemOf(answer.StatusCode(), answer.GetBody(), nil)
}

// problemOf is the error of an answer; a proxy's may be no problem.
func problemOf(status int, body []byte, header http.Header) error {
	e := &Error{RetryAfter: retryAfter(header)}
	if err := json.Unmarshal(body, &e.Problem); err != nil || e.Code == "" || e.Status != status {
		return fmt.Errorf("client: status %d", status)
	}
	return e
}

// codeOf is the code of a problem, or empty.
func codeOf(err error) ProblemCode {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func retryAfter(header http.Header) time.Duration {
	seconds, _ := strconv.Atoi(header.Get("Retry-After"))
	return time.Duration(max(seconds, 0)) * time.Second
}

// maxAnswer bounds what is read of an answer that this package looks into.
const maxAnswer = 1 << 20

func bodyOf(answer *http.Response) ([]byte, error) {
	defer func() { _ = answer.Body.Close() }()
	return io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
}
