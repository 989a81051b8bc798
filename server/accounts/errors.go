package accounts

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/accounts/server/credentials"
)

// Code is a problem code of the contract (ProblemCode).
type Code string

// The codes that rules give. The server adds those of HTTP itself (resource_not_found for a route, body_too_large …).
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
	EmailTaken         Code = "email_taken" // to operators and staff alone: anybody else would learn who has an account
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

// ErrBusy is the cause of a ServiceUnavailable when too many passwords are being hashed.
var ErrBusy = credentials.ErrBusy

// Error is what a rule answers. The message is the code; the cause is for the log alone.
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

func (e *Error) Error() string {
	text := string(e.Code)
	for _, fault := range e.Fields {
		text += fmt.Sprintf(": %s: %s", fault.Field, fault.Reason)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, &Error{Code: c}) ask for the code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func refuse(code Code) error { return &Error{Code: code} }

func invalid(field, reason string) error {
	return &Error{Code: ValidationFailed, Fields: []FieldFault{{Field: field, Reason: reason}}}
}

// usernameConflict and emailConflict are the conflicts with another user.
func usernameConflict() error {
	return &Error{Code: UsernameTaken, Fields: []FieldFault{{Field: "username", Reason: "taken"}}}
}

func emailConflict() error {
	return &Error{Code: EmailTaken, Fields: []FieldFault{{Field: "email", Reason: "taken"}}}
}

// allFaults combines the results of several checks of one request, so that one answer names all members at fault.
//
// If an error names no member, such as RoleRequired, allFaults returns that error alone. Otherwise the code is
// ValidationFailed if one of the errors has it, or else the code of the first error.
func allFaults(errs ...error) error {
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

// unavailable is an answer that promises nothing and takes nothing back: the same request may be made again.
func unavailable(cause error) error {
	return &Error{Code: ServiceUnavailable, RetryAfter: time.Second, Cause: cause}
}
