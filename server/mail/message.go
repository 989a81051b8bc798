package mail

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"example.com/accounts/server/names"
)

// Kind is the kind of a message. It is stored and used in file names, so the values never change.
type Kind string

const (
	Verify            Kind = "verify"              // to a new address; Link and ValidFor required
	AlreadyRegistered Kind = "already_registered"  // instead of Verify, to the owner of the address; Link may be the page for resets
	Reset             Kind = "reset"               // Link and ValidFor required
	PasswordChanged   Kind = "password_changed"    // Link may be the page for resets
	EmailChange       Kind = "email_change"        // to the new address; Link and ValidFor required
	EmailChangeNotice Kind = "email_change_notice" // to the old address; NewEmail required, Link may be the page for resets
	EmailChanged      Kind = "email_changed"       // only queued by older replicas, to the old address; NewEmail required
	AccountDeleted    Kind = "account_deleted"     // Link is ignored
	Invitation        Kind = "invitation"          // Link and ValidFor required
	Test              Kind = "test"                // never queued: an operator sends it; Link is ignored
)

// Message is one mail to one person.
type Message struct {
	Kind     Kind
	To       string        // bare addr-spec in ASCII; an internationalized domain is in A-labels
	Locale   string        // BCP 47 tag; all languages except for Korean get English
	Name     string        // the recipient's name: untrusted, may be empty; not used in kinds for unverified addresses
	Link     string        // absolute http or https URL
	ValidFor time.Duration // how long Link is valid; 0 omits it
	NewEmail string        // masked in the text
	ID       string        // 1 to 64 of A-Z a-z 0-9 _ -; the same for each attempt; it becomes the Message-ID, so no link may be derived from it
	Date     time.Time     // when the message was caused, not when it is sent
}

// Sender makes one attempt to deliver a message. It returns nil only if another system is now
// responsible for the message. After an error the caller may send the message again, with the same
// ID; it may then arrive twice. An error that is [ErrPermanent] means that no further attempt can
// succeed. No error text contains the recipient, the name, the link or a password.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// ErrPermanent marks errors after which a message must not be sent again, because it is malformed
// or was rejected permanently (5xx). Test for it with [errors.Is].
var ErrPermanent = errors.New("mail: permanent failure")

// permanentError is an error that matches [ErrPermanent] and keeps its own text.
type permanentError string

func (p permanentError) Error() string        { return string(p) }
func (p permanentError) Is(target error) bool { return target == ErrPermanent }

// needsLink contains every kind, and whether its messages require a link.
var needsLink = map[Kind]bool{
	Verify:            true,
	AlreadyRegistered: false,
	Reset:             true,
	PasswordChanged:   false,
	EmailChange:       true,
	EmailChangeNotice: false,
	EmailChanged:      false,
	AccountDeleted:    false,
	Invitation:        true,
	Test:              false,
}

// check returns an error if m is invalid. The error contains nothing of m except for the kind.
func (m Message) check() error {
	needed, known := needsLink[m.Kind]
	switch {
	case !known:
		// Not permanent: a newer replica has queued it and can send it.
		return fmt.Errorf("mail: unknown kind %q", m.Kind)
	case !names.IsAddrSpec(m.To):
		return permanentError("mail: the recipient is not a bare e-mail address")
	case !isID(m.ID):
		return permanentError("mail: malformed id")
	case m.Date.IsZero():
		return permanentError("mail: no date")
	case needed && (m.Link == "" || m.ValidFor <= 0):
		return permanentError("mail: a message of kind " + string(m.Kind) + " needs a link and its life")
	case m.Link != "" && !isLink(m.Link):
		return permanentError("mail: malformed link")
	case (m.Kind == EmailChangeNotice || m.Kind == EmailChanged) && !strings.Contains(m.NewEmail, "@"):
		return permanentError("mail: a notice without the new address")
	}
	return nil
}

// isID reports whether s is safe in a header and in a file name.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r != '_' && r != '-' && !isAlphanumeric(r) })
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// isLink reports whether s is a URL that has the same text in plain text, in an href and in the
// address bar: visible ASCII, in the form that net/url writes.
func isLink(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	visible := !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\^`{|}", r) })
	return visible && u.String() == s
}
