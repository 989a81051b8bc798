package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// The names of the security schemes in the contract.
const (
	schemeBearer        = "bearerAuth"
	schemeAccessCookie  = "accessCookie"
	schemeRefreshCookie = "refreshCookie"
	schemeCSRF          = "csrfToken"
)

var locationOf = map[string]accounts.TokenLocation{
	schemeBearer:        accounts.Bearer,
	schemeAccessCookie:  accounts.AccessCookie,
	schemeRefreshCookie: accounts.RefreshCookie,
}

// security is what the contract requires of the callers of an operation.
type security struct {
	public       bool // `security: []`
	anonymous    bool // lists {} and has a body: the credential may be a token in the body
	optional     bool // lists {} and has no body: a request without a valid credential is accepted too
	alternatives []alternative
	// These are extensions to `security`: x-required-role, x-recent-authentication,
	// x-refuse-cross-site and x-legacy-tokens.
	role                 accounts.Role
	recentAuthentication bool
	refuseCrossSite      bool
	legacyTokens         bool
}

// alternative is one way to authenticate: a credential in this location and, if csrf is set, the
// CSRF header with it.
type alternative struct {
	location accounts.TokenLocation
	csrf     bool
}

func (s security) lists(location accounts.TokenLocation) bool {
	return slices.ContainsFunc(s.alternatives, func(a alternative) bool { return a.location == location })
}

// readSecurity returns the requirements of an operation in the form that authenticate enforces. It
// returns an error, which stops the server, for a requirement that it does not understand: an
// operation with a scheme that is not enforced would only look protected.
func readSecurity(doc *openapi3.T, op *openapi3.Operation) (security, error) {
	requirements := doc.Security
	if op.Security != nil {
		requirements = *op.Security
	}
	s := security{public: len(requirements) == 0}
	for _, requirement := range requirements {
		if len(requirement) == 0 {
			s.anonymous, s.optional = op.RequestBody != nil, op.RequestBody == nil
			continue
		}
		var a alternative
		for scheme := range requirement {
			location, known := locationOf[scheme]
			switch {
			case scheme == schemeCSRF:
				a.csrf = true
			case !known || a.location != "":
				return s, fmt.Errorf("cannot enforce the security requirement with %q", scheme)
			default:
				a.location = location
			}
		}
		if a.location == "" {
			return s, errors.New("a security requirement without a credential")
		}
		s.alternatives = append(s.alternatives, a)
	}
	if s.optional && !s.lists(accounts.RefreshCookie) { // authenticate would require the credential after all
		return s, errors.New("an optional credential on an operation that does not list the refresh cookie")
	}
	return s, errors.Join(s.readCrossSite(op), s.readLegacyTokens(op), s.readRole(op))
}

// readCrossSite reads x-refuse-cross-site. It returns an error, which stops the server, where the
// extension would have no effect.
func (s *security) readCrossSite(op *openapi3.Operation) error {
	value, marked := op.Extensions["x-refuse-cross-site"]
	if marked && value != true {
		return fmt.Errorf("cannot enforce x-refuse-cross-site %v", value)
	}
	if marked && !s.lists(accounts.AccessCookie) && !s.lists(accounts.RefreshCookie) {
		return errors.New("x-refuse-cross-site on an operation that takes no cookie")
	}
	s.refuseCrossSite = marked
	return nil
}

// readLegacyTokens reads x-legacy-tokens: the operation also accepts refresh tokens of the service
// that users were imported from. It returns an error, which stops the server, where the extension
// would have no effect.
func (s *security) readLegacyTokens(op *openapi3.Operation) error {
	value, marked := op.Extensions["x-legacy-tokens"]
	if marked && value != true {
		return fmt.Errorf("cannot enforce x-legacy-tokens %v", value)
	}
	if marked && (!s.lists(accounts.RefreshCookie) || !s.anonymous) {
		return errors.New("x-legacy-tokens on an operation that takes no refresh token")
	}
	s.legacyTokens = marked
	return nil
}

// readRole reads x-required-role and x-recent-authentication. It returns an error, which stops the
// server, for an unknown role and for an operation that may have no user: neither requirement could
// be enforced.
func (s *security) readRole(op *openapi3.Operation) error {
	role, wanted := op.Extensions["x-required-role"]
	if name, ok := role.(string); wanted && (!ok || name != string(accounts.Staff) && name != string(accounts.Superuser)) {
		return fmt.Errorf("cannot enforce x-required-role %v", role)
	} else if wanted {
		s.role = accounts.Role(name)
	}
	recent, marked := op.Extensions["x-recent-authentication"]
	if marked && recent != true {
		return fmt.Errorf("cannot enforce x-recent-authentication %v", recent)
	}
	s.recentAuthentication = marked
	if (wanted || marked) && (s.public || s.anonymous || s.optional || s.lists(accounts.RefreshCookie)) {
		return errors.New("a role or a recent password is asked for where there may be no user")
	}
	return nil
}

