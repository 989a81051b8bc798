package mail

import (
	"bytes"
	"fmt"
	netmail "net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// build writes the message in the format of RFC 5322: multipart/alternative, with lines that end in
// CR LF. The headers are exactly From, To, Subject, Date, Message-ID, Auto-Submitted,
// Content-Language and those of MIME. Only To contains user input, which check has validated.
func (m Message) build(from *netmail.Address, encoding gomail.Encoding) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	r, err := m.render(from.Name)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithEncoding(encoding), gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: m.To})
	msg.Subject(r.subject)
	msg.SetDateWithValue(m.Date.UTC())
	msg.SetMessageIDWithValue(m.ID + "@" + domainOf(from.Address))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, 5: no out-of-office replies
	msg.SetGenHeader(gomail.HeaderContentLang, r.lang)
	msg.SetBodyString(gomail.TypeTextPlain, toCRLF(r.text))
	msg.AddAlternativeString(gomail.TypeTextHTML, toCRLF(r.html))
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("mail: a message of kind %s cannot be written", m.Kind)
	}
	return b.Bytes(), nil
}

func toCRLF(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
