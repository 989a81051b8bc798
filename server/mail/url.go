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
	plain              bool   // tls=off: no TLS; with a login on loopback only
}

func (s server) address() string { return net.JoinHostPort(s.host, s.port) }

// String returns the URL without user and password, for people.
func (s server) String() string {
	scheme := "smtp://"
	if s.implicit {
		scheme = "smtps://"
	}
	return scheme + s.address()
}

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
	s.password, _ = u.User.Password()
	switch {
	case port != 0:
		s.port = strconv.Itoa(int(port))
	case s.implicit:
		s.port = "465"
	default:
		s.port = "587"
	}
	return s, s.check(u)
}

// check checks the parts of u together. Without TLS, anyone on the network can read and use the links
// in mails, so the operator must choose that. A password is never sent over the network in the clear.
func (s server) check(u *url.URL) error {
	switch isLocal := hosts.IsLoopback(s.host); {
	case u.User != nil && (s.username == "" || s.password == ""):
		return errors.New("must contain both a user and a password, or neither")
	case s.plain && (s.implicit || u.RawQuery != "tls=off" && u.RawQuery != "starttls=off"):
		return errors.New("must have no option except ?tls=off, which is allowed with smtp:// only")
	case s.plain && !isLocal && u.RawQuery == "starttls=off":
		return errors.New("must not have ?starttls=off unless its host is on loopback. For a mail server without TLS on a private network, use ?tls=off")
	case s.plain && !isLocal && u.User != nil:
		return errors.New("must not have both ?tls=off and a password unless its host is on loopback, because the password could be read on the network")
	case !s.implicit && !s.plain && s.port == "465":
		return errors.New("must begin with smtps:// if the port is 465, because mail servers use TLS from the start there. For STARTTLS, use smtp:// and port 587")
	}
	return nil
}

// IsExposed reports whether mails to the server in smtpURL cross a network without TLS.
func IsExposed(smtpURL string) bool {
	s, err := parseURL(smtpURL)
	return err == nil && s.plain && !hosts.IsLoopback(s.host)
}
