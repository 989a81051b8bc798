package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/servertest"
)

// A request whose body arrives late is answered with 503, regardless of its credentials, and
// changes nothing. Otherwise a thief could delay the body to test a stolen token without triggering
// reuse detection, or to obtain new tokens for it.
func TestLateBodyIsUnavailableAndChangesNothing(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	u := s.NewUser()
	for name, age := range map[string]time.Duration{"current": 0, "due": 40 * time.Second} {
		t.Run(name, func(t *testing.T) {
			c := s.Login(u, accounts.BodyTokens)
			s.Database.Age(t, age)
			before := s.Database.Dump(t)
			body := fmt.Sprintf(`{"refresh_token":%q}`, c.Refresh)
			reads := s.Clock.Reads()
			answer := raw(t, s,
				line("POST /accounts/refresh_token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body)),
				func(net.Conn) {
					waitFor(t, func() bool { return s.Clock.Reads() > reads })
					s.Clock.Advance(6 * time.Second)
				},
				line("%s", body))
			if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("got status %d, want 503 with Retry-After", answer.StatusCode)
			}
			if s.Database.Dump(t) != before {
				t.Error("the request changed a row")
			}
			c.RefreshTokens().Want(t, http.StatusOK, "")
		})
	}
}

// A body is rejected as too long by its declared Content-Length. The server closes the connection
// instead of reading the body.
func TestBodyTooLargeByContentLengthIsNotRead(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	start := time.Now()
	answer := raw(t, s, line("POST /accounts/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n{"))
	if answer.StatusCode != http.StatusRequestEntityTooLarge || !answer.Close || time.Since(start) > 5*time.Second {
		t.Errorf("got status %d, close %t after %s, want 413 and a closed connection within 5 s", answer.StatusCode, answer.Close, time.Since(start))
	}
}

// Invalid input is rejected with a pointer to its place, if it has one, and nothing is stored
// (control 85). The operations, bodies and parameters come from the contract, so that a new
// operation is tested automatically.

// badBody is a body that every operation rejects. The code and pointer are those of one of the
// problem's errors. Without a code the problem has no errors. The pointer "-" matches any pointer.
type badBody struct {
	name, body    string
	status        int
	code, pointer string
}

const (
	malformed = http.StatusBadRequest
	invalid   = http.StatusUnprocessableEntity
)

// notOneDocument returns bodies that are not exactly one JSON document in valid UTF-8, or that
// contain a member twice.
func notOneDocument(good string) []badBody {
	open := good[:len(good)-1]
	comma := ","
	if open == "{" {
		comma = ""
	}
	within := func(text string) string { return open + comma + `"x":` + text + "}" }
	list := []badBody{
		{name: "trailing text", body: good + "x"}, {name: "two documents", body: good + good}, {name: "trailing brace", body: good + "}"}, {name: "trailing NUL", body: good + "\x00"},
		{name: "a document behind a line feed", body: good + "\n{}"}, {name: "BOM", body: "\ufeff" + good}, {name: "comment", body: "/**/" + good}, {name: "line comment", body: good + "//x"},
		{name: "no end", body: open}, {name: "one brace", body: "{"}, {name: "bracket", body: "["}, {name: "a word", body: "x"}, {name: "NUL", body: "\x00"}, {name: "blanks", body: "   "},
		{name: "NaN", body: within("NaN")}, {name: "Infinity", body: within("-Infinity")}, {name: "leading zero", body: within("01")}, {name: "plus", body: within("+1")}, {name: "hex", body: within("0x1")},
		{name: "trailing comma", body: open + ",}"}, {name: "single quotes", body: `{'x':1}`}, {name: "bare name", body: `{x:1}`}, {name: "True", body: within("True")},
		{name: "line feed in a text", body: within("\"a\nb\"")}, {name: "escape x", body: within(`"\x41"`)}, {name: "short escape", body: within(`"\u12"`)},
		{name: "lone high surrogate", body: within(`"\ud800"`)}, {name: "lone low surrogate", body: within(`"\udc00x"`)}, {name: "surrogates turned round", body: within(`"\udc00\ud800"`)},
		{name: "two high surrogates", body: within(`"\ud800\ud800"`)}, {name: "lone surrogate in a name", body: open + comma + `"\ud800":1}`},
		{name: "invalid UTF-8", body: within("\"\xff\"")}, {name: "overlong NUL", body: within("\"\xc0\x80\"")}, {name: "encoded surrogate", body: within("\"\xed\xa0\x80\"")}, {name: "cut sequence", body: within("\"\xe2\x82\"")},
		{name: "UTF-16", body: "\xff\xfe{\x00}\x00"}, {name: "UTF-16 without BOM", body: "{\x00}\x00"}, {name: "form", body: "username=ada&password=x"},
		{name: "33 arrays", body: within(strings.Repeat("[", 33) + strings.Repeat("]", 33))}, {name: "33 objects", body: strings.Repeat(`{"x":`, 33) + "1" + strings.Repeat("}", 33)},
		{name: "1,000 arrays", body: strings.Repeat("[", 1000) + strings.Repeat("]", 1000)}, {name: "1,000 arrays without end", body: strings.Repeat("[", 1000)},
		{name: "200 members", body: within("{" + manyMembers(200) + "}")}, {name: "1,200 elements", body: within("[0" + strings.Repeat(",0", 1199) + "]")},
		{name: "unknown twice", body: `{"x":1,"x":1}`, pointer: "/x"}, {name: "twice by an escape", body: `{"x":1,"\u0078":2}`, pointer: "/x"},
		{name: "twice within", body: `{"x":{"y":1,"y":1}}`, pointer: "/x/y"}, {name: "twice in an array", body: `{"x":[{"y":1,"y":1}]}`, pointer: "/x/0/y"},
		{name: "twice, a name to escape", body: `{"a/b~":1,"a/b~":1}`, pointer: "/a~1b~0"},
	}
	for i := range list {
		list[i].status = malformed
		if list[i].pointer != "" {
			list[i].code = "field_duplicate"
		}
	}
	return list
}

