package tokentest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Use is the purpose that a token is presented for.
type Use string

// The two purposes.
const (
	Access  Use = "access"
	Refresh Use = "refresh"
)

// Case is a token that must be rejected.
type Case struct {
	Name string
	Raw  string // may contain bytes that HTTP cannot transport, and be a megabyte long
	// Expired is set if the token is authentic and only its exp has passed.
	Expired bool
}

// world holds the values that the cases are made from.
type world struct {
	Forger
	use           Use
	now           int64
	valid, other  string // a good token for this purpose, and one for the other
	header, claim object // of the good token
}

// Hostile returns the corpus for a purpose. secret is the text of the server's first secret. access
// and refresh are two good tokens of one session that the server has minted; they expire more than
// a minute after now.
//
// Tokens whose claims are under test are signed with the real key.
func Hostile(use Use, secret, access, refresh string, now time.Time) []Case {
	w := newWorld(use, secret, access, refresh, now)
	var all []Case
	for _, group := range []func() []Case{
		w.shapes, w.spellings, w.algorithms, w.signatures, w.headers, w.foreign, w.wrongMembers, w.wrongValues, w.times, w.bodies,
	} {
		all = append(all, group()...)
	}
	return all
}

// Unbacked returns authentic tokens that no session of this server could have. A verifier of tokens
// accepts them; only a reader of the session row can reject them.
func Unbacked(use Use, secret, access, refresh string, now time.Time) []Case {
	w := newWorld(use, secret, access, refresh, now)
	sid, gen := w.claim.text("sid"), w.claim.get("gen")
	sub, _ := strconv.ParseInt(w.claim.text("sub"), 10, 64)
	stranger := "ffffffff-ffff-7fff-bfff-ffffffffffff"
	number, _ := strconv.ParseInt(gen, 10, 64)
	ahead := strconv.FormatInt(number+1, 10)
	return []Case{
		w.withClaims("sub of another user", w.claim.set("sub", quote(strconv.FormatInt(sub+1, 10)))),
		w.withClaims("sid of another session", w.claim.set("sid", quote(stranger)).set("jti", quote(stranger+"."+gen))),
		w.withClaims("gen ahead of the row", w.claim.set("gen", ahead).set("jti", quote(sid+"."+ahead))),
	}
}

func newWorld(use Use, secret, access, refresh string, now time.Time) world {
	w := world{Forger: NewForger(secret), use: use, now: now.Unix(), valid: access, other: refresh}
	if use == Refresh {
		w.valid, w.other = refresh, access
	}
	w.header, w.claim = part(w.valid, 0), part(w.valid, 1)
	return w
}

// withClaims signs other claims with the good header, withHeader signs the good claims with another
// header, and text signs any two texts.
func (w world) withClaims(name string, claims object) Case {
	return w.text(name, w.header.String(), claims.String())
}

func (w world) withHeader(name string, header object) Case {
	return w.text(name, header.String(), w.claim.String())
}

func (w world) text(name, header, payload string) Case {
	return Case{Name: name, Raw: w.sign(w.use, b64([]byte(header))+"."+b64([]byte(payload)))}
}

func (w world) parts() (header, payload, signature string) {
	p := strings.Split(w.valid, ".")
	return p[0], p[1], p[2]
}

// shapes returns tokens that do not consist of three parts, or are too long.
func (w world) shapes() []Case {
	h, p, s := w.parts()
	return []Case{
		{Name: "empty", Raw: ""},
		{Name: "one part", Raw: h},
		{Name: "two parts", Raw: h + "." + p},
		{Name: "signature stripped, dot kept", Raw: h + "." + p + "."},
		{Name: "signature stripped, two dots", Raw: h + "." + p + ".."},
		{Name: "four parts", Raw: w.valid + "." + s},
		{Name: "five parts, as JWE", Raw: w.valid + "." + s + "." + s},
		{Name: "a JWE", Raw: b64([]byte(`{"alg":"dir","enc":"A256GCM"}`)) + ".." + s[:16] + "." + p + "." + s[:22]},
		{Name: "two dots", Raw: ".."},
		{Name: "no header", Raw: "." + p + "." + s},
		{Name: "no payload", Raw: h + ".." + s},
		{Name: "detached payload, signed", Raw: w.sign(w.use, h+".")},
		{Name: "JSON serialization", Raw: fmt.Sprintf(`{"payload":"%s","protected":"%s","signature":"%s"}`, p, h, s)},
		{Name: "general JSON serialization", Raw: fmt.Sprintf(`{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}`, p, h, s)},
		{Name: "a million dots", Raw: strings.Repeat(".", 1_000_000)},
		{Name: "4 KiB of dots", Raw: strings.Repeat(".", 4096)},
		{Name: "a megabyte", Raw: w.withClaims("", w.claim.set("pad", quote(strings.Repeat("a", 1<<20)))).Raw},
		{Name: "a header of a megabyte", Raw: w.withHeader("", w.header.set("kid", quote(strings.Repeat("a", 1<<20)))).Raw},
		{Name: "8 KiB of letters", Raw: strings.Repeat("a", 8192)},
	}
}

// spellings returns the good token in other spellings.
func (w world) spellings() []Case {
	h, p, s := w.parts()
	cases := []Case{
		{Name: "non-canonical last letter of the signature", Raw: w.valid[:len(w.valid)-1] + next(w.valid[len(w.valid)-1])},
		{Name: "padding", Raw: w.valid + "="},
		{Name: "padding, signed", Raw: w.sign(w.use, h+"=."+p+"=")},
		{Name: "standard alphabet", Raw: h + "." + p + ".+/" + s[2:]},
		{Name: "trailing letter", Raw: w.valid + "A"},
		{Name: "four trailing letters", Raw: w.valid + "AAAA"},
		{Name: "last letter missing", Raw: w.valid[:len(w.valid)-1]},
		{Name: "not ASCII", Raw: w.valid + "é"},
		{Name: "full-width dots", Raw: strings.ReplaceAll(w.valid, ".", "．")},
		{Name: "quoted", Raw: quote(w.valid)},
		{Name: "with a scheme", Raw: "Bearer " + w.valid},
		{Name: "upper case", Raw: strings.ToUpper(w.valid)},
	}
	for name, extra := range map[string]string{"line feed": "\n", "carriage return": "\r", "space": " ", "NUL": "\x00", "tab": "\t", "dot": ".", "no-break space": "\u00a0"} {
		cases = append(cases,
			Case{Name: "trailing " + name, Raw: w.valid + extra}, Case{Name: "leading " + name, Raw: extra + w.valid},
			Case{Name: name + " in the signature", Raw: h + "." + p + "." + s[:20] + extra + s[20:]},
			Case{Name: name + " in the payload, signed", Raw: w.sign(w.use, h+"."+p[:20]+extra+p[20:])})
	}
	for i, name := range []string{"header", "payload"} {
		texts := []string{w.header.String(), w.claim.String()}
		for len(texts[i])%3 == 0 { // the length must leave spare bits
			texts[i] += " "
		}
		parts := []string{b64([]byte(texts[0])), b64([]byte(texts[1]))}
		parts[i] = parts[i][:len(parts[i])-1] + next(parts[i][len(parts[i])-1])
		cases = append(cases, Case{Name: "non-canonical last letter of the " + name + ", signed", Raw: w.sign(w.use, parts[0]+"."+parts[1])})
	}
	return cases
}

// next returns the letter after b. As the last letter of a part, it decodes to the same bytes if a
// decoder ignores the spare bits.
func next(b byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[(strings.IndexByte(alphabet, b)+1)%64])
}
