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
	"example.com/accounts/server/accounts"
)

const (
	maxDepth = 32
	// No request of the contract has as many members; each unknown one would cost the validator an error.
	maxMembers  = 100
	maxElements = 1000
)

// decodeFirst reads the body before authentication where a token may be in it, and where there is nobody to
// authenticate. Elsewhere an unauthenticated caller gets his 401 before anything of his is parsed.
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

// noBody rejects a body where the contract has none. Otherwise a client that confirms a deletion by a password, as many
// services require it, would delete with a wrong one.
func noBody(c *gin.Context, call *call) error {
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

// decode reads the body of an operation that has one. It is the strict decoder, and it runs on the raw bytes: what
// comes after it (the validator, the binder) each accept something that another one reads differently, such as
// {"password":"a","password":"b"}, an invalid UTF-8 sequence or a second document behind the first.
func (s *Server) decode(c *gin.Context, call *call) error {
	call.decoded = true
	limit := int64(call.operation.maxBody)
	if limit == 0 {
		return noBody(c, call)
	}
	if c.Request.ContentLength > limit {
		return bodyTooLarge(limit)
	}
	// io.ReadAll allocates only for what has arrived: a client cannot reserve memory by declaring a
	// length.
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
	if call.body, err = strictJSON(raw); err != nil {
		return err
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(raw))
	c.Request.ContentLength = int64(len(raw))
	return nil
}

// bodyTooLarge names the limit in bytes.
func bodyTooLarge(limit int64) error {
	return problemOf(codeBodyTooLarge, faultError(nil, accounts.FieldFault{Reason: string(api.FieldErrorCodeTooLong), Maximum: int(limit)}))
}

// isJSON asks for application/json in UTF-8, said once and not compressed. A form or text/plain is what a foreign
// page can send without asking; a charset is how one reader is made to see another text than the next.
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

// strictJSON decodes one JSON document (RFC 8259) as I-JSON (RFC 7493) wants it: UTF-8, no duplicate names, no lone
// surrogates, nothing behind it; and not nested deeper than maxDepth.
func strictJSON(raw []byte) (any, error) {
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

// decodeValue decodes the next value. The second answer is a fault that has a place.
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

// hasLoneSurrogate looks for an escape such as \ud800 without its other half: encoding/json silently makes U+FFFD of
// it, so two different texts would become one. The document is known to be valid JSON.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		unit := escapedUnit(raw[i+1:])
		i += 4
		switch {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			if i+2 >= len(raw) || raw[i+1] != '\\' || raw[i+2] != 'u' {
				return true
			}
			if low := escapedUnit(raw[i+3:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
	}
	return false
}

func escapedUnit(digits []byte) uint64 {
	unit, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil { // cannot be: the document is valid
		return 0
	}
	return unit
}
