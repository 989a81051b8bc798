package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// curl returns the request as a command for a shell, with the address of the test server.
func (r *request) curl() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "curl -i --path-as-is -X %s %s", quote(r.http.Method), quote(r.http.URL.String()))
	for _, name := range slices.Sorted(maps.Keys(r.http.Header)) {
		for _, v := range r.http.Header[name] {
			_, _ = fmt.Fprintf(&b, " -H %s", quote(strings.TrimSuffix(name+": "+v, " ")))
		}
	}
	if r.host != "" {
		_, _ = fmt.Fprintf(&b, " -H %s", quote("Host: "+r.host))
	}
	if r.chunked && r.raw != "" {
		b.WriteString(" -H 'Transfer-Encoding: chunked'")
	}
	if r.raw != "" {
		_, _ = fmt.Fprintf(&b, " --data-binary %s", quote(r.raw))
	}
	return b.String()
}

// quote quotes s for bash. Strings with quotes, backslashes or bytes outside of printable ASCII are
// written as $'…'.
func quote(s string) string {
	var b strings.Builder
	plain := true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			plain = false
			b.WriteString("\\" + string(c))
		case c < ' ' || c > '~':
			plain = false
			_, _ = fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	if plain {
		return "'" + s + "'"
	}
	return "$'" + b.String() + "'"
}
