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

// kinds is the one table from a code to what a client sees of it. The texts are fixed: nothing that was submitted and
// nothing that a library said ever gets into an answer.
var kinds = map[accounts.Code]struct {
	status        int
	title, detail string
}{
	codeRequestMalformed:        {400, "Malformed request", "The request body or a parameter cannot be read."},
	codeCredentialsMissing:      {401, "Credentials missing", "The request has no credential that this operation accepts."},
	accounts.CredentialsInvalid: {401, "Wrong credentials", "The username or the password is wrong, or the account is deactivated or its email address is not verified."},
	accounts.AccessInvalid:      {401, "Access token not valid", "The access token is not authentic, or was presented through a different transport than its session's."},
	accounts.AccessExpired:      {401, "Access token expired", "The access token has expired. Refresh it."},
	accounts.RefreshInvalid:     {401, "Refresh credential not valid", "The refresh credential is not authentic, or was presented through a different transport than its session's."},
	accounts.RefreshReused:      {401, "Refresh token reused", "This refresh token was replaced some time ago, so it may have been stolen. The session has been revoked. Log in again."},
	accounts.SessionExpired:     {401, "Session expired", "The session has expired. Log in again."},
	accounts.SessionRevoked:     {401, "Session revoked", "The session has been revoked. Log in again."},
	codeCSRFFailed:              {403, "Cross-site request rejected", "The header X-CSRFToken is missing or does not belong to this session: GET /accounts/session answers it. Or the page is of an origin that is not in the server's ACCOUNTS_CORS_ORIGINS."},
	codeTransportUnusable:       {403, "Cookies do not work across sites", `This page is of another site than the API, and browsers do not send the session's cookies across sites. Use "token_transport":"body", or put the API behind a reverse proxy of the page's own site.`},
	accounts.RegistrationClosed: {403, "Registration is closed", "The operator of this service creates new accounts."},
	accounts.RoleRequired:       {403, "Role required", "This operation requires a role that your user does not have."},
	accounts.ReauthRequired:     {403, "Recent authentication required", "This operation requires a recent authentication. Call POST /accounts/reauthenticate and repeat the request."},
	codeResourceNotFound:        {404, "Not found", "There is nothing at this path, or it is not yours."},
	codeMethodNotAllowed:        {405, "Method not allowed", "This path does not accept this method. The header Allow lists the methods that it accepts."},
	accounts.UsernameTaken:      {409, "Username taken", "Another user has this username. Choose another one."},
	accounts.EmailTaken:         {409, "Email address taken", "Another user has this email address."},
	accounts.EmailUnverified:    {409, "Email address not verified", "The user's email address is not verified. Grant roles after that."},
	accounts.SuperuserLast:      {409, "Last superuser", "This is the last active superuser, and nobody could manage this service without one. Create another one first."},
	accounts.UserUnreachable:    {409, "User cannot be reached", "The user is deactivated or has no email address. Change that first."},
	accounts.PreconditionFailed: {412, "Precondition failed", "The user has been changed since it was read. Read it again, and decide whether to repeat the change."},
	codeBodyTooLarge:            {413, "Body too large", "The request body is longer than this operation allows. Send a shorter one."},
	codeMediaTypeUnsupported:    {415, "Unsupported media type", `Send the body as "Content-Type: application/json", in UTF-8 and not compressed.`},
	codeValidationFailed:        {422, "Validation failed", "The request has a field that is missing, unknown or not valid. The list errors names each."},
	accounts.LinkInvalid:        {422, "Link not valid", "The link is unknown, has been used, has been replaced by a newer one, or has expired. Request a new one."},
	accounts.RateLimited:        {429, "Too many requests", "There were too many of these requests. Wait as long as Retry-After says."},
	codeServerFailed:            {500, "Internal server error", "The server failed. Its log has the cause under the request id."},
	codeServiceUnavailable:      {503, "Service unavailable", "The service cannot answer right now. Try again as soon as Retry-After says."},
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

func malformed(cause error) *problem { return &problem{code: codeRequestMalformed, cause: cause} }

// problemFrom finds out what an error is to a client. Whatever is not known is a bland 500.
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

// ruleFields returns the fields that a rule names. A conflict names the field whose value is taken.
func ruleFields(rule *accounts.Error) []api.FieldError {
	field, code := rule.Field, api.FieldErrorCode(rule.Reason)
	switch rule.Code {
	case accounts.UsernameTaken:
		field, code = "username", api.FieldErrorCodeTaken
	case accounts.EmailTaken:
		field, code = "email", api.FieldErrorCodeTaken
	}
	if field == "" {
		return nil
	}
	return []api.FieldError{memberError([]string{field}, code)}
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
