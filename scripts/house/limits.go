package main

import (
	"fmt"
	"slices"
)

// The limits. A reader should understand the structure in an hour: a function fits on a screen, a
// file has one subject, and a type has one job.
const (
	medianLines   = 8    // of a function
	ninetyPercent = 25   // of the functions have at most so many lines
	longest       = 50   // lines of a function
	parameters    = 6    // of a function, without its context
	fileLines     = 400  // of a file
	methods       = 20   // of a type: one with more is two types
	interfaces    = 4    // an interface exists where two implementations do
	undocumented  = 0    // exported names without a doc comment
	flags         = 0    // go commands without the common flags: each compiles everything again
	readmeWords   = 1500 // about ten minutes
)

// moreMethods lists the types that may have more methods, and how many.
var moreMethods = map[string]int{
	"models.Tx":    40, // the verbs of a transaction: each is a few lines and independent of the others
	"models.Store": 40, // the queries, likewise
}

// row is a number with its limit. The faults name the places that are beyond it.
type row struct {
	name         string
	value, limit int
	faults       []string
}

func (r row) verdict() string {
	if len(r.faults) > 0 {
		return "TOO MANY"
	}
	return "ok"
}

// evaluate compares the measurements with the limits.
func evaluate(m measurements) []row {
	lengths := make([]int, 0, len(m.functions))
	for _, f := range m.functions {
		lengths = append(lengths, f.value)
	}
	slices.Sort(lengths)
	return []row{
		limitNumber("lines of a function, median", percentile(lengths, 50), medianLines),
		limitNumber("lines of a function, 90 %", percentile(lengths, 90), ninetyPercent),
		limitEach("lines of a function, maximum", m.functions, longest),
		limitEach("parameters of a function, maximum", m.parameters, parameters),
		limitEach("lines of a file, maximum", m.files, fileLines),
		limitEach("methods of a type, maximum", withoutAllowed(m.methods), methods),
		limitCount("interfaces", m.interfaces, interfaces),
		limitCount("exported names without a comment", m.undocumented, undocumented),
		limitCount("go commands without the common flags", m.flags, flags),
		limitNumber("words of README.md", m.readmeWords, readmeWords),
	}
}

// withoutAllowed returns the types without those that keep to their own limit.
func withoutAllowed(types []place) []place {
	return slices.DeleteFunc(slices.Clone(types), func(p place) bool { return p.value <= moreMethods[p.name] })
}

// percentile returns the value that p percent of the sorted values do not exceed, or 0 for none.
func percentile(sorted []int, p int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100]
}

// limitNumber compares one number with its limit.
func limitNumber(name string, value, limit int) row {
	r := row{name: name, value: value, limit: limit}
	if value > limit {
		r.faults = []string{fmt.Sprintf("%d instead of at most %d", value, limit)}
	}
	return r
}

// limitEach compares the number of each place with the limit. The value is the largest.
func limitEach(name string, places []place, limit int) row {
	r := row{name: name, limit: limit}
	for _, p := range places {
		r.value = max(r.value, p.value)
		if p.value > limit {
			r.faults = append(r.faults, fmt.Sprintf("%s: %d", p.name, p.value))
		}
	}
	return r
}

// limitCount compares the number of places with the limit.
func limitCount(name string, places []string, limit int) row {
	r := row{name: name, value: len(places), limit: limit}
	if len(places) > limit {
		r.faults = places
	}
	return r
}
