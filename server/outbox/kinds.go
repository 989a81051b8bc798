package outbox

import (
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/language"

	"example.com/accounts/models"
	"example.com/accounts/server/audit"
	"example.com/accounts/server/mail"
)

// Resend is a request in the outbox, which becomes a mail of another kind when it is sent.
const Resend mail.Kind = "resend"

const (
	invitationLife = 72 * time.Hour
	noticeLife     = 72 * time.Hour // a later notice is useless
)

// kind holds the rules of a kind of mail.
type kind struct {
	life     time.Duration       // how long a mail is worth sending; also the life of a new link
	priority models.MailPriority // of a mail that anyone can request for an address
	purpose  string              // of the token behind the link, or empty
	page     string              // that the link opens
}

func kindsOf(o Options) map[string]kind {
	kinds := map[string]kind{
		string(mail.Verify):      {o.Verify.Valid, models.PriorityRegistration, models.PurposeVerify, o.Verify.Page},
		string(Resend):           {o.Verify.Valid, models.PriorityRegistration, models.PurposeVerify, o.Verify.Page},
		string(mail.Reset):       {o.Reset.Valid, models.PriorityReset, models.PurposeReset, o.Reset.Page},
		string(mail.Invitation):  {invitationLife, models.PriorityKnown, models.PurposeReset, o.Reset.Page},
		string(mail.EmailChange): {o.EmailChange.Valid, models.PriorityKnown, models.PurposeEmailChange, o.EmailChange.Page},
	}
	for _, notice := range []mail.Kind{mail.PasswordChanged, mail.EmailChangeNotice, mail.EmailChanged, mail.AccountDeleted, mail.AlreadyRegistered} {
		kinds[string(notice)] = kind{life: noticeLife, priority: models.PriorityKnown}
	}
	return kinds
}

// linksOnDelivery returns the kinds of mails whose token is created when the mail is sent. The
// tokens of the others are created with the mail.
func linksOnDelivery() []string { return []string{string(mail.Reset), string(mail.Invitation)} }

// NewRequest returns a mail that anyone can request for an address. Its language is that of the
// client until the user is known.
func (o *Outbox) NewRequest(k mail.Kind, email, emailNorm string, client audit.Client) models.Mail {
	m := o.newMail(k, client)
	m.Priority = o.kinds[string(k)].priority
	m.Email, m.EmailNorm = email, emailNorm
	return m
}

// NewMailTo returns a mail to a user's present address that the user or a staff member causes.
func (o *Outbox) NewMailTo(u models.User, k mail.Kind, client audit.Client) models.Mail {
	m := o.newMail(k, client)
	m.Priority = models.PriorityKnown
	m.UserID, m.Email, m.EmailNorm, m.Name = u.ID, u.Email, u.EmailNorm, verifiedName(u)
	if u.Locale != "" {
		m.Locale = u.Locale
	}
	return m
}

// NewNotices returns the mail that informs a user of a change, if the user has verified the address.
// An unverified address may be another person's mailbox, which notices could flood.
func (o *Outbox) NewNotices(u models.User, k mail.Kind, client audit.Client) []models.Mail {
	if u.EmailVerifiedAt == nil {
		return nil
	}
	return []models.Mail{o.NewMailTo(u, k, client)}
}

func (o *Outbox) newMail(k mail.Kind, client audit.Client) models.Mail {
	now := o.Now()
	return models.Mail{
		ID: uuid.Must(uuid.NewV7()), Kind: string(k), Locale: languageOf(client.AcceptLanguage),
		CreatedAt: now, NextAt: now, ExpiresAt: now.Add(o.kinds[string(k)].life),
	}
}

// verifiedName returns the name that a mail addresses the user with: the first name if the user has
// verified the address. Otherwise another person can have typed both, and the name would be a
// message to a stranger.
func verifiedName(u models.User) string {
	if u.EmailVerifiedAt == nil {
		return ""
	}
	return u.FirstName
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Korean})

// languageOf returns the language of a mail for the header Accept-Language.
func languageOf(accept string) string {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return "en"
	}
	_, index, _ := languages.Match(tags...)
	return []string{"en", "ko"}[index]
}
