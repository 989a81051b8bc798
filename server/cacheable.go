package server

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"example.com/accounts/api"
)

// cacheable is a representation that is the same for every client. It is built once, may be cached
// for a minute, and is then revalidated by its ETag. Replicas with the same settings have the same
// ETag.
type cacheable struct {
	body              []byte
	contentType, etag string
}

func newCacheable(contentType string, body []byte) cacheable {
	sum := sha256.Sum256(body)
	return cacheable{body: body, contentType: contentType, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// respond returns the response to a request with this If-None-Match: 304 if the client has the
// representation, and 200 if not.
func (c cacheable) respond(ifNoneMatch *api.IfNoneMatch) cacheableResponse {
	return cacheableResponse{c, ifNoneMatch != nil && hasTag(*ifNoneMatch, c.etag)}
}

// cacheableResponse is the response of every operation with the parameter If-None-Match.
type cacheableResponse struct {
	cacheable
	notModified bool // the client already has the representation
}

func (a cacheableResponse) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("ETag", a.etag)
	if a.notModified {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	_, err := w.Write(a.body)
	return err
}

func (a cacheableResponse) VisitGetSettingsResponse(w http.ResponseWriter) error  { return a.write(w) }
func (a cacheableResponse) VisitListProblemsResponse(w http.ResponseWriter) error { return a.write(w) }
func (a cacheableResponse) VisitGetOpenapiJSONResponse(w http.ResponseWriter) error {
	return a.write(w)
}
func (a cacheableResponse) VisitGetOpenapiYamlResponse(w http.ResponseWriter) error {
	return a.write(w)
}

// hasTag reports whether an If-None-Match or If-Match list contains an entity tag by the weak
// comparison (RFC 9110, section 8.8.3.2). In a malformed list, nothing matches after the point
// where parsing fails, so that the client gets the full response.
func hasTag(list, tag string) bool {
	const blank, separators = " \t", " \t,"
	if strings.Trim(list, blank) == "*" {
		return true
	}
	for list = strings.TrimLeft(list, separators); list != ""; list = strings.TrimLeft(list, separators) {
		opaque, quoted := strings.CutPrefix(strings.TrimPrefix(list, "W/"), `"`)
		value, rest, closed := strings.Cut(opaque, `"`)
		if !quoted || !closed {
			return false
		}
		if `"`+value+`"` == tag {
			return true
		}
		list = rest
	}
	return false
}
