package server

import (
	"context"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// workTime bounds the time of a request from authentication on, including all its database
// statements, so that a 503 is sent within 3 s.
const workTime = 2500 * time.Millisecond

// authenticator finds and verifies the credential of a request.
type authenticator struct {
	service  *accounts.Service
	cookies  cookieNames
	problems *problemWriter
}

// authenticate enforces the `security` of the request's operation. Nothing else decides who may
// call an operation.
//
// An operation whose `security` lists the refresh cookie is about the session itself. Such an
// operation checks by itself whether the credential has expired and the session is alive, because
// it must accept credentials that are rejected elsewhere (an expired token can log out). For every
// other operation, authenticate reads the session's row and turns the credential into a principal.
// If an optional credential is missing or rejected, the call continues unauthenticated.
func (a authenticator) authenticate(c *gin.Context) {
	call := callOf(c)
	required := call.operation.security
	ctx, cancel := context.WithTimeout(c.Request.Context(), workTime)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	if required.public {
		c.Next()
		return
	}
	credential, err := a.verifyCredential(c, call)
	if required.optional && isRejectedCredential(err) {
		c.Next()
		return
	}
	if err != nil {
		a.problems.send(c, err)
		return
	}
	call.authenticated, call.credential, call.userID = true, credential, credential.Subject
	if !required.lists(accounts.RefreshCookie) {
		if call.principal, err = a.service.Authenticate(ctx, credential); err != nil {
			a.problems.send(c, err)
			return
		}
		if err = call.principal.Permit(required.role, required.recentAuthentication); err != nil {
			a.problems.send(c, err)
			return
		}
	}
	c.Next()
}

// verifyCredential verifies the credential that findToken chooses, and requires the CSRF header if
// the credential's alternative does. If this credential is rejected, so is the request: no other
// credential is tried.
func (a authenticator) verifyCredential(c *gin.Context, call *call) (accounts.Credential, error) {
	raw, found, err := a.findToken(c, call)
	if err != nil {
		return accounts.Credential{}, err
	}
	verify := a.service.Credential
	if call.operation.security.legacyTokens {
		verify = a.service.ExchangeableCredential
	}
	credential, err := verify(found.location, raw)
	if err != nil {
		if call.operation.security.tokenInBody { // these operations report every invalid token with this code, also an access cookie
			err = &problem.Error{Code: problem.RefreshInvalid, Cause: err}
		}
		return credential, err
	}
	// A page of another origin can make the browser send the cookie, but can neither read nor guess
	// the CSRF token. The token is derived from the session and not compared with the cookie
	// csrftoken, because an attacker who can plant cookies knows the value of the planted one.
	if found.csrf && !a.service.ValidCSRF(credential, singleHeader(c.Request.Header, "X-CSRFToken")) {
		return credential, problemOf(problem.CSRFFailed)
	}
	// Browsers send Lax cookies when a page of any site links or redirects to this server. Such a
	// navigation changes nothing, but it would count against the user's rate limit. Without
	// Sec-Fetch-Site the server cannot recognize it, so a request without this header is accepted.
	if call.operation.security.refuseCrossSite && call.crossSite && isCookie(found.location) {
		return credential, problemOf(problem.CSRFFailed)
	}
	return credential, nil
}

// isCookie reports whether a location is one of the cookies.
func isCookie(location accounts.TokenLocation) bool {
	return location == accounts.AccessCookie || location == accounts.RefreshCookie
}

// findToken returns the only token that is verified, and its alternative of the operation's
// `security`: the token in the body, else the Authorization header, else the first cookie in the
// order of the contract. A token that occurs twice is returned as the empty string, which is never
// a valid token: otherwise the sender could choose which of the two counts.
func (a authenticator) findToken(c *gin.Context, call *call) (string, alternative, error) {
	required := call.operation.security
	if token, ok := bodyToken(call); ok && required.tokenInBody {
		return token, alternative{location: accounts.RequestBody}, nil
	}
	if values := c.Request.Header.Values("Authorization"); len(values) > 0 && required.lists(accounts.Bearer) {
		return bearerToken(values), alternative{location: accounts.Bearer}, nil
	}
	for _, each := range required.alternatives {
		if value, ok := a.cookies.read(c.Request, each.location); ok {
			return value, each, nil
		}
	}
	if value, ok := a.cookies.readLegacy(c.Request); ok && required.legacyTokens {
		return value, alternative{location: accounts.RefreshCookie, csrf: true}, nil
	}
	return "", alternative{}, problemOf(problem.CredentialsMissing)
}

// bodyToken returns the member refresh_token. A value that is not a string is not a token; validate
// rejects it later.
func bodyToken(call *call) (string, bool) {
	object, _ := call.body.(map[string]any)
	value, ok := object["refresh_token"]
	text, isText := value.(string)
	return text, ok && isText
}

// bearerToken returns the token of the only Authorization header (RFC 6750, section 2.1), or "" if
// there are several or it is not a bearer token. The scheme is case-insensitive.
func bearerToken(values []string) string {
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) != 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
