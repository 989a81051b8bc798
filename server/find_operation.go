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
		f.problems.send(c, problemOf(problem.ResourceNotFound))
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
