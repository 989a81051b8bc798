package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/problem"
)

// decoder reads the bodies of requests.
type decoder struct{ problems *problemWriter }

// decodeFirst reads the body before authentication if the body may contain a token or the operation
// is public. For other operations, an unauthenticated caller is rejected with 401 before the body
// is parsed.
func (d decoder) decodeFirst(c *gin.Context) {
	call := callOf(c)
	if call.operation.security.public || call.operation.security.tokenInBody {
		if err := decode(c, call); err != nil {
			d.problems.send(c, err)
			return
		}
	}
	c.Next()
}

// decodeRest reads the body of an authenticated request.
func (d decoder) decodeRest(c *gin.Context) {
	call := callOf(c)
	if !call.decoded {
		if err := decode(c, call); err != nil {
			d.problems.send(c, err)
			return
		}
	}
	c.Next()
}

// decode reads the body of an operation that has one. It is strict, and it runs on the raw bytes:
// the validator and the binding that follow each accept input that the other reads differently,
// such as {"password":"a","password":"b"}, an invalid UTF-8 sequence, or a second document after
// the first.
func decode(c *gin.Context, call *call) error {
	call.decoded = true
	limit := int64(call.operation.maxBody)
	if limit == 0 {
		return rejectBody(c, call)
	}
	if c.Request.ContentLength > limit {
		return bodyTooLarge(limit)
	}
	// io.ReadAll allocates only for the bytes that have arrived, so a client cannot reserve memory
	// by declaring a length.
	raw, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	call.unread = err != nil
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge(limit)
	case err != nil:
		return malformed(err)
	case len(raw) == 0 && !call.operation.route.Operation.RequestBody.Value.Required:
		c.Request.Body = http.NoBody
		return nil
	case !isJSON(c.Request.Header):
		return problemOf(problem.MediaTypeUnsupported)
	}
	if call.body, err = parseStrictJSON(raw); err != nil {
		return err
	}
	c.Request.Body = decodedBody{io.NopCloser(bytes.NewReader(raw)), call.body}
	c.Request.ContentLength = int64(len(raw))
	return nil
}

// rejectBody rejects a body if the operation has none in the contract. Otherwise, a client that
// confirms a deletion with a password in the body, as many services require, would delete even if
// the password is wrong.
func rejectBody(c *gin.Context, call *call) error {
	if c.Request.ContentLength == 0 {
		return nil
	}
	n, err := c.Request.Body.Read(make([]byte, 1))
	if n == 0 && errors.Is(err, io.EOF) {
		call.unread = false
		return nil
	}
	return problemOf(problem.RequestMalformed, memberError(nil, api.FieldErrorCodeFieldUnknown))
}

// bodyTooLarge returns the problem for a body that exceeds the limit, which is in bytes.
func bodyTooLarge(limit int64) error {
	return problemOf(problem.BodyTooLarge, faultError(nil, problem.FieldFault{Reason: string(api.FieldErrorCodeTooLong), Maximum: int(limit)}))
}

// isJSON reports whether the headers declare application/json in UTF-8, exactly once and not
// compressed. Security: a foreign page can send a form or text/plain without a preflight request,
// and a charset can make one reader decode a different text than another.
func isJSON(h http.Header) bool {
	if len(h.Values("Content-Type")) != 1 || len(h.Values("Content-Encoding")) != 0 {
		return false
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}
