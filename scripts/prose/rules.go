package main

import (
	"regexp"
	"strings"
)

// rule finds one idiom.
type rule struct {
	name    string
	advice  string
	pattern *regexp.Regexp                     // its first group, if it has one, is the finding
	accept  func(b block, start, end int) bool // reports whether a match is good English; may be nil
	bounds  map[group]float64                  // findings per 10,000 words
}

// rules are the idioms of the style guide. The bounds are the rates that the texts have reached,
// rounded up. Lower them when the texts improve. In READMEs, which are short, a single finding
// exceeds every bound.
var rules = []rule{
	{
		name: "who", advice: "name the actor: the client, the user, an attacker …",
		pattern: regexp.MustCompile(sentence + `((?i:who) ` + adverb + verb + `)\b`),
		accept:  isQuestionOrName,
		bounds:  bounds(0.2, 0.3),
	},
	{
		name: "what", advice: "name the thing: the value, the error, the response …",
		pattern: regexp.MustCompile(sentence + `((?i:what) [a-z']+)\b|[,;] (what (?:is|was|are|were|has|had|can|cannot|must|may|does|did|will|would)\b)`),
		accept:  func(b block, start, end int) bool { return isQuestionOrName(b, start, end) || isListed(b, start) },
		bounds:  bounds(0.5, 0.3),
	},
	{
		name: "somebody", advice: "name the actor: a user, another client, no replica …",
		pattern: regexp.MustCompile(`\b((?:[Ss]ome|[Nn]o|[Ee]very|[Aa]ny)body|[Ww]ho(?:m)?ever|[Ww]hatever)\b`),
		bounds:  bounds(0.2, 0.3),
	},
	{
		name: "meanwhile", advice: "in the meantime, at the same time, during …",
		pattern: regexp.MustCompile(`\b((?i:meanwhile))\b`),
		bounds:  bounds(0.2, 0.3),
	},
	{
		name: "beside", advice: "besides, with, next to, in addition to",
		pattern: regexp.MustCompile(`\b((?i:beside))\b`),
		bounds:  bounds(0.2, 0.3),
	},
	{
		name: "hence", advice: "so, for this reason",
		pattern: regexp.MustCompile(`\b((?i:hence))\b`),
		bounds:  bounds(0.2, 0.3),
	},
	{
		name: "of which", advice: "whose, with which, or a second sentence",
		pattern: regexp.MustCompile(`\b((?i:(?:of|by) which|(?:of|by|to) whom))\b`),
		bounds:  bounds(0.5, 0.5),
	},
	{
		name: "name: sentence", advice: "start with the name and a verb: // name returns …",
		pattern: regexp.MustCompile(`^([A-Za-z_]\w*(?:, [A-Za-z_]\w*)*): `),
		accept:  func(b block, start, end int) bool { return !b.isDeclared(b.text[start:end]) },
		bounds:  bounds(0.2, 0.3),
	},
	{
		name: "says whether", advice: "reports whether",
		pattern: regexp.MustCompile(`\b((?i:say|says|said|tell|tells|told) whether)\b`),
		bounds:  bounds(0.2, 0.5),
	},
	{
		name: "spelling", advice: "American spelling, as in the Go standard library",
		pattern: regexp.MustCompile(`\b((?i:` + british + `))\b`),
		bounds:  bounds(0.2, 0.3),
	},
}

// bounds returns the bounds of a rule for comments and texts. In READMEs one finding is too many.
func bounds(inComments, inTexts float64) map[group]float64 {
	return map[group]float64{comments: inComments, texts: inTexts, readmes: 0.5}
}

const (
	// sentence matches the beginning of a clause: of the block, or after a mark that ends one.
	sentence = `(?:^|[.!?;:)] )`
	// adverb matches an optional adverb before a verb.
	adverb = `(?:(?:never|often|always|still|also|only|once|then|[a-z]+ly) )?`
	// verb matches a verb that makes "who" the subject of a clause.
	verb = `(?:is|was|are|were|has|had|have|can|cannot|could|may|might|must|will|would|does|did|do|[a-z]+s|[a-z]+ed|came|sent|made|got|took|gave|knew)`
	// british lists common British spellings.
	british = `behaviours?|behavioural|honour(?:s|ed|ing)?|colour(?:s|ed|ing)?|` +
		`favour(?:s|ed|ing|ite|ites)?|neighbour(?:s|ing|hood)?|licences?|licenced|defences?|centres?|` +
		`cancell(?:ed|ing)|modell(?:ed|ing)|labell(?:ed|ing)|signall(?:ed|ing)|travell(?:ed|ing|er)|grey|` +
		`(?:organ|recogn|author|initial|normal|serial|synchron|optim|minim|maxim|summar|custom|real|categor)is(?:e|es|ed|ing|ation|ations)`
)

// isQuestionOrName accepts a match in a question, and the name of a declaration.
func isQuestionOrName(b block, start, end int) bool {
	rest := b.text[end:]
	if stop := strings.IndexAny(rest, ".!?;"); stop >= 0 && rest[stop] == '?' {
		return true
	}
	name, _, _ := strings.Cut(b.text[start:], " ")
	return start == 0 && b.isDeclared(name)
}

var questionWord = regexp.MustCompile(`(?i)\b(?:who|whom|what|when|where|how|why|whether|which|whose)\b`)

// isListed accepts a "what" in a list of questions, as in "records who did it, what has changed".
func isListed(b block, start int) bool {
	before := b.text[:start]
	if i := strings.LastIndexAny(before, ".!?;:"); i >= 0 {
		before = before[i:]
	}
	return start > 0 && strings.HasSuffix(b.text[:start], ", ") && questionWord.MatchString(before)
}

// find returns the start and end of each occurrence of the idiom in a block.
func (r *rule) find(b block) [][2]int {
	var found [][2]int
	for _, m := range r.pattern.FindAllStringSubmatchIndex(b.text, -1) {
		start, end := m[0], m[1]
		for i := 2; i+1 < len(m); i += 2 {
			if m[i] >= 0 {
				start, end = m[i], m[i+1]
				break
			}
		}
		if r.accept == nil || !r.accept(b, start, end) {
			found = append(found, [2]int{start, end})
		}
	}
	return found
}
