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

// The problem codes that this package returns itself.
const (
	codeRequestMalformed     = problem.Code(api.ProblemCodeRequestMalformed)
	codeCredentialsMissing   = problem.CredentialsMissing
	codeCSRFFailed           = problem.Code(api.ProblemCodeCsrfFailed)
	codeTransportUnusable    = problem.Code(api.ProblemCodeTransportUnusable)
	codeResourceNotFound     = problem.ResourceNotFound
	codeMethodNotAllowed     = problem.Code(api.ProblemCodeMethodNotAllowed)
	codeBodyTooLarge         = problem.Code(api.ProblemCodeBodyTooLarge)
	codeMediaTypeUnsupported = problem.Code(api.ProblemCodeMediaTypeUnsupported)
	codeValidationFailed     = problem.ValidationFailed
	codeServerFailed         = problem.Code(api.ProblemCodeServerFailed)
	codeServiceUnavailable   = problem.ServiceUnavailable
)

// problem is an error with a problem code and the details of its response.
type problemResponse struct {
	code       problem.Code
	fields     []api.FieldError
	retryAfter time.Duration
	cause      error // for the log
}

func (p *problemResponse) Error() string { return string(p.code) }
func (p *problemResponse) Unwrap() error { return p.cause }

func problemOf(code problem.Code, fields ...api.FieldError) *problemResponse {
	return &problemResponse{code: code, fields: fields}
}

func malformed(cause error) *problemResponse {
	return &problemResponse{code: codeRequestMalformed, cause: cause}
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
		p = &problemResponse{code: codeServerFailed, cause: err}
	}
	if _, known := kinds[p.code]; !known {
		p = &problemResponse{code: codeServerFailed, cause: err}
	}
	return p
}

// ruleFields returns the errors of the fields that a rule rejects.
func ruleFields(rule *problem.Error) []api.FieldError {
	var fields []api.FieldError
	for _, fault := range rule.Fields {
		fields = append(fields, faultError([]string{fault.Field}, fault))
	}
	return fields
}

// problem sends an error as application/problem+json (RFC 9457) and ends the request.
func (s *Server) problem(c *gin.Context, err error) {
	p, call := problemFrom(err), callOf(c)
	call.code = string(p.code)
	c.Abort()
	var network net.Error
	hungUp := errors.Is(c.Request.Context().Err(), context.Canceled) || c.Writer.Written() && errors.As(err, &network)
	if !hungUp { // a client that disconnects is not an error of the server
		s.logProblem(call, p)
	}
	if c.Writer.Written() { // the client would read a second response as part of the first
		panic(http.ErrAbortHandler)
	}
	s.writeProblem(c.Writer, call, p)
}

func (s *Server) writeProblem(w http.ResponseWriter, call *call, p *problemResponse) {
	kind, h := kinds[p.code], w.Header()
	if call.unread { // or net/http would wait for the rest of the body before it sends the response
		h.Set("Connection", "close")
	}
	h.Del("Set-Cookie") // only a 2xx response sets or clears cookies, even if it fails halfway
	body := api.Problem{
		Type: s.Config.PublicURL + "/problems/" + string(p.code), Title: kind.title, Status: kind.status, Detail: kind.detail,
		Code: api.ProblemCode(p.code), RequestID: call.client.RequestID,
	}
	if len(p.fields) > 0 {
		body.Errors = &p.fields
	}
	switch kind.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(p.code))
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(max(1, int((p.retryAfter+time.Second-1)/time.Second))))
	}
	h.Set("Cache-Control", "no-store") // an error describes only this moment
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(kind.status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.Log.Debug("the client closed the connection", "request_id", call.id)
	}
}

// challenge returns the WWW-Authenticate header, which RFC 9110 requires with every 401. For a
// rejected token, it contains the error code of RFC 6750, section 3.1.
func challenge(code problem.Code) string {
	const realm = `Bearer realm="accounts"`
	switch code {
	case problem.AccessInvalid, problem.AccessExpired, problem.SessionExpired, problem.SessionRevoked:
		return realm + `, error="invalid_token"`
	default:
		return realm
	}
}

// logProblem logs the cause of a server error. The cause appears nowhere else.
func (s *Server) logProblem(call *call, p *problemResponse) {
	if kinds[p.code].status < http.StatusInternalServerError || p.cause == nil {
		return
	}
	level := slog.LevelError
	// Any client can trigger these at will, so they are logged as warnings.
	if errors.Is(p.cause, accounts.ErrBusy) || errors.Is(p.cause, accounts.ErrBacklog) {
		level = slog.LevelWarn
	}
	s.Log.Log(context.Background(), level, "request failed", "request_id", call.id, "code", string(p.code), "error", models.Cause(p.cause).Error())
}
