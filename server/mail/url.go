package mail

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"example.com/accounts/server/hosts"
)

// server holds the parts of the URL of an SMTP server.
type server struct {
	host, port         string
	username, password string // no AUTH if username is empty
	implicit           bool   // smtps: TLS from the first byte (RFC 8314)
	plain              bool   // starttls=off: no TLS, on loopback only
}

func (s server) address() string { return net.JoinHostPort(s.host, s.port) }

// CheckURL checks that [NewSMTP] accepts smtpURL. The error is a predicate to the name of a
// setting, and contains no part of smtpURL.
func CheckURL(smtpURL string) error {
	_, err := parseURL(smtpURL)
	return err
}

// parseURL does not return errors of net/url, because they quote the password.
func parseURL(text string) (server, error) {
	if !strings.HasPrefix(text, "smtp://") && !strings.HasPrefix(text, "smtps://") {
		return server{}, errors.New("must begin with smtp:// or smtps://")
	}
	u, err := url.Parse(text)
	if err != nil || strings.Contains(text, "#") || u.Path != "" && u.Path != "/" {
		return server{}, errors.New("must be smtp://user:password@host:port, with special characters in user and password percent-encoded")
	}
	host, port, ok := hosts.FromURL(u)
	if !ok {
		return server{}, errors.New("must contain a host and, optionally, a port from 1 to 65535")
	}
	s := server{host: host, implicit: u.Scheme == "smtps", plain: u.RawQuery != "", username: u.User.Username()}
	switch {
	case port != 0:
		s.port = strconv.Itoa(int(port))
	case s.implicit:
		s.port = "465"
	default:
		s.port = "587"
	}
	s.password, _ = u.User.Password()
	switch {
	case u.User != nil && (s.username == "" || s.password == ""):
		err = errors.New("must contain both a user and a password, or neither")
	case s.plain && (s.implicit || u.RawQuery != "starttls=off"):
		err = errors.New("must have no option except ?starttls=off, which is allowed with smtp:// only")
	case s.plain && !hosts.IsLoopback(host):
		err = errors.New("must not have ?starttls=off unless its host is on loopback, because the links in mails could be read on the network")
	}
	return s, err
}
