package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// problemResponse is an error with a problem code and the details of its response.
type problemResponse struct {
	code       problem.Code
	fields     []api.FieldError
	hint       string // a sentence after the detail, without text of the client
	retryAfter time.Duration
	cause      error // for the log
}

func (p *problemResponse) Error() string { return string(p.code) }
func (p *problemResponse) Unwrap() error { return p.cause }

// status returns the HTTP status of the problem.
func (p *problemResponse) status() int {
	kind, _ := problem.KindOf(p.code)
	return kind.Status
}

func problemOf(code problem.Code, fields ...api.FieldError) *problemResponse {
	return &problemResponse{code: code, fields: fields}
}

func malformed(cause error) *problemResponse {
	return &problemResponse{code: problem.RequestMalformed, cause: cause}
}

// problemFrom converts an error to a problem. An unknown error becomes a generic 500.
func problemFrom(err error) *problemResponse {
	var p *problemResponse
	var rule *problem.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &rule):
		p = &problemResponse{code: rule.Code, retryAfter: rule.RetryAfter, cause: rule.Cause}
		p.fields = ruleFields(rule)
	default:
		p = &problemResponse{code: problem.ServerFailed, cause: err}
	}
	if _, known := problem.KindOf(p.code); !known {
		p = &problemResponse{code: problem.ServerFailed, cause: err}
	}
	return p
}

// isRejectedCredential reports whether err means that the caller is not signed in.
func isRejectedCredential(err error) bool {
	return err != nil && problemFrom(err).status() == http.StatusUnauthorized
}

// ruleFields returns the errors of the fields that a rule rejects.
func ruleFields(rule *problem.Error) []api.FieldError {
	var fields []api.FieldError
	for _, fault := range rule.Fields {
		fields = append(fields, faultError([]string{fault.Field}, fault))
	}
	return fields
}

// problemWriter sends problems.
type problemWriter struct {
	publicURL string
	log       *slog.Logger
}

// send sends an error as application/problem+json (RFC 9457) and ends the request.
func (w *problemWriter) send(c *gin.Context, err error) {
	p, call := problemFrom(err), callOf(c)
	call.code = string(p.code)
	c.Abort()
	var network net.Error
	hungUp := errors.Is(c.Request.Context().Err(), context.Canceled) || c.Writer.Written() && errors.As(err, &network)
	if !hungUp { // a client that disconnects is not an error of the server
		w.logCause(call, p)
	}
	if c.Writer.Written() { // the client would read a second response as part of the first
		panic(http.ErrAbortHandler)
	}
	w.write(c.Writer, call, p)
}

// write writes a problem and its headers.
func (w *problemWriter) write(to http.ResponseWriter, call *call, p *problemResponse) {
	h := to.Header()
	kind, _ := problem.KindOf(p.code)
	if call.unread { // or net/http would wait for the rest of the body before it sends the response
		h.Set("Connection", "close")
	}
	h.Del("Set-Cookie") // only a 2xx response sets or clears cookies, even if it fails halfway
	body := api.Problem{
		Type: w.publicURL + "/problems/" + string(p.code), Title: kind.Title, Status: kind.Status, Detail: kind.Detail,
		Code: api.ProblemCode(p.code), RequestID: call.client.RequestID,
	}
	if p.hint != "" {
		body.Detail += " " + p.hint
	}
	if len(p.fields) > 0 {
		body.Errors = &p.fields
	}
	switch kind.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(p.code))
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(max(1, int((p.retryAfter+time.Second-1)/time.Second))))
	}
	h.Set("Cache-Control", "no-store") // an error describes only this moment
	h.Set("Content-Type", "application/problem+json")
	to.WriteHeader(kind.Status)
	if err := json.NewEncoder(to).Encode(body); err != nil {
		w.log.Debug("the client closed the connection", "request_id", call.id)
	}
}

// challenge returns the WWW-Authenticate header, which RFC 9110 requires with every 401. For a
// rejected access token and for an ended session, it contains the error code of RFC 6750, section
// 3.1.
func challenge(code problem.Code) string {
	const realm = `Bearer realm="accounts"`
	switch code {
	case problem.AccessInvalid, problem.AccessExpired, problem.SessionExpired, problem.SessionRevoked:
		return realm + `, error="invalid_token"`
	default:
		return realm
	}
}

// logCause logs the cause of a server error. The response does not contain it.
func (w *problemWriter) logCause(call *call, p *problemResponse) {
	if p.status() < http.StatusInternalServerError || p.cause == nil {
		return
	}
	level := slog.LevelError
	// Any client can cause these errors at will, so they are logged as warnings.
	if errors.Is(p.cause, accounts.ErrBusy) || errors.Is(p.cause, accounts.ErrBacklog) {
		level = slog.LevelWarn
	}
	w.log.Log(context.Background(), level, "request failed", "request_id", call.id, "code", string(p.code), "error", models.Cause(p.cause).Error())
}
