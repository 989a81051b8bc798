package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	netmail "net/mail"
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
		c.MailFrom = "Accounts <no-reply@" + mailHost(c.PublicURL) + ">"
	}
	switch {
	case c.Mail != "":
	case l.given["SMTP_URL"] != "":
		c.Mail = MailSMTP
	default:
		c.Mail = MailFiles
		l.require(c.Loopback(), "SMTP_URL", "is required unless PUBLIC_URL is on loopback. Set it to a URL such as smtp://user:password@mail.example.com, "+
			"or set ACCOUNTS_MAIL=files to write mails to DATA_DIR without sending them", "PUBLIC_URL")
	}
}

// mailHost returns the host of PUBLIC_URL if it can be the domain of an address, which needs a dot.
// Otherwise it returns localhost.localdomain, which has no owner.
func mailHost(publicURL string) string {
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
	l.require(l.given["MAIL_FROM"] == "" || isSender(c.MailFrom), "MAIL_FROM", "must be one address, such as Accounts <no-reply@example.com>")
}

// isSender reports whether text is one address (RFC 5322 §3.4), with or without a name, whose local
// part needs no quotes and whose domain has a dot. It rejects line breaks, which would start
// another header (CWE-93), also in encoded form (RFC 2047), and comments, which could make an
// address that differs from the visible one.
func isSender(text string) bool {
	address, err := netmail.ParseAddress(text)
	if err != nil || strings.ContainsAny(text, "()") || !isGraphic(text) || !isGraphic(address.Name) {
		return false
	}
	local, domain, _ := strings.Cut(address.Address, "@")
	return len(address.Address) <= 254 && len(local) <= 64 && isDotAtom(local) && !strings.Contains(local, "=?") &&
		strings.Contains(domain, ".") && isHostname(strings.ToLower(domain))
}

func isGraphic(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// isDotAtom reports whether s is a dot-atom (RFC 5322 §3.2.3), in ASCII.
func isDotAtom(s string) bool {
	const atext = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~"
	for atom := range strings.SplitSeq(strings.ToLower(s), ".") {
		if atom == "" || strings.Trim(atom, atext) != "" {
			return false
		}
	}
	return true
}

// parseSMTPURL checks the form of SMTP_URL. It does not return errors of net/url, because they
// quote the password.
func parseSMTPURL(text string) (any, error) {
	if !strings.HasPrefix(text, "smtp://") && !strings.HasPrefix(text, "smtps://") {
		return nil, errors.New("must begin with smtp:// or smtps://")
	}
	u, err := url.Parse(text)
	if err != nil || strings.Contains(text, "#") || u.Path != "" && u.Path != "/" {
		return nil, errors.New("must be smtp://user:password@host:port, with special characters in user and password percent-encoded")
	}
	host, hostOK := canonicalHost(u)
	_, port, portOK := splitAddr(net.JoinHostPort(strings.Trim(host, "[]"), u.Port()))
	if !hostOK || u.Port() != "" && (!portOK || port == 0) || strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("must contain a host and, optionally, a port from 1 to 65535")
	}
	if password, _ := u.User.Password(); u.User != nil && (u.User.Username() == "" || password == "") {
		return nil, errors.New("must contain both a user and a password, or neither")
	}
	if u.RawQuery != "" && (u.RawQuery != "starttls=off" || u.Scheme != "smtp") {
		return nil, errors.New("must have no option except ?starttls=off, which is allowed with smtp:// only")
	}
	if u.RawQuery != "" && !isLoopback(u.Hostname()) {
		return nil, errors.New("must not have ?starttls=off unless its host is on loopback, because the links in mails could be read on the network")
	}
	return Secret(text), nil
}
