package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"unicode/utf16"
)

// corpus lists strings that have broken programs. They are drawn where the contract requires a
// string.
var corpus = []string{
	"", " ", "a\x00b", "\x00", "\u00e9", "e\u0301", "\u0130", "\u0131", "\u00df", "\u017f", "\u212a", "\uff41\uff44\uff41", "\u0430da", "a\u200bb", "a\u200cb", "a\u200db", "\ufeffa", "a\u2060b",
	"\u202eada", "a\u2066b\u2069", "a" + strings.Repeat("\u0301", 1000), "\U0001f600", strings.Repeat("\U0001f600", 64), strings.Repeat("\U0001f600", 150), " a", "a ", "a b", "\u00a0a", "a\u3000", "\u2028", "\ufffd", "\uffff",
	strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 72), strings.Repeat("a", 150), strings.Repeat("a", 151), strings.Repeat("\u00e9", 150), strings.Repeat("\u1e9e", 76),
	strings.Repeat("b", 254), strings.Repeat("b", 255), strings.Repeat("b", 256), strings.Repeat("b", 257), strings.Repeat("b", 1023), strings.Repeat("b", 1024), strings.Repeat("b", 1025), strings.Repeat("c", 10_000),
	"a\tb", "a\nb", "a\rb", "a\x1bb", "a\x7fb", "\u0085", "Robert'); DROP TABLE users;--", "' OR '1'='1", `" OR ""="`, "1 or 1=1", "1;2", "%00", "%", "_", `\`, `\'`, "a%b_c", "${7*7}", "{{.}}", "{{7*7}}", "<script>alert(1)</script>",
	"../../etc/passwd", "/accounts/../healthz", "//evil.example", "javascript:alert(1)", "true", "null", "NaN", "-0", "0", "-1", "+1", "01", "1.0", "1e3", "18446744073709551616", "9007199254740993",
	"Name <a@b.co>", "a@b.co (c)", `"a b"@b.co`, `"a@evil.co"@b.co`, "a@b", "a@[127.0.0.1]", "a@localhost", "a@b.co\r\nBcc: x@y.z", "a@b.co%0d%0aBcc:x@y.z", "a@b.co\u2028", "=?utf-8?q?=0d=0a?=@b.co", "a@b.co,c@d.co", "a@b.co;c", "a@@b.co",
	"a@b.co.", ".a@b.co", "a..b@b.co", strings.Repeat("a", 65) + "@b.co", strings.Repeat("a", 64) + "@" + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 61), "a+tag@b.co", "A@B.CO", "-oQ/tmp@x.co", "<b>@b.co",
	"a@b\u00fccher.example", "a@xn--bcher-kva.example", "a@xn--.co", "a@\uff42.co", "a@1.2", "user@" + strings.Repeat("a.", 100) + "co", "\u00e9@b.co",
	"password1234", "correct horse battery staple", "        ", strings.Repeat(" ", 20), "aaaaaaaaaaaa\x00", "01980F6E-5C1A-7C3E-9D55-0B1F1C2D3E4F", "{01980f6e-5c1a-7c3e-9d55-0b1f1c2d3e4f}", "urn:uuid:01980f6e-5c1a-7c3e-9d55-0b1f1c2d3e4f",
	"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "\u0660\u0661", "a:b", "a\"b", "a\\u0000b", "en", "ko-KR", "zz-", "en-US-x-twain-" + strings.Repeat("a", 30), "==", "AAAA", "....", strings.Repeat(".", 200),
}

// pieces are JSON values of another type than string, and fragments that are not valid JSON.
var pieces = []any{
	nil, true, false, text("0"), text("-0"), text("-1"), text("1e400"), text("1e-400"), text("9007199254740993"), text("18446744073709551616"), text("1.5"), text("[]"), text("{}"), text(`{"$ne":""}`), text(`[""]`), text(`["a","b"]`), text("[null]"),
	text(`{"a":{"b":{"c":[]}}}`), text(strings.Repeat("[", 31) + strings.Repeat("]", 31)), text(strings.Repeat("[", 40) + strings.Repeat("]", 40)), text(strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)),
	text("NaN"), text("Infinity"), text("01"), text("'a'"), text("undefined"), text(""), text(`"\ud800"`), text(`"\udc00\ud800"`), text(`"\ud83d\ude00"`), text(`"\u0000"`), text(`"\x"`), text("\"\xff\""), text("\"\xc0\x80\""), text("\"\xed\xa0\x80\""), text("\"a\nb\""), text(`"a`),
}

