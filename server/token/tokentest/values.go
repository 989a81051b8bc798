package tokentest

import (
	"strconv"
	"strings"
)

// wrongValues returns tokens with values of the right type that no token of this server has.
func (w world) wrongValues() []Case {
	var cases []Case
	each := func(name string, values ...string) {
		for _, value := range values {
			cases = append(cases, w.withClaims(name+" "+value, w.claim.set(name, value)))
		}
	}
	iss, aud, sub := w.claim.text("iss"), w.claim.text("aud"), w.claim.text("sub")
	for name, right := range map[string]string{"iss": iss, "aud": aud} {
		each(name, quote(right+"/"), quote(right+"x"), quote("x"+right), quote(right[:len(right)-1]), quote(strings.ToUpper(right)), quote(right+" "),
			quote(right+`\u0000`), `"https://evil.example"`, quote(strings.Replace(right, ":", `\u003a`, 1)), quote(strings.Replace(right, "/", `\/`, 1)))
	}
	each("aud", `["`+aud+`","https://evil.example"]`, `["https://evil.example","`+aud+`"]`, part(w.other, 1).get("aud"))
	each("sub", `"0"`, `"-1"`, quote("0"+sub), quote("+"+sub), quote(sub+" "), quote(" "+sub), `"1e0"`, `"1.0"`, `"0x1"`, `"1_0"`, `"9223372036854775808"`, `"１"`, `"admin"`, quote(sub+`\u0000`), `"\u0031"`)
	return append(cases, append(w.identities(), w.transports()...)...)
}

// identities returns tokens with other values of sid, gen and jti. The jti fits the other two, so
// that it is not the reason for the rejection, except in the cases of the jti itself.
func (w world) identities() []Case {
	sid, gen := w.claim.text("sid"), w.claim.get("gen")
	var cases []Case
	follow := func(sid, gen string) {
		c := w.claim.set("sid", quote(sid)).set("gen", gen).set("jti", quote(sid+"."+strings.Trim(gen, `"`)))
		cases = append(cases, w.withClaims("sid "+sid+" gen "+gen, c))
	}
	for _, other := range []string{
		strings.ToUpper(sid), "{" + sid + "}", "urn:uuid:" + sid, strings.ReplaceAll(sid, "-", ""), sid + " ", sid + "0", sid[:35], "x", "00000000-0000-0000-0000-000000000000", "../" + sid,
	} {
		follow(other, gen)
	}
	for _, other := range []string{"-1", "-0", gen + ".0", gen + "e0", gen + "E0", "0.5", "01", "+1", "9007199254740993", "9223372036854775807", "9223372036854775808", "1e18", "1e309", "NaN"} {
		follow(sid, other)
	}
	for _, jti := range []string{sid, gen, sid + "." + gen + "0", sid + ".9" + gen, "ffffffff-ffff-7fff-bfff-ffffffffffff." + gen, sid + ":" + gen, sid + "." + gen + " ", strings.ToUpper(sid) + "." + gen} {
		cases = append(cases, w.withClaims("jti "+jti, w.claim.set("jti", quote(jti))))
	}
	return cases
}

func (w world) transports() []Case {
	if w.use == Access {
		var cases []Case
		for _, m := range []member{{"tr", `"body"`}, {"tr", `""`}, {"sxp", strconv.FormatInt(w.now+600, 10)}, {"sxp", "0"}} {
			i := w.claim.index("gen") + 1 // the position in a refresh token
			c := append(append(append(object{}, w.claim[:i]...), member{quote(m.name), m.value}), w.claim[i:]...)
			cases = append(cases, w.withClaims(m.name+" "+m.value+" in an access token", c))
		}
		return cases
	}
	var cases []Case
	for _, tr := range []string{"server_held", "Hybrid", "HYBRID", "hybrid ", "cookie", "bearer", "body,cookies"} {
		cases = append(cases, w.withClaims("tr "+tr, w.claim.set("tr", quote(tr))))
	}
	return cases
}

// times returns tokens with times that are wrong relative to now or to each other.
func (w world) times() []Case {
	at := func(offset int64) string { return strconv.FormatInt(w.now+offset, 10) }
	born := w.claim.set("iat", at(-60))
	late := func(name string, offset int64) Case {
		c := w.withClaims(name, born.set("exp", at(offset)))
		c.Expired = true
		return c
	}
	cases := []Case{late("exp a second ago", -1), late("exp within any leeway", -4), late("exp at the end of any leeway", -5), late("exp a minute ago", -59), late("exp now", 0)}
	names := []string{"iat", "exp"}
	if w.use == Refresh {
		names = append(names, "sxp")
		cases = append(cases, w.withClaims("sxp before exp", w.claim.set("sxp", at(1))), w.withClaims("exp after sxp", w.claim.set("exp", at(1_000_000_000))))
	} else {
		cases = append(cases,
			w.withClaims("a life of over 15 minutes", born.set("exp", at(-60+901))), w.withClaims("exp as iat", w.claim.set("exp", w.claim.get("iat"))),
			w.withClaims("exp before iat", w.claim.set("iat", at(-60)).set("exp", at(-61))), w.withClaims("iat long ago", w.claim.set("iat", "1")),
			w.withClaims("iat in the future", w.claim.set("iat", at(60)).set("exp", at(120))), w.withClaims("iat and exp in the future", w.claim.set("iat", at(1000)).set("exp", at(1300))))
	}
	for _, name := range names {
		for _, value := range []string{"-1", "-0", "0", "1e18", "1000000000000000000", "1e309", "9223372036854775808", "253402300800", "253402300801", at(60) + ".0", at(60) + ".5", at(60) + "e0", quote(at(60)), `"9999999999"`, "0x7fffffff", "Infinity"} {
			c := w.claim.set(name, value)
			cases = append(cases, w.withClaims(name+" "+value, c))
			if name == "exp" && w.use == Refresh { // otherwise exp after sxp would be the reason for the rejection
				cases = append(cases, w.withClaims("exp and sxp "+value, c.set("sxp", value)))
			}
		}
	}
	return cases
}
