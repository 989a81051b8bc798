package web

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// guideURLs returns the path of each guide, from the names of the files.
func guideURLs(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(guideFiles, guideFolder+"/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var list []string
	for _, file := range files {
		list = append(list, "/docs/guides/"+guideName(path.Base(file)))
	}
	return list
}

// A guide that is missing in the index would not be served.
func TestEveryGuideIsServed(t *testing.T) {
	for _, target := range guideURLs(t) {
		response := sendToDocs("GET", target, nil)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d. Does %s link to it?", target, response.StatusCode, guideIndex)
			continue
		}
		page := parsePage(t, target)
		if got := len(page.headings["h1"]); got != 1 {
			t.Errorf("%s has %d titles, want 1", target, got)
		}
		if strings.Contains(page.text, "raw HTML omitted") || strings.Contains(page.text, "<!--") {
			t.Errorf("%s has HTML other than comments", target)
		}
	}
}

func TestGuidesServeKnownPagesOnly(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/docs/guides/", 200},
		{"HEAD", "/docs/guides/getting-started", 200},
		{"GET", "/docs/guides/style.css", 200},
		{"GET", "/docs/guides", 308},
		{"GET", "/docs/guides/nothing", 404},
		{"GET", "/docs/guides/getting-started.md", 404},
		{"GET", "/docs/guides/getting-started/", 404},
		{"GET", "/docs/guides/README.md", 404},
		{"GET", "/docs/guides/page.html", 404},
		{"GET", "/docs/guides/../style.css", 404},
		{"GET", "/docs/guidesx", 404},
		{"POST", "/docs/guides/", 405},
		{"DELETE", "/docs/guides/nothing", 405},
	} {
		response := sendToDocs(test.method, test.target, nil)
		if response.StatusCode != test.want {
			t.Errorf("%s %s: status %d, want %d", test.method, test.target, response.StatusCode, test.want)
		}
		if got := response.Header.Get("Allow"); (got == "GET, HEAD") != (test.want == 405) {
			t.Errorf("%s %s: Allow %q", test.method, test.target, got)
		}
	}
	if got := sendToDocs("GET", "http://evil.example/docs/guides", nil).Header.Get("Location"); got != "/docs/guides/" {
		t.Errorf("Location %q", got)
	}
}

