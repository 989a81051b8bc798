package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/config"
)

// logAccess writes one line per request. It logs the route instead of the path, and no query,
// header, cookie or body, because those contain personal data and secrets.
func (s *Server) logAccess(c *gin.Context) {
	call := callOf(c)
	defer s.logRequest(c, call) // also if a panic aborts the response
	c.Next()
}

func (s *Server) logRequest(c *gin.Context, call *call) {
	operation := ""
	if call.operation != nil {
		operation = call.operation.id
	}
	took := s.Now().Sub(call.received)
	s.Metrics.request(operation, c.Writer.Status(), took)
	s.Log.Info("request", "request_id", call.id, "method", knownMethod(c.Request.Method), "route", c.FullPath(), "operation", operation,
		"status", c.Writer.Status(), "ms", float64(took.Microseconds())/1000, "ip", call.client.IP, "user_id", call.userID, "code", call.code)
}

// knownMethod returns method if it is a standard HTTP method and "other" if not. The client
// controls the string and may send 15 KB.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// recoverPanic answers a panic with a generic 500. The log contains the stack and the text of a
// runtime error. Any other value might contain a secret, so only its type is logged.
func (s *Server) recoverPanic(c *gin.Context) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(value)
		}
		what := fmt.Sprintf("panic with a %T", value)
		if fault, ok := value.(runtime.Error); ok {
			what = fault.Error()
		}
		s.Log.Error("panic", "request_id", callOf(c).id, "panic", what, "stack", string(debug.Stack()))
		s.problem(c, problemOf(codeServerFailed))
	}()
	c.Next()
}

// setSecurityHeaders sets the security headers of every response (ASVS 3.4). Pages for people
// replace the policy by their own.
func (s *Server) setSecurityHeaders(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-site")
	if s.Config.IsSecure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if path := c.Request.URL.Path; strings.HasPrefix(path, "/accounts/") || strings.HasPrefix(path, "/admin/") { // personal data
		h.Set("Cache-Control", "no-store")
	}
	c.Next()
}

// allowCrossOriginReads implements CORS: it lets the configured origins, and no others, read
// responses to requests with cookies. A response to any other origin has no CORS headers, so the
// browser does not let the page read it.
func (s *Server) allowCrossOriginReads(c *gin.Context) {
	c.Writer.Header().Add("Vary", "Origin")
	if origin := c.GetHeader("Origin"); origin == "" || !slices.Contains(s.Config.CORSOrigins, origin) {
		c.Next()
		return
	}
	s.cors(c)
}

// The headers that pages of the configured origins may send and read. Pages with tracing send
// traceparent, tracestate and baggage with every request; the server ignores them.
var (
	corsRequestHeaders = []string{
		"Authorization", "Content-Type", "X-CSRFToken", "Refresh-Attempt", "If-Match", "If-None-Match", "X-Request-Id",
		"traceparent", "tracestate", "baggage",
	}
	corsResponseHeaders = []string{
		"Retry-After", "WWW-Authenticate", "X-Request-Id", "ETag", "Location", "Deprecation", "Sunset", "Link",
	}
)

func newCORS(origins []string) gin.HandlerFunc {
	if len(origins) == 0 {
		return func(c *gin.Context) { c.Next() }
	}
	return cors.New(cors.Config{
		AllowOrigins:     origins,
		AllowMethods:     []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowHeaders:     corsRequestHeaders,
		ExposeHeaders:    corsResponseHeaders,
		AllowCredentials: true,
		MaxAge:           10 * time.Minute,
	})
}

// rejectCrossOriginSends rejects unsafe requests that a browser sends for a page of a foreign
// origin, including login: otherwise a page could sign its visitor in as another user. Programs
// other than browsers send neither Origin nor Sec-Fetch-Site and are accepted.
func (s *Server) rejectCrossOriginSends(c *gin.Context) {
	if s.origins.Check(c.Request) != nil || s.hasForeignOrigin(c.Request) {
		s.problem(c, problemOf(codeCSRFFailed))
		return
	}
	c.Next()
}

// hasForeignOrigin reports whether an unsafe request names an origin other than the public URL and
// the configured ones. Browsers send Origin with every unsafe request; programs send none.
//
// Security: CrossOriginProtection accepts a request if Sec-Fetch-Site is same-origin or the host of
// Origin is the Host header. Both are true for a page of a name that an attacker has pointed at
// this machine (DNS rebinding), and the second one for a plain-http page of the same host. So
// Origin is always compared with the list.
func (s *Server) hasForeignOrigin(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	origins := r.Header.Values("Origin")
	switch {
	case len(origins) == 0:
		return false
	case len(origins) > 1:
		return true
	case origins[0] == s.Config.PublicURL, slices.Contains(s.Config.CORSOrigins, origins[0]):
		return false
	}
	return r.Header.Get("Sec-Fetch-Site") != "same-origin" || !slices.Contains(s.loopback, origins[0])
}

// loopbackOrigins returns the other spellings of a public URL on loopback, or nil if the URL is not
// on loopback. A developer may open the server's own pages under any of them, and an attacker
// cannot point such a name to another machine.
func loopbackOrigins(cfg config.Config) []string {
	public, err := url.Parse(cfg.PublicURL)
	if err != nil || !cfg.IsLoopback() {
		return nil
	}
	var list []string
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		origin := public.Scheme + "://" + host
		if port := public.Port(); port != "" {
			origin += ":" + port
		}
		list = append(list, origin)
	}
	return list
}

func newOriginProtection(publicURL string, origins []string) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	for _, origin := range append([]string{publicURL}, origins...) {
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// copyContext passes an operation a copy of gin's context. gin reuses the original for the next
// request as soon as this one is answered, while a database driver may still check whether it has
// been canceled.
func copyContext(operation api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return operation(c.Copy(), request) }
}
