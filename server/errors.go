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
)

// The problem codes that this package returns itself.
const (
	codeRequestMalformed     = accounts.Code(api.ProblemCodeRequestMalformed)
	codeCredentialsMissing   = accounts.CredentialsMissing
	codeCSRFFailed           = accounts.Code(api.ProblemCodeCsrfFailed)
	codeTransportUnusable    = accounts.Code(api.ProblemCodeTransportUnusable)
	codeResourceNotFound     = accounts.ResourceNotFound
	codeMethodNotAllowed     = accounts.Code(api.ProblemCodeMethodNotAllowed)
	codeBodyTooLarge         = accounts.Code(api.ProblemCodeBodyTooLarge)
	codeMediaTypeUnsupported = accounts.Code(api.ProblemCodeMediaTypeUnsupported)
	codeValidationFailed     = accounts.ValidationFailed
	codeServerFailed         = accounts.Code(api.ProblemCodeServerFailed)
	codeServiceUnavailable   = accounts.ServiceUnavailable
)

// problem is an error with a problem code and the details of its response.
type problem struct {
	code       accounts.Code
	fields     []api.FieldError
	retryAfter time.Duration
	cause      error // for the log
}

func (p *problem) Error() string { return string(p.code) }
func (p *problem) Unwrap() error { return p.cause }

func problemOf(code accounts.Code, fields ...api.FieldError) *problem {
	return &problem{code: code, fields: fields}
}

func malformed(cause error) *problem { return &problem{code: codeRequestMalformed, cause: cause} }

// problemFrom converts an error to a problem. An unknown error becomes a generic 500.
func problemFrom(err error) *problem {
	var p *problem
	var rule *accounts.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &rule):
		p = &problem{code: rule.Code, retryAfter: rule.RetryAfter, cause: rule.Cause}
		p.fields = ruleFields(rule)
	default:
		p = &problem{code: codeServerFailed, cause: err}
	}
	if _, known := kinds[p.code]; !known {
		p = &problem{code: codeServerFailed, cause: err}
	}
	return p
}

// ruleFields returns the errors of the fields that a rule rejects.
func ruleFields(rule *accounts.Error) []api.FieldError {
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

func (s *Server) writeProblem(w http.ResponseWriter, call *call, p *problem) {
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
func challenge(code accounts.Code) string {
	const realm = `Bearer realm="accounts"`
	switch code {
	case accounts.AccessInvalid, accounts.AccessExpired, accounts.SessionExpired, accounts.SessionRevoked:
		return realm + `, error="invalid_token"`
	default:
		return realm
	}
}

// logProblem logs the cause of a server error. The cause appears nowhere else.
func (s *Server) logProblem(call *call, p *problem) {
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
