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
)

// Names of the contract's security schemes.
const (
	schemeBearer        = "bearerAuth"
	schemeAccessCookie  = "accessCookie"
	schemeRefreshCookie = "refreshCookie"
	schemeCSRF          = "csrfToken"
)

var carrierOf = map[string]accounts.Carrier{
	schemeBearer:        accounts.Bearer,
	schemeAccessCookie:  accounts.AccessCookie,
	schemeRefreshCookie: accounts.RefreshCookie,
}

// operationRefresh is the one operation that takes refresh tokens of the service that users were imported from.
const operationRefresh = "refreshToken"

// security is what the contract asks of an operation's callers.
type security struct {
	public       bool // security: []
	anonymous    bool // lists {} and has a body: the credential may be a token in it
	optional     bool // lists {} and has no body: a request without a valid credential is accepted too
	alternatives []alternative
	// In addition to `security`: x-required-role, x-recent-authentication and x-refuse-cross-site.
	role                 accounts.Role
	recentAuthentication bool
	refuseCrossSite      bool
}

// alternative is a way to authenticate: a credential by this carrier and, with csrf, the header beside it.
type alternative struct {
	carrier accounts.Carrier
	csrf    bool
}

func (s security) lists(carrier accounts.Carrier) bool {
	return slices.ContainsFunc(s.alternatives, func(a alternative) bool { return a.carrier == carrier })
}

// readSecurity turns `security` into what authenticate judges. What it does not understand stops the server: a
// scheme that nobody enforces would be a door that looks shut.
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
			carrier, known := carrierOf[scheme]
			switch {
			case scheme == schemeCSRF:
				a.csrf = true
			case !known || a.carrier != "":
				return s, fmt.Errorf("cannot enforce the security requirement with %q", scheme)
			default:
				a.carrier = carrier
			}
		}
		if a.carrier == "" {
			return s, errors.New("a security requirement without a credential")
		}
		s.alternatives = append(s.alternatives, a)
	}
	if s.optional && !s.lists(accounts.RefreshCookie) { // its credential would be required after all; see authenticate
		return s, errors.New("an optional credential on an operation that does not list the refresh cookie")
	}
	if err := s.readCrossSite(op); err != nil {
		return s, err
	}
	return s, s.readRole(op)
}

// readCrossSite reads x-refuse-cross-site. It returns an error, which stops the server, where the
// mark would have no effect.
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

// readRole reads what is asked of the caller's user. A role that nobody knows, or one of an operation that has no user
// to ask it of, would not be asked for: it stops the server too.
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

// workTime bounds what follows, all statements of a request together, so that a 503 comes within 3 s.
const workTime = 2500 * time.Millisecond

// authenticate judges the request by its operation's `security`, and nothing else decides who may call what.
//
// Where the contract lists the refresh cookie, the operation is about the session itself: expiry and liveness are
// then decided by its rule, which must accept what is elsewhere refused (an expired token logs out). Everywhere else
// the credential is turned into a principal, which reads the session's row. An optional credential that is missing or
// rejected leaves the call unauthenticated.
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

// credential finds the one credential that counts, verifies it, and asks for the CSRF header where its alternative
// does. First comes what is present, then the first alternative that it fits; that one's failure is the answer, and
// no other one is tried.
func (s *Server) credential(c *gin.Context, call *call) (accounts.Credential, error) {
	raw, way, err := s.presented(c, call)
	if err != nil {
		return accounts.Credential{}, err
	}
	credential, err := s.Service.Credential(way.carrier, raw)
	if err != nil && call.operation.id == operationRefresh {
		if legacy, legacyErr := s.Service.LegacyCredential(way.carrier, raw); legacyErr == nil {
			credential, err = legacy, nil
		}
	}
	if err != nil {
		if call.operation.security.anonymous { // the access cookie stands for the refresh token here
			err = &accounts.Error{Code: accounts.RefreshInvalid, Cause: err}
		}
		return credential, err
	}
	// A page of another origin can make the browser send the cookie, but can neither read nor guess this value. The
	// cookie csrftoken is not looked at: whoever can plant a cookie could plant a pair that agrees with itself.
	if way.csrf && !s.validCSRF(credential, c.GetHeader("X-CSRFToken")) {
		return credential, problemOf(codeCSRFFailed)
	}
	// Browsers attach Lax cookies to a link or a redirect from any site. Such a navigation changes
	// nothing, but it would count against the owner's limit of a read that has one. Navigations by
	// browsers that do not send Sec-Fetch-Site cannot be told apart and are accepted.
	if call.operation.security.refuseCrossSite && call.crossSite && isCookie(way.carrier) {
		return credential, problemOf(codeCSRFFailed)
	}
	return credential, nil
}

// isRejectedCredential reports whether an error means that the caller is not signed in.
func isRejectedCredential(err error) bool {
	return err != nil && kinds[problemFrom(err).code].status == http.StatusUnauthorized
}

func isCookie(carrier accounts.Carrier) bool {
	return carrier == accounts.AccessCookie || carrier == accounts.RefreshCookie
}

// validCSRF: a token of the old service has no session that a value could belong to, so there any will do. A page of
// another origin cannot send a header of its own without being allowed to by CORS, and crossOriginSend refuses it
// besides. What it would win is a session in the victim's own browser, and an answer that it cannot read.
func (s *Server) validCSRF(credential accounts.Credential, presented string) bool {
	if credential.Legacy != nil {
		return presented != ""
	}
	return s.Service.ValidCSRF(credential, presented)
}

// presented says which credential the request shows, and as which alternative. A credential that is shown twice is
// shown as the empty string, which no token is: which of the two counts would be the sender's choice.
func (s *Server) presented(c *gin.Context, call *call) (string, alternative, error) {
	wants := call.operation.security
	if token, ok := bodyToken(call); ok && wants.anonymous {
		return token, alternative{carrier: accounts.Body}, nil
	}
	if values := c.Request.Header.Values("Authorization"); len(values) > 0 && wants.lists(accounts.Bearer) {
		return bearerToken(values), alternative{carrier: accounts.Bearer}, nil
	}
	for _, a := range wants.alternatives {
		if value, ok := s.cookies.read(c.Request, a.carrier); ok {
			return value, a, nil
		}
	}
	if value, ok := s.cookies.readLegacy(c.Request); ok && call.operation.id == operationRefresh {
		return value, alternative{carrier: accounts.RefreshCookie, csrf: true}, nil
	}
	return "", alternative{}, problemOf(codeCredentialsMissing)
}

// bodyToken is the member refresh_token. What is no string is no token; validate refuses it later.
func bodyToken(call *call) (string, bool) {
	object, _ := call.body.(map[string]any)
	value, ok := object["refresh_token"]
	text, isText := value.(string)
	return text, ok && isText
}

// bearerToken reads one Authorization header with one token (RFC 6750, 2.1); the scheme is case-insensitive.
func bearerToken(values []string) string {
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) != 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
