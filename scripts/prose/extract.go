package main

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var generated = regexp.MustCompile(`(?i)code generated|auto-generated|^// built from`)

// blocksOf returns the comments or paragraphs of a file, and nothing for a generated file and for a
// kind of file that the program does not know.
func blocksOf(name string, text []byte) ([]block, error) {
	head := text[:min(len(text), 300)]
	if generated.Match(head) || strings.Contains(name, "testdata/") || name == "api/released.yaml" {
		return nil, nil
	}
	base := filepath.Base(name)
	switch filepath.Ext(name) {
	case ".go":
		return goComments(text), nil
	case ".ts", ".js", ".mjs", ".cjs":
		return scriptComments(string(text)), nil
	case ".md":
		return paragraphs(string(text), 1), nil
	case ".yaml", ".yml":
		if name == "openapi.yaml" {
			return descriptions(text)
		}
		return hashComments(string(text)), nil
	case ".sh":
		return hashComments(string(text)), nil
	}
	if base == "Makefile" || base == "Dockerfile" || bytes.HasPrefix(text, []byte("#!")) {
		return hashComments(string(text)), nil
	}
	return nil, nil
}

// comment is a comment of a file before it is joined with its neighbors.
type comment struct {
	line  int // of its first line
	text  string
	alone bool // nothing precedes it on its line
	block bool // a comment between /* and */
}

func goComments(text []byte) []block {
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(text))
	s.Init(file, text, nil, scanner.ScanComments)
	var list []comment
	before := 0 // the line of the last token that is not a comment
	for {
		pos, tok, literal := s.Scan()
		line := file.Line(pos)
		switch {
		case tok == token.EOF:
			return join(list, strings.Split(string(text), "\n"))
		case tok == token.COMMENT:
			list = append(list, newComment(line, literal, line != before))
		case tok == token.SEMICOLON && literal == "\n": // inserted by the scanner
		default:
			before = line + strings.Count(literal, "\n")
		}
	}
}

var directive = regexp.MustCompile(`^//(?:go:|line |export |lint:)`)

func newComment(line int, literal string, alone bool) comment {
	c := comment{line: line, text: literal, alone: alone}
	switch {
	case strings.HasPrefix(literal, "/*"):
		c.block, c.text = true, strings.TrimSuffix(strings.TrimPrefix(literal, "/*"), "*/")
	case strings.HasPrefix(literal, "//nolint"): // its explanation is prose
		_, c.text, _ = strings.Cut(literal[2:], "//")
		c.alone = false
	case directive.MatchString(literal):
		c.text = ""
	default:
		c.text = literal[2:]
	}
	return c
}

// join makes blocks of comments: consecutive comments that stand alone on their lines are one
// block, which ends at an empty line of the comment, at an item of a list, and at code.
func join(list []comment, lines []string) []block {
	var blocks []block
	var now block
	end := -1  // the last line of the current comment, or -1 if a line of code may not follow
	first := 0 // index of the first block of the current comment
	finish := func() {
		blocks = appendBlock(blocks, now)
		now = block{}
	}
	finishComment := func() {
		finish()
		if first < len(blocks) && end >= 0 && end < len(lines) {
			blocks[first].next = lines[end] // the line after end, because lines are counted from 1
		}
		first = len(blocks)
	}
	for _, c := range list {
		if !c.alone || c.block || c.line != end+1 {
			finishComment()
		}
		for i, text := range strings.Split(c.text, "\n") {
			if c.block {
				text = " " + strings.TrimPrefix(strings.TrimLeft(text, " \t*"), "*")
			}
			switch {
			case strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "   ") && !c.block || isRule(text): // code
				finish()
				continue
			case strings.TrimSpace(text) == "" || isItem(text):
				finish()
			}
			now.addLine(c.line+i, text)
		}
		end = c.line + strings.Count(c.text, "\n")
		if !c.alone {
			end = -1
			finishComment()
		}
	}
	finishComment()
	return blocks
}

var item = regexp.MustCompile(`^\s*(?:[-*] |\d+\. |@\w+)`)

func isItem(text string) bool { return item.MatchString(text) }

// isRule reports whether a comment is only a line that separates parts of a file.
func isRule(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "-----") }

// hashComments returns the comments of shell, YAML, make and Docker.
func hashComments(text string) []block {
	lines := strings.Split(text, "\n")
	var list []comment
	for i, line := range lines {
		start, alone := commentStart(line)
		if start < 0 || strings.HasPrefix(line, "#!") {
			continue
		}
		c := comment{line: i + 1, text: strings.TrimLeft(line[start:], "#"), alone: alone}
		if strings.HasPrefix(c.text, " shellcheck ") {
			_, c.text, _ = strings.Cut(c.text, "#") // its explanation
		}
		list = append(list, c)
	}
	return join(list, lines)
}

// commentStart returns the start of the comment in a line, or -1. A hash sign starts a comment
// after a space and outside of quotes, if a space follows it.
func commentStart(line string) (start int, alone bool) {
	trimmed := strings.TrimLeft(line, " \t")
	if strings.HasPrefix(trimmed, "#") {
		return len(line) - len(trimmed), true
	}
	for i := 1; i+1 < len(line); i++ {
		if line[i] != '#' || line[i-1] != ' ' && line[i-1] != '\t' || line[i+1] != ' ' && line[i+1] != '#' {
			continue
		}
		before := strings.NewReplacer(`\\`, "", `\"`, "", `\'`, "").Replace(line[:i])
		if strings.Count(before, `"`)%2 == 0 && strings.Count(before, `'`)%2 == 0 {
			return i, false
		}
	}
	return -1, false
}

var (
	fence    = regexp.MustCompile("^\\s*(?:```|~~~)")
	markup   = regexp.MustCompile(`<!--.*?-->|</?[a-z][^>]*>|^\s*#+ |[*_]{1,2}(\pL)`)
	tableRow = regexp.MustCompile(`^\s*\|`)
)

// paragraphs returns the paragraphs of Markdown, whose first line is the given line of a file. It
// leaves out code.
func paragraphs(text string, first int) []block {
	var blocks []block
	var now block
	finish := func() {
		blocks = appendBlock(blocks, now)
		now = block{}
	}
	inCode := false
	for i, line := range strings.Split(text, "\n") {
		if fence.MatchString(line) {
			finish()
			inCode = !inCode
			continue
		}
		if inCode {
			continue
		}
		if tableRow.MatchString(line) {
			finish()
			for cell := range strings.SplitSeq(line, "|") {
				now.addLine(first+i, markup.ReplaceAllString(cell, "$1"))
				finish()
			}
			continue
		}
		if strings.TrimSpace(line) == "" || isItem(line) || strings.HasPrefix(line, "#") {
			finish()
		}
		now.addLine(first+i, markup.ReplaceAllString(strings.TrimLeft(line, " -*"), "$1"))
		if strings.HasPrefix(line, "#") {
			finish()
		}
	}
	finish()
	return blocks
}

// descriptions returns the paragraphs of all summaries and descriptions of an OpenAPI document, and
// its comments.
func descriptions(text []byte) ([]block, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	blocks := hashComments(string(text))
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				key, value := n.Content[i].Value, n.Content[i+1]
				if value.Kind == yaml.ScalarNode && (key == "description" || key == "summary") {
					first := value.Line
					if value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
						first++
					}
					blocks = append(blocks, paragraphs(value.Value, first)...)
				}
			}
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(&root)
	return blocks, nil
}
