package server

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"example.com/accounts/server/config"
	"example.com/accounts/server/problem"
)

// originPolicy decides which pages may send requests and read responses, by their origin.
type originPolicy struct {
	public     string   // the origin of the public URL
	others     []string // ACCOUNTS_CORS_ORIGINS
	loopback   []string // see loopbackOrigins
	cors       gin.HandlerFunc
	protection *http.CrossOriginProtection
	problems   *problemWriter
}

func newOriginPolicy(cfg config.Config, problems *problemWriter) (*originPolicy, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range append([]string{cfg.PublicURL}, cfg.CORSOrigins...) {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return &originPolicy{
		public: cfg.PublicURL, others: cfg.CORSOrigins, loopback: loopbackOrigins(cfg), cors: newCORS(cfg.CORSOrigins),
		protection: protection, problems: problems,
	}, nil
}

// allowReads implements CORS: it lets pages of the configured origins, and no others, read
// responses to requests with cookies. A response to any other origin has no CORS headers, so the
// browser does not let the page read it.
func (o *originPolicy) allowReads(c *gin.Context) {
	c.Writer.Header().Add("Vary", "Origin")
	if origin := c.GetHeader("Origin"); origin == "" || !slices.Contains(o.others, origin) {
		c.Next()
		return
	}
	o.cors(c)
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

// rejectForeignWrites rejects unsafe requests that a browser sends for a page of a foreign origin,
// including login: otherwise a page could sign its visitor in as another user. Programs other than
// browsers send neither Origin nor Sec-Fetch-Site and are accepted.
func (o *originPolicy) rejectForeignWrites(c *gin.Context) {
	if o.protection.Check(c.Request) != nil || o.isForeign(c.Request) {
		o.problems.send(c, problemOf(problem.CSRFFailed))
		return
	}
	c.Next()
}

// isForeign reports whether an unsafe request names an origin other than the public URL and the
// configured ones. Browsers send Origin with every unsafe request. Other programs send none.
//
// Security: CrossOriginProtection accepts a request if Sec-Fetch-Site is same-origin or if the host
// of Origin equals the Host header. An attacker can point a host name at this machine (DNS
// rebinding), and both conditions are true for a page under that name. The second one is also true
// for a plain-http page of the server's own host. So Origin is always compared with the list.
func (o *originPolicy) isForeign(r *http.Request) bool {
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
	case origins[0] == o.public, slices.Contains(o.others, origins[0]):
		return false
	}
	return r.Header.Get("Sec-Fetch-Site") != "same-origin" || !slices.Contains(o.loopback, origins[0])
}

// loopbackOrigins returns the origins of a public URL on loopback under each name of the loopback
// interface, or nil if the URL is not on loopback. A developer may open the server's own pages
// under any of these names, and an attacker cannot point them to another machine.
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
