package web

import (
	"embed"
	"net/http"
)

// demo.js is built from demo/src by make demo-page; the sources are not served.
//
//go:embed demo/index.html demo/style.css demo/demo.js
var demoFiles embed.FS

// Demo serves the demo front end under /demo/ to GET and HEAD; /demo is
// redirected there. It is made with the TypeScript client and needs what
// [Pages] serves: the style sheet and the icon. Its policy is theirs, for it
// holds the same secrets.
//
// Caching, headers and fail are as with [Docs].
func Demo(fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	return folder("/demo", load(demoFiles, "demo"), pagesPolicy, fail)
}
