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

// Codes that the HTTP side gives by itself.
const (
	codeMalformedRequest     = accounts.Code(api.ProblemCodeMalformedRequest)
	codeCredentialsMissing   = accounts.CredentialsMissing
	codeCSRFFailed           = accounts.Code(api.ProblemCodeCsrfFailed)
	codeCrossSiteTransport   = accounts.Code(api.ProblemCodeCrossSiteTransport)
	codeNotFound             = accounts.NotFound
	codeMethodNotAllowed     = accounts.Code(api.ProblemCodeMethodNotAllowed)
	codeBodyTooLarge         = accounts.Code(api.ProblemCodeBodyTooLarge)
	codeUnsupportedMediaType = accounts.Code(api.ProblemCodeUnsupportedMediaType)
	codeValidationFailed     = accounts.ValidationFailed
	codeInternalError        = accounts.Code(api.ProblemCodeInternalError)
	codeUnavailable          = accounts.Unavailable
)

// kinds is the one table from a code to what a client sees of it. The texts are fixed: nothing that was submitted and
// nothing that a library said ever gets into an answer.
var kinds = map[accounts.Code]struct {
	status        int
	title, detail string
}{
	codeMalformedRequest:        {400, "Malformed request", "The request body or a parameter cannot be read."},
	codeCredentialsMissing:      {401, "Credentials missing", "The request carries no credential that this operation takes."},
	accounts.AccessInvalid:      {401, "Access token not valid", "The access token is not authentic, or came by another way than its session's."},
	accounts.AccessExpired:      {401, "Access token expired", "The access token has expired. Refresh it."},
	accounts.SessionExpired:     {401, "Session expired", "The session has reached its end. Log in again."},
	accounts.SessionRevoked:     {401, "Session ended", "The session has been ended. Log in again."},
	accounts.RefreshInvalid:     {401, "Refresh credential not valid", "The refresh credential is not authentic, or came by another way than its session's."},
	accounts.RefreshReused:      {401, "Refresh token used twice", "This refresh token was replaced some time ago, so it may have been stolen. The session has been ended; log in again."},
	accounts.InvalidCredentials: {401, "Invalid credentials", "The username or the password is wrong, or the account is deactivated or its e-mail address not verified."},
	codeCSRFFailed:              {403, "Cross-site request refused", "The header X-CSRFToken is missing or is not this session's: GET /accounts/csrf answers it. Or the page is of an origin that is not in the server's ACCOUNTS_CORS_ORIGINS."},
	codeCrossSiteTransport:      {403, "Cookies do not work across sites", `This page is of another site than the API, and browsers do not send the session's cookies across sites. Use "token_transport":"body", or put the API behind a reverse proxy of the page's own site.`},
	accounts.RoleRequired:       {403, "Not allowed", "This takes a role that your user does not have."},
	accounts.ReauthRequired:     {403, "Password needed once more", "This takes a password that was shown in the last ten minutes: POST /accounts/reauthenticate, and ask again."},
	accounts.RegistrationClosed: {403, "Registration is closed", "New accounts are made by the operator of this service."},
	accounts.LinkInvalid:        {400, "Link no longer valid", "This link is unknown, used up, replaced by a newer one or expired. Ask for a new one."},
	accounts.UsernameTaken:      {409, "Username taken", "Somebody else has this username. Choose another one."},
	accounts.EmailTaken:         {409, "E-mail address taken", "Somebody else has this e-mail address."},
	accounts.LastSuperuser:      {409, "The last superuser", "This is the last active superuser, and nobody could manage this service any more. Make another one first."},
	accounts.EmailUnverified:    {409, "Address not verified", "Nobody knows whose account this is until its e-mail address is verified. Roles come after that."},
	accounts.UserUnreachable:    {409, "No mail can help this user", "The user is deactivated, or has no e-mail address. Change that first."},
	codeNotFound:                {404, "Not found", "There is nothing here."},
	codeMethodNotAllowed:        {405, "Method not allowed", "This path does not take this method; the header Allow lists those it takes."},
	codeBodyTooLarge:            {413, "Body too large", "The request body is longer than this operation allows. Send a shorter one; no operation allows more than 16 KiB."},
	codeUnsupportedMediaType:    {415, "Unsupported media type", `Send the body as "Content-Type: application/json", in UTF-8 and not compressed.`},
	accounts.RateLimited:        {429, "Too many requests", "There were too many of these requests. Wait as long as Retry-After says."},
	codeValidationFailed:        {422, "Validation failed", "The request has a member that is missing, unknown or out of bounds."},
	codeInternalError:           {500, "Internal error", "Something went wrong on the server."},
	codeUnavailable:             {503, "Temporarily unavailable", "The service cannot answer right now. Try again shortly."},
}

