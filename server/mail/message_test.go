package mail

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	sender   = "Accounts <no-reply@example.com>"
	link     = "https://app.example.com/pages/verify?a=1&b=2#token=Zm9v-YmFy_c2VjcmV0"
	sentDate = "Tue, 03 Mar 2026 04:05:06 +0000"
)

// sample returns a message of the kind as package accounts would create it.
func sample(kind Kind) Message {
	m := Message{
		Kind: kind, To: "hong@example.org", Locale: "en", Name: "Gil-dong",
		ID: "0195c0de-0000-7000-8000-000000000001", Date: time.Date(2026, 3, 3, 4, 5, 6, 789e6, time.UTC),
	}
	switch kind {
	case Reset:
		m.Link, m.ValidFor = link, time.Hour
	case Invitation:
		m.Link, m.ValidFor = link, 72*time.Hour
	case Verify, EmailChange:
		m.Link, m.ValidFor = link, 24*time.Hour
	case AlreadyRegistered, PasswordChanged, EmailChangeNotice:
		m.Link = link
	case AccountDeleted, EmailChanged, Test:
	}
	if kind == EmailChangeNotice || kind == EmailChanged {
		m.NewEmail = "new.address@example.net"
	}
	return m
}

func mustRender(t *testing.T, m Message) rendered {
	t.Helper()
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	r, err := m.render("Accounts")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRenderedMailsEqualGoldenFiles(t *testing.T) {
	for kind := range needsLink {
		for locale, name := range map[string]string{"en": "Gil-dong", "ko": "길동"} {
			m := sample(kind)
			m.Locale, m.Name = locale, name
			bare := m
			bare.Name = ""
			if !needsLink[kind] {
				bare.Link = ""
			}
			got := ""
			for _, m := range []Message{m, bare} {
				r := mustRender(t, m)
				got += "Subject: " + r.subject + "\n\n" + r.text + "\n====\n"
			}
			path := filepath.Join("testdata", string(kind)+"."+locale+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

// page holds the parts of an HTML alternative that the tests check.
type page struct {
	lang     []string
	hrefs    []string
	anchors  []string // their texts
	text     []string // every text in the body
	elements []string
	attrs    []string
}

func parsePage(t *testing.T, text string) page {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var p page
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode && strings.TrimSpace(n.Data) != "" && n.Parent.Data != "style" && n.Parent.Data != "title":
			p.text = append(p.text, strings.TrimSpace(n.Data))
			if n.Parent.Data == "a" {
				p.anchors = append(p.anchors, n.Data)
			}
		case n.Type == html.ElementNode && !slices.Contains(p.elements, n.Data):
			p.elements = append(p.elements, n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "href":
				p.hrefs = append(p.hrefs, a.Val)
			case a.Key == "lang":
				p.lang = append(p.lang, a.Val)
			case !slices.Contains(p.attrs, a.Key):
				p.attrs = append(p.attrs, a.Key)
			}
		}
	}
	return p
}

// Both alternatives have the same content. The link occurs once as href and once as text, the
// language is declared, and the mail contains nothing that a mail program would fetch or run.
func TestHTMLHasContentOfText(t *testing.T) {
	for kind := range needsLink {
		for _, locale := range []string{"en", "ko"} {
			m := sample(kind)
			m.Locale = locale
			r := mustRender(t, m)
			p := parsePage(t, r.html)
			var links []string
			if kind != AccountDeleted && kind != EmailChanged && kind != Test {
				links = []string{link}
			}
			if !slices.Equal(p.hrefs, links) || !slices.Equal(p.anchors, links) || strings.Count(r.text, "://") != len(links) || strings.Count(r.text, link) != len(links) {
				t.Errorf("%s %s: links %q, shown %q", kind, locale, p.hrefs, p.anchors)
			}
			if !slices.Equal(p.lang, []string{locale, locale}) {
				t.Errorf("%s %s: lang %q", kind, locale, p.lang)
			}
			said := r.subject + "\n" + strings.TrimSpace(r.text)
			if diff := cmp.Diff(slices.DeleteFunc(strings.Split(said, "\n"), func(s string) bool { return s == "" }), p.text); diff != "" {
				t.Errorf("%s %s (-text +html):\n%s", kind, locale, diff)
			}
			for _, e := range p.elements {
				if !slices.Contains([]string{"html", "head", "meta", "title", "style", "body", "div", "h1", "p", "a"}, e) {
					t.Errorf("%s: element %s", kind, e)
				}
			}
			for _, a := range p.attrs {
				if !slices.Contains([]string{"charset", "name", "content", "class", "style"}, a) {
					t.Errorf("%s: attribute %s", kind, a)
				}
			}
			if strings.Contains(r.html, "url(") || strings.Contains(r.html, "@import") || strings.Contains(r.html, "ZgotmplZ") {
				t.Errorf("%s: remote content", kind)
			}
		}
	}
}

// firstNames maps first names that users and attackers enter to the part that a greeting contains.
var firstNames = map[string]string{
	"Gil-dong":                         "Gil-dong",
	"O'Brien-Smith":                    "O'Brien-Smith",
	"O\u2019Brien":                     "O\u2019Brien",
	"Jean\u2010Luc":                    "Jean\u2010Luc",
	"  Ada   Maria ":                   "Ada Maria",
	"홍길동":                              "홍길동",
	"דוד":                              "דוד",
	"संजय":                             "संजय",
	"Zoe\u0308":                        "Zoe\u0308",
	"a\u2028b\u0085c\u00a0\u3000d":     "a b c d",
	"\u202egnod-liG\u2066x\u200b":      "gnod-liGx",
	"bad\xff\xfeutf":                   "badutf",
	"\u200d\u202e\x00":                 "",
	strings.Repeat("a", 40):            strings.Repeat("a", 40),
	strings.Repeat("a", 41):            "",
	"e" + strings.Repeat("\u0301", 40): "",

	"Fraud alert! Your card was charged 899 USD. Call 1 800 555 0199": "",
	"Fraud alert!":                  "",
	"Call 1 800 555 0199":           "",
	"Call \u0661\u0668\u0660\u0660": "", // other digits
	"Send 0.5 BTC to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7k": "",
	"evil\u2024example":               "", // one dot leader
	"evil\uff0eexample":               "",
	"evil\u3002example":               "",
	"evil\ua4f8example":               "", // a letter
	"see evil.com now":                "",
	"ev\u200bil.c\u200bom":            "",
	"You won! https://evil.example/x": "",
	"www.evil":                        "",
	"me@evil":                         "",
	"tel:123":                         "",
	"ring me, now":                    "",
	"J. R. R.":                        "",
	"\u2167":                          "", // Roman numeral eight
	"\u2460":                          "", // circled one
	"\U0001f4de":                      "", // telephone receiver
	"<script>alert(1)</script>":       "",
	"<b>":                             "",
	"{{.Link}}":                       "",
	"${jndi}":                         "",
	`"' & <b>`:                        "",
	"a\r\nBcc: x@y.z":                 "",
	"a\r\n\r\n.\r\nQUIT":              "",
}

func TestGreetingNameAcceptsNamesOnly(t *testing.T) {
	t.Attr("control", "202")
	for name, want := range firstNames {
		if got := greetingName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestNameInMailIsEscaped(t *testing.T) {
	t.Attr("control", "67")
	for name, want := range firstNames {
		m := sample(Reset)
		m.Name = name
		r := mustRender(t, m)
		greeting := strings.TrimSuffix("Hello "+want, " ") + ","
		if first, _, _ := strings.Cut(r.text, "\n"); first != greeting {
			t.Errorf("%q: %q", name, first)
		}
		p := parsePage(t, r.html)
		if p.text[1] != greeting || len(p.elements) != 10 || len(p.hrefs) != 1 {
			t.Errorf("%q: %q, elements %q", name, p.text, p.elements)
		}
	}
}

// A mail to an unverified mailbox contains no name, because the same person has entered the address
// and the name.
func TestMailToUnverifiedAddressHasNoName(t *testing.T) {
	t.Attr("control", "202")
	for kind := range needsLink {
		m := sample(kind)
		m.Name = "Call me"
		r := mustRender(t, m)
		shown := strings.Contains(r.subject+r.text+r.html, m.Name)
		if unproved := kind == Verify || kind == EmailChange || kind == Invitation; shown == unproved {
			t.Errorf("%s: the mail contains the name: %v", kind, shown)
		}
	}
}

func TestLanguageOfTag(t *testing.T) {
	for tag, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "ko": "ko", "KO": "ko", "ko-KR": "ko", "ko_KR.UTF-8": "ko", "ko-Kore-KR": "ko",
		"kok": "en", "fr": "en", "*": "en", "../ko": "en", "-ko": "en",
	} {
		if got := Language(tag); got != want {
			t.Errorf("%q: %s", tag, got)
		}
	}
}

func TestDurationIsFormattedInWords(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		24 * time.Hour:                   {"24 hours", "24시간"},
		time.Hour:                        {"1 hour", "1시간"},
		2 * time.Hour:                    {"2 hours", "2시간"},
		90 * time.Minute:                 {"90 minutes", "90분"},
		30 * time.Minute:                 {"30 minutes", "30분"},
		time.Minute:                      {"1 minute", "1분"},
		23*time.Hour + 59*time.Minute:    {"23 hours", "23시간"},
		36 * time.Hour:                   {"36 hours", "36시간"},
		48 * time.Hour:                   {"2 days", "2일"},
		7*24*time.Hour + 5*time.Hour:     {"7 days", "7일"},
		90 * time.Second:                 {"90 seconds", "90초"},
		time.Second:                      {"1 second", "1초"},
		2*time.Second - time.Millisecond: {"", ""},
		0:                                {"", ""},
		-time.Hour:                       {"", ""},
	} {
		if got := [2]string{formatDuration(d, "en"), formatDuration(d, "ko")}; got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}

func TestMaskHidesLocalPart(t *testing.T) {
	for address, want := range map[string]string{
		"new.address@example.net": "n***@example.net", "n@example.net": "n***@example.net", "한글@예시.한국": "한***@예시.한국",
		"\u202ea\r\n@b.co\x00": "a***@b.co", "": "***@",
	} {
		if got := Mask(address); got != want {
			t.Errorf("%q: %q", address, got)
		}
	}
}

func TestCheckRejectsInvalidMessages(t *testing.T) {
	const secret = "s3cr3t"
	for name, test := range map[string]struct {
		change func(*Message)
		final  bool
	}{
		"unknown kind":   {func(m *Message) { m.Kind = "later" }, false},
		"no recipient":   {func(m *Message) { m.To = "" }, true},
		"bad recipient":  {func(m *Message) { m.To = secret + "@" }, true},
		"no id":          {func(m *Message) { m.ID = "" }, true},
		"id as path":     {func(m *Message) { m.ID = "../" + secret }, true},
		"id as header":   {func(m *Message) { m.ID = secret + "\r\nX: y" }, true},
		"id with at":     {func(m *Message) { m.ID = secret + "@x" }, true},
		"long id":        {func(m *Message) { m.ID = strings.Repeat("a", 65) }, true},
		"no date":        {func(m *Message) { m.Date = time.Time{} }, true},
		"no link":        {func(m *Message) { m.Link = "" }, true},
		"no life":        {func(m *Message) { m.ValidFor = 0 }, true},
		"javascript":     {func(m *Message) { m.Link = "javascript:alert('" + secret + "')" }, true},
		"relative":       {func(m *Message) { m.Link = "/" + secret }, true},
		"no host":        {func(m *Message) { m.Link = "https:///" + secret }, true},
		"userinfo":       {func(m *Message) { m.Link = "https://a:" + secret + "@b.co/" }, true},
		"space":          {func(m *Message) { m.Link = "https://b.co/ " + secret }, true},
		"line end":       {func(m *Message) { m.Link = "https://b.co/\n" + secret }, true},
		"not ASCII":      {func(m *Message) { m.Link = "https://예시.한국/" + secret }, true},
		"quote":          {func(m *Message) { m.Link = `https://b.co/"` + secret }, true},
		"notice without": {func(m *Message) { m.Kind = EmailChangeNotice }, true},
	} {
		m := sample(Verify)
		test.change(&m)
		err := m.check()
		if err == nil || errors.Is(err, ErrPermanent) != test.final || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// letter holds the parts of a message as a mail program parses them.
type letter struct {
	header     netmail.Header
	text, html string
}

func readLetter(t *testing.T, data []byte) letter {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	l := letter{header: msg.Header, text: readPart(t, parts, "text/plain; charset=UTF-8"), html: readPart(t, parts, "text/html; charset=UTF-8")}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("unexpected third part: %v", err)
	}
	return l
}

func readPart(t *testing.T, parts *multipart.Reader, want string) string {
	t.Helper()
	part, err := parts.NextRawPart()
	if err != nil || part.Header.Get("Content-Type") != want {
		t.Fatalf("%v, want %s: %v", part, want, err)
	}
	var body io.Reader = part
	if part.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(part)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

func (l letter) headers() string {
	firstNames := make([]string, 0, len(l.header))
	for name, values := range l.header {
		firstNames = append(firstNames, fmt.Sprintf("%s×%d", name, len(values)))
	}
	slices.Sort(firstNames)
	return strings.Join(firstNames, " ")
}

const allHeaders = "Auto-Submitted×1 Content-Language×1 Content-Type×1 Date×1 From×1 Message-Id×1 Mime-Version×1 Subject×1 To×1"

func TestBuiltMessageIsWellFormed(t *testing.T) {
	for _, encoding := range []gomail.Encoding{gomail.EncodingQP, gomail.NoEncoding} {
		for kind := range needsLink {
			m := sample(kind)
			m.Locale, m.Name = "ko-KR", "길동\r\nBcc: x"
			from, err := parseFrom("계정 서비스 <no-reply@example.com>")
			if err != nil {
				t.Fatal(err)
			}
			data, err := m.build(from, encoding)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Split(data, []byte("\n")); slices.ContainsFunc(lines[:len(lines)-1], func(l []byte) bool { return !bytes.HasSuffix(l, []byte("\r")) || len(l) > 998 }) {
				t.Errorf("%s: a line ends in a bare LF or is too long", kind)
			}
			l := readLetter(t, data)
			r, _ := m.render("계정 서비스")
			if l.text != r.text || l.html != r.html {
				t.Errorf("%s: the parts differ from the rendered texts: %s", kind, cmp.Diff(r.text, l.text))
			}
			subject, _ := new(mime.WordDecoder).DecodeHeader(l.header.Get("Subject"))
			address, err := netmail.ParseAddress(l.header.Get("From"))
			if err != nil || address.Name != "계정 서비스" || address.Address != "no-reply@example.com" || subject != r.subject {
				t.Errorf("%s: from %v (%v), subject %q", kind, address, err, subject)
			}
			got := []string{l.headers(), l.header.Get("To"), l.header.Get("Auto-Submitted"), l.header.Get("Message-Id"), l.header.Get("Date"), l.header.Get("Content-Language")}
			want := []string{allHeaders, "<hong@example.org>", "auto-generated", "<" + m.ID + "@example.com>", sentDate, "ko"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", kind, diff)
			}
		}
	}
}
