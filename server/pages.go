package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"example.com/accounts/server/config"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/web"
)

// pages are the routes of pages for people, which are not in the contract. A route that ends in /
// includes all paths below it.
var pages = []string{"/console", "/console/", "/demo", "/demo/", "/docs", "/docs/", "/pages/", "/problems/", changePassword}

// changePassword is where password managers look for the page to change a password (W3C, "A Well-Known
// URL for Changing Passwords").
const changePassword = "/.well-known/change-password"

// isPage reports whether a route is one of the pages or the redirect to them.
func isPage(route string) bool {
	return route == "/" || slices.ContainsFunc(pages, func(page string) bool {
		return route == page || strings.HasSuffix(page, "/") && strings.HasPrefix(route, page)
	})
}

// mountPages adds the pages for people.
func mountPages(engine *gin.Engine, cfg config.Config, problems *problemWriter) {
	fail := func(w http.ResponseWriter, r *http.Request, status int) {
		code := problem.ResourceNotFound
		if status == http.StatusMethodNotAllowed {
			code = problem.MethodNotAllowed
		}
		problems.write(w, callOf(r.Context()), problemOf(code))
	}
	mount := func(handler http.Handler, paths ...string) {
		for _, path := range paths {
			withHead{engine}.GET(path, gin.WrapH(handler))
		}
	}
	// The demo is for trying the server on a developer's own machine. On other hosts it would be one
	// more front end to protect.
	hasDemo := cfg.IsLoopback()
	home := cfg.HomeURL
	if home == "" && hasDemo {
		home = "/demo/"
	}
	mount(web.Pages(home, fail), "/pages/*path")
	mount(web.Problems(problemPages(), fail), "/problems/*path") // always, because every error links to them
	mount(redirectTo(cfg.ResetURL), changePassword)
	if cfg.Docs {
		mount(web.Docs(fail), "/docs", "/docs/*path")
	}
	if cfg.Console {
		mount(web.Console(fail), "/console", "/console/*path")
	}
	if start := startPage(hasDemo, cfg.Docs); start != "" {
		mount(http.RedirectHandler(start, http.StatusFound), "/") // temporary, because the settings decide
	}
	if hasDemo {
		mount(web.Demo(fail), "/demo", "/demo/*path")
	}
}

// redirectTo redirects to a configured URL. It reads nothing of the request, so that a link with a
// query or a forged Host header cannot choose where the user enters a password.
func redirectTo(url string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", url)
		w.WriteHeader(http.StatusSeeOther)
	})
}

// startPage returns the page that a person who opens the bare host is redirected to, or "" if there
// is none.
func startPage(hasDemo, hasDocs bool) string {
	switch {
	case hasDemo:
		return "/demo/"
	case hasDocs:
		return "/docs/"
	}
	return ""
}

// withHead routes HEAD to the handlers of GET (RFC 9110, section 9.3.2). Authentication,
// validation, limits and logging are the same, and net/http omits the body.
type withHead struct{ gin.IRouter }

func (r withHead) GET(path string, handlers ...gin.HandlerFunc) gin.IRoutes {
	r.HEAD(path, handlers...)
	return r.IRouter.GET(path, handlers...)
}
