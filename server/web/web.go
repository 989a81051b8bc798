package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed docs/favicon.svg docs/index.html docs/init.js docs/style.css docs/swagger-ui
var docsFiles embed.FS

// docsPolicy is the Content-Security-Policy of the documentation. The page holds an access token,
// so it may load, run and contact only this origin: no inline script or style, no other host, and
// no frame around it. Swagger UI needs data: for the icons in its style sheet. The style attributes
// that it sets use the CSSOM, which style-src does not restrict.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// readingPolicy is the Content-Security-Policy of pages for reading only. They have no script, and
// load a style sheet and an icon.
const readingPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Docs serves the documentation under /docs/ to GET and HEAD, and redirects /docs there. The
// Location of the redirect has no host, because a forged Host header would choose it. The guides
// are below /docs/guides/ and are rendered from Markdown at the first request for one of them.
//
// Every file has a strong ETag and "Cache-Control: no-cache", so browsers store it and revalidate
// it each time (304). Files that are stored compressed are sent as gzip to clients that accept it
// (RFC 9110, section 12.5.3), and decompressed to others.
//
// fail writes the error responses, so that they look like all others of the server: 404 for an
// unknown path, and 405 for another method, with the header Allow already set. It must not be nil.
func Docs(fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	reference := folder("/docs", load(docsFiles, "docs"), docsPolicy, fail)
	guides := sync.OnceValue(func() http.Handler { return folder("/docs/guides", guidePages(), readingPolicy, fail) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/docs/guides" || strings.HasPrefix(r.URL.Path, "/docs/guides/") {
			guides().ServeHTTP(w, r)
			return
		}
		reference.ServeHTTP(w, r)
	})
}

// folder serves assets below root to GET and HEAD, and redirects root itself to root with a slash.
func folder(root string, assets map[string]*asset, policy string, fail func(w http.ResponseWriter, r *http.Request, status int)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, r, http.StatusMethodNotAllowed)
			return
		}
		if r.URL.Path == root {
			w.Header().Set("Location", root+"/")
			w.WriteHeader(http.StatusPermanentRedirect)
			return
		}
		asset, ok := assets[r.URL.Path]
		if !ok {
			fail(w, r, http.StatusNotFound)
			return
		}
		asset.serve(w, r, policy)
	})
}

// asset is a file in the encodings in which it can be sent.
type asset struct {
	mediaType string
	tag       string        // first half of the SHA-256 of the stored bytes, in hex
	gzipped   []byte        // nil if the file is stored as it is
	plain     func() []byte // decompressed when first needed
}

// load reads the tree below dir into a map from URL path to asset. It serves a file "x.gz" as "x",
// and index.html as its directory. It panics on a damaged file or an unknown type, because the
// files are part of the binary.
func load(tree fs.FS, dir string) map[string]*asset {
	assets := map[string]*asset{}
	err := fs.WalkDir(tree, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		stored, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		name, packed := strings.CutSuffix(name, ".gz")
		assets["/"+strings.TrimSuffix(name, "index.html")] = newAsset(name, stored, packed)
		return nil
	})
	if err != nil {
		panic("web: embedded files: " + err.Error())
	}
	return assets
}

func newAsset(name string, stored []byte, packed bool) *asset {
	sum := sha256.Sum256(stored)
	a := &asset{
		mediaType: mediaType(name),
		tag:       hex.EncodeToString(sum[:16]),
		plain:     func() []byte { return stored },
	}
	if packed {
		a.gzipped = stored
		a.plain = sync.OnceValue(func() []byte { return unpack(name, stored) })
	}
	return a
}

// mediaType returns the media type of a file. It does not use mime.TypeByExtension, which reads
// files of the host and may differ between machines.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml; charset=utf-8"
	case ".txt", "": // LICENSE, NOTICE, VERSION
		return "text/plain; charset=utf-8"
	}
	panic("web: no media type for " + name)
}

func unpack(name string, packed []byte) []byte {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("web: " + name + ": " + err.Error())
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		panic("web: " + name + ": " + err.Error())
	}
	return plain
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request, policy string) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Type", a.mediaType)

	body, tag := a.choose(header, r.Header.Values("Accept-Encoding"))
	header.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails only if the client has disconnected
	}
}

// choose returns the representation to send and its entity tag. The two encodings have different
// tags, because a strong validator must distinguish them (RFC 9110, section 8.8.3.3).
func (a *asset) choose(header http.Header, accepted []string) (body []byte, tag string) {
	if a.gzipped == nil {
		return a.plain(), `"` + a.tag + `"`
	}
	header.Add("Vary", "Accept-Encoding")
	if !acceptsGzip(accepted) {
		return a.plain(), `"` + a.tag + `"`
	}
	header.Set("Content-Encoding", "gzip")
	return a.gzipped, `"` + a.tag + `-gzip"`
}

// matches reports whether If-None-Match contains a tag by the weak comparison (RFC 9110, section
// 13.1.2). The tags contain no comma, so the list is split at each comma.
func matches(values []string, tag string) bool {
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether Accept-Encoding (RFC 9110, section 12.5.3) accepts gzip: it lists
// gzip, or else "*", with a weight above 0. Without the header, any encoding is acceptable, and the
// safe choice is no compression.
func acceptsGzip(values []string) bool {
	wildcard := false
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return weightAboveZero(parameters)
		case "*":
			wildcard = weightAboveZero(parameters)
		}
	}
	return wildcard
}

// weightAboveZero reports whether a parameter such as "q=0.5" is a weight above 0. A missing weight
// counts as 1, and a malformed one as 0.
func weightAboveZero(parameters string) bool {
	parameters = strings.TrimSpace(parameters)
	if parameters == "" {
		return true
	}
	name, value, _ := strings.Cut(parameters, "=")
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return strings.EqualFold(strings.TrimSpace(name), "q") && err == nil && weight > 0
}
