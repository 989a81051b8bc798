package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"example.com/accounts/server/hosts"
)

// Engines of a Database.
const (
	SQLite = "sqlite"
	MySQL  = "mysql" // also MariaDB
)

// Values of Database.TLS.
const (
	TLSVerify     = "true"        // encrypted, the server's certificate verified
	TLSSkipVerify = "skip-verify" // encrypted, the certificate is not verified
	TLSPreferred  = "preferred"   // encrypted if the server offers it, not verified
	TLSOff        = "false"
)

// Database holds the parts of DATABASE_URL: Path for SQLite, the others for MySQL.
type Database struct {
	Engine   string // SQLite or MySQL
	Path     string // of the file
	Host     string // host:port, or "" with Socket
	Socket   string // the absolute path of a Unix socket, or ""
	User     string
	Password Secret // may be empty
	Name     string
	TLS      string // never empty for MySQL
}

// String returns the URL without the password, for people.
func (d Database) String() string {
	if d.Engine == SQLite {
		return "sqlite:" + d.Path
	}
	if d.Socket != "" {
		return fmt.Sprintf("mysql://%s:%s@localhost/%s?socket=%s", url.QueryEscape(d.User), redacted, url.PathEscape(d.Name), d.Socket)
	}
	return fmt.Sprintf("mysql://%s:%s@%s/%s?tls=%s",
		url.QueryEscape(d.User), redacted, d.Host, url.PathEscape(d.Name), d.TLS)
}

// isRemote reports whether the connection to the database leaves this machine.
func (d Database) isRemote() bool {
	host, _, err := net.SplitHostPort(d.Host)
	return d.Engine == MySQL && d.Socket == "" && (err != nil || !hosts.IsLoopback(host))
}

// ParseMySQL parses the URL of a MySQL or MariaDB database, in the format of ACCOUNTS_DATABASE_URL.
// Its errors do not contain the URL, because that has the password.
func ParseMySQL(text string) (Database, error) {
	d, err := parseDatabase(text)
	if err == nil && d.Engine != MySQL {
		err = errors.New("must begin with mysql://")
	}
	return d, err
}

// parseDatabase parses sqlite:PATH, mysql://user:password@host[:port]/name[?tls=...] or
// mysql://user:password@localhost/name?socket=PATH. It does not return errors of net/url, because they
// quote the password.
func parseDatabase(text string) (Database, error) {
	if path, found := strings.CutPrefix(text, "sqlite:"); found {
		return parseSQLite(path)
	}
	if !strings.HasPrefix(text, "mysql://") {
		return Database{}, errors.New("must begin with sqlite: or mysql://")
	}
	if strings.Contains(text, "@unix(") {
		return Database{}, errors.New("must name a Unix socket as in mysql://user:password@localhost/name?socket=/run/mysqld/mysqld.sock")
	}
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" {
		return Database{}, errors.New("must be mysql://user:password@host:port/name?tls=..., with special characters in user and password percent-encoded")
	}
	return parseMySQL(u)
}

func parseSQLite(path string) (Database, error) {
	switch {
	case path == "" || strings.HasPrefix(path, ":memory:"):
		return Database{}, errors.New("must contain the path of a file, as in sqlite:PATH")
	case strings.HasPrefix(path, "//"):
		return Database{}, errors.New("must be sqlite:PATH without //, such as sqlite:/var/lib/accounts/accounts.db")
	case strings.ContainsAny(path, "?\x00"):
		return Database{}, errors.New("must be sqlite:PATH without options")
	}
	return Database{Engine: SQLite, Path: path}, nil
}

func parseMySQL(u *url.URL) (Database, error) {
	host, ok := parseMySQLHost(u)
	if !ok {
		return Database{}, errors.New("must contain a host and, optionally, a port from 1 to 65535")
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return Database{}, errors.New("must contain one database name after the host")
	}
	if u.User == nil || u.User.Username() == "" {
		return Database{}, errors.New("must contain a user before the host")
	}
	password, _ := u.User.Password()
	d := Database{Engine: MySQL, Host: host, User: u.User.Username(), Password: Secret(password), Name: name}
	if strings.HasPrefix(u.RawQuery, "socket=") {
		return d.withSocket(u)
	}
	var err error
	d.TLS, err = parseMySQLTLS(u.RawQuery, d.isRemote())
	return d, err
}

// withSocket returns the database at the Unix socket of the URL. What is sent there does not leave the
// machine, so it needs no TLS. The host says nothing then; another one than localhost is a mistake.
func (d Database) withSocket(u *url.URL) (Database, error) {
	values, err := url.ParseQuery(u.RawQuery)
	path := values.Get("socket")
	switch {
	case err != nil || len(values) != 1 || len(values["socket"]) != 1:
		return Database{}, errors.New("must have no option besides a single socket=")
	case !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0):
		return Database{}, errors.New("must have the absolute path of a Unix socket in socket=")
	case u.Host != "localhost":
		return Database{}, errors.New("must have the host localhost, without a port, if it has socket=")
	}
	d.Host, d.Socket, d.TLS = "", path, TLSOff
	return d, nil
}

func parseMySQLHost(u *url.URL) (string, bool) {
	port := u.Port()
	if port == "" && !strings.HasSuffix(u.Host, ":") {
		port = "3306"
	}
	host, n, ok := splitAddr(net.JoinHostPort(u.Hostname(), port))
	return net.JoinHostPort(host, port), ok && host != "" && n != 0
}

// parseMySQLTLS parses the query. Its only option is tls; the server sets all other options of the
// driver itself. For another machine tls is required, because without TLS every hash and every
// session would be sent in the clear.
func parseMySQLTLS(query string, remote bool) (string, error) {
	values, err := url.ParseQuery(query)
	tls, given := values["tls"]
	switch {
	case err != nil || len(tls) > 1 || len(values) > 1 || len(values) == 1 && !given:
		return "", errors.New("must have no option except a single tls= or socket=")
	case !given && remote:
		return "", errors.New("must have ?tls= if the host is not on loopback: true, skip-verify, preferred or false")
	case !given:
		return TLSOff, nil
	case !slices.Contains([]string{TLSVerify, TLSSkipVerify, TLSPreferred, TLSOff}, tls[0]):
		return "", errors.New("must have tls=true, tls=skip-verify, tls=preferred or tls=false")
	}
	return tls[0], nil
}
