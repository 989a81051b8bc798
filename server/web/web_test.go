package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const bundle = "/docs/swagger-ui/swagger-ui-bundle.js"

var docs = Docs(func(w http.ResponseWriter, _ *http.Request, status int) {
	http.Error(w, "rejected", status)
})

func sendToDocs(method, target string, header http.Header) *http.Response {
	return send(docs, method, target, header).Result()
}

// send returns the response of a handler to a request.
func send(handler http.Handler, method, target string, header http.Header) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, nil)
	for name, values := range header {
		request.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// wantHeaders requests each file and checks its media type and all headers of the response: the
// security headers, and no others.
func wantHeaders(t *testing.T, handler http.Handler, types map[string]string, images string, ignored ...string) {
	t.Helper()
	for target, mediaType := range types {
		t.Run(target, func(t *testing.T) {
			got := send(handler, "GET", target, nil).Header().Clone()
			if !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(got.Get("ETag")) || got.Get("Content-Length") == "" {
				t.Errorf("ETag %q is no strong tag, or there is no Content-Length", got.Get("ETag"))
			}
			for _, name := range append(ignored, "Etag", "Content-Length") {
				got.Del(name)
			}
			want := http.Header{
				"Content-Type": {mediaType},
				"Content-Security-Policy": {"default-src 'none'; script-src 'self'; style-src 'self'; img-src " + images + "; " +
					"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
				"X-Content-Type-Options":       {"nosniff"},
				"Referrer-Policy":              {"no-referrer"},
				"Cross-Origin-Opener-Policy":   {"same-origin"},
				"Cross-Origin-Resource-Policy": {"same-origin"},
				"Cache-Control":                {"no-cache"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func body(t *testing.T, response *http.Response) []byte {
	t.Helper()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDocsServeTheirFilesOnly(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/docs/", 200},
		{"HEAD", "/docs/", 200},
		{"GET", "/docs/init.js", 200},
		{"GET", bundle, 200},
		{"GET", "/docs/swagger-ui/LICENSE", 200},
		{"GET", "/docs", 308},
		{"GET", "/docs/index.html", 404}, // each page has one address
		{"GET", "/docs/nothing", 404},
		{"GET", "/docs/swagger-ui/", 404}, // no listing
		{"GET", "/docs/swagger-ui", 404},
		{"GET", bundle + ".gz", 404},
		{"GET", "/docs/../web.go", 404},
		{"GET", "/docs/%2e%2e/web.go", 404},
		{"GET", "/", 404},
		{"POST", "/docs/", 405},
		{"PUT", "/docs", 405},
		{"DELETE", "/docs/nothing", 405},
		{"OPTIONS", "/docs/", 405},
	} {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			response := sendToDocs(test.method, test.target, nil)
			if response.StatusCode != test.want {
				t.Errorf("status %d, want %d", response.StatusCode, test.want)
			}
			if got := response.Header.Get("Allow"); (got == "GET, HEAD") != (test.want == 405) {
				t.Errorf("Allow %q", got)
			}
		})
	}
}

// The target must not be taken from the request, because a forged Host header would then choose it.
func TestRedirectDoesNotContainHost(t *testing.T) {
	t.Attr("control", "92")
	response := sendToDocs("GET", "http://evil.example/docs?next=//evil.example", nil)
	if got := response.Header.Get("Location"); got != "/docs/" {
		t.Errorf("Location %q", got)
	}
}

func TestDocsHaveSecurityHeaders(t *testing.T) {
	t.Attr("control", "91")
	types := map[string]string{
		"/docs/":                          "text/html; charset=utf-8",
		"/docs/init.js":                   "text/javascript; charset=utf-8",
		"/docs/style.css":                 "text/css; charset=utf-8",
		"/docs/favicon.svg":               "image/svg+xml; charset=utf-8",
		bundle:                            "text/javascript; charset=utf-8",
		"/docs/swagger-ui/swagger-ui.css": "text/css; charset=utf-8",
		"/docs/swagger-ui/LICENSE":        "text/plain; charset=utf-8",
		bundle + ".LICENSE.txt":           "text/plain; charset=utf-8",
		"/docs/swagger-ui/NOTICE":         "text/plain; charset=utf-8",
		"/docs/swagger-ui/VERSION":        "text/plain; charset=utf-8",
	}
	assets := load(docsFiles, "docs")
	if len(types) != len(assets) {
		t.Errorf("%d files are served, %d are expected here", len(assets), len(types))
	}
	wantHeaders(t, docs, types, "'self' data:", "Vary")
}

func TestDocsAreServedCompressedIfAccepted(t *testing.T) {
	plain := body(t, sendToDocs("GET", bundle, nil))
	if len(plain) < 1_000_000 || !bytes.Contains(plain[:200], []byte("swagger-ui-bundle.js.LICENSE.txt")) {
		t.Fatalf("the plain bundle has %d bytes and begins with %.60q", len(plain), plain)
	}
	for _, test := range []struct {
		accept []string
		want   string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"gzip"}, "gzip"},
		{[]string{"GZip"}, "gzip"},
		{[]string{"x-gzip"}, "gzip"},
		{[]string{"gzip, deflate, br, zstd"}, "gzip"},
		{[]string{"br", "gzip"}, "gzip"},
		{[]string{"br;q=1.0, gzip ; q=0.5"}, "gzip"},
		{[]string{"*"}, "gzip"},
		{[]string{"*;q=0, gzip"}, "gzip"},
		{[]string{"gzip;q=0"}, ""},
		{[]string{"gzip;q=0.000, *"}, ""},
		{[]string{"*;q=0"}, ""},
		{[]string{"identity"}, ""},
		{[]string{"br, deflate"}, ""},
		{[]string{"gzipped"}, ""},
		{[]string{"gzip;q=nonsense"}, ""},
		{[]string{"gzip;level=9"}, ""},
	} {
		t.Run(strings.Join(test.accept, "|"), func(t *testing.T) {
			response := sendToDocs("GET", bundle, http.Header{"Accept-Encoding": test.accept})
			got := body(t, response)
			if coding := response.Header.Get("Content-Encoding"); coding != test.want {
				t.Fatalf("Content-Encoding %q, want %q", coding, test.want)
			}
			if length := response.Header.Get("Content-Length"); length != strconv.Itoa(len(got)) {
				t.Errorf("Content-Length %s for %d bytes", length, len(got))
			}
			if vary := response.Header.Get("Vary"); vary != "Accept-Encoding" {
				t.Errorf("Vary %q", vary)
			}
			if test.want == "gzip" {
				got = gunzip(t, got)
			}
			if !bytes.Equal(got, plain) {
				t.Error("the content is not the plain one")
			}
		})
	}
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestHeadOfDocsHasNoBody(t *testing.T) {
	for _, accept := range []string{"gzip", "identity"} {
		header := http.Header{"Accept-Encoding": {accept}}
		get, head := sendToDocs("GET", bundle, header), sendToDocs("HEAD", bundle, header)
		if diff := cmp.Diff(get.Header, head.Header); diff != "" {
			t.Errorf("%s: %s", accept, diff)
		}
		if got := body(t, head); len(got) != 0 {
			t.Errorf("%s: a body of %d bytes", accept, len(got))
		}
	}
}

func TestDocsAreRevalidated(t *testing.T) {
	tag := func(accept string) string {
		return sendToDocs("HEAD", bundle, http.Header{"Accept-Encoding": {accept}}).Header.Get("ETag")
	}
	plain, packed := tag("identity"), tag("gzip")
	if plain == packed {
		t.Fatalf("two encodings have one strong tag, %s", plain)
	}
	for _, test := range []struct {
		name, accept, match string
		want                int
	}{
		{"same", "gzip", packed, 304},
		{"same, plain", "identity", plain, 304},
		{"of the other encoding", "gzip", plain, 200},
		{"of the other encoding, plain", "identity", packed, 200},
		{"weakened by a proxy", "gzip", "W/" + packed, 304},
		{"in a list", "gzip", `"x" , ` + packed, 304},
		{"any", "gzip", "*", 304},
		{"old", "gzip", `"00000000000000000000000000000000-gzip"`, 200},
		{"without quotes", "gzip", strings.Trim(packed, `"`), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			response := sendToDocs("GET", bundle, http.Header{"Accept-Encoding": {test.accept}, "If-None-Match": {test.match}})
			if response.StatusCode != test.want {
				t.Fatalf("status %d, want %d", response.StatusCode, test.want)
			}
			if test.want != http.StatusNotModified {
				return
			}
			if got := body(t, response); len(got) != 0 || response.Header.Get("Content-Encoding") != "" {
				t.Errorf("a 304 with %d bytes and encoding %q", len(got), response.Header.Get("Content-Encoding"))
			}
			// The headers that a cache needs to continue (RFC 9110, section 15.4.5).
			for _, name := range []string{"ETag", "Cache-Control", "Vary"} {
				if response.Header.Get(name) == "" {
					t.Errorf("no %s", name)
				}
			}
		})
	}
}

// The policy would block these, but a page that tries to use them looks broken.
func TestDocsHaveNoScriptOrInlineStyle(t *testing.T) {
	outside := regexp.MustCompile(`(?i:(https?:)?//[a-z0-9-]+\.[a-z]|@import)|url\(`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(\s+defer)?>`)
	for _, target := range []string{"/docs/", "/docs/init.js", "/docs/style.css", "/docs/favicon.svg"} {
		text := string(body(t, sendToDocs("GET", target, nil)))
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "") // a name, not an address
		if found := outside.FindString(text); found != "" {
			t.Errorf("%s refers to another host: %q", target, found)
		}
		if strings.HasSuffix(target, "/") && inline.MatchString(text) {
			t.Errorf("%s has inline script or style: %q", target, inline.FindString(text))
		}
	}
}

// Every file that the page names is served, so renaming only one side fails.
func TestDocsReferenceServedFiles(t *testing.T) {
	page := string(body(t, sendToDocs("GET", "/docs/", nil)))
	names := regexp.MustCompile(`<(?:link|script)[^>]*(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(names) != 5 {
		t.Errorf("%d files are named: %v", len(names), names)
	}
	for _, name := range names {
		if response := sendToDocs("GET", "/docs/"+name[1], nil); response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", name[1], response.StatusCode)
		}
	}
}

// These settings keep the page from contacting other hosts, and tokens out of storage.
func TestDocsViewerStoresNoTokensAndContactsNoHost(t *testing.T) {
	script := string(body(t, sendToDocs("GET", "/docs/init.js", nil)))
	for _, setting := range []string{
		`validatorUrl: null`, `persistAuthorization: false`, `queryConfigEnabled: false`,
		`const contractURL = "/openapi.json"`, `url: contractURL`,
	} {
		if !strings.Contains(script, setting) {
			t.Errorf("init.js lacks %q", setting)
		}
	}
	if found := regexp.MustCompile(`localStorage|sessionStorage|innerHTML|\beval\b`).FindString(strings.ReplaceAll(script, "a token in localStorage outlives", "")); found != "" {
		t.Errorf("init.js uses %s", found)
	}
}
