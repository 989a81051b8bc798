package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/problem"
	"example.com/accounts/server/servertest"
)

// enumOf returns the values of an enum schema in the contract.
func enumOf(schema string) (values []string) {
	for _, value := range servertest.Contract().Components.Schemas[schema].Value.Enum {
		values = append(values, value.(string))
	}
	return values
}

// catalogOf returns the entries of GET /problems by code, and the codes in order.
func catalogOf(t *testing.T, s *servertest.Server, query, member string) (map[string]object, []string) {
	t.Helper()
	r := s.Anonymous().Do(http.MethodGet, "/problems"+query, nil).Want(t, http.StatusOK, "")
	byCode := map[string]object{}
	var codes []string
	for _, each := range r.JSON[member].([]any) {
		description := each.(object)
		code := description["code"].(string)
		codes = append(codes, code)
		byCode[code] = description
	}
	return byCode, codes
}

// detailOf returns the detail of a problem code.
func detailOf(code string) string {
	kind, _ := problem.KindOf(problem.Code(code))
	return kind.Detail
}

var hangul = regexp.MustCompile(`\p{Hangul}`)

func TestProblemCatalogDescribesEveryCode(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for member, schema := range map[string]string{"problems": "ProblemCode", "fields": "FieldErrorCode"} {
		english, codes := catalogOf(t, s, "", member)
		if diff := cmp.Diff(enumOf(schema), codes); diff != "" {
			t.Errorf("%s (-%s of the contract +listed):\n%s", member, schema, diff)
		}
		korean, _ := catalogOf(t, s, "?locale=ko", member)
		for _, code := range codes {
			for name, value := range english[code] {
				if value == "" {
					t.Errorf("%s has an empty %s", code, name)
				}
			}
			if text := english[code]["message"].(string); hangul.MatchString(text) || strings.ContainsAny(text, "`_{") || !strings.HasSuffix(text, ".") {
				t.Errorf("%s: the English message %q is not a sentence for users", code, text)
			}
			if text := korean[code]["message"].(string); !hangul.MatchString(text) || strings.ContainsAny(text, "`_{") || !strings.HasSuffix(text, ".") {
				t.Errorf("%s: the Korean message %q is not a sentence for users", code, text)
			}
		}
	}
}

func TestProblemMessagesAreInRequestedLanguage(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for query, want := range map[string]string{
		"": "en", "?locale=en": "en", "?locale=en-GB": "en", "?locale=ko": "ko", "?locale=ko-KR": "ko", "?locale=KO": "ko", "?locale=ko-Kore-KR": "ko",
		"?locale=fr": "en", "?locale=kok": "en", "?locale=zh-Hant-TW": "en",
	} {
		r := s.Anonymous().Do(http.MethodGet, "/problems"+query, nil).Want(t, http.StatusOK, "")
		if r.JSON["locale"] != want {
			t.Errorf("%q: %v, want %s", query, r.JSON["locale"], want)
		}
		if got := r.Header.Get("Cache-Control"); got != "public, max-age=60" {
			t.Errorf("%q: Cache-Control %q", query, got)
		}
		again := servertest.Header("If-None-Match", r.Header.Get("ETag"))
		s.Anonymous().Do(http.MethodGet, "/problems"+query, nil, again).Want(t, http.StatusNotModified, "")
		if want == "en" { // each language has an ETag of its own
			s.Anonymous().Do(http.MethodGet, "/problems?locale=ko", nil, again).Want(t, http.StatusOK, "")
		}
	}
	for _, query := range []string{"?locale=", "?locale=k", "?locale=ko_KR", "?locale=ko&locale=ko"} {
		s.Anonymous().Do(http.MethodGet, "/problems"+query, nil).Want(t, http.StatusBadRequest, "request_malformed")
	}
}

