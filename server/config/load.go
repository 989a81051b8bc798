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

// Load reads the settings from environ, which has the form of os.Environ. The strings are warnings
// about settings that are allowed but reduce security or reliability, one line each.
//
// The error joins one line per fault. No line contains the value of a setting.
func Load(environ []string) (Config, []string, error) {
	l := loader{given: map[string]string{}, faulty: map[string]bool{}}
	l.collectSettings(environ)
	l.parse()
	l.resolve()
	l.check()
	if len(l.faults) > 0 {
		return Config{}, nil, errors.Join(l.faults...)
	}
	l.warn()
	return l.config, l.warnings, nil
}

// loader holds the state of one call of Load. Settings are named without their prefix.
type loader struct {
	config   Config
	given    map[string]string // the values from the environment, with _FILE variants read
	faulty   map[string]bool
	faults   []error
	warnings []string
}

// addFault records a fault of a setting. The line is its name and the predicate.
func (l *loader) addFault(name, predicate string) {
	l.faulty[name] = true
	l.faults = append(l.faults, errors.New(Prefix+name+" "+predicate))
}

// require records a fault of the named setting unless ok. Each setting gets at most one fault.
// others are the other settings that the rule depends on: if one of them has a fault already, the
// rule cannot be checked, and require records nothing.
func (l *loader) require(ok bool, name, predicate string, others ...string) {
	if !ok && !l.hasFault(append(others, name)...) {
		l.addFault(name, predicate)
	}
}

func (l *loader) hasFault(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return l.faulty[name] })
}

// collectSettings stores the settings that are not empty. Of two equal names the first counts, as
// in os.Getenv.
func (l *loader) collectSettings(environ []string) {
	seen := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(name, Prefix)
		if _, twice := seen[name]; ours && !twice {
			seen[name] = value
		}
	}
	known := settingNames()
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		value := seen[name]
		plain, isFile := strings.CutSuffix(name, "_FILE")
		switch {
		case isFile && slices.Contains(fileSettings, plain):
			l.readFromFile(plain, value, seen[plain])
		case !slices.Contains(known, name) && isServiceLink(name, value): // not for the server
		case !slices.Contains(known, name):
			l.addFault(escapeName(name), "is not a setting"+suggestion(name, known))
		case value != "":
			l.given[name] = value
		}
	}
}

// fileSettings are the settings that can be given as the name of a file instead, so that a secret
// need not be in the environment.
var fileSettings = []string{"DATABASE_URL", "SECRET_KEYS", "SMTP_URL", "LEGACY_JWT_SECRETS"}

func (l *loader) readFromFile(name, path, plain string) {
	if path == "" {
		return
	}
	if plain != "" {
		l.addFault(name, "and "+Prefix+name+"_FILE must not both be set")
		delete(l.given, name)
		return
	}
	value, err := readSecretFile(path)
	if err != nil {
		l.addFault(name+"_FILE", err.Error())
		l.faulty[name] = true
		return
	}
	l.given[name] = value
}

// parse fills the struct according to its tags. The env package gets only the collected settings,
// so that no other variable of the environment has an effect.
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
			l.addFault(field.Tag.Get("env"), strings.TrimSuffix(line, "\n"))
		}
	}
}

// escapeName escapes a name from the environment, so that it stays on one line.
func escapeName(name string) string {
	return strings.Trim(strconv.QuoteToASCII(name), `"`)
}

// suggestion returns the end of the error line of an unknown setting, which suggests the known
// setting nearest to a mistyped name.
func suggestion(name string, known []string) string {
	if plain, isFile := strings.CutSuffix(name, "_FILE"); isFile && slices.Contains(known, plain) {
		return ". Only settings that contain secrets can be read from a file"
	}
	best, distance := "", 3
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return ". Run `accountsd settings` to list all settings"
	}
	return ". Did you mean " + Prefix + best + "?"
}

// editDistance returns the Levenshtein distance in bytes.
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
