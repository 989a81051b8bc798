package web

import (
	"embed"
	"net/http"
)

// demo.js is built from demo/src by make web. The sources are not served.
//
//go:embed demo/index.html demo/style.css demo/demo.js
var demoFiles embed.FS

// Demo serves the demo front end under /demo/ to GET and HEAD, and redirects /demo there. The demo
// is built with the TypeScript client. It needs the style sheet and the icon of [Pages]. It has the
// same Content-Security-Policy as [Pages], because it holds the same secrets.
//
// Caching, headers and the use of fail are the same as for [Docs].
func Demo(fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	return folder("/demo", load(demoFiles, "demo"), pagesPolicy, fail)
}
