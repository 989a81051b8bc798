package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"example.com/accounts/server/hosts"
)

// parsers convert the text of a setting to its type. Their errors are predicates to the setting's
// name, one line per fault, and never contain the text.
var parsers = map[reflect.Type]env.ParserFunc{
	reflect.TypeFor[bool]():           parseBool,
	reflect.TypeFor[int]():            parseInt,
	reflect.TypeFor[time.Duration]():  func(s string) (any, error) { return parseDuration(s) },
	reflect.TypeFor[Database]():       func(s string) (any, error) { return parseDatabase(s) },
	reflect.TypeFor[Limit]():          parseLimit,
	reflect.TypeFor[Secret]():         parseSMTPURL,
	reflect.TypeFor[[]Secret]():       parseSecretKeys,
	reflect.TypeFor[Lines]():          parseLines,
	reflect.TypeFor[Instant]():        parseInstant,
	reflect.TypeFor[[]string]():       parseOrigins,
	reflect.TypeFor[[]netip.Prefix](): parseProxies,
}

// splitList splits a list at its commas and removes spaces around the entries.
func splitList(text string) []string {
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func parseBool(text string) (any, error) {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return nil, errors.New("must be true or false")
	}
	return value, nil
}

func parseInt(text string) (any, error) {
	value, err := strconv.Atoi(text)
	if err != nil {
		return nil, errors.New("must be a whole number")
	}
	return value, nil
}

var errDuration = errors.New("must be a duration such as 90s, 5m, 12h, 7d or 1d12h")

const (
	day     = 24 * time.Hour
	maxDays = 36500
)

// parseDuration parses a Go duration that may begin with a number of days of 24 hours. The result
// is never negative.
func parseDuration(text string) (time.Duration, error) {
	rest, days := text, uint64(0)
	if before, after, found := strings.Cut(text, "d"); found {
		var err error
		if days, err = strconv.ParseUint(before, 10, 32); err != nil || days > maxDays {
			return 0, errDuration
		}
		rest = after
		if rest == "" {
			return time.Duration(days) * day, nil
		}
		if strings.ContainsAny(rest[:1], "+-") {
			return 0, errDuration
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > maxDays*day {
		return 0, errDuration
	}
	return time.Duration(days)*day + d, nil
}

// Instant is a point in time, in UTC. It is zero if none is set.
type Instant struct{ At time.Time }

// parseInstant parses an instant, or a day, which means its start in UTC.
func parseInstant(text string) (any, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return Instant{at.UTC()}, nil
		}
	}
	return nil, errors.New("must be an instant such as 2027-01-31T12:00:00Z, or a day such as 2027-01-31")
}

// parseOrigins parses CORS_ORIGINS. These origins may send requests with the user's cookies, so
// each entry must be exactly one origin.
func parseOrigins(text string) (any, error) {
	if text == "none" {
		return []string{}, nil
	}
	var origins []string
	var faults []error
	for i, entry := range splitList(text) {
		origin, err := parseOrigin(entry)
		switch {
		case entry == "*" || entry == "null":
			err = errors.New("must be one origin. * and null are rejected because they match every site")
		case err == nil && !origin.isProtected():
			err = errors.New("must be https unless its host is on loopback")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("entry %d %w", i+1, err))
		}
		origins = append(origins, origin.String())
	}
	return origins, errors.Join(faults...)
}

// parseProxies parses TRUSTED_PROXIES. A trusted proxy chooses the client address that the server
// sees, so the whole internet is rejected.
func parseProxies(text string) (any, error) {
	if text == "none" {
		return []netip.Prefix{}, nil
	}
	var proxies []netip.Prefix
	var faults []error
	for i, entry := range splitList(text) {
		proxy, err := parseProxy(entry)
		if err != nil {
			faults = append(faults, fmt.Errorf("entry %d %w", i+1, err))
		}
		proxies = append(proxies, proxy)
	}
	return proxies, errors.Join(faults...)
}

func parseProxy(entry string) (netip.Prefix, error) {
	proxy, err := netip.ParsePrefix(entry)
	if addr, addrErr := netip.ParseAddr(entry); addrErr == nil && addr.Zone() == "" {
		proxy, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil || proxy.Addr().Is4In6():
		return proxy, errors.New("must be an IP address or a CIDR such as 10.0.0.0/8")
	case proxy.Bits() == 0:
		return proxy, errors.New("must not match every address, because any caller could then choose its own client address")
	}
	return proxy.Masked(), nil
}

// splitAddr parses host:port in the form of ADDR and METRICS_ADDR. The host may be empty, for all
// interfaces. With port 0 the system chooses the port.
func splitAddr(text string) (host string, port uint16, ok bool) {
	host, digits, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, " \t/@") {
		return "", 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return strings.ToLower(host), uint16(n), err == nil
}

// hasPortConflict reports whether two listeners would use the same port of the same interface. All
// of loopback counts as one interface.
func hasPortConflict(hostA string, portA uint16, hostB string, portB uint16) bool {
	return portA == portB && portA != 0 &&
		(hostA == hostB || isUnspecified(hostA) || isUnspecified(hostB) || hosts.IsLoopback(hostA) && hosts.IsLoopback(hostB))
}

// isUnspecified reports whether a listener at host is on every interface.
func isUnspecified(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}
