package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

var errDeprecation = errors.New("`deprecated: true` needs x-deprecated-at and can have x-sunset (both in RFC 3339) and " +
	"x-deprecation-link (an absolute URL), and none of them has an effect without it")

// readDeprecation returns the headers of a deprecated operation, or nil: Deprecation (RFC 9745), Sunset (RFC 8594) and
// Link. An operation that is marked wrongly is an error, which stops the server.
func readDeprecation(op *openapi3.Operation) (map[string]string, error) {
	at, isDeprecated := op.Extensions["x-deprecated-at"].(string)
	sunset, hasSunset := op.Extensions["x-sunset"].(string)
	link, hasLink := op.Extensions["x-deprecation-link"].(string)
	if isDeprecated != op.Deprecated || (hasSunset || hasLink) && !isDeprecated {
		return nil, errDeprecation
	}
	headers := map[string]string{}
	if isDeprecated {
		since, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return nil, errDeprecation
		}
		headers["Deprecation"] = fmt.Sprintf("@%d", since.Unix())
	}
	if hasSunset {
		end, err := time.Parse(time.RFC3339, sunset)
		if err != nil {
			return nil, errDeprecation
		}
		headers["Sunset"] = end.UTC().Format(http.TimeFormat)
	}
	if hasLink {
		target, err := url.Parse(link)
		if err != nil || !target.IsAbs() {
			return nil, errDeprecation
		}
		headers["Link"] = "<" + target.String() + `>; rel="deprecation"`
	}
	return headers, nil
}
