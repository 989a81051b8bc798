package server

import (
	"context"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// workTime bounds the time of a request from authentication on, including all its statements, so
// that a 503 is sent within 3 s.
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
// An operation that lists the refresh cookie is about the session itself. Its own rule then checks
// expiry and whether the session is still alive, because it must accept credentials that are
// rejected elsewhere (an expired token can log out). For every other operation, authenticate turns
// the credential into a principal, which reads the session's row. If an optional credential is
// missing or rejected, the call continues unauthenticated.
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

// verifyCredential verifies the credential of a request, and requires the CSRF header if its alternative
// does. Only the credential that findToken chooses is tried: if it fails, the request fails.
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
		if call.operation.security.anonymous { // the access cookie takes the place of the refresh token here
			err = &problem.Error{Code: problem.RefreshInvalid, Cause: err}
		}
		return credential, err
	}
	// A page of another origin can make the browser send the cookie, but can neither read nor guess
	// this value. The cookie csrftoken is not compared, because an attacker who can plant cookies
	// could plant a matching pair of cookie and header value.
	if found.csrf && !a.service.ValidCSRF(credential, c.GetHeader("X-CSRFToken")) {
		return credential, problemOf(problem.CSRFFailed)
	}
	// If a page of any site links or redirects to this server, browsers send the Lax cookies. Such a
	// navigation changes nothing, but if the operation has a rate limit, it would count against the
	// user's. Browsers that do not send Sec-Fetch-Site do not reveal it, so theirs are accepted.
	if call.operation.security.refuseCrossSite && call.crossSite && isCookie(found.location) {
		return credential, problemOf(problem.CSRFFailed)
	}
	return credential, nil
}

// isCookie reports whether a location is one of the cookies.
func isCookie(location accounts.TokenLocation) bool {
	return location == accounts.AccessCookie || location == accounts.RefreshCookie
}

// findToken returns the token that counts and its alternative: the token in the body, else the
// Authorization header, else the first cookie in the order of the contract. A token that
// occurs twice is returned as the empty string, which is never a valid token: otherwise the sender
// could choose which of the two counts.
func (a authenticator) findToken(c *gin.Context, call *call) (string, alternative, error) {
	required := call.operation.security
	if token, ok := bodyToken(call); ok && required.anonymous {
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
