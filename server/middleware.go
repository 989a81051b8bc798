package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
)

// middleware has the steps around every request, including those for pages and unknown paths.
type middleware struct {
	addresses *clientAddresses
	metrics   *Metrics
	log       *slog.Logger
	now       func() time.Time
	isSecure  bool // the public URL is https
	problems  *problemWriter
}

const maxUserAgent = 256 // code points that the database stores

// beginCall starts the call of the request and sends its id in X-Request-Id.
func (m middleware) beginCall(c *gin.Context) {
	id := requestID(c.Request.Header)
	call := &call{
		id: id.String(), received: m.now(),
		client: accounts.Client{
			IP: m.addresses.find(c.Request), UserAgent: models.Truncate(strings.ToValidUTF8(c.Request.UserAgent(), "\uFFFD"), maxUserAgent), AcceptLanguage: c.GetHeader("Accept-Language"), RequestID: id,
		},
		crossSite: c.GetHeader("Sec-Fetch-Site") == "cross-site", unread: c.Request.ContentLength != 0,
	}
	ctx := m.addresses.withNetwork(c.Request.Context(), call.client)
	c.Request = c.Request.WithContext(context.WithValue(ctx, callKey{}, call))
	c.Header("X-Request-Id", call.id)
	c.Next()
}

// requestID returns the client's X-Request-Id if there is exactly one and it is a lower-case UUID,
// and a new one if not.
//
// Security: the client chooses the value, so it can occur twice and proves nothing. It is written
// to the log, to problems and to events, but to no unique column, and no decision depends on it.
// The nil UUID is rejected, because an event with that id would look like an event without a
// request, which means an action of the operator.
func requestID(h http.Header) uuid.UUID {
	value := singleHeader(h, "X-Request-Id")
	if id, err := uuid.Parse(value); err == nil && id != uuid.Nil && id.String() == value {
		return id
	}
	return uuid.Must(uuid.NewV7())
}

// logAccess writes one line per request. It logs the route instead of the path, and no query, cookie
// or body, because those contain personal data and secrets. Of the headers it logs three that
// contain neither; User-Agent is the only text that a client can choose freely.
func (m middleware) logAccess(c *gin.Context) {
	call := callOf(c)
	defer m.logRequest(c, call) // also if a panic aborts the response
	c.Next()
}

func (m middleware) logRequest(c *gin.Context, call *call) {
	operation := ""
	if call.operation != nil {
		operation = call.operation.id
	}
	took := m.now().Sub(call.received)
	m.metrics.observe(operation, c.Writer.Status(), took)
	attrs := []slog.Attr{
		slog.String("request_id", call.id), slog.String("method", knownMethod(c.Request.Method)), slog.Int("status", c.Writer.Status()),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.Int("bytes", max(0, c.Writer.Size())), slog.String("ip", call.client.IP),
	}
	for _, optional := range [...]slog.Attr{
		slog.String("route", c.FullPath()), slog.String("operation", operation), slog.String("code", call.code),
		slog.String("user_agent", call.client.UserAgent), slog.String("origin", loggedOrigin(c.Request.Header)),
		slog.String("traceparent", traceParent(c.Request.Header)),
	} {
		if optional.Value.String() != "" {
			attrs = append(attrs, optional)
		}
	}
	if call.userID != 0 {
		attrs = append(attrs, slog.Int64("user_id", call.userID))
	}
	m.log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

var traceParentForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceParent returns the position of a request in a distributed trace, or "" if there is none (W3C
// Trace Context, section 3.2). The log then belongs to that trace.
func traceParent(h http.Header) string {
	value := singleHeader(h, "Traceparent")
	version, ids, _ := strings.Cut(value, "-")
	trace, parent, _ := strings.Cut(ids, "-")
	isUnset := strings.HasPrefix(trace, strings.Repeat("0", 32)) || strings.HasPrefix(parent, strings.Repeat("0", 16))
	if !traceParentForm.MatchString(value) || version == "ff" || isUnset {
		return ""
	}
	return value
}

// knownMethod returns method if it is a standard HTTP method, and "other" if not: the client
// controls the string, which may have 15 KB.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// recoverPanic answers a panic with a generic 500. The log contains the stack and the text of a
// runtime error. Any other value might contain a secret, so only its type is logged.
func (m middleware) recoverPanic(c *gin.Context) {
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
		m.log.Error("panic", "request_id", callOf(c).id, "panic", what, "stack", string(debug.Stack()))
		m.problems.send(c, problemOf(problem.ServerFailed))
	}()
	c.Next()
}

// The values of headers that every response has. All responses share them, so a caller must not
// change them. It must set the header to a new list instead.
var (
	securityHeaders = http.Header{
		"X-Content-Type-Options":       {"nosniff"},
		"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Resource-Policy": {"same-site"},
	}
	strictTransport = []string{"max-age=31536000"}
	noStore         = []string{"no-store"}
)

// setSecurityHeaders sets the security headers of every response (ASVS 3.4). Pages for people
// replace the Content-Security-Policy by their own.
func (m middleware) setSecurityHeaders(c *gin.Context) {
	h := c.Writer.Header()
	maps.Copy(h, securityHeaders)
	if m.isSecure {
		h["Strict-Transport-Security"] = strictTransport
	}
	if path := c.Request.URL.Path; strings.HasPrefix(path, "/accounts/") || strings.HasPrefix(path, "/admin/") { // personal data
		h["Cache-Control"] = noStore
	}
	c.Next()
}
