package server

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"example.com/accounts/server/config"
	"example.com/accounts/server/hosts"
	"example.com/accounts/server/problem"
)

// originPolicy decides which pages may send requests and read responses, by their origin.
type originPolicy struct {
	public      string   // the origin of the public URL
	others      []string // ACCOUNTS_CORS_ORIGINS
	loopback    []string // see loopbackOrigins
	anyLoopback bool     // see isAllowed
	cors        gin.HandlerFunc
	protection  *http.CrossOriginProtection
	problems    *problemWriter
	unlisted    unlistedLog
}

func newOriginPolicy(cfg config.Config, problems *problemWriter) (*originPolicy, error) {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(cfg.PublicURL); err != nil {
		return nil, err
	}
	o := &originPolicy{
		public: cfg.PublicURL, others: cfg.CORSOrigins, loopback: loopbackOrigins(cfg), anyLoopback: cfg.AllowsLoopbackOrigins(),
		protection: protection, problems: problems, unlisted: unlistedLog{log: problems.log},
	}
	o.cors = newCORS(o.isAllowed)
	return o, nil
}

// isAllowed reports whether pages of another origin than the public URL may send requests with
// cookies and read the responses: the origin is in ACCOUNTS_CORS_ORIGINS, or it is a plain-http
// origin on loopback and [config.Config.AllowsLoopbackOrigins] allows all of those.
//
// Security: a server with a plain-http URL on loopback is a developer's own. Development servers
// choose other ports as they like, and a wrong guess shows only as a failed request. The risk that
// remains: a script in any page that the developer opens on localhost can act as the signed-in user
// of this server. Otherwise, allowing all loopback origins gives an attacker nothing that the machine
// does not give already:
//   - A page of a site on the internet cannot have such an origin. DNS cannot point localhost or an
//     address to another machine, and a rebound name is another origin. Names below localhost,
//     which some resolvers look up in DNS, are another site than localhost, so browsers send none
//     of the cookies, and their logins get no cookies (transport_unusable).
//   - Cookies do not depend on the port, so another program on the machine that serves a page on
//     localhost receives the cookies anyway.
//   - The other rules remain: a write with a cookie requires X-CSRFToken, which belongs to the
//     session, and cookies are SameSite=Lax, so a page on 127.0.0.1 cannot use those of localhost.
//
// An operator who sets ACCOUNTS_CORS_ORIGINS, also to none, allows that list alone.
func (o *originPolicy) isAllowed(origin string) bool {
	return slices.Contains(o.others, origin) || o.anyLoopback && isLoopbackOrigin(origin)
}

// isLoopbackOrigin reports whether origin is a plain-http origin on loopback, spelled as browsers
// send it. Any other spelling does not come from a browser.
func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || origin != "http://"+u.Host {
		return false
	}
	host, port, ok := hosts.FromURL(u)
	if !ok || host != u.Hostname() || !hosts.IsLoopback(host) && !strings.HasSuffix(host, ".localhost") {
		return false
	}
	return u.Port() == "" || u.Port() == strconv.Itoa(int(port)) && port != 80
}

// allowReads implements CORS: it lets pages of the allowed origins, and no others, read responses to
// requests with cookies. A response to any other origin has no CORS headers, so the browser does
// not let the page read it. A preflight request of such an origin is rejected with a problem that
// names the setting, because developers find it in the browser's list of requests.
func (o *originPolicy) allowReads(c *gin.Context) {
	c.Writer.Header().Add("Vary", "Origin")
	origin := c.GetHeader("Origin")
	switch {
	case origin == "" || origin == o.public || slices.Contains(o.loopback, origin) && c.GetHeader("Sec-Fetch-Site") == "same-origin":
		c.Next()
	case o.isAllowed(origin):
		o.cors(c)
	default:
		o.unlisted.warn(callOf(c).received, origin)
		if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
			o.problems.send(c, problemOf(problem.CSRFFailed))
			return
		}
		c.Next()
	}
}

// unlistedLog logs origins that are not allowed, at most one in a minute: any page on the internet
// can send such requests, as many as it likes. It stores only the time of the last line.
type unlistedLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// warn logs an origin with the setting that would allow it. The client controls the header, so
// anything but an origin is logged as "malformed".
func (l *unlistedLog) warn(now time.Time, origin string) {
	l.mu.Lock()
	due := l.last.IsZero() || now.Sub(l.last) >= time.Minute
	if due {
		l.last = now
	}
	l.mu.Unlock()
	if !due {
		return
	}
	if !originForm.MatchString(origin) {
		origin = "malformed"
	}
	l.log.Warn("a page sent a request from an origin that is not in ACCOUNTS_CORS_ORIGINS. If it is a front end of yours, add its origin to the setting", "origin", origin)
}

// originForm is the form of an origin (RFC 6454, section 6.2), or null. The longest host name has 253
// characters.
var originForm = regexp.MustCompile(`^(null|[a-z][a-z0-9+.-]{0,30}://[A-Za-z0-9._:\[\]-]{1,260})$`)

// loggedOrigin returns the origin of the page that sent a request, or "" if there is none or the
// client has written something else into the header.
func loggedOrigin(h http.Header) string {
	value := singleHeader(h, "Origin")
	if !originForm.MatchString(value) {
		return ""
	}
	return value
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

func newCORS(isAllowed func(origin string) bool) gin.HandlerFunc {
	return cors.New(cors.Config{
		AllowOriginFunc:  isAllowed,
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
	if o.isAllowed(singleHeader(c.Request.Header, "Origin")) {
		c.Next()
		return
	}
	if o.protection.Check(c.Request) != nil || o.isForeign(c.Request) {
		o.problems.send(c, problemOf(problem.CSRFFailed))
		return
	}
	c.Next()
}

// isForeign reports whether an unsafe request names an origin other than the public URL. The
// caller has accepted the allowed ones. Browsers send Origin with every unsafe request. Other programs send none.
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
	case origins[0] == o.public:
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
