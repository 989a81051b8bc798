package accounts

import "example.com/accounts/server/sessions"

// The types of sessions that the operations take and return.
type (
	// Policy is [sessions.Policy].
	Policy = sessions.Policy
	// Tokens is [sessions.Tokens].
	Tokens = sessions.Tokens
	// Credential is [sessions.Credential].
	Credential = sessions.Credential
	// Principal is [sessions.Principal].
	Principal = sessions.Principal
	// Role is [sessions.Role].
	Role = sessions.Role
	// TokenLocation is [sessions.TokenLocation].
	TokenLocation = sessions.TokenLocation
	// RefreshInput is [sessions.RefreshInput].
	RefreshInput = sessions.RefreshInput
	// CurrentSession is [sessions.CurrentSession].
	CurrentSession = sessions.CurrentSession
)

// The locations of a token in a request.
const (
	Bearer        = sessions.Bearer
	AccessCookie  = sessions.AccessCookie
	RefreshCookie = sessions.RefreshCookie
	RequestBody   = sessions.RequestBody
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
