package web

import (
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var pages = Pages("https://www.example.com/app", func(w http.ResponseWriter, _ *http.Request, status int) {
	http.Error(w, "rejected", status)
})

func TestPagesServeTheirFilesOnly(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/pages/verify", 200},
		{"HEAD", "/pages/verify", 200},
		{"GET", "/pages/reset", 200},
		{"GET", "/pages/email-change", 200},
		{"GET", "/pages/verify?utm_source=mail", 200},
		{"GET", "/pages/verify.html", 404}, // each page has one address
		{"GET", "/pages/verify/", 404},
		{"GET", "/pages/", 404}, // no listing
		{"GET", "/pages", 404},
		{"GET", "/pages/nothing", 404},
		{"GET", "/pages/../web.go", 404},
		{"GET", "/docs/", 404},
		{"POST", "/pages/verify", 405},
		{"OPTIONS", "/pages/reset", 405},
		{"DELETE", "/pages/nothing", 405},
	} {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			response := send(pages, test.method, test.target, nil)
			if response.Code != test.want {
				t.Errorf("status %d, want %d", response.Code, test.want)
			}
			if got := response.Header().Get("Allow"); (got == "GET, HEAD") != (test.want == 405) {
				t.Errorf("Allow %q", got)
			}
			if test.method == "HEAD" && response.Body.Len() != 0 {
				t.Errorf("HEAD answers %d bytes", response.Body.Len())
			}
		})
	}
}

// The last card of each flow leads to the configured page. A link cannot choose another one.
func TestPagesLeadHome(t *testing.T) {
	none := Pages("", func(http.ResponseWriter, *http.Request, int) {})
	for _, target := range []string{"/pages/home", "/pages/home?home=//evil.example"} {
		if got := send(pages, "GET", target, nil); got.Code != http.StatusOK || got.Body.String() != `{"home":"https://www.example.com/app"}` {
			t.Errorf("%s: got status %d and %s", target, got.Code, got.Body)
		}
		if got := send(none, "GET", target, nil); got.Code != http.StatusOK || got.Body.String() != `{"home":null}` {
			t.Errorf("%s without a home: got status %d and %s", target, got.Code, got.Body)
		}
	}
	if got := send(pages, "HEAD", "/pages/home", nil); got.Code != http.StatusOK || got.Body.Len() != 0 {
		t.Errorf("HEAD: got status %d and %s", got.Code, got.Body)
	}
}

func TestPagesHaveSecurityHeaders(t *testing.T) {
	t.Attr("control", "91")
	types := map[string]string{
		"/pages/verify":       "text/html; charset=utf-8",
		"/pages/reset":        "text/html; charset=utf-8",
		"/pages/email-change": "text/html; charset=utf-8",
		"/pages/pages.js":     "text/javascript; charset=utf-8",
		"/pages/texts.js":     "text/javascript; charset=utf-8",
		"/pages/style.css":    "text/css; charset=utf-8",
		"/pages/favicon.svg":  "image/svg+xml; charset=utf-8",
	}
	if served := len(load(pageFiles, "pages")); served != len(types) {
		t.Errorf("%d files are served, %d are expected here", served, len(types))
	}
	wantHeaders(t, pages, types, "'self'")
}

// eachPageSource calls check with each file below pages/.
func eachPageSource(t *testing.T, check func(name, source string)) {
	t.Helper()
	err := fs.WalkDir(pageFiles, "pages", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		source, err := fs.ReadFile(pageFiles, name)
		check(name, string(source))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The policy would block other hosts. A request to one would also reveal who has just received a
// mail.
func TestPagesReferenceNoOtherHost(t *testing.T) {
	outside := regexp.MustCompile(`[a-z]+://[^\s"'<>]+|(src|href|action)="(//|[a-z]+:)[^"]*`)
	eachPageSource(t, func(name, source string) {
		source = strings.ReplaceAll(source, `xmlns="http://www.w3.org/2000/svg"`, "")
		if found := outside.FindString(source); found != "" {
			t.Errorf("%s names %q", name, found)
		}
	})
}

// The policy blocks scripts and styles in the markup. The pages also build no markup from text,
// because that is how an attacker injects scripts.
func TestPagesConformToPolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:`)
	unsafe := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`)
	leaks := regexp.MustCompile(`console\.|localStorage|sessionStorage|document\.cookie|sendBeacon|postMessage`)
	eachPageSource(t, func(name, source string) {
		for _, pattern := range []*regexp.Regexp{inline, unsafe, leaks} {
			if found := pattern.FindString(source); found != "" {
				t.Errorf("%s has %q", name, found)
			}
		}
	})
}

// If the script fails, the browser must not send the fields in a URL.
func TestFormsOfPagesUsePost(t *testing.T) {
	form := regexp.MustCompile(`<form [^>]*>`)
	eachPageSource(t, func(name, source string) {
		for _, tag := range form.FindAllString(source, -1) {
			if !strings.Contains(tag, `method="post"`) || strings.Contains(tag, "action") {
				t.Errorf("%s: %s", name, tag)
			}
		}
	})
}

// A user who opens an email on a phone waits for these bytes.
func TestPagesAreSmall(t *testing.T) {
	total := 0
	eachPageSource(t, func(name, source string) {
		total += len(source)
		if len(source) > 16<<10 {
			t.Errorf("%s has %d bytes", name, len(source))
		}
	})
	if total > 56<<10 {
		t.Errorf("the pages have %d bytes together", total)
	}
}
