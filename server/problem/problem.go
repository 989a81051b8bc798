// Package problem holds the errors of operations, with the problem codes of the contract (RFC 9457),
// and the texts of each code.
//
// The packages that decide return these errors; the server turns them into responses. An error
// says nothing that the caller must not learn: its cause is only for the log.
package problem

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/accounts/models"
)

// Code is a problem code of the contract (ProblemCode).
type Code string

// The codes of operations.
const (
	CredentialsMissing Code = "credentials_missing"
	AccessInvalid      Code = "access_invalid"
	AccessExpired      Code = "access_expired"
	SessionExpired     Code = "session_expired"
	SessionRevoked     Code = "session_revoked"
	RefreshInvalid     Code = "refresh_invalid"
	RefreshReused      Code = "refresh_reused"
	CredentialsInvalid Code = "credentials_invalid"
	ResourceNotFound   Code = "resource_not_found"
	ValidationFailed   Code = "validation_failed"
	UsernameTaken      Code = "username_taken"
	EmailTaken         Code = "email_taken" // only for operators and staff: other callers would learn which addresses have an account
	RegistrationClosed Code = "registration_closed"
	LinkInvalid        Code = "link_invalid"
	RoleRequired       Code = "role_required"
	ReauthRequired     Code = "reauth_required"
	SuperuserLast      Code = "superuser_last"
	EmailUnverified    Code = "email_unverified"
	UserUnreachable    Code = "user_unreachable"
	PreconditionFailed Code = "precondition_failed"
	RateLimited        Code = "rate_limited"
	ServiceUnavailable Code = "service_unavailable"
)

// The codes of HTTP itself, which the server returns before it calls an operation or after one has
// failed.
const (
	RequestMalformed     Code = "request_malformed"
	CSRFFailed           Code = "csrf_failed"
	TransportUnusable    Code = "transport_unusable"
	MethodNotAllowed     Code = "method_not_allowed"
	BodyTooLarge         Code = "body_too_large"
	MediaTypeUnsupported Code = "media_type_unsupported"
	ServerFailed         Code = "server_failed"
)

// Error is the error of an operation. The cause is only for the log.
type Error struct {
	Code       Code
	RetryAfter time.Duration // with ServiceUnavailable and RateLimited
	Fields     []FieldFault  // with ValidationFailed, UsernameTaken and EmailTaken: all members at fault
	Cause      error
}

// FieldFault is the fault of one member of a request.
type FieldFault struct {
	Field            string
	Reason           string // a FieldErrorCode of the contract
	Minimum, Maximum int    // the bound that the value violates, or 0
}

// Error returns the code and the members at fault.
func (e *Error) Error() string {
	text := string(e.Code)
	for _, fault := range e.Fields {
		text += fmt.Sprintf(": %s: %s", fault.Field, fault.Reason)
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error with the same code, so that errors.Is(err, &Error{Code:
// c}) compares codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// New returns the error of a code that needs no more data.
func New(code Code) error { return &Error{Code: code} }

// Invalid returns ValidationFailed for one member of a request. reason is a FieldErrorCode of the
// contract.
func Invalid(field, reason string) error {
	return &Error{Code: ValidationFailed, Fields: []FieldFault{{Field: field, Reason: reason}}}
}

// UsernameConflict returns the error for a username that another user has.
func UsernameConflict() error {
	return &Error{Code: UsernameTaken, Fields: []FieldFault{{Field: "username", Reason: "taken"}}}
}

// EmailConflict returns the error for an address that another user has.
func EmailConflict() error {
	return &Error{Code: EmailTaken, Fields: []FieldFault{{Field: "email", Reason: "taken"}}}
}

// Join combines the results of several checks of one request, so that one answer names all
// members at fault.
//
// If an error names no member, such as RoleRequired, Join returns that error alone. Otherwise
// the code is ValidationFailed if one of the errors has it, or else the code of the first error.
func Join(errs ...error) error {
	var all *Error
	for _, err := range errs {
		var rule *Error
		switch {
		case err == nil:
		case !errors.As(err, &rule) || len(rule.Fields) == 0:
			return err
		case all == nil:
			all = &Error{Code: rule.Code, Fields: slices.Clone(rule.Fields), Cause: rule.Cause}
		default:
			all.Fields = append(all.Fields, rule.Fields...)
			if rule.Code == ValidationFailed {
				all.Code = ValidationFailed
			}
		}
	}
	if all == nil { // a nil *Error in an error would not be nil
		return nil
	}
	return all
}

// Unavailable returns ServiceUnavailable. It leaves open whether the request had an effect; the
// client can repeat the same request.
func Unavailable(cause error) error {
	return &Error{Code: ServiceUnavailable, RetryAfter: time.Second, Cause: cause}
}

// FromStore returns the error of the contract for a failed store call, unless the caller has a
// more specific one. A database that does not answer is a 503, and an actor whose session or role
// is gone is a 401 or 403. Any other error is a bug in this program.
func FromStore(err error) error {
	switch {
	case errors.Is(err, models.ErrSessionGone):
		return New(SessionRevoked)
	case errors.Is(err, models.ErrRoleGone):
		return New(RoleRequired)
	}
	if errors.Is(err, models.ErrUnavailable) || errors.Is(err, models.ErrTransient) || errors.Is(err, models.ErrClock) {
		return Unavailable(err)
	}
	return err
}
