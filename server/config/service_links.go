package config

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Kubernetes sets variables in every pod for each Service of its namespace, named after the Service.
// Those of a Service called accounts, or accounts-db, begin with the prefix of the settings.
var (
	linkHost = regexp.MustCompile(`^(.+_)?(SERVICE_HOST|PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR)$`)
	linkPort = regexp.MustCompile(`^(.+_)?(SERVICE_PORT(_.+)?|PORT_[0-9]+_(TCP|UDP|SCTP)_PORT)$`)
	linkURL  = regexp.MustCompile(`^(.+_)?PORT(_[0-9]+_(TCP|UDP|SCTP))?$`)
	linkName = regexp.MustCompile(`^(.+_)?PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO$`)
)

// isServiceLink reports whether Kubernetes has set the variable, whose name is given without its
// prefix. Both the name and the value must have the form that Kubernetes gives them, so that a
// setting with a misspelled name is still rejected. No setting has a name of such a form.
func isServiceLink(name, value string) bool {
	switch {
	case linkHost.MatchString(name):
		_, err := netip.ParseAddr(value)
		return err == nil
	case linkPort.MatchString(name):
		return isPort(value)
	case linkName.MatchString(name):
		return isTransport(value)
	case linkURL.MatchString(name):
		transport, address, _ := strings.Cut(value, "://")
		_, err := netip.ParseAddrPort(address)
		return isTransport(transport) && err == nil
	}
	return false
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func isTransport(text string) bool { return text == "tcp" || text == "udp" || text == "sctp" }