// problem is an error of the HTTP side.
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

func malformed(cause error) *problem { return &problem{code: codeMalformedRequest, cause: cause} }

// problemFrom finds out what an error is to a client. Whatever is not known is a bland 500.
func problemFrom(err error) *problem {
	var p *problem
	var rule *accounts.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &rule):
		p = &problem{code: rule.Code, retryAfter: rule.RetryAfter, cause: rule.Cause}
		if rule.Field != "" {
			p.fields = []api.FieldError{memberError([]string{rule.Field}, api.FieldErrorCode(rule.Reason))}
		}
	default:
		p = &problem{code: codeInternalError, cause: err}
	}
	if _, known := kinds[p.code]; !known {
		p = &problem{code: codeInternalError, cause: err}
	}
	return p
}

// problem answers with an error, as application/problem+json (RFC 9457), and ends the request.
func (s *Server) problem(c *gin.Context, err error) {
	p, call := problemFrom(err), callOf(c)
	call.code = string(p.code)
	c.Abort()
	var network net.Error
	hungUp := errors.Is(c.Request.Context().Err(), context.Canceled) || c.Writer.Written() && errors.As(err, &network)
	if !hungUp { // that is no fault of ours
		s.logProblem(call, p)
	}
	if c.Writer.Written() { // half an answer is out; a second one behind it would be read as part of the first
		panic(http.ErrAbortHandler)
	}
	s.writeProblem(c.Writer, call, p)
}

func (s *Server) writeProblem(w http.ResponseWriter, call *call, p *problem) {
	kind, h := kinds[p.code], w.Header()
	if call.unread { // or net/http would wait for the rest of the body before it sends this
		h.Set("Connection", "close")
	}
	h.Del("Set-Cookie") // only a 2xx sets or clears a cookie, also when it fails half-way
	body := api.Problem{
		Type: "urn:accounts:problem:" + string(p.code), Title: kind.title, Status: kind.status, Detail: kind.detail,
		Code: api.ProblemCode(p.code), RequestID: call.id,
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
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(kind.status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.Log.Debug("the caller is gone", "request_id", call.id)
	}
}

// challenge is what RFC 9110 wants beside every 401; a token that was refused is named as RFC 6750, 3.1 has it.
func challenge(code accounts.Code) string {
	const realm = `Bearer realm="accounts"`
	switch code {
	case accounts.AccessInvalid, accounts.AccessExpired, accounts.SessionExpired, accounts.SessionRevoked:
		return realm + `, error="invalid_token"`
	default:
		return realm
	}
}

// logProblem: the cause of a server's fault is in the log and nowhere else.
func (s *Server) logProblem(call *call, p *problem) {
	if kinds[p.code].status < http.StatusInternalServerError || p.cause == nil {
		return
	}
	level := slog.LevelError
	// Any client can cause these at will, so they are not logged as errors.
	if errors.Is(p.cause, accounts.ErrBusy) || errors.Is(p.cause, accounts.ErrBacklog) {
		level = slog.LevelWarn
	}
	s.Log.Log(context.Background(), level, "request failed", "request_id", call.id, "code", string(p.code), "error", models.Cause(p.cause).Error())
}