// notTheSchema returns documents that violate the schema of the operation in addition to containing
// the members of a valid one.
func notTheSchema(good string) []badBody {
	open := good[:len(good)-1]
	comma := ","
	if open == "{" {
		comma = ""
	}
	with := func(member string) string { return open + comma + member + "}" }
	list := []badBody{
		{name: "unknown", body: with(`"nope":1`), code: "field_unknown", pointer: "/nope"},
		{name: "unknown object", body: with(`"nope":{"a":[{}]}`), code: "field_unknown", pointer: "/nope"},
		{name: "unknown, empty name", body: with(`"":1`), code: "field_unknown", pointer: "/"},
		{name: "unknown, a name to escape", body: with(`"a/b~c":1`), code: "field_unknown", pointer: "/a~1b~0c"},
		{name: "unknown, huge number", body: with(`"nope":1e400`), code: "field_unknown", pointer: "/nope"},
		{name: "unknown, 2^53+1", body: with(`"nope":9007199254740993`), code: "field_unknown", pointer: "/nope"},
		{name: "unknown, -0", body: with(`"nope":-0`), code: "field_unknown", pointer: "/nope"},
		{name: "unknown, a name of 1 kB", body: with(`"` + strings.Repeat("n", 1000) + `":1`), code: "field_unknown"},
		{name: "90 unknown", body: with(manyMembers(90)), code: "field_unknown", pointer: "/n0"},
		{name: "server's own", body: with(`"email_verified":true`), code: "field_unknown", pointer: "/email_verified"},
		{name: "server's own id", body: with(`"user_id":1`), code: "field_unknown", pointer: "/user_id"},
		{name: "prototype", body: with(`"__proto__":{"a":1}`), code: "field_unknown", pointer: "/__proto__"},
	}
	for _, whole := range []string{"null", "[]", "[{}]", `""`, `"x"`, "0", "-0", "1e400", "true", "false"} {
		list = append(list, badBody{name: "a body " + whole, body: whole, code: "type_invalid", pointer: "-"})
	}
	for i := range list {
		list[i].status = invalid
	}
	return list
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, `"n%d":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// members returns bodies with an invalid value for each member of the schema.
func members(schema *openapi3.Schema, good map[string]any) []badBody {
	var list []badBody
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name].Value
		with := func(what, value, code string) {
			list = append(list, badBody{name: name + " " + what, body: replaced(good, name, value), status: invalid, code: code, pointer: "/" + name})
		}
		for _, value := range []string{"null", "1", "true", "[]", "{}", `["x"]`, `{"$ne":""}`, `{"a":{"b":1}}`} {
			if value == "true" && property.Type.Is(openapi3.TypeBoolean) || value == "null" && property.Nullable {
				continue
			}
			code := "type_invalid"
			if len(property.Enum) > 0 { // checked first
				code = "value_invalid"
			}
			with(value, value, code)
		}
		if property.MinLength > 0 {
			with("empty", `""`, "required")
		}
		if property.MinLength > 1 {
			with("too short", `"`+strings.Repeat("a", int(property.MinLength)-1)+`"`, "too_short")
		}
		if property.MaxLength != nil && name != "refresh_token" { // rejected earlier, by authentication
			with("too long", `"`+strings.Repeat("é", int(*property.MaxLength)+1)+`"`, "too_long")
		}
		if len(property.Enum) > 0 {
			with("not listed", `"nope"`, "value_invalid")
			with("in another case", strings.ToUpper(text(property.Enum[0])), "value_invalid")
		}
		twice := fmt.Sprintf(`{%q:"a",%q:"b"}`, name, name)
		upper := with2(good, strings.ToUpper(name), `"x"`)
		folded := folding.Replace(name) // encoding/json would match it with the name
		list = append(list,
			badBody{name: name + " twice", body: twice, status: malformed, code: "field_duplicate", pointer: "/" + name},
			badBody{name: name + " in upper case too", body: upper, status: invalid, code: "field_unknown", pointer: "/" + strings.ToUpper(name)},
			badBody{name: name + " in letters that fold", body: with2(good, folded, `"x"`), status: invalid, code: "field_unknown", pointer: "/" + folded})
		if slices.Contains(schema.Required, name) {
			list = append(list, badBody{name: name + " missing", body: without(good, name), status: invalid, code: "required", pointer: "/" + name})
		}
	}
	return list
}

// folding replaces letters of a name by others that are equal to them in a case-insensitive
// comparison.
var folding = strings.NewReplacer("s", "\u017f", "k", "\u212a", "e", "E")

func text(value any) string {
	encoded, _ := json.Marshal(value)
	return string(encoded)
}

func replaced(good map[string]any, name, value string) string {
	return with2(without2(good, name), name, value)
}

func with2(good map[string]any, name, value string) string {
	c := maps.Clone(good)
	c[name] = json.RawMessage(value)
	return text(c)
}

func without(good map[string]any, name string) string { return text(without2(good, name)) }

func without2(good map[string]any, name string) map[string]any {
	c := maps.Clone(good)
	delete(c, name)
	return c
}

// bodyOperations runs a test for each operation with a body, with a user who may call it, on a
// database that records all changes.
func bodyOperations(t *testing.T, f func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation)) {
	servertest.EachEngine(t, func(t *testing.T, engine servertest.Engine) {
		s := servertest.Start(t, servertest.Options{Engine: engine, HoldMail: true})
		ada := newAda(t, s)
		s.Database.Snapshot(t)
		s.Database.Watch(t)
		tried := 0
		for _, op := range servertest.Operations() {
			if op.Operation.RequestBody != nil {
				t.Run(op.ID, func(t *testing.T) { f(t, s, ada, op) })
				s.Database.Restore(t) // the operation may have deleted the user
				tried++
			}
		}
		if tried < 10 {
			t.Errorf("only %d operations with a body were tested, want at least 10", tried)
		}
	})
}

// newChanges returns the changes in the database since the previous call with the same mark.
func newChanges(t *testing.T, s *servertest.Server, mark *int64) []servertest.Change {
	t.Helper()
	changes := s.Database.Changes(t, *mark)
	if len(changes) > 0 {
		*mark = changes[len(changes)-1].Seq
	}
	return changes
}

// isAnswerOfOperation reports whether the operation itself produced the response. A rejection for
// its own reasons, such as an unknown link, counts.
func isAnswerOfOperation(r *servertest.Response) bool {
	return r.Status < 300 || r.Code() == "link_invalid"
}

func TestInvalidBodiesAreRejected(t *testing.T) {
	t.Attr("control", "85")
	bodyOperations(t, func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation) {
		c := s.Login(ada, accounts.Cookies)
		e := exampleOf(t, op)
		good := e.body.(map[string]any)
		var mark int64
		newChanges(t, s, &mark)
		for _, b := range slices.Concat(notOneDocument(text(good)), notTheSchema(text(good)), members(schemaOf(op), good)) {
			e.body = b.body
			r := send(c.Copy(), e)
			if r.Status != b.status || !b.isReportedBy(r) {
				t.Errorf("%s: %d %s %v, want %d %s at %q", b.name, r.Status, r.Code(), r.JSON["errors"], b.status, b.code, b.pointer)
			}
			if len(r.Raw) > 20_000 {
				t.Errorf("%s: the response has %d bytes, want at most 20,000", b.name, len(r.Raw))
			}
			if changes := newChanges(t, s, &mark); len(changes) > 0 {
				t.Errorf("%s: the rejected request changed %v", b.name, changes)
			}
		}
		e.body = good // to show that only the bodies were at fault
		if r := send(c.Copy(), e); !isAnswerOfOperation(r) && r.Status != http.StatusUnprocessableEntity {
			t.Errorf("the example of the contract: got %d %s, want it accepted", r.Status, r.Code())
		}
	})
}

// isReportedBy reports whether the problem's errors include the code at the pointer.
func (b badBody) isReportedBy(r *servertest.Response) bool {
	list, _ := r.JSON["errors"].([]any)
	return b.code == "" && len(list) == 0 || slices.ContainsFunc(list, func(e any) bool {
		member := e.(map[string]any)
		pointer, _ := member["pointer"].(string)
		return member["code"] == b.code && (b.pointer == "-" || pointer == b.pointer)
	})
}

// No error contains submitted data.
func TestErrorsContainNoSubmittedData(t *testing.T) {
	t.Attr("control", "86")
	s := servertest.Start(t, servertest.Options{})
	const canary = "canary2hGp"
	for _, body := range []string{
		`{"username":"` + canary + `","password":["` + canary + `"]}`, `{"username":"` + canary + `"}`, `{"username":"` + canary + `","password":"` + canary + `","token_transport":"` + canary + `"}`,
		`{"username":"` + canary + `","password":"` + strings.Repeat(canary, 200) + `"}`, `{"username":"` + canary, canary, `{"username":"` + canary + `","password":"` + canary + `"}`,
	} {
		r := s.Anonymous().Do(http.MethodPost, "/accounts/login", body)
		if strings.Contains(string(r.Raw), canary) || r.Status < 400 {
			t.Errorf("%.60s…: %s", body, r.Raw)
		}
	}
	if strings.Contains(s.Log.String(), canary) {
		t.Error("the log contains submitted data")
	}
}

