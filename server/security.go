package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/server/accounts"
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
	tokenInBody  bool // lists {} and has a body: the credential may be a token in the body
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
// returns an error, which stops the server, for a requirement that authenticate cannot enforce:
// otherwise the contract would promise a protection that does not exist.
func readSecurity(doc *openapi3.T, op *openapi3.Operation) (security, error) {
	requirements := doc.Security
	if op.Security != nil {
		requirements = *op.Security
	}
	s := security{public: len(requirements) == 0}
	for _, requirement := range requirements {
		if len(requirement) == 0 {
			s.tokenInBody, s.optional = op.RequestBody != nil, op.RequestBody == nil
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
	if marked && (!s.lists(accounts.RefreshCookie) || !s.tokenInBody) {
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
	if (wanted || marked) && (s.public || s.tokenInBody || s.optional || s.lists(accounts.RefreshCookie)) {
		return errors.New("x-required-role or x-recent-authentication on an operation that may have no user")
	}
	return nil
}
