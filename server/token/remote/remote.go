package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.com/accounts/server/hosts"
	"example.com/accounts/server/token"
)

// Options of a [Verifier]. Only the issuer is required.
type Options struct {
	// Issuer is the accounts server's ACCOUNTS_PUBLIC_URL, in exactly the same spelling. It is the
	// iss and aud of the tokens.
	Issuer string
	// KeysURL is the URL of the keys. The default is Issuer + "/.well-known/jwks.json".
	KeysURL string
	// Client fetches the keys. The default is a zero [http.Client]. Redirects are disabled.
	Client *http.Client
	// Now is the clock. The default is [time.Now].
	Now func() time.Time
}

// Verifier verifies the access tokens of one accounts server. It fetches the keys when they are
// first needed. It is safe for concurrent use.
type Verifier struct {
	issuer string
	keys   *keys
	tokens *token.Verifier
}

// NewVerifier returns a verifier for the accounts server in o. It returns an error if the issuer is
// not an origin, or if the keys would be fetched from another machine over plain http: an attacker
// on the network could replace them and impersonate any user.
func NewVerifier(o Options) (*Verifier, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Scheme+"://"+issuer.Host != o.Issuer {
		return nil, fmt.Errorf("remote: the issuer %q is not an origin: it must be scheme://host[:port] without a trailing slash", o.Issuer)
	}
	if o.KeysURL == "" {
		o.KeysURL = o.Issuer + "/.well-known/jwks.json"
	}
	at, err := url.Parse(o.KeysURL)
	if err != nil || at.Scheme != "https" && (at.Scheme != "http" || !hosts.IsLoopback(at.Hostname())) {
		return nil, fmt.Errorf("remote: the URL of the keys must be https or on loopback, not %q", o.KeysURL)
	}
	client := http.Client{}
	if o.Client != nil {
		client = *o.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if o.Now == nil {
		o.Now = time.Now //nolint:forbidigo // this is where it is injected
	}
	keys := &keys{url: o.KeysURL, client: &client, now: o.Now}
	return &Verifier{issuer: o.Issuer, keys: keys, tokens: token.NewVerifier(keys.PublicKey, o.Issuer, o.Now)}, nil
}

// Access returns the claims of an access token. The error is [token.ErrInvalid],
// [token.ErrExpired], or [ErrUnavailable] if there are no keys to verify with.
func (v *Verifier) Access(ctx context.Context, raw string) (token.AccessClaims, error) {
	if err := v.keys.waitForKeys(ctx); err != nil {
		return token.AccessClaims{}, err
	}
	claims, err := v.tokens.Access(raw)
	if errors.Is(err, token.ErrUnknownKey) && v.keys.refetch(ctx) {
		return v.tokens.Access(raw)
	}
	return claims, err
}

// Require passes on requests with a valid access token in their Authorization header, and answers
// the others like [Verifier.Check]. [Claims] returns the claims of the token.
func (v *Verifier) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if checked, ok := v.Check(w, r); ok {
			next.ServeHTTP(w, checked)
		}
	})
}

// Check is [Verifier.Require] for the middleware of a framework. It returns the request with the
// claims in its context, or false after it has sent an answer: 401 as in RFC 6750, or 503 if there
// are no keys. The answer is a problem (RFC 9457) with a code of the accounts server. Its type is
// the page there that explains the code.
func (v *Verifier) Check(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		v.writeProblem(w, http.StatusUnauthorized, "credentials_missing", "Credentials missing", "The request has no access token.")
		return r, false
	}
	claims, err := v.Access(r.Context(), parseBearer(values))
	switch {
	case err == nil:
		return r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)), true
	case errors.Is(err, ErrUnavailable):
		v.writeProblem(w, http.StatusServiceUnavailable, "service_unavailable", "Service unavailable", "Access tokens cannot be verified right now. Try again as soon as Retry-After says.")
	case errors.Is(err, token.ErrExpired):
		v.writeProblem(w, http.StatusUnauthorized, "access_expired", "Access token expired", "The access token has expired. Refresh it.")
	default:
		v.writeProblem(w, http.StatusUnauthorized, "access_invalid", "Access token not valid", "The access token is not authentic.")
	}
	return r, false
}

type claimsKey struct{}

// Claims returns the claims of the access token of a request that has passed [Verifier.Require] or
// [Verifier.Check].
func Claims(ctx context.Context) (token.AccessClaims, bool) {
	claims, ok := ctx.Value(claimsKey{}).(token.AccessClaims)
	return claims, ok
}

// parseBearer returns the token of a single Authorization header, or "", which is not valid. It
// rejects two headers, because this service and a proxy in front of it might use different ones
// (RFC 6750 section 2.1).
func parseBearer(values []string) string {
	scheme, raw, _ := strings.Cut(values[0], " ")
	if len(values) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return raw
}

func (v *Verifier) writeProblem(w http.ResponseWriter, status int, code, title, detail string) {
	h := w.Header()
	switch {
	case status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "10")
	case code == "credentials_missing": // without further details (RFC 6750 section 3.1)
		h.Set("WWW-Authenticate", `Bearer realm="accounts"`)
	default:
		h.Set("WWW-Authenticate", `Bearer realm="accounts", error="invalid_token"`)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body := problem{Type: v.issuer + "/problems/" + code, Title: title, Status: status, Detail: detail, Code: code}
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // the caller may be gone
}

// problem is a problem (RFC 9457) with the same members as those of the accounts server.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}
