package sessions

import (
	"example.com/accounts/models"
	"example.com/accounts/server/token"
)

// TokenLocation is the location of a token in a request.
type TokenLocation string

const (
	Bearer        TokenLocation = "bearer"         // Authorization: an access token
	AccessCookie  TokenLocation = "access_cookie"  // an access token
	RefreshCookie TokenLocation = "refresh_cookie" // a refresh token
	RequestBody   TokenLocation = "body"           // a refresh token
)

// usage is what a credential is presented for.
type usage int

const (
	forAccess usage = iota
	forRefresh
)

// locations holds, for each transport, the location of the credential for access and of the
// credential for refresh. In server_held they are one token.
var locations = map[token.Transport][2]TokenLocation{
	token.Hybrid:     {forAccess: Bearer, forRefresh: RefreshCookie},
	token.Cookies:    {forAccess: AccessCookie, forRefresh: RefreshCookie},
	token.ServerHeld: {forAccess: AccessCookie, forRefresh: AccessCookie},
	token.Body:       {forAccess: Bearer, forRefresh: RequestBody},
}

// accepts reports whether sessions of a transport accept a credential from a location. Every other
// location is rejected, so that a value stolen from one place cannot be used in another.
func accepts(t token.Transport, use usage, from TokenLocation) bool {
	return from != "" && locations[t][use] == from
}

// holdsRefreshToken reports whether a location is for refresh tokens. The others are for access
// tokens.
func (l TokenLocation) holdsRefreshToken() bool { return l == RefreshCookie || l == RequestBody }

// belongsTo reports whether the credential is one of the session's: its user and its transport are
// the session's, and the transport uses its location for this purpose.
func (c Credential) belongsTo(s models.Session, use usage) bool {
	t := transportOf(s)
	return c.Subject == s.UserID && (c.Transport == "" || c.Transport == t) && accepts(t, use, c.Location)
}

// transportOf returns the transport of a session. A row contains it as text.
func transportOf(s models.Session) token.Transport { return token.Transport(s.Transport) }
