package tokentest

import (
	"strconv"
	"strings"
)

// headers returns tokens with more, fewer or other header members than alg, kid and typ. All are
// signed with the real key.
func (w world) headers() []Case {
	set := func(name, value string) Case {
		if len(value) > 60 {
			return w.withHeader("header "+name+" of "+strconv.Itoa(len(value)), w.header.set(name, value))
		}
		return w.withHeader("header "+name+" "+value, w.header.set(name, value))
	}
	var cases []Case
	for _, kid := range []string{
		`"../../dev/null"`, `"/etc/passwd"`, `"' OR 1=1 --"`, `"x' UNION SELECT 'key"`, `"\u0000"`, `"` + w.Kid + `\u0000"`, `"` + w.Kid + ` "`,
		`""`, `0`, `null`, `true`, `{}`, `[]`, `["` + w.Kid + `"]`, `"http://127.0.0.1:9/key"`, quote(strings.ToUpper(w.Kid)), quote(strings.Repeat("k", 2000)),
		`"\u00` + hex(w.Kid[0]) + w.Kid[1:] + `"`,
	} {
		cases = append(cases, set("kid", kid))
	}
	typ := w.header.text("typ")
	for _, value := range []string{`"JWT"`, `"jwt"`, quote(strings.ToUpper(typ)), quote("application/" + typ), quote(typ + " "), `""`, `null`, `[]`, `["` + typ + `"]`, `1`, `"jwt+` + typ + `"`} {
		cases = append(cases, set("typ", value))
	}
	for _, m := range []member{
		{"jku", `"http://127.0.0.1:9/jwks.json"`}, {"x5u", `"http://127.0.0.1:9/cert.pem"`}, {"jwk", w.jwk()}, {"x5c", `["MIIB"]`}, {"x5t", `"AAAA"`}, {"x5t#S256", `"AAAA"`},
		{"crit", `["x"]`}, {"crit", `["exp"]`}, {"crit", `[]`}, {"crit", `null`}, {"crit", `["b64"]`}, {"b64", `false`}, {"b64", `true`}, {"zip", `"DEF"`}, {"cty", `"JWT"`},
		{"enc", `"A256GCM"`}, {"apu", `"x"`}, {"iss", w.claim.get("iss")}, {"x", `1`}, {"ALG", `"none"`}, {"Kid", quote(w.Kid)}, {"TYP", quote(typ)}, {"", `""`},
	} {
		cases = append(cases, set(m.name, m.value))
	}
	unencoded := w.header.set("b64", "false").set("crit", `["b64"]`) // RFC 7797
	cases = append(cases, w.withHeader("header b64 false and crit", unencoded),
		Case{Name: "payload as it is, by b64 false and crit", Raw: w.sign(w.use, b64([]byte(unencoded.String()))+"."+w.claim.String())})
	for _, m := range w.header {
		name := strings.Trim(m.name, `"`)
		cases = append(cases,
			w.withHeader("header without "+name, w.header.without(name)),
			w.withHeader("header "+name+" twice", w.header.last(name, m.value)),
			w.withHeader("header "+name+" twice, the first wrong", w.header.first(name, `"x"`)),
			w.withHeader("header "+name+" twice, the last wrong", w.header.last(name, `"x"`)))
	}
	reversed := object{w.header[2], w.header[1], w.header[0]}
	cases = append(cases, w.withHeader("header in another order", reversed))
	for _, text := range odd(w.header.String()) {
		cases = append(cases, w.text("header as "+clip(text), text, w.claim.String()))
	}
	return cases
}

// bodies returns tokens whose payload is not exactly the object that the issuer writes.
func (w world) bodies() []Case {
	var cases []Case
	for _, text := range odd(w.claim.String()) {
		cases = append(cases, w.text("payload as "+clip(text), w.header.String(), text))
	}
	reversed := object{}
	for _, m := range w.claim {
		reversed = append(object{m}, reversed...)
	}
	return append(cases,
		w.withClaims("claims in another order", reversed),
		w.withClaims("an unknown claim", w.claim.last("is_superuser", "true")),
		w.withClaims("an unknown claim first", w.claim.first("scope", `"admin"`)),
		w.withClaims("an empty name", w.claim.last("", "1")),
		w.withClaims("nbf in the past", w.claim.last("nbf", strconv.FormatInt(w.now-60, 10))),
		w.withClaims("nbf in the future", w.claim.last("nbf", strconv.FormatInt(w.now+60, 10))))
}

// odd returns texts around and in place of a JSON object.
func odd(good string) []string {
	return []string{
		" " + good, good + " ", good + "\n", "{ " + good[1:], good + "{}", good + good, good + "x", good[:len(good)-1], good[:len(good)-1] + ",}", "\ufeff" + good,
		"[" + good + "]", "null", "{}", "[]", `""`, "1", "true", "", "\x00", "{", "/**/" + good, strings.Repeat("[", 2000), strings.Repeat(`{"a":`, 500), "\xff\xfe" + good,
	}
}

func clip(text string) string {
	if len(text) > 16 {
		text = text[:8] + "…" + text[len(text)-4:]
	}
	return strconv.Quote(text)
}

// wrongMembers returns tokens with the faults that every claim can have.
func (w world) wrongMembers() []Case {
	var cases []Case
	for _, m := range w.claim {
		name := strings.Trim(m.name, `"`)
		upper, title := strings.ToUpper(name), strings.ToUpper(name[:1])+name[1:]
		cases = append(cases,
			w.withClaims(name+" missing", w.claim.without(name)),
			w.withClaims(name+" twice", w.claim.last(name, m.value)),
			w.withClaims(name+" twice, the first wrong", w.claim.first(name, wrong(m.value))),
			w.withClaims(name+" twice, the last wrong", w.claim.last(name, wrong(m.value))),
			w.withClaims(upper+" beside it", w.claim.last(upper, m.value)),
			w.withClaims(upper+" beside it, wrong", w.claim.last(upper, wrong(m.value))),
			w.withClaims(title+" before it, wrong", w.claim.first(title, wrong(m.value))),
			w.withClaims(upper+" in its place", w.claim.without(name).last(upper, m.value)))
		escaped := strings.Replace(w.claim.String(), m.name, `"\u00`+hex(name[0])+name[1:]+`"`, 1)
		cases = append(cases, w.text(name+" with an escape in its name", w.header.String(), escaped))
		for _, value := range []string{`null`, `""`, `{}`, `[]`, `true`, `false`, `[` + m.value + `]`, otherType(m.value)} {
			cases = append(cases, w.withClaims(name+" "+value, w.claim.set(name, value)))
		}
	}
	return cases
}

func isText(value string) bool { return strings.HasPrefix(value, `"`) }

func wrong(value string) string {
	if isText(value) {
		return `"x"`
	}
	return "1"
}

func otherType(value string) string {
	if isText(value) {
		return "1"
	}
	return quote(value)
}

func hex(b byte) string { return strconv.FormatInt(int64(b), 16) }