// The examples in the contract equal the responses of the server.
func TestProblemExamplesInContractEqualResponses(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	described, _ := catalogOf(t, s, "", "problems")
	seen := map[string]bool{}
	compare := func(where string, value any) {
		example, ok := value.(map[string]any)
		if !ok || example["code"] == nil {
			return
		}
		code := example["code"].(string)
		seen[code] = true
		want := object{"title": described[code]["title"], "status": described[code]["status"], "type": "http://localhost:8080/problems/" + code}
		got := object{"title": example["title"], "status": example["status"], "type": example["type"]}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-served +example):\n%s", where, diff)
		}
		if detail := detailOf(code); detail != example["detail"] {
			t.Errorf("%s: the detail is %q, but the response has %q", where, example["detail"], detail)
		}
		list, _ := example["errors"].([]any)
		for _, each := range list {
			field := each.(map[string]any)
			if detail := problem.FieldKindOf(field["code"].(string)).Detail; detail != field["detail"] {
				t.Errorf("%s: the detail of %s is %q, but the response has %q", where, field["code"], field["detail"], detail)
			}
		}
	}
	for name, ref := range servertest.Contract().Components.Examples {
		compare("the example "+name, ref.Value.Value)
	}
	for name, ref := range servertest.Contract().Components.Responses {
		if media := ref.Value.Content["application/problem+json"]; media != nil {
			compare("the response "+name, media.Example)
		}
	}
	for _, code := range enumOf("ProblemCode") {
		if !seen[code] && code != "method_not_allowed" { // no operation responds with 405
			t.Errorf("the contract has no example of %s", code)
		}
	}
}

// The contract's table of field codes equals that of the server.
func TestContractDescribesEveryFieldCode(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	described, codes := catalogOf(t, s, "", "fields")
	var want, got []string
	for _, code := range codes {
		want = append(want, fmt.Sprintf("| `%s` | %s |", code, described[code]["cause"]))
	}
	for line := range strings.Lines(servertest.Contract().Components.Schemas["FieldErrorCode"].Value.Description) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-server +contract:\n%s", diff)
	}
}

// The table of statuses in the contract's description equals that of the server.
func TestContractDescribesEveryStatus(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	described, _ := catalogOf(t, s, "", "problems")
	text := servertest.Contract().Info.Description
	text = text[strings.Index(text, "| status | codes |"):]
	text, _, _ = strings.Cut(text, "\n\n")
	name := regexp.MustCompile("`([a-z_]+)`")
	listed := map[string]bool{}
	for line := range strings.Lines(text) {
		_, cell, _ := strings.Cut(line, "|")
		statuses, _, _ := strings.Cut(cell, "|")
		for _, match := range name.FindAllStringSubmatch(line, -1) {
			listed[match[1]] = true
			if status := fmt.Sprint(described[match[1]]["status"]); !strings.Contains(statuses, status) {
				t.Errorf("%s is listed with the statuses%s, want %s", match[1], statuses, status)
			}
		}
	}
	for code := range described {
		if !listed[code] {
			t.Errorf("the table of statuses lacks %s", code)
		}
	}
}