// workTime bounds the time of a request from authentication on, including all its statements, so
// that a 503 is sent within 3 s.
const workTime = 2500 * time.Millisecond

// authenticate enforces the `security` of the request's operation. Nothing else decides who may
// call an operation.
//
// An operation that lists the refresh cookie is about the session itself. Its own rule then checks
// expiry and whether the session is still alive, because it must accept credentials that are
// rejected elsewhere (an expired token can log out). For every other operation, authenticate turns
// the credential into a principal, which reads the session's row. If an optional credential is
// missing or rejected, the call continues unauthenticated.
func (s *Server) authenticate(c *gin.Context) {
	call := callOf(c)
	wants := call.operation.security
	ctx, cancel := context.WithTimeout(c.Request.Context(), workTime)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	if wants.public {
		c.Next()
		return
	}
	credential, err := s.credential(c, call)
	if wants.optional && isRejectedCredential(err) {
		c.Next()
		return
	}
	if err != nil {
		s.problem(c, err)
		return
	}
	call.authenticated, call.credential, call.userID = true, credential, credential.Subject
	if !wants.lists(accounts.RefreshCookie) {
		if call.principal, err = s.Service.Authenticate(ctx, credential); err != nil {
			s.problem(c, err)
			return
		}
		if err = call.principal.Permit(wants.role, wants.recentAuthentication); err != nil {
			s.problem(c, err)
			return
		}
	}
	c.Next()
}

// credential verifies the credential of a request, and requires the CSRF header if its alternative
// does. Only the credential that findToken chooses is tried: if it fails, the request fails.
func (s *Server) credential(c *gin.Context, call *call) (accounts.Credential, error) {
	raw, way, err := s.findToken(c, call)
	if err != nil {
		return accounts.Credential{}, err
	}
	verify := s.Service.Credential
	if call.operation.security.legacyTokens {
		verify = s.Service.ExchangeableCredential
	}
	credential, err := verify(way.location, raw)
	if err != nil {
		if call.operation.security.anonymous { // the access cookie takes the place of the refresh token here
			err = &problem.Error{Code: problem.RefreshInvalid, Cause: err}
		}
		return credential, err
	}
	// A page of another origin can make the browser send the cookie, but can neither read nor guess
	// this value. The cookie csrftoken is not compared, because an attacker who can plant cookies
	// could plant a matching pair of cookie and header value.
	if way.csrf && !s.Service.ValidCSRF(credential, c.GetHeader("X-CSRFToken")) {
		return credential, problemOf(codeCSRFFailed)
	}
	// Browsers attach Lax cookies to a link or a redirect from any site. Such a navigation changes
	// nothing, but it would count against the user's rate limit if the read has one. Navigations by
	// browsers that do not send Sec-Fetch-Site cannot be recognized and are accepted.
	if call.operation.security.refuseCrossSite && call.crossSite && isCookie(way.location) {
		return credential, problemOf(codeCSRFFailed)
	}
	return credential, nil
}

// isRejectedCredential reports whether err means that the caller is not signed in.
func isRejectedCredential(err error) bool {
	return err != nil && kinds[problemFrom(err).code].status == http.StatusUnauthorized
}

func isCookie(location accounts.TokenLocation) bool {
	return location == accounts.AccessCookie || location == accounts.RefreshCookie
}

// findToken returns the token that counts and its alternative: the token in the body, else the
// Authorization header, else the first cookie in the order of the contract. A token that
// occurs twice is returned as the empty string, which is never a valid token: otherwise the sender
// could choose which of the two counts.
func (s *Server) findToken(c *gin.Context, call *call) (string, alternative, error) {
	wants := call.operation.security
	if token, ok := bodyToken(call); ok && wants.anonymous {
		return token, alternative{location: accounts.Body}, nil
	}
	if values := c.Request.Header.Values("Authorization"); len(values) > 0 && wants.lists(accounts.Bearer) {
		return bearerToken(values), alternative{location: accounts.Bearer}, nil
	}
	for _, a := range wants.alternatives {
		if value, ok := s.cookies.read(c.Request, a.location); ok {
			return value, a, nil
		}
	}
	if value, ok := s.cookies.readLegacy(c.Request); ok && wants.legacyTokens {
		return value, alternative{location: accounts.RefreshCookie, csrf: true}, nil
	}
	return "", alternative{}, problemOf(codeCredentialsMissing)
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
