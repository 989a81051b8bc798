package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// The contract determines the methods of a path. Headers such as X-HTTP-Method-Override do not
// change that.
func TestMethodsAreThoseOfContract(t *testing.T) {
	t.Attr("control", "74")
	t.Attr("control", "87")
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	takes := map[string][]string{}
	paths := map[string]string{}
	for _, op := range servertest.Operations() {
		takes[op.Path] = append(takes[op.Path], op.Method)
		if op.Method == http.MethodGet {
			takes[op.Path] = append(takes[op.Path], http.MethodHead)
		}
		paths[op.Path] = exampleOf(t, op).path
	}
	before := s.Database.Dump(t)
	for path, methods := range takes {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X"} {
			if slices.Contains(methods, method) || method == "CONNECT" { // CONNECT has no path in HTTP
				continue
			}
			r := c.Copy().Do(method, paths[path], nil, servertest.Header("X-HTTP-Method-Override", methods[0]), servertest.Header("X-HTTP-Method", methods[0]))
			if r.Status != http.StatusMethodNotAllowed || method != "HEAD" && r.Code() != "method_not_allowed" {
				t.Errorf("%s %s: %d %s", method, path, r.Status, r.Code())
			}
			allow := strings.Split(strings.ReplaceAll(r.Header.Get("Allow"), " ", ""), ",")
			slices.Sort(allow)
			slices.Sort(methods)
			if diff := cmp.Diff(methods, allow); diff != "" {
				t.Errorf("%s %s: Allow (-want +got):\n%s", method, path, diff)
			}
		}
	}
	for _, override := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		c.Copy().Do(http.MethodGet, "/accounts/sessions", nil, servertest.Header(override, "DELETE")).Want(t, http.StatusOK, "")
	}
	c.Copy().Do(http.MethodGet, "/accounts/sessions?_method=DELETE", nil).Want(t, http.StatusBadRequest, "request_malformed")
	c.Copy().Do(http.MethodGet, "/accounts/login?username=ada&password=x", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	wantUnchanged(t, s, before)
}

// takesAnything reports whether the path, or a path one segment longer, has a parameter.
func takesAnything(path string) bool {
	return strings.Contains(path, "{") || slices.ContainsFunc(servertest.Operations(), func(op servertest.Operation) bool { return strings.HasPrefix(op.Path, path+"/{") })
}

// Another spelling of a path is another path (control 74). Otherwise a proxy could let a request
// through because it takes the path for another resource.
func TestOtherSpellingOfPathIsAnotherPath(t *testing.T) {
	t.Attr("control", "74")
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	for _, op := range servertest.Operations() {
		path := exampleOf(t, op).path
		for _, other := range []string{
			path + "/", "/" + path, path + "//", path + ";x", path + ";x=y", path + "/.", path + "/..", path + "/../" + path, "/." + path, "/x/.." + path, "/%2e" + path, path + "%2f", path + "%00", path + "%20",
			strings.ToUpper(path), strings.Replace(path, "/", "//", 2), strings.Replace(path, "/", "/./", 1), strings.Replace(path, "/", `/\`, 1), path + "x", path + ".json", path + "~", "/v1" + path, path + "%3Fx",
			strings.Replace(path, "/42/", "//", 1),
		} {
			if other == path || other == "/problems/" { // the index of the problem pages
				continue
			}
			r := c.Copy().Do(op.Method, other, nil,
				servertest.Header("X-Original-URL", path), servertest.Header("X-Rewrite-URL", path), servertest.Header("X-Forwarded-Prefix", "//evil.example"))
			// The path may match a parameter and be rejected with 400. If the operation has a body,
			// its absence is reported first, with 415.
			deeper := (r.Status == http.StatusBadRequest || r.Status == http.StatusUnsupportedMediaType) && takesAnything(op.Path)
			collection := r.Status == http.StatusMethodNotAllowed || op.ID == "revokeAllSessions" && r.Status == http.StatusBadRequest
			if r.Code() != "resource_not_found" && !deeper && !collection || r.Header.Get("Location") != "" {
				t.Errorf("%s %s: %d %s %s", op.Method, other, r.Status, r.Code(), r.Header.Get("Location"))
			}
		}
	}
	c.Profile().Want(t, http.StatusOK, "")
}

// A path with unnecessary percent-encoding does not reach an operation.
func TestPercentEncodedPathReachesNoOperation(t *testing.T) {
	t.Attr("control", "74")
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(s.NewUser(), accounts.Hybrid)
	for _, path := range []string{"/accounts%2Fprofile", "/%61ccounts/profile", "/accounts/profil%65", "/accounts%2fprofile"} {
		c.Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
}

// A path with a slash at the end reaches no operation, and the problem names the path without it.
func TestSlashAtEndIsNamedInProblem(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, path := range []string{"/accounts/login", "/accounts/password/reset", "/admin/users"} {
		r := s.Anonymous().Do(http.MethodPost, path+"/", object{}).Want(t, http.StatusNotFound, "resource_not_found")
		if !strings.HasSuffix(r.Text("detail"), " The path is "+path+", without the slash at the end.") {
			t.Errorf("%s/: the detail is %q", path, r.Text("detail"))
		}
	}
	for _, path := range []string{"/accounts/nothing/", "/accounts/login//", "/accounts%2Flogin/", "/accounts/login/x/"} {
		r := s.Anonymous().Do(http.MethodPost, path, object{}).Want(t, http.StatusNotFound, "resource_not_found")
		if strings.Contains(r.Text("detail"), "slash") {
			t.Errorf("%s: the detail is %q", path, r.Text("detail"))
		}
	}
}
