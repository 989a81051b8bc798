package web

import (
	"net/http"
	"path"
	"regexp"
	"strings"
	"testing"
)

var demo = Demo(func(w http.ResponseWriter, _ *http.Request, status int) {
	http.Error(w, "rejected", status)
})

func TestDemoServesItsFilesOnly(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/demo/", 200},
		{"HEAD", "/demo/", 200},
		{"GET", "/demo", 308},
		{"GET", "/demo/index.html", 404}, // each page has one address
		{"GET", "/demo/nothing", 404},
		{"GET", "/demo/src/", 404},
		{"GET", "/demo/src/main.ts", 404}, // the sources are not served
		{"GET", "/demo/tsconfig.json", 404},
		{"GET", "/demo/../web.go", 404},
		{"GET", "/pages/style.css", 404},
		{"POST", "/demo/", 405},
		{"OPTIONS", "/demo/", 405},
	} {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			response := send(demo, test.method, test.target, nil)
			if response.Code != test.want {
				t.Errorf("status %d, want %d", response.Code, test.want)
			}
			if got := response.Header().Get("Location"); (got == "/demo/") != (test.want == 308) {
				t.Errorf("Location %q", got)
			}
		})
	}
}

func TestDemoHasSecurityHeaders(t *testing.T) {
	t.Attr("control", "91")
	types := map[string]string{
		"/demo/":          "text/html; charset=utf-8",
		"/demo/demo.js":   "text/javascript; charset=utf-8",
		"/demo/style.css": "text/css; charset=utf-8",
	}
	if served := len(load(demoFiles, "demo")); served != len(types) {
		t.Errorf("%d files are served, %d are expected here", served, len(types))
	}
	wantHeaders(t, demo, types, "'self'")
}

func TestDemoConformsToPolicy(t *testing.T) { wantPolicy(t, demo, load(demoFiles, "demo")) }

func TestDemoReferencesServedFiles(t *testing.T) { wantServedReferences(t, demo, "/demo") }

// wantPolicy checks that the files need no inline code and no other hosts, which the policy would
// block. They must not build markup from text, because that is how an attacker injects code, and
// must not write tokens and passwords to the console.
func wantPolicy(t *testing.T, page http.Handler, files map[string]*asset) {
	t.Helper()
	forbidden := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script>|@import|` +
		`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|console\.(log|info|debug)`)
	outside := regexp.MustCompile(`["'(](https?:)?//[a-z0-9-]+[.:]?`)
	for target := range files {
		for line := range strings.Lines(send(page, "GET", target, nil).Body.String()) {
			if strings.HasPrefix(strings.TrimSpace(line), "*") || strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue // a comment
			}
			for _, pattern := range []*regexp.Regexp{forbidden, outside} {
				if found := pattern.FindString(line); found != "" {
					t.Errorf("%s has %q", target, found)
				}
			}
		}
	}
}

// wantServedReferences checks that every file that the page names is served, by the page's own
// handler or by that of the pages.
func wantServedReferences(t *testing.T, page http.Handler, at string) {
	t.Helper()
	names := regexp.MustCompile(`<(?:link|script)[^>]*(?:href|src)="([^"]+)"`).FindAllStringSubmatch(send(page, "GET", at+"/", nil).Body.String(), -1)
	if len(names) != 4 {
		t.Errorf("%d files are named: %v", len(names), names)
	}
	for _, name := range names {
		target := path.Join(at, name[1])
		if send(page, "GET", target, nil).Code != http.StatusOK && send(pages, "GET", target, nil).Code != http.StatusOK {
			t.Errorf("%s is not served", target)
		}
	}
}