func TestGuidesHaveSecurityHeaders(t *testing.T) {
	targets := append(guideURLs(t), "/docs/guides/style.css")
	for _, target := range targets {
		got := sendToDocs("GET", target, nil).Header.Clone()
		tag := got.Get("ETag")
		if !regexp.MustCompile(`^"[0-9a-f]{32}"$`).MatchString(tag) || got.Get("Content-Length") == "" {
			t.Errorf("%s: ETag %q is no strong tag, or there is no Content-Length", target, tag)
		}
		got.Del("ETag")
		got.Del("Content-Length")
		mediaType := "text/html; charset=utf-8"
		if strings.HasSuffix(target, ".css") {
			mediaType = "text/css; charset=utf-8"
		}
		want := http.Header{
			"Content-Type":                 {mediaType},
			"Content-Security-Policy":      {"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
			"X-Content-Type-Options":       {"nosniff"},
			"Referrer-Policy":              {"no-referrer"},
			"Cross-Origin-Opener-Policy":   {"same-origin"},
			"Cross-Origin-Resource-Policy": {"same-origin"},
			"Cache-Control":                {"no-cache"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
		if status := sendToDocs("GET", target, http.Header{"If-None-Match": {tag}}).StatusCode; status != http.StatusNotModified {
			t.Errorf("%s with its ETag: status %d, want 304", target, status)
		}
	}
}

// Every link of a guide leads to a page of this server and an element of it, or to https.
func TestGuideLinksHaveTargets(t *testing.T) {
	pages := map[string]page{}
	for _, target := range guideURLs(t) {
		pages[target] = parsePage(t, target)
	}
	served := map[string]bool{"/openapi.yaml": true} // by the server, outside this package
	for from, page := range pages {
		base, err := url.Parse(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range page.links {
			target, err := base.Parse(link)
			switch {
			case err != nil:
				t.Errorf("%s: %q: %v", from, link, err)
			case target.Host != "":
				if loopback := target.Hostname() == "localhost"; target.Scheme != "https" && !loopback {
					t.Errorf("%s: %q is not https", from, link)
				}
			case served[target.Path]:
			case sendToDocs("GET", target.Path, nil).StatusCode != http.StatusOK:
				t.Errorf("%s: %q is not served", from, link)
			case target.Fragment != "" && !pages[target.Path].ids[target.Fragment]:
				t.Errorf("%s: %q: no such section", from, link)
			}
		}
	}
}

// The policy would block these, but a page that tries to use them looks broken.
func TestGuidesHaveNoScriptOrInlineStyle(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|<script|\sstyle=|\son[a-z]+=|javascript:`)
	for _, target := range guideURLs(t) {
		text := regexp.MustCompile(`(?s)<pre>.*?</pre>|<code>.*?</code>`).ReplaceAllString(parsePage(t, target).text, "")
		if found := inline.FindString(text); found != "" {
			t.Errorf("%s has %q", target, found)
		}
	}
}

func TestGuideMarkdownIsRendered(t *testing.T) {
	const source = "# Title of `code`\n\n<!-- run -->\n```sh\necho '<b>'\n```\n\n" +
		"[a](b.md), [b](b.md#c), [index](README.md#use-it), [contract](../../../../openapi.yaml), [file `x.go`](../../web.go)\n" +
		"[evil](javascript:alert(1)) text<script>alert(1)</script> <https://example.com>\n\n" +
		"## One & `two_three`: Ü/x\n\n## One & `two_three`: Ü/x\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n<div onclick=x>y</div>\n"
	tree := fstest.MapFS{guideFolder + "/x.md": {Data: []byte(source)}}
	got, links, err := readGuide(tree, "x.md")
	if err != nil {
		t.Fatal(err)
	}
	want := guide{Name: "x", Title: "Title of code", Sections: []section{
		{"one--two_three-üx", "One & two_three: Ü/x"}, {"one--two_three-üx-1", "One & two_three: Ü/x"},
	}, Content: `<h1 id="title-of-code">Title of <code>code</code></h1>
<pre><code class="language-sh">echo '&lt;b&gt;'
</code></pre>
<p><a href="b">a</a>, <a href="b#c">b</a>, <a href="./#use-it">index</a>, <a href="/openapi.yaml">contract</a>, file <code>x.go</code>
<a href="">evil</a> textalert(1) <a href="https://example.com">https://example.com</a></p>
<h2 id="one--two_three-üx">One &amp; <code>two_three</code>: Ü/x</h2>
<h2 id="one--two_three-üx-1">One &amp; <code>two_three</code>: Ü/x</h2>
<div class="table" role="region" aria-label="Table" tabindex="0">
<table>
<thead>
<tr>
<th>a</th>
<th align="right">b</th>
</tr>
</thead>
<tbody>
<tr>
<td>1</td>
<td align="right">2</td>
</tr>
</tbody>
</table>
</div>
`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b.md", "b.md", "README.md"}, links); diff != "" {
		t.Error(diff)
	}
}

// page is a served page as a browser reads it.
type page struct {
	text     string
	ids      map[string]bool
	links    []string
	headings map[string][]*html.Node
}

func parsePage(t *testing.T, target string) page {
	t.Helper()
	text := body(t, sendToDocs("GET", target, nil))
	root, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	p := page{text: string(text), ids: map[string]bool{}, headings: map[string][]*html.Node{}}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		p.headings[n.Data] = append(p.headings[n.Data], n)
		for _, attribute := range n.Attr {
			switch attribute.Key {
			case "id":
				if p.ids[attribute.Val] {
					t.Errorf("%s: two elements have the id %q", target, attribute.Val)
				}
				p.ids[attribute.Val] = true
			case "href", "src":
				p.links = append(p.links, attribute.Val)
			}
		}
	}
	return p
}
