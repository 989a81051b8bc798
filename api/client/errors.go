package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// ErrSignedOut means that the session was ended by a logout, here or in another program that shares
// the storage.
var ErrSignedOut = errors.New("client: signed out")

// Error is a problem returned by the server (RFC 9457). Its Code is the reason. Later versions of
// the server may have more codes, so a switch over it needs a default that shows Detail.
type Error struct {
	Problem
	// Errors lists all invalid fields and parameters, with the bounds that they violate. It has the
	// same elements as Problem.Errors, and is nil if there are none.
	Errors []FieldError
	// RetryAfter is how long to wait after a 429 or 503, or 0 if the response does not specify it.
	RetryAfter time.Duration
}

// Error returns the status, the code, the detail, the invalid fields and the id of the request.
func (e *Error) Error() string {
	var fields strings.Builder
	for _, f := range e.Errors {
		fmt.Fprintf(&fields, " %s: %s.", nameOf(f), f.Code)
	}
	return fmt.Sprintf("client: %d %s: %s%s (request %s)", e.Status, e.Code, e.Detail, fields.String(), e.RequestID)
}

// nameOf returns the parameter or the JSON pointer of a field error, or "body".
func nameOf(f FieldError) string {
	switch {
	case f.Parameter != nil:
		return *f.Parameter
	case f.Pointer != nil && *f.Pointer != "":
		return *f.Pointer
	}
	return "body"
}

// Answer is the result type of the methods of API whose names end in WithResponse.
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
	return problemOf(answer.StatusCode(), answer.GetBody(), headerOf(answer))
}

// headerOf returns the headers of an answer, or nil. The generated types have a field for the
// response but no method.
func headerOf(answer Answer) http.Header {
	if v := reflect.Indirect(reflect.ValueOf(answer)); v.Kind() == reflect.Struct {
		if field := v.FieldByName("HTTPResponse"); field.IsValid() {
			if response, _ := field.Interface().(*http.Response); response != nil {
				return response.Header
			}
		}
	}
	return nil
}

// problemOf returns the error of a response, which may come from a proxy and contain no problem.
func problemOf(status int, body []byte, header http.Header) error {
	e := &Error{RetryAfter: retryAfter(header)}
	if err := json.Unmarshal(body, &e.Problem); err != nil || e.Code == "" || e.Status != status {
		return statusError(status)
	}
	if e.Problem.Errors != nil {
		e.Errors = *e.Problem.Errors
	}
	return e
}

// statusError returns the error of a response without a problem of this server.
func statusError(status int) error { return fmt.Errorf("client: status %d", status) }

// codeOf returns the code of a problem, or "".
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

// maxAnswer bounds the part of a response that this package reads, in bytes.
const maxAnswer = 1 << 20

func bodyOf(answer *http.Response) ([]byte, error) {
	defer func() { _ = answer.Body.Close() }()
	return io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
}
