package web

import (
	"net/http"
	"testing"
)

var console = Console(func(w http.ResponseWriter, _ *http.Request, status int) {
	http.Error(w, "rejected", status)
})

func TestConsoleServesItsFilesOnly(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/console/", 200},
		{"GET", "/console/?view=user&id=42", 200},
		{"HEAD", "/console/", 200},
		{"GET", "/console", 308},
		{"GET", "/console/index.html", 404}, // each page has one address
		{"GET", "/console/users", 404},
		{"GET", "/console/src/main.ts", 404}, // the sources are not served
		{"GET", "/console/tsconfig.json", 404},
		{"GET", "/parts/dom.ts", 404},
		{"GET", "/console/../web.go", 404},
		{"POST", "/console/", 405},
	} {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			response := send(console, test.method, test.target, nil)
			if response.Code != test.want {
				t.Errorf("status %d, want %d", response.Code, test.want)
			}
			if got := response.Header().Get("Location"); (got == "/console/") != (test.want == 308) {
				t.Errorf("Location %q", got)
			}
		})
	}
}

func TestConsoleHasSecurityHeaders(t *testing.T) {
	t.Attr("control", "91")
	types := map[string]string{
		"/console/":           "text/html; charset=utf-8",
		"/console/console.js": "text/javascript; charset=utf-8",
		"/console/style.css":  "text/css; charset=utf-8",
	}
	if served := len(load(consoleFiles, "console")); served != len(types) {
		t.Errorf("%d files are served, %d are expected here", served, len(types))
	}
	wantHeaders(t, console, types, "'self'")
}

func TestConsoleConformsToPolicy(t *testing.T) {
	wantPolicy(t, console, load(consoleFiles, "console"))
}

func TestConsoleReferencesServedFiles(t *testing.T) { wantServedReferences(t, console, "/console") }