// Every code has a page, regardless of the settings, because responses link to it.
func TestEveryProblemCodeHasPage(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Settings: []string{"ACCOUNTS_DOCS=false", "ACCOUNTS_CONSOLE=false"}})
	english, codes := catalogOf(t, s, "", "problems")
	korean, _ := catalogOf(t, s, "?locale=ko", "problems")
	index := s.Anonymous().Do(http.MethodGet, "/problems/", nil).Want(t, http.StatusOK, "")
	for _, code := range codes {
		r := s.Anonymous().Do(http.MethodGet, "/problems/"+code, nil).Want(t, http.StatusOK, "")
		page := plain(string(r.Raw))
		for _, text := range []string{
			code, fmt.Sprint(english[code]["status"]), english[code]["title"].(string), detailOf(code),
			english[code]["cause"].(string), english[code]["remedy"].(string), english[code]["message"].(string), korean[code]["message"].(string),
		} {
			if !strings.Contains(page, strings.ReplaceAll(text, "`", "")) {
				t.Errorf("the page of %s lacks %q", code, text)
			}
		}
		if !strings.Contains(string(r.Raw), `<dd lang="ko">`) {
			t.Errorf("the page of %s does not mark its Korean text", code)
		}
		if !strings.Contains(string(index.Raw), `<a href="`+code+`">`) {
			t.Errorf("the index lacks a link to %s", code)
		}
		wantStaticPage(t, r)
	}
	wantStaticPage(t, index)
	for _, code := range enumOf("FieldErrorCode") {
		if !strings.Contains(string(index.Raw), code) {
			t.Errorf("the index lacks an explanation of %s", code)
		}
	}
	for _, path := range []string{"/problems/nope", "/problems/too_short", "/problems/link_invalid/", "/problems/LINK_INVALID", "/problems/link_invali%64", "/problems//", "/problems/problem.html", "/problems/../problems/link_invalid"} {
		s.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusNotFound, "resource_not_found")
	}
	s.Anonymous().Do(http.MethodPost, "/problems/link_invalid", nil).Want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	head := s.Anonymous().Do(http.MethodHead, "/problems/link_invalid", nil).Want(t, http.StatusOK, "")
	if len(head.Raw) > 0 || head.Header.Get("ETag") == "" {
		t.Errorf("HEAD: got %d bytes and ETag %q, want no body and an ETag", len(head.Raw), head.Header.Get("ETag"))
	}
	s.Anonymous().Do(http.MethodGet, "/problems/link_invalid", nil, servertest.Header("If-None-Match", head.Header.Get("ETag"))).Want(t, http.StatusNotModified, "")
}

// wantStaticPage checks that a page runs no scripts and loads resources of this server only.
func wantStaticPage(t *testing.T, r *servertest.Response) {
	t.Helper()
	policy := r.Header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "style-src 'self'", "img-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, directive) {
			t.Errorf("the policy %q lacks %s", policy, directive)
		}
	}
	if strings.Contains(policy, "script-src") || strings.Contains(string(r.Raw), "<script") || strings.Contains(string(r.Raw), "style=") {
		t.Error("the page has a script or an inline style")
	}
	if r.Header.Get("Content-Type") != "text/html; charset=utf-8" || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("ETag") == "" {
		t.Errorf("headers %v", r.Header)
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

// plain returns the text of a page.
func plain(page string) string {
	return strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(tags.ReplaceAllString(page, ""))
}

// The type of a problem is the address of its page.
func TestTypeOfProblemIsAddressOfItsPage(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	r := s.Anonymous().Do(http.MethodGet, "/nothing", nil).Want(t, http.StatusNotFound, "resource_not_found")
	path, own := strings.CutPrefix(r.Text("type"), s.Config.PublicURL)
	if !own {
		t.Fatalf("type %q is not a page of %s", r.Text("type"), s.Config.PublicURL)
	}
	s.Anonymous().Do(http.MethodGet, path, nil).Want(t, http.StatusOK, "")
}

// Routes outside the contract are allowed only below /problems/. The path /problems itself is an
// operation.
func TestOnlyProblemPagesAreOutsideContract(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	restore := s.Forget("GET /problems")
	defer restore()
	if _, err := s.Handler(); err == nil || !strings.Contains(err.Error(), "GET /problems") {
		t.Errorf("the server starts although /problems is not in the contract: %v", err)
	}
}

func TestBodyTooLargeProblemNamesLimit(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	tried := 0
	for _, op := range servertest.Operations() {
		if op.Operation.RequestBody == nil {
			continue
		}
		limit := server.BodyLimit(op.Operation)
		chunked := func(r *http.Request) { r.ContentLength = -1 }
		for _, options := range [][]servertest.Option{nil, {chunked}} {
			e := exampleOf(t, op)
			e.body = strings.Repeat(" ", limit+1)
			r := send(c.Copy(), e, options...).Want(t, http.StatusRequestEntityTooLarge, "body_too_large")
			want := []any{object{"pointer": "", "code": "too_long", "detail": "This is too long.", "maximum": float64(limit)}}
			if diff := cmp.Diff(want, r.JSON["errors"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", op.ID, diff)
			}
		}
		tried++
	}
	if tried < 10 {
		t.Errorf("only %d operations with a body were tested, want at least 10", tried)
	}
}
