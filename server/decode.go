package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"example.com/accounts/api"
	"example.com/accounts/server/problem"
)

const (
	maxDepth = 32
	// No request of the contract has this many members. Each unknown member would cost the
	// validator an error.
	maxMembers  = 100
	maxElements = 1000
)

// decodeFirst reads the body before authentication if the body may contain a token or the operation
// is public. For other operations, an unauthenticated caller is rejected with 401 before the body
// is parsed.
func (s *Server) decodeFirst(c *gin.Context) {
	call := callOf(c)
	if call.operation.security.public || call.operation.security.anonymous {
		if err := s.decode(c, call); err != nil {
			s.problem(c, err)
			return
		}
	}
	c.Next()
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
	return problemOf(codeRequestMalformed, memberError(nil, api.FieldErrorCodeFieldUnknown))
}

// decode reads the body of an operation that has one. It is strict, and it runs on the raw bytes:
// the validator and the binding that follow each accept input that the other reads differently,
// such as {"password":"a","password":"b"}, an invalid UTF-8 sequence, or a second document after
// the first.
func (s *Server) decode(c *gin.Context, call *call) error {
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
		return problemOf(codeMediaTypeUnsupported)
	}
	if call.body, err = parseStrictJSON(raw); err != nil {
		return err
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(raw))
	c.Request.ContentLength = int64(len(raw))
	return nil
}

// bodyTooLarge returns the problem for a body that exceeds the limit, which is in bytes.
func bodyTooLarge(limit int64) error {
	return problemOf(codeBodyTooLarge, faultError(nil, problem.FieldFault{Reason: string(api.FieldErrorCodeTooLong), Maximum: int(limit)}))
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

// parseStrictJSON decodes one JSON document (RFC 8259) that is I-JSON (RFC 7493): in UTF-8, without
// duplicate names or lone surrogates, and with nothing after it. It rejects a nesting deeper than
// maxDepth.
func parseStrictJSON(raw []byte) (any, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) || hasLoneSurrogate(raw) {
		return nil, problemOf(codeRequestMalformed)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	value, field, err := decodeValue(d, nil)
	if field != nil {
		return nil, problemOf(codeRequestMalformed, *field)
	}
	if err != nil {
		return nil, malformed(err)
	}
	return value, nil
}

var (
	errTooDeep = errors.New("nested too deeply")
	errTooMany = errors.New("too many members or elements")
)

// decodeValue decodes the next value. The second result is an error with a position in the
// document.
func decodeValue(d *json.Decoder, path []string) (any, *api.FieldError, error) {
	if len(path) > maxDepth {
		return nil, nil, errTooDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, nil, err
	}
	switch t {
	case json.Delim('{'):
		return decodeObject(d, path)
	case json.Delim('['):
		return decodeArray(d, path)
	}
	return t, nil, nil
}

func decodeObject(d *json.Decoder, path []string) (any, *api.FieldError, error) {
	object := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		if len(object) == maxMembers {
			return nil, nil, errTooMany
		}
		name, _ := t.(string)
		inner := append(path[:len(path):len(path)], name)
		if _, twice := object[name]; twice {
			f := memberError(inner, api.FieldErrorCodeFieldDuplicate)
			return nil, &f, nil
		}
		value, field, err := decodeValue(d, inner)
		if field != nil || err != nil {
			return nil, field, err
		}
		object[name] = value
	}
	_, err := d.Token()
	return object, nil, err
}

func decodeArray(d *json.Decoder, path []string) (any, *api.FieldError, error) {
	array := []any{}
	for i := 0; d.More(); i++ {
		if i == maxElements {
			return nil, nil, errTooMany
		}
		value, field, err := decodeValue(d, append(path[:len(path):len(path)], strconv.Itoa(i)))
		if field != nil || err != nil {
			return nil, field, err
		}
		array = append(array, value)
	}
	_, err := d.Token()
	return array, nil, err
}

// hasLoneSurrogate reports whether a valid JSON document contains an escape such as \ud800 without
// its other half. encoding/json silently replaces it by U+FFFD, so that two different texts would
// become equal.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		unit := parseEscapedUnit(raw[i+1:])
		i += 4
		switch {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			if i+2 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
				return true
			}
			if low := parseEscapedUnit(raw[i+3:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

func parseEscapedUnit(digits []byte) uint64 {
	unit, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil { // impossible: the document is valid
		return 0
	}
	return unit
}
