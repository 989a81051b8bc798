package web

import (
	"embed"
	"net/http"
)

// console.js is built from console/src by make web. The sources are not served.
//
//go:embed console/index.html console/style.css console/console.js
var consoleFiles embed.FS

// Console serves the front end for staff members under /console/ to GET and HEAD, and redirects
// /console there. The query of a URL names the current view. The front end needs the style sheet
// and the icon of [Pages]. It has the same Content-Security-Policy as [Pages], because it holds the
// same secrets. Everyone can load it: the operations that it calls decide what a user may do.
//
// Caching, headers and fail are the same as for [Docs].
func Console(fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	return folder("/console", load(consoleFiles, "console"), pagesPolicy, fail)
}
