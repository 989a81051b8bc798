package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed templates
var templates embed.FS

// locales are the primary subtags that have a templates/*.tmpl. The first is the default.
var locales = []string{"en", "ko"}

// Locales returns the languages of messages (BCP 47), the default first.
func Locales() []string { return slices.Clone(locales) }

var (
	sentences  = parseSentences()
	textLayout = texttemplate.Must(texttemplate.ParseFS(templates, "templates/layout.txt"))
	htmlLayout = htmltemplate.Must(htmltemplate.ParseFS(templates, "templates/layout.html"))
)

func parseSentences() map[string]*texttemplate.Template {
	parsed := make(map[string]*texttemplate.Template)
	for _, locale := range locales {
		parsed[locale] = texttemplate.Must(texttemplate.ParseFS(templates, "templates/"+locale+".tmpl"))
	}
	return parsed
}

// facts are the values that a sentence may contain.
type facts struct {
	Name     string // tidy, may be empty
	Product  string // the name of the sender, may be empty
	Link     string
	ValidFor string // "24 hours", or empty
	NewEmail string // masked
}

// content holds the texts of a layout. All are plain text; the HTML layout escapes them.
type content struct {
	Lang                    string
	Subject, Greeting, Lead string
	Action, Link, Life      string // the purpose of Link, Link, and how long it is valid; all empty without a link
	Warning, Footer         string // Warning tells a recipient who did not cause the mail what to do; it may be empty
}

// rendered is a message after the templates have been executed.
type rendered struct{ lang, subject, text, html string }

// render executes the templates. product is the display name of the sender, which the operator has
// set.
func (m Message) render(product string) (rendered, error) {
	c := m.content(product)
	var text, html bytes.Buffer
	if err := errors.Join(textLayout.Execute(&text, c), htmlLayout.Execute(&html, c)); err != nil {
		return rendered{}, fmt.Errorf("mail: template of kind %s failed", m.Kind)
	}
	return rendered{c.Lang, c.Subject, text.String(), html.String()}, nil
}

func (m Message) content(product string) content {
	lang := Language(m.Locale)
	f := facts{Product: toVisibleLine(product), Link: m.Link, ValidFor: formatDuration(m.ValidFor, lang), NewEmail: Mask(m.NewEmail)}
	if !kindsToUnverified[m.Kind] {
		f.Name = greetingName(m.Name)
	}
	say := func(name string) string { return renderSentence(lang, name, f) }
	kind := string(m.Kind)
	c := content{
		Lang: lang, Subject: say(kind + ".subject"), Greeting: say("greeting"), Lead: say(kind + ".lead"),
		Action: say(kind + ".action"), Warning: say(kind + ".warning"), Footer: say("footer"),
	}
	if c.Action == "" || m.Link == "" {
		c.Action = ""
		return c
	}
	c.Link = m.Link
	if f.ValidFor != "" {
		c.Life = say("life")
	}
	return c
}

// renderSentence returns a text of templates/<lang>.tmpl. It panics if the template fails. A test
// executes every template with every combination of facts that changes its result.
func renderSentence(lang, name string, f facts) string {
	var b strings.Builder
	if err := sentences[lang].ExecuteTemplate(&b, name, f); err != nil {
		panic("mail: " + err.Error())
	}
	return strings.TrimSpace(b.String())
}

// Language returns the language of messages to a reader with the given tag. Only the primary subtag
// counts: ko, ko-KR and ko_KR are Korean.
func Language(tag string) string {
	primary, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	for _, locale := range locales {
		if strings.EqualFold(primary, locale) {
			return locale
		}
	}
	return locales[0]
}

// kindsToUnverified are the kinds of messages to an address that is not verified yet. They contain
// no name, because the person who submits the form chooses both the address and the name. Otherwise
// the name could be a message to a stranger, sent from the operator's address.
var kindsToUnverified = map[Kind]bool{Verify: true, EmailChange: true, Invitation: true}

const maxName = 40 // characters

// greetingName returns the name if it may appear in a greeting, or "". It must consist of letters,
// marks, spaces, apostrophes and hyphens: without digits it contains no telephone number, amount or
// wallet, and without other punctuation no link. Otherwise a sentence in place of a name would look
// like the operator's.
func greetingName(name string) string {
	name = toVisibleLine(name)
	if utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }) {
		return ""
	}
	return name
}

func isNameRune(r rune) bool {
	switch {
	case strings.ContainsRune(" '\u2019-\u2010\u2011", r):
		return true
	case r >= '\ua4f8' && r <= '\ua4fd': // Lisu tones are letters that look like full stops, commas and colons
		return false
	}
	return unicode.IsLetter(r) || unicode.IsMark(r)
}

// toVisibleLine returns s as a single line of visible characters. It removes line breaks, control
// characters, invisible characters and characters that override the text direction.
func toVisibleLine(s string) string {
	visible := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsGraphic(r) && r != utf8.RuneError {
			return r
		}
		return -1
	}, s)
	return strings.Join(strings.Fields(visible), " ")
}

// formatDuration returns d in words. It uses the largest unit that results in 2 or more, or exactly
// 1, and rounds down, so that a mail never announces a longer life than the link has.
func formatDuration(d time.Duration, lang string) string {
	units := []struct {
		size   time.Duration
		en, ko string
	}{{24 * time.Hour, "day", "일"}, {time.Hour, "hour", "시간"}, {time.Minute, "minute", "분"}, {time.Second, "second", "초"}}
	for _, unit := range units {
		n := int64(d / unit.size)
		// A day is written as 24 hours, because a link expires after that time and not at the end
		// of a date.
		if n < 1 || n == 1 && (d != unit.size || unit.en == "day") {
			continue
		}
		switch {
		case lang == "ko":
			return fmt.Sprintf("%d%s", n, unit.ko)
		case n == 1:
			return "1 " + unit.en
		}
		return fmt.Sprintf("%d %ss", n, unit.en)
	}
	return ""
}
