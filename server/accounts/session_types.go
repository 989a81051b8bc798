package accounts

import "example.com/accounts/server/sessions"

// Policy and the following are the types of sessions that the operations take and return.
type (
	Policy         = sessions.Policy
	Tokens         = sessions.Tokens
	Credential     = sessions.Credential
	Principal      = sessions.Principal
	Role           = sessions.Role
	TokenLocation  = sessions.TokenLocation
	RefreshInput   = sessions.RefreshInput
	CurrentSession = sessions.CurrentSession
)

// The locations of a token in a request.
const (
	Bearer        = sessions.Bearer
	AccessCookie  = sessions.AccessCookie
	RefreshCookie = sessions.RefreshCookie
	Body          = sessions.Body
)

// RecentAuthentication is how long a verified password counts as recent.
const RecentAuthentication = sessions.RecentAuthentication

// The roles. A superuser has both.
const (
	Staff     = sessions.Staff
	Superuser = sessions.Superuser
)

// The values of [Tokens.Newness].
const (
	SameTokens       = sessions.SameTokens
	NewSessionTokens = sessions.NewSessionTokens
)
