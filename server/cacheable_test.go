package server_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/accounts/server/servertest"
)

// cacheablePaths returns the paths of the operations that support If-None-Match.
func cacheablePaths(t *testing.T) (paths []string) {
	t.Helper()
	for _, op := range servertest.Operations() {
		for _, p := range op.Operation.Parameters {
			if p.Value.Name == "If-None-Match" {
				paths = append(paths, op.Path)
			}
		}
	}
	if len(paths) < 4 {
		t.Fatalf("got only %v, want at least 4 cacheable paths", paths)
	}
	return paths
}

func TestCacheableResponsesAreRevalidated(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	again := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_PUBLIC_URL=" + s.Config.PublicURL}})
	for _, path := range cacheablePaths(t) {
		full := s.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "")
		tag := full.Header.Get("ETag")
		if len(tag) < 12 || full.Header.Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("%s: got ETag %s and Cache-Control %q, want public, max-age=60", path, tag, full.Header.Get("Cache-Control"))
		}
		if other := again.Anonymous().Do(http.MethodGet, path, nil).Header.Get("ETag"); other != tag {
			t.Errorf("%s: got ETag %s from a replica with the same settings, want %s", path, other, tag)
		}
		ask := func(lines ...string) *servertest.Response {
			return s.Anonymous().Do(http.MethodGet, path, nil, func(r *http.Request) { r.Header["If-None-Match"] = lines })
		}
		for _, lines := range [][]string{
			{tag}, {"W/" + tag}, {"*"}, {" " + tag + " "}, {`"x", ` + tag}, {`W/"x",W/` + tag + `,"y"`}, {`, ,"a,b" ,` + tag}, {`""` + "," + tag}, {`"x"`, tag}, {tag, `"x"`},
		} {
			r := ask(lines...).Want(t, http.StatusNotModified, "")
			if len(r.Raw) > 0 || r.Header.Get("ETag") != tag || r.Header.Get("Cache-Control") != "public, max-age=60" || r.Header.Get("Content-Type") != "" {
				t.Errorf("%s %q: the 304 has the headers %v and %d bytes", path, lines, r.Header, len(r.Raw))
			}
		}
		for _, lines := range [][]string{
			{`"x"`}, {strings.Trim(tag, `"`)}, {tag[:len(tag)-1]}, {"w/" + tag}, {`x, ` + tag}, {`"` + tag + `"`}, {`"*"`}, {"*, " + tag}, {"W/"}, {`"`}, {","},
		} {
			if r := ask(lines...).Want(t, http.StatusOK, ""); string(r.Raw) != string(full.Raw) || r.Header.Get("ETag") != tag {
				t.Errorf("%s %q: got another response than without If-None-Match", path, lines)
			}
		}
		for _, line := range []string{"", strings.Repeat("x", 1025)} {
			r := ask(line).Want(t, http.StatusBadRequest, "request_malformed")
			if got := r.Header.Get("Cache-Control"); strings.Contains(got, "public") {
				t.Errorf("%s: an error response may be cached: Cache-Control %q", path, got)
			}
		}
	}
}

// The ETag of a response changes with every setting that is visible in it.
func TestETagChangesWithVisibleSettings(t *testing.T) {
	a, b := servertest.Start(t, servertest.Options{}), servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_PASSWORD_MIN_LENGTH=20"}})
	for _, path := range []string{"/accounts/settings", "/openapi.json", "/openapi.yaml"} {
		old := a.Anonymous().Do(http.MethodGet, path, nil).Header.Get("ETag")
		b.Anonymous().Do(http.MethodGet, path, nil, servertest.Header("If-None-Match", old)).Want(t, http.StatusOK, "")
	}
}