// A body that is too large is not read, regardless of the length it declares.
func TestBodyTooLargeIsNotRead(t *testing.T) {
	t.Attr("control", "82")
	t.Attr("control", "85")
	bodyOperations(t, func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation) {
		c := s.Login(ada, accounts.Cookies)
		e := exampleOf(t, op)
		good := text(e.body)
		limit := server.BodyLimit(op.Operation)
		var mark int64
		newChanges(t, s, &mark)
		chunked := func(r *http.Request) { r.ContentLength, r.Body = -1, struct{ io.ReadCloser }{r.Body} }
		for name, body := range map[string]string{
			"one blank too many": strings.Repeat(" ", limit+1-len(good)) + good, "1 MB of blanks": strings.Repeat(" ", 1<<20) + good, "a name of 1 MB": `{"` + strings.Repeat("n", 1<<20) + `":1}`,
			"100,000 members": "{" + manyMembers(100_000) + "}", "1,000,000 objects": "[{}" + strings.Repeat(",{}", 999_999) + "]",
		} {
			e.body = body
			for _, r := range []*servertest.Response{send(c.Copy(), e), send(c.Copy(), e, chunked)} {
				if r.Status != http.StatusRequestEntityTooLarge || r.Code() != "body_too_large" {
					t.Errorf("%s: %d %s", name, r.Status, r.Code())
				}
			}
		}
		if changes := newChanges(t, s, &mark); len(changes) > 0 {
			t.Errorf("the rejected request changed %v", changes)
		}
		e.body = strings.Repeat(" ", limit-len(good)) + good
		if r := send(c.Copy(), e, chunked); !isAnswerOfOperation(r) {
			t.Errorf("a body of exactly %d bytes: got %d %s, want it accepted", limit, r.Status, r.Code())
		}
	})
}

