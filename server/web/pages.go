package web

import (
	"embed"
	"net/http"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

// pagesPolicy is the Content-Security-Policy of the pages. They hold a
// one-time token and a password, so nothing may run, load or be sent that is
// not ours, and no frame may lay them under a click. form-action is 'none'
// because the script sends every form: should it fail, the browser must not put
// a password into an address by itself. img-src is there for the icon alone.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Pages serves to GET and HEAD what the links of our mails open, and the files
// these need:
//
//	/pages/verify        #token=…  verifies an address with the password typed at registration
//	/pages/reset         #token=…  sets a new password
//	/pages/email-change  #token=…  confirms a new address
//
// Without a token the first two ask for a mail with a link. The token is in the
// fragment, which no request holds: nothing here can consume it, log it or pass
// it on. The script posts it to the operation that does. A fragment may also
// hold lang=en or lang=ko, the language of the mail; without it the page speaks
// the browser's.
//
// Caching, headers and fail are as with [Docs].
func Pages(fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	assets := map[string]*asset{}
	for target, asset := range load(pageFiles, "pages") {
		assets[strings.TrimSuffix(target, ".html")] = asset
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, r, http.StatusMethodNotAllowed)
			return
		}
		asset, ok := assets[r.URL.Path]
		if !ok {
			fail(w, r, http.StatusNotFound)
			return
		}
		asset.serve(w, r, pagesPolicy)
	})
}
