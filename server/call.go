package server

import (
	"context"
	"io"
	"net/http"
	"time"

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

// decodedBody is a body that has been decoded. The generated code binds the value instead of
// decoding the bytes again, so that the handler receives what was validated.
type decodedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue returns the value. The generated code calls it.
func (b decodedBody) ValidatedValue() any { return b.value }

// singleHeader returns the value of a header, or "" if the header occurs more than once: a program in
// front of the server could have checked another of the values.
func singleHeader(h http.Header, name string) string {
	if values := h.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}