// bodies are whole request bodies that do not match any object of the contract.
var bodies = []any{
	nil, text(""), text(" "), text("null"), text("true"), text("0"), text(`""`), text("[]"), text("[{}]"), text("{}"), text("{"), text("}"), text("{}{}"), text("{},"), text("\ufeff{}"), text("\xff"), text("\x00"), text("{\"\":\"\"}"), text(`{"a":1}`), text(`{"__proto__":{}}`),
	text(strings.Repeat("[", 20_000)), text(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), text("[" + strings.Repeat("{},", 15_000) + "{}]"), text(manyMembers(99)), text(manyMembers(101)), text(manyMembers(5000)), text(`{"` + strings.Repeat("k", 60_000) + `":1}`),
	text("username=ada&password=x"), text("<a/>"), text("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--"), text(`{"a":"` + strings.Repeat("a", 65_520) + `"}`), text(`{"a":"` + strings.Repeat("a", 65_540) + `"}`), text(strings.Repeat(" ", 65_537)), text(strings.Repeat(" ", 300_000)),
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

// mangles are mutations of a valid body; some leave it valid.
var mangles = []func(raw string, salt int) string{
	func(raw string, _ int) string { return raw },
	func(raw string, _ int) string { return strings.Replace(raw, "{", `{"unknown":1,`, 1) },
	func(raw string, _ int) string { return duplicate(raw, false) },
	func(raw string, _ int) string { return duplicate(raw, true) },
	func(raw string, _ int) string { return raw + "x" },
	func(raw string, _ int) string { return raw + raw },
	func(raw string, _ int) string { return "\ufeff" + raw },
	func(raw string, salt int) string { return strings.Repeat(" \n\t\r", salt*10) + raw + " " },
	func(raw string, _ int) string { return "/* */" + raw },
	func(raw string, salt int) string { return raw[:len(raw)*salt/100] },
	func(raw string, _ int) string { return "[" + raw + "]" },
	func(raw string, _ int) string { return strings.ReplaceAll(raw, `"`, "'") },
	func(raw string, _ int) string { return strings.Replace(raw, "}", ",}", 1) },
	func(raw string, _ int) string { return strings.Replace(raw, `":`, `" : `, 1) },
	func(raw string, _ int) string { return strings.Replace(raw, `{"`, "{\"\\u00", 1) },
	func(raw string, _ int) string { return strings.Replace(raw, `{`, `{"nested":{"a":1,"a":2},`, 1) },
	func(raw string, _ int) string { return upperFirst(raw) },
	func(raw string, salt int) string { return raw[:len(raw)*salt/100] + "\xff" + raw[len(raw)*salt/100:] },
	func(raw string, salt int) string { return raw[:len(raw)*salt/100] + "\x00" + raw[len(raw)*salt/100:] },
	func(raw string, _ int) string { return utf16Of(raw) },
	func(raw string, _ int) string { return compress(raw) },
	func(raw string, _ int) string { return raw + strings.Repeat(" ", 65_536) },
	func(raw string, _ int) string { return raw + "\n" },
	func(raw string, _ int) string { return escapeFirst(raw) },
}

// duplicate inserts another member with the first member's name before it, literally or with an
// escape.
func duplicate(raw string, disguised bool) string {
	name, _, ok := strings.Cut(strings.TrimPrefix(raw, `{"`), `"`)
	if !ok || name == "" {
		return raw
	}
	if disguised {
		name = fmt.Sprintf(`\u%04x%s`, name[0], name[1:])
	}
	return strings.Replace(raw, "{", `{"`+name+`":"x",`, 1)
}

func upperFirst(raw string) string {
	if len(raw) < 3 {
		return raw
	}
	return raw[:2] + strings.ToUpper(raw[2:3]) + raw[3:]
}

// escapeFirst writes the first letter of the first name as an escape, which is the same JSON.
func escapeFirst(raw string) string {
	if len(raw) < 3 || raw[2] < 'a' || raw[2] > 'z' {
		return raw
	}
	return raw[:2] + fmt.Sprintf(`\u%04x`, raw[2]) + raw[3:]
}

func utf16Of(raw string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(raw)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

func compress(raw string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(raw)) // writes to memory do not fail
	_ = z.Close()
	return b.String()
}

// tweaks are mutations of a path. The first leaves it unchanged.
var tweaks = []func(path string) string{
	func(path string) string { return path },
	func(path string) string { return path + "/" },
	func(path string) string { return "/" + path },
	strings.ToUpper,
	func(path string) string { return strings.Replace(path, "/", "/./", 1) },
	func(path string) string { return "/x/.." + path },
	func(path string) string { return path + ";a=b" },
	func(path string) string { return path + "%00" },
	func(path string) string { return path + "%2f" },
	func(path string) string { return path + "%zz" },
	func(path string) string { return strings.ReplaceAll(path[:1]+path[1:], "o", "%6f") },
	func(path string) string { return path[:len(path)-1] },
	func(path string) string { return path + ".json" },
	func(path string) string { return "/" },
	func(path string) string { return "/accounts" },
	func(path string) string { return "/accounts/sessions/" },
	func(path string) string { return path + "/" + strings.Repeat("a", 5000) },
}

var (
	methods      = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "FOO", "PROPFIND"}
	contentTypes = [][]string{
		nil, {""}, {"application/json; charset=utf-8"}, {"application/json;charset=UTF-8"}, {"application/json; charset=utf-16"}, {"application/json; charset=utf-7"}, {"application/json; charset=latin1"}, {"application/json; x=text/plain"}, {"text/plain"},
		{"application/x-www-form-urlencoded"}, {"multipart/form-data; boundary=x"}, {"application/merge-patch+json"}, {"application/problem+json"}, {"text/json"}, {"APPLICATION/JSON"}, {"application/json", "text/plain"}, {"application/json, text/plain"}, {"application/json;"}, {"*/*"}, {"a"}, {";"},
	}
	oddHeaders = []string{
		"User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Origin", "Referer", "Sec-Fetch-Site", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-HTTP-Method-Override", "X-Request-Id", "Range", "If-None-Match", "If-Match",
		"Content-Encoding", "Content-Language", "Cache-Control", "Expect", "Upgrade", "Cookie", "Authorization", "X-CSRFToken", "X-Original-Url", "Access-Control-Request-Method", "Access-Control-Request-Headers", "Traceparent",
	}
	oddValues = []string{
		"", "*", "gzip", "br", "identity", "null", "https://evil.example", "http://localhost", "cross-site", "same-site", "same-origin", "none", "127.0.0.1", "::1", "1.2.3.4, 5.6.7.8", "for=1.2.3.4;host=evil.example", "DELETE", "bytes=0-1", `"x"`, "en-US,en;q=0.5",
		"ko;q=1, *;q=2", "zz-zz-zz-zz-zz-zz-zz-zz-zz", strings.Repeat("a", 256), strings.Repeat("a", 257), strings.Repeat("\u00e9", 300), strings.Repeat("x", 20_000), "\xff\xfe", "\U0001f600", "application/xml", "text/html", "100-continue", "websocket",
		"access=a; access=b", "refreshtoken=", `refreshtoken="a`, "__Host-access=a; __Host-refreshtoken=b", "$Version=1; access=a", "=a", ";;;", strings.Repeat("a=;", 2000), "Bearer", "Bearer ", "bearer a.b.c", "Basic YTpi", "Bearer " + strings.Repeat("a.", 5000), "Bearer a b",
	}
	hosts = []string{"", "evil.example", "localhost", "localhost:1", "[::1]", "user@localhost", "a,b", "LOCALHOST"}
)
