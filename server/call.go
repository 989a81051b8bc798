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

// call is what is known of a request so far. The middleware fills it in, handlers read it.
type call struct {
	id        string
	received  time.Time // when the headers had been read
	client    accounts.Client
	crossSite bool   // a page of another site sends it
	userID    int64  // for the log
	code      string // of the problem answered, for the log

	operation *operation
	body      any // the decoded JSON, after decode
	decoded   bool
	unread    bool // a body is, or may be, still on its way

	authenticated bool                // the credential is verified; false where one is optional
	credential    accounts.Credential // verified; of operations that judge expiry and liveness themselves
	principal     accounts.Principal  // of all others that are not public
}

type callKey struct{}

// callOf finds the call of a request's context. There always is one below beginCall.
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

// requestID returns the client's X-Request-Id if there is exactly one and it is a lower-case UUID, and a new one if not.
//
// Security: the client chooses the value, so it can occur twice and proves nothing. It is written to the log, to
// problems and to events, but to no unique column, and no decision depends on it. The nil UUID is rejected, because an
// event with that id would look like an event without a request, which is one of the operator.
func requestID(h http.Header) uuid.UUID {
	if values := h.Values("X-Request-Id"); len(values) == 1 {
		if id, err := uuid.Parse(values[0]); err == nil && id != uuid.Nil && id.String() == values[0] {
			return id
		}
	}
	return uuid.Must(uuid.NewV7())
}

// withNetwork makes the database count the writes of a request for its client's network.
func (s *Server) withNetwork(ctx context.Context, client accounts.Client) context.Context {
	if addr, err := netip.ParseAddr(client.IP); err != nil || s.hasNoShare(addr) {
		return ctx
	}
	return models.FromNetwork(ctx, client.WideNetwork())
}

// shorten bounds what a header brings into a row.
func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= maxUserAgent {
		return s
	}
	return string([]rune(s)[:maxUserAgent])
}
