package accounts

import (
	"fmt"
	"time"

	"example.com/accounts/server/credentials"
)

// Code is a problem code of the contract (ProblemCode).
type Code string

// The codes that rules give. The server adds those of HTTP itself (not_found for a route, body_too_large …).
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

// ErrBusy is the cause of an Unavailable when too many passwords are being hashed.
var ErrBusy = credentials.ErrBusy

// Error is what a rule answers. The message is the code; the cause is for the log alone.
type Error struct {
	Code       Code
	RetryAfter time.Duration // with Unavailable and RateLimited
	Field      string        // with ValidationFailed: the member at fault
	Reason     string        // with ValidationFailed: a FieldErrorCode of the contract
	Cause      error
}

func (e *Error) Error() string {
	if e.Field != "" {
		return fmt.Sprintf("%s: %s: %s", e.Code, e.Field, e.Reason)
	}
	return string(e.Code)
}

func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, &Error{Code: c}) ask for the code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func refuse(code Code) error { return &Error{Code: code} }

// unavailable is an answer that promises nothing and takes nothing back: the same request may be made again.
func unavailable(cause error) error {
	return &Error{Code: ServiceUnavailable, RetryAfter: time.Second, Cause: cause}
}
