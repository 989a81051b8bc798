package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server/accounts"
)

// call is the state of a request. The middleware fills it in, and handlers read it.
type call struct {
	id        string
	received  time.Time // when the headers had been read
	client    accounts.Client
	crossSite bool   // sent by a page of another site
	userID    int64  // for the log
	code      string // the code of the problem sent, for the log

	operation *operation
	body      any // the decoded JSON; set by decode
	decoded   bool
	unread    bool // a body is, or may be, still in transit

	authenticated bool                // the credential is verified; false if an optional one is missing
	credential    accounts.Credential // verified; for operations that check expiry and liveness themselves
	principal     accounts.Principal  // for all other operations that are not public
}

type callKey struct{}

// callOf returns the call of a request's context. It panics if there is none, which cannot happen
// after beginCall.
func callOf(ctx context.Context) *call {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		panic("server: no call in this context")
	}
	return c
}

const maxUserAgent = 256

func (s *Server) beginCall(c *gin.Context) {
	id := requestID(c.Request.Header)
	call := &call{
		id: id.String(), received: s.Now(),
		client: accounts.Client{
			IP: s.clientAddress(c.Request), UserAgent: shorten(c.Request.UserAgent()), AcceptLanguage: c.GetHeader("Accept-Language"), RequestID: id,
		},
		crossSite: c.GetHeader("Sec-Fetch-Site") == "cross-site", unread: c.Request.ContentLength != 0,
	}
	ctx := s.withNetwork(c.Request.Context(), call.client)
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
	if values := h.Values("X-Request-Id"); len(values) == 1 {
		if id, err := uuid.Parse(values[0]); err == nil && id != uuid.Nil && id.String() == values[0] {
			return id
		}
	}
	return uuid.Must(uuid.NewV7())
}

// withNetwork returns a context with which the database counts the request's writes against the
// share of its client's network.
func (s *Server) withNetwork(ctx context.Context, client accounts.Client) context.Context {
	if addr, err := netip.ParseAddr(client.IP); err != nil || s.hasNoShare(addr) {
		return ctx
	}
	return models.FromNetwork(ctx, client.WideNetwork())
}

// shorten makes s valid UTF-8 and cuts it to the length that the database stores.
func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= maxUserAgent {
		return s
	}
	return string([]rune(s)[:maxUserAgent])
}
