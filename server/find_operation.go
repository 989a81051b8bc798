package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/accounts/server/problem"
)

// operationFinder finds the operation of a request.
type operationFinder struct {
	contract *contract
	problems *problemWriter
}

// findOperation finds the operation of the route. If the operation is deprecated, it sets the
// headers that say so.
func (f operationFinder) findOperation(c *gin.Context) {
	if !isCanonical(c.FullPath(), c.Request.URL.EscapedPath()) {
		f.rejectUnknown(c)
		return
	}
	operation := f.contract.operations[c.Request.Method+" "+c.FullPath()]
	callOf(c).operation = operation
	for name, value := range operation.deprecation {
		c.Header(name, value)
	}
	joinLines(c.Request.Header, "If-None-Match")
	c.Next()
}

// rejectUnknown rejects a request for a path that does not exist. If the path is that of an operation
// with a slash at the end, the detail names the path without it. The request is not redirected,
// because another spelling is another path (see isCanonical).
func (f operationFinder) rejectUnknown(c *gin.Context) {
	p := problemOf(problem.ResourceNotFound)
	if path, ok := strings.CutSuffix(c.Request.URL.EscapedPath(), "/"); ok {
		for key := range f.contract.operations {
			if _, route, _ := strings.Cut(key, " "); route == path {
				p.hint = "The path is " + route + ", without the slash at the end."
			}
		}
	}
	f.problems.send(c, p)
}

// joinLines joins the lines of a list header, which may be sent as several lines (RFC 9110, section
// 5.3). The validator and the generated binding would reject the parameter as duplicate.
func joinLines(h http.Header, name string) {
	if lines := h.Values(name); len(lines) > 1 {
		h.Set(name, strings.Join(lines, ", "))
	}
}

// isCanonical reports whether a path is spelled as its route, without unnecessary escapes. A path
// such as /accounts%2Flogin would be routed to /accounts/login but evade a proxy's rule for that
// path. Only parameters may contain escapes, and no parameter may be empty.
func isCanonical(route, path string) bool {
	if route == path { // most routes have no parameter
		return true
	}
	want, got := strings.Split(route, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, ":") && g != "" })
}
