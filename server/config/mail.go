package config

import (
	"net/netip"
	"net/url"
	"strings"

	"example.com/accounts/server/mail"
)

// Values of Config.Mail.
const (
	MailSMTP  = "smtp"
	MailFiles = "files"
)

// resolveMail chooses how mails are delivered. Files are the default only if the reader uses the
// same machine. Elsewhere, without SMTP_URL, users could register and never receive a mail, so the
// operator must choose explicitly.
func (l *loader) resolveMail() {
	c := &l.config
	if c.MailFrom == "" {
		c.MailFrom = "Accounts <no-reply@" + defaultMailHost(c.PublicURL) + ">"
	}
	switch {
	case c.Mail != "":
	case l.given["SMTP_URL"] != "":
		c.Mail = MailSMTP
	default:
		c.Mail = MailFiles
		l.require(c.IsLoopback(), "SMTP_URL", "is required unless PUBLIC_URL is on loopback. Set it to a URL such as smtp://user:password@mail.example.com, "+
			"or set ACCOUNTS_MAIL=files to write mails to DATA_DIR without sending them", "PUBLIC_URL")
	}
}

// defaultMailHost returns the host of PUBLIC_URL if it can be the domain of an address, which needs
// a dot. Otherwise it returns localhost.localdomain, which has no owner.
func defaultMailHost(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil || !strings.Contains(u.Hostname(), ".") {
		return "localhost.localdomain"
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return "localhost.localdomain"
	}
	return u.Hostname()
}

// checkMail checks the settings of mails. With a mail server MAIL_FROM is required and not guessed,
// because the server rejects senders it does not know.
func (l *loader) checkMail() {
	c := l.config
	l.require(c.Mail == MailSMTP || c.Mail == MailFiles, "MAIL", "must be smtp or files")
	l.require(c.Mail != MailSMTP || c.SMTPURL != "", "MAIL", "must not be smtp unless SMTP_URL is set", "SMTP_URL")
	l.require(c.Mail != MailSMTP || l.given["MAIL_FROM"] != "", "MAIL_FROM",
		"is required with SMTP_URL. Set it to the sender of all mails, such as Accounts <no-reply@example.com>", "SMTP_URL", "MAIL")
	if err := mail.CheckFrom(c.MailFrom); l.given["MAIL_FROM"] != "" && err != nil {
		l.require(false, "MAIL_FROM", err.Error())
	}
}

// parseSMTPURL checks the form of SMTP_URL.
func parseSMTPURL(text string) (any, error) {
	return Secret(text), mail.CheckURL(text)
}
