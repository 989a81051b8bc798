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
	"x-deprecation-link (an absolute URL), and these have no effect without `deprecated: true`")

// readDeprecation returns the response headers of a deprecated operation: Deprecation (RFC 9745),
// Sunset (RFC 8594) and Link. It returns an error, which stops the server, if the extensions of the
// operation are inconsistent.
func readDeprecation(op *openapi3.Operation) (map[string]string, error) {
	headers := map[string]string{}
	for extension, set := range map[string]func(text string) error{
		"x-deprecated-at": func(text string) error {
			since, err := time.Parse(time.RFC3339, text)
			headers["Deprecation"] = fmt.Sprintf("@%d", since.Unix())
			return err
		},
		"x-sunset": func(text string) error {
			end, err := time.Parse(time.RFC3339, text)
			headers["Sunset"] = end.UTC().Format(http.TimeFormat)
			return err
		},
		"x-deprecation-link": func(text string) error {
			target, err := url.Parse(text)
			if err == nil && !target.IsAbs() {
				err = errDeprecation
			}
			headers["Link"] = fmt.Sprintf(`<%s>; rel="deprecation"`, target)
			return err
		},
	} {
		value, marked := op.Extensions[extension]
		text, _ := value.(string)
		if marked && (!op.Deprecated || set(text) != nil) {
			return nil, errDeprecation
		}
	}
	if op.Deprecated && headers["Deprecation"] == "" {
		return nil, errDeprecation
	}
	return headers, nil
}