// A body that is shorter than declared is incomplete. If it is longer, the surplus is not part of
// it. Both are rejected.
func TestBodyOfOtherThanDeclaredLengthIsRejected(t *testing.T) {
	t.Attr("control", "85")
	s := servertest.Start(t, servertest.Options{HoldMail: true})
	front, _, _ := serve(t, s)
	good := text(object{"email": address(newName()), "password": password})
	before := s.Database.Dump(t)
	for name, length := range map[string]string{"longer": fmt.Sprint(len(good) + 10), "shorter": fmt.Sprint(len(good) - 1), "negative": "-1", "two": fmt.Sprint(len(good), "\r\nContent-Length: ", len(good)+1), "no number": "x"} {
		answer := raw(t, front, line("POST /accounts/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s", length, good),
			func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() })
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, answer.StatusCode)
		}
	}
	wantUnchanged(t, s, before)
}

// A body must be uncompressed JSON in UTF-8, declared once. Forms and plain text are rejected
// because a page of another origin can send them without a preflight request. Multipart is
// rejected, and so are content codings, which could expand a small body into a large one.
func TestBodyOfOtherMediaTypeIsRejected(t *testing.T) {
	t.Attr("control", "83")
	t.Attr("control", "85")
	bodyOperations(t, func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation) {
		c := s.Login(ada, accounts.Cookies)
		e := exampleOf(t, op)
		var mark int64
		newChanges(t, s, &mark)
		for _, kind := range []string{
			"", "text/plain", "text/plain; x=application/json", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "multipart/mixed; boundary=x", "multipart/related; boundary=x; type=application/json", "application/xml", "*/*", "application/*", "json",
			"application/json; charset=utf-7", "application/json; charset=utf-16", "application/json; charset=latin1", `application/json; charset=""`, "application/json; charset", "application/json; charset=utf-8; charset=utf-7",
			"application/json;x=text/plain", "application/json, text/plain", "application/merge-patch+json", "application/json-patch+json", "application/problem+json", "application/jsonx", "application/json/x",
		} {
			r := send(c.Copy(), e, servertest.Header("Content-Type", kind))
			if r.Status != http.StatusUnsupportedMediaType || r.Code() != "media_type_unsupported" {
				t.Errorf("%q: %d %s", kind, r.Status, r.Code())
			}
		}
		for _, coding := range []string{"gzip", "br", "deflate", "identity", "identity, gzip", "x"} {
			send(c.Copy(), e, servertest.Header("Content-Encoding", coding)).Want(t, http.StatusUnsupportedMediaType, "media_type_unsupported")
		}
		second := func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }
		send(c.Copy(), e, second).Want(t, http.StatusUnsupportedMediaType, "media_type_unsupported")
		if changes := newChanges(t, s, &mark); len(changes) > 0 {
			t.Errorf("the rejected request changed %v", changes)
		}
		for _, kind := range []string{"application/json", "Application/JSON", "application/json; charset=UTF-8", `application/json;charset="utf-8"`} {
			if r := send(s.Login(ada, accounts.Cookies), e, servertest.Header("Content-Type", kind)); !isAnswerOfOperation(r) {
				t.Errorf("%q: %d %s", kind, r.Status, r.Code())
			}
			s.Database.Restore(t)
		}
	})
}

