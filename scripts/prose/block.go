package main

import (
	"regexp"
	"sort"
	"strings"
)

// block is a comment or a paragraph: lines that are read as one text.
type block struct {
	text  string
	lines []lineStart
	next  string // the line of code after a comment that stands alone on its lines
}

// lineStart is the line of the file that begins at an offset of the text.
type lineStart struct{ offset, line int }

// addLine appends a line of the file. The lines are joined by spaces, so that an idiom is found
// even if it is wrapped.
func (b *block) addLine(line int, text string) {
	text = strings.Join(strings.Fields(plain(text)), " ")
	if text == "" {
		return
	}
	if b.text != "" {
		b.text += " "
	}
	b.lines = append(b.lines, lineStart{len(b.text), line})
	b.text += text
}

// lineAt returns the line of the file at an offset of the text.
func (b *block) lineAt(offset int) int {
	i := sort.Search(len(b.lines), func(i int) bool { return b.lines[i].offset > offset })
	return b.lines[max(0, i-1)].line
}

// excerpt returns the text around a match.
func (b *block) excerpt(m [2]int) string {
	const around = 24
	start, end := max(0, m[0]-around), min(len(b.text), m[1]+around)
	return strings.ToValidUTF8(b.text[start:end], "")
}

// isDeclared reports whether the line of code after the comment contains a name, or the first of
// several names, as a word.
func (b *block) isDeclared(names string) bool {
	name, _, _ := strings.Cut(names, ",")
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(b.next)
}

var word = regexp.MustCompile(`\pL[\pL'’-]*`)

func (b *block) words() int { return len(word.FindAllString(b.text, -1)) }

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	linkTarget = regexp.MustCompile(`\]\([^)]*\)|<https?://[^>]*>|https?://\S+`)
)

// plain replaces code by a placeholder and removes the targets of links.
func plain(text string) string {
	return linkTarget.ReplaceAllString(inlineCode.ReplaceAllString(text, "CODE"), "]")
}

// appendBlock appends a block unless it is empty.
func appendBlock(list []block, b block) []block {
	if b.text == "" {
		return list
	}
	return append(list, b)
}
