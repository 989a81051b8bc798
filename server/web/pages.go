package web

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

// pagesPolicy is the Content-Security-Policy of the pages. They hold a one-time token and a
// password, so they may load, run and contact only this origin, and no frame may contain them
// (clickjacking). form-action is 'none' because the script sends every form: if the script fails,
// the browser must not put a password into a URL. img-src is for the icon.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Pages serves the pages that the links in mails open, and their files, to GET and HEAD:
//
//	/pages/verify        #token=…  verifies an address with the password typed at registration
//	/pages/reset         #token=…  sets a new password
//	/pages/email-change  #token=…  confirms a new address
//	/pages/home          names home, the URL at which users continue, as JSON
//
// Without a token, the first two offer to send a mail with a link. The token is in the fragment,
// which is part of no request, so this handler can neither use, log nor forward it. The script
// posts it to the operation. The fragment may also contain lang=en or lang=ko, the language of the
// mail. Without it, the page uses the language of the browser.
//
// Caching, headers and fail are the same as for [Docs].
func Pages(home string, fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
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
		if r.URL.Path == "/pages/home" {
			serveHome(w, r, home)
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

// serveHome answers with the configured URL at which users continue, or null. It reads nothing of the
// request, so that a link cannot choose where the pages lead.
func serveHome(w http.ResponseWriter, r *http.Request, home string) {
	answer := struct {
		Home *string `json:"home"`
	}{}
	if home != "" {
		answer.Home = &home
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic("web: home: " + err.Error()) // strings can always be encoded
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache")
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails only if the client has disconnected
	}
}
