package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Load reads the settings from environ, which has the form of os.Environ. The
// strings are warnings: settings that are allowed but weaken something, one line
// each.
//
// The error joins one line per fault. No line holds the value of a setting.
func Load(environ []string) (Config, []string, error) {
	l := loader{given: map[string]string{}, faulty: map[string]bool{}}
	l.collect(environ)
	l.parse()
	l.resolve()
	l.check()
	if len(l.faults) > 0 {
		return Config{}, nil, errors.Join(l.faults...)
	}
	l.warn()
	return l.config, l.warnings, nil
}

// loader is one run of Load. Settings are named without their prefix.
type loader struct {
	config   Config
	given    map[string]string // what the environment sets, twins read
	faulty   map[string]bool
	faults   []error
	warnings []string
}

// fault reports what is wrong with a setting: its name, then predicate.
func (l *loader) fault(name, predicate string) {
	l.faulty[name] = true
	l.faults = append(l.faults, errors.New(Prefix+name+" "+predicate))
}

// require reports a fault unless ok. One fault per setting is enough, and a rule
// between settings says nothing when the other one is wrong.
func (l *loader) require(ok bool, name, predicate string, others ...string) {
	if !ok && !l.anyFaulty(append(others, name)...) {
		l.fault(name, predicate)
	}
}

func (l *loader) anyFaulty(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return l.faulty[name] })
}

// collect keeps what is set and not empty, by the same rule as os.Getenv: the
// first of two equal names counts.
func (l *loader) collect(environ []string) {
	seen := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(name, Prefix)
		if _, twice := seen[name]; ours && !twice && !isServiceLink(name) {
			seen[name] = value
		}
	}
	known := names()
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		value := seen[name]
		plain, isFile := strings.CutSuffix(name, "_FILE")
		switch {
		case isFile && slices.Contains(withFile, plain):
			l.readTwin(plain, value, seen[plain])
		case !slices.Contains(known, name):
			l.fault(printable(name), "is not a setting"+hint(name, known))
		case value != "":
			l.given[name] = value
		}
	}
}

// isServiceLink reports whether Kubernetes sets name in every pod beside a
// service called accounts.
func isServiceLink(name string) bool {
	return name == "PORT" || strings.HasPrefix(name, "PORT_") || strings.HasPrefix(name, "SERVICE_")
}

// withFile are the settings that may be given as the name of a file instead, so
// that a secret need not stand in the environment.
var withFile = []string{"DATABASE_URL", "SECRET_KEYS", "SMTP_URL", "LEGACY_JWT_SECRETS"}

func (l *loader) readTwin(name, path, plain string) {
	if path == "" {
		return
	}
	if plain != "" {
		l.fault(name, "and "+Prefix+name+"_FILE must not both be set")
		delete(l.given, name)
		return
	}
	value, err := readSecretFile(path)
	if err != nil {
		l.fault(name+"_FILE", err.Error())
		l.faulty[name] = true
		return
	}
	l.given[name] = value
}

// parse fills the struct by its tags. The env package is shown our settings
// alone, so nothing else of the environment can get in.
func (l *loader) parse() {
	environment := map[string]string{}
	for name, value := range l.given {
		environment[Prefix+name] = value
	}
	err := env.ParseWithOptions(&l.config, env.Options{Prefix: Prefix, Environment: environment, FuncMap: parsers})
	if err == nil {
		return
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		panic("config: the struct cannot be parsed")
	}
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			panic(fmt.Sprintf("config: the struct cannot be parsed: %T", err))
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		for line := range strings.Lines(parse.Err.Error()) {
			l.fault(field.Tag.Get("env"), strings.TrimSuffix(line, "\n"))
		}
	}
}

// printable keeps a name that came from outside on its line.
func printable(name string) string {
	return strings.Trim(strconv.QuoteToASCII(name), `"`)
}

// hint proposes the known setting nearest to a mistyped name.
func hint(name string, known []string) string {
	if plain, isFile := strings.CutSuffix(name, "_FILE"); isFile && slices.Contains(known, plain) {
		return "; only those that hold a secret have a _FILE twin"
	}
	best, distance := "", 3
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return "; `accountsd settings` prints them all"
	}
	return "; did you mean " + Prefix + best + "?"
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