// A compressed body of 14 KB that would expand to 14 MB is rejected without being decompressed.
func TestCompressedBodyIsRejectedWithoutDecoding(t *testing.T) {
	t.Attr("control", "83")
	s := servertest.Start(t, servertest.Options{})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(bytes.Repeat([]byte(" "), 14<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if bomb.Len() > 15<<10 {
		t.Fatalf("the compressed body has %d bytes, so that its size alone is too large", bomb.Len())
	}
	body, c := bomb.String(), s.Anonymous()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.Do(http.MethodPost, "/accounts/login", body, servertest.Header("Content-Encoding", "gzip")).Want(t, http.StatusUnsupportedMediaType, "media_type_unsupported")
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 { // by client and server
		t.Errorf("%d bytes were allocated, want at most 4 MiB", took)
	}
}

// An operation with an optional body accepts a request without one. An operation with a required
// body rejects it.
func TestMissingBodyIsAcceptedIfOptional(t *testing.T) {
	t.Attr("control", "85")
	bodyOperations(t, func(t *testing.T, s *servertest.Server, ada servertest.User, op servertest.Operation) {
		c := s.Login(ada, accounts.Cookies)
		e := exampleOf(t, op)
		e.body = nil
		r := send(c, e)
		if required := op.Operation.RequestBody.Value.Required; required != (r.Status == http.StatusUnsupportedMediaType) || !required && r.Status >= 300 {
			t.Errorf("without a body: got %d %s; the body is required: %v", r.Status, r.Code(), required)
		}
		if op.Operation.RequestBody.Value.Required {
			e.body = ""
			send(c, e).Want(t, http.StatusBadRequest, "request_malformed")
		}
	})
}

// An operation without a request body rejects one. Otherwise a client that sends a password to
// confirm a deletion would delete the account even with a wrong password.
func TestOperationWithoutBodyRejectsOne(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.Login(newAda(t, s), accounts.Hybrid)
	for _, op := range servertest.Operations() {
		if op.Operation.RequestBody != nil {
			continue
		}
		e := exampleOf(t, op)
		e.body = object{"password": "wrong wrong wrong"}
		r := send(c.Copy(), e)
		wantMalformed(t, op.ID, r, " field_unknown")
	}
	c.Profile().Want(t, http.StatusOK, "")
	c.Do(http.MethodDelete, "/accounts/profile", nil).Want(t, http.StatusNoContent, "")
}
