package web

import (
	"embed"
	"net/http"
)

// console.js is built from console/src by make web; the sources are not served.
//
//go:embed console/index.html console/style.css console/console.js
var consoleFiles embed.FS

// Console serves the front end for members of staff under /console/ to GET and
// HEAD; /console is redirected there. Where in it somebody is, is in the query.
// It needs what [Pages] serves: the style sheet and the icon. Its policy is
// theirs, for it holds the same secrets. It is public like any front end: what
// it may do is decided by the operations that it calls.
//
// Caching, headers and fail are as with [Docs].
func Console(fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	return folder("/console", load(consoleFiles, "console"), pagesPolicy, fail)
}
